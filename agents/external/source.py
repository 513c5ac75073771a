"""Agents by `module:function`: code of a stranger's, run only where somebody said so.

Public names: `make_from`, `trusting`, `is_trusted`, `source_file`.

The module is looked for in the working directory first, as Python itself does.  The function is
called with what it asks for by the names of its parameters: `world`, `observation_space`,
`action_space`, `seed`.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError, did_you_mean

from .asking import where_of

if TYPE_CHECKING:
    from misgen.envs.core.world import World

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_trusted: ContextVar[bool] = ContextVar("trusted", default=False)


@contextlib.contextmanager
def trusting(trust: bool) -> Iterator[None]:
    """Let agents that run folders name be made, which runs their code, if `trust` is true."""
    token = _trusted.set(trust or _trusted.get())
    try:
        yield
    finally:
        _trusted.reset(token)


def is_trusted() -> bool:
    """Return whether agents that run folders name may be made here."""
    return _trusted.get()


def make_from(source: str, world: World, seed: int = 0) -> Any:
    """Return what `module:function` makes: what `adapt.as_agent` takes.

    Args:
        source: `module:function`, or `module:object` for an agent that is there already.
        world: handed to the function if it asks for it, as are its spaces.
        seed: likewise; the training seed that the agent is labelled with.

    Raises:
        UserError: if there is no such module or function, it fails, or asks for something else.
    """
    module_name, _, attribute = source.partition(":")
    if module_name.endswith(".py"):
        name = Path(module_name).stem
        raise UserError(
            f"agent={source} names a file: name its module, agent={name}:{attribute}, and run "
            f"misgen in the folder that holds {name}.py"
        )
    if not _NAME.fullmatch(source):
        raise UserError(
            f"agent={source!r} names no function: write agent=module:function, for example "
            "agent=my_agent:make_agent for the function make_agent in my_agent.py"
        )
    found: Any = _imported(module_name, source)
    for name in attribute.split("."):
        if not hasattr(found, name):
            known = _makers(found)
            where = getattr(found, "__file__", None) or module_name
            listed = f", such as {', '.join(known[:5])}" if known else ""
            raise UserError(
                f"agent={source}: there is no {name} in {where}: give the name of a function that "
                f"makes the agent{listed}{did_you_mean(name, known)}"
            )
        found = getattr(found, name)
    if not (inspect.isroutine(found) or isinstance(found, type)):
        return found  # an agent that is there already
    return _made(found, source, world, seed)


def source_file(source: str) -> Path | None:
    """Return the file of a source: the zip, or the file of its module, without importing it."""
    if source.endswith(".zip"):
        return Path(source)
    loaded = sys.modules.get(source.partition(":")[0])
    file = getattr(loaded, "__file__", None)
    return Path(file) if file else None


def _makers(module: Any) -> list[str]:
    """Return the names of the functions and classes that a module defines itself."""
    return [
        name
        for name, one in vars(module).items()
        if not name.startswith("_")
        and callable(one)
        and getattr(one, "__module__", None) == getattr(module, "__name__", "")
    ]


def _imported(module: str, source: str) -> Any:
    """Return a module, from the working directory or any other place that Python knows.

    Raises:
        UserError: if there is none, or it fails.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise UserError(
                f"agent={source}: there is no module {module}: run misgen in the folder that holds "
                f"{module.replace('.', '/')}.py, or install the package that it belongs to"
            ) from None
        raise UserError(
            f"agent={source}: {module} needs the module {error.name}, which is not installed: "
            f"pip install it beside misgen"
        ) from error
    except (Exception, SystemExit) as error:
        raise UserError(
            f"agent={source}: {module} cannot be imported ({type(error).__name__}: "
            f"{str(error)[:160]}{where_of(error)}): mend it, python -c 'import {module}' shows all"
        ) from error


def _made(factory: Any, source: str, world: World, seed: int) -> Any:
    """Return what a factory makes.

    Raises:
        UserError: if it asks for what cannot be given, fails, or makes nothing.
    """
    offered = {
        "world": world,
        "observation_space": world.observation_space,
        "action_space": world.action_space,
        "seed": seed,
    }
    try:
        made = factory(**_arguments(factory, source, offered))
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"agent={source} failed ({type(error).__name__}: {str(error)[:160]}{where_of(error)}): "
            "mend the function; it is called with what its parameters name of "
            f"{', '.join(offered)}"
        ) from error
    if made is None:
        raise UserError(
            f"agent={source} returned None: let the function return the agent (is a return "
            "missing?)"
        )
    return made


def _arguments(factory: Any, source: str, offered: dict[str, Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return {}
    named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    for one in named:
        if one.name not in offered and one.default is one.empty:
            raise UserError(
                f"agent={source} asks for {one.name!r}, which is none of {', '.join(offered)}: "
                "give a function that makes the agent; if this is the agent itself, write "
                f"def make_agent(): return {source.rpartition(':')[2]}, and name that"
            )
        if one.kind is one.POSITIONAL_ONLY:
            raise UserError(
                f"agent={source} takes {one.name!r} by position alone: drop the / in its parameters"
            )
    return {one.name: offered[one.name] for one in named if one.name in offered}
