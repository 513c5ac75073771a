"""The register of worlds: each package beside this one says what worlds it has, as others can.

A world's package holds, after its specification,

    WORLDS = {"coinrun": Entry("misgen/CoinRun-v0", "world:CoinRun")}

and is found by that: nothing outside the package names the world.  Another package's world is found
by an entry point, whose name is the world's and whose value is the module that holds its `WORLDS`:

    [project.entry-points."misgen.worlds"]
    night_watch = "my_package"

That dictionary is read from the module's source, so that knowing the worlds runs nobody's code (and
a package that imports this one can be imported first): its keys and entries are plain texts.

Public names: `Entry`, `entries`, `own_entries`, `faults`, `world_class`, `make_world`, `GROUP`.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import pkgutil
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UserError, did_you_mean
from .extensions import find_module, package_of, points_of

if TYPE_CHECKING:
    from .world import World

GROUP = "misgen.worlds"
"""Group of the entry points."""
_ENVS = __name__.rpartition(".core.")[0]


@dataclass(frozen=True)
class Entry:
    """Where a world is."""

    env_id: str
    """Gymnasium's name for it."""
    where: str
    """`module:Class`, the module within the world's package (`:Class`: in the one that holds
    `WORLDS`); imported when asked for."""


def entries() -> dict[str, tuple[str, Entry]]:
    """Return the package and the entry of each world, by the world's name, misgen's own first.

    Worlds whose package is at fault (`faults`) are left out.

    Raises:
        UserError: if two worlds have one name.
    """
    return {**own_entries(), **_others()[0]}


def faults() -> dict[str, str]:
    """Return what is wrong with worlds of other packages that cannot be used, by their names.

    Raises:
        UserError: if two worlds have one name.
    """
    return dict(_others()[1])


@lru_cache
def own_entries() -> dict[str, tuple[str, Entry]]:
    """Return the package and the entry of each of misgen's worlds."""
    found: dict[str, tuple[str, Entry]] = {}
    for module in pkgutil.iter_modules(importlib.import_module(_ENVS).__path__):
        if module.ispkg and module.name != "core":
            package = f"{_ENVS}.{module.name}"
            worlds = getattr(importlib.import_module(package), "WORLDS", {})
            found.update((name, (package, entry)) for name, entry in worlds.items())
    return found


@lru_cache
def _others() -> tuple[dict[str, tuple[str, Entry]], dict[str, str]]:
    """Return those of other packages, and what is wrong with those that are at fault."""
    found: dict[str, tuple[str, Entry]] = {}
    wrong: dict[str, str] = {}
    ids = {entry.env_id: "misgen itself" for _, entry in own_entries().values()}
    for name, point in points_of(GROUP, own_entries(), "a world").items():
        entry, package = _read_worlds(point).get(name), package_of(point)
        if entry is None:
            wrong[name] = (
                f"the entry point {name!r} of {package} is {point.value}, in whose source no "
                f"{_SHAPE.format(name=name)} is written: fix or uninstall that package"
            )
        elif entry.env_id in ids:
            wrong[name] = (
                f"{package} and {ids[entry.env_id]} both have a world whose gymnasium id is "
                f"{entry.env_id!r}: rename one of them, or uninstall its package"
            )
        else:
            ids[entry.env_id] = package
            found[name] = (point.value, entry)
    return found, wrong


_SHAPE = "WORLDS = {{{name!r}: Entry('mine/MyWorld-v0', 'world:MyWorld')}}"


def _read_worlds(point: EntryPoint) -> dict[str, Entry]:
    """Return the `WORLDS` that a module's source holds, without running it; empty for none."""
    spec = find_module(point.value)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return {}
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    found: dict[str, Entry] = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        named = any(isinstance(one, ast.Name) and one.id == "WORLDS" for one in targets)
        if named and isinstance(getattr(node, "value", None), ast.Dict):
            pairs = zip(node.value.keys, node.value.values, strict=True)  # pyright: ignore
            found |= {name: entry for name, entry in map(_pair, pairs) if name and entry}
    return found


def _pair(item: tuple[ast.expr | None, ast.expr]) -> tuple[str | None, Entry | None]:
    """Return a world's name and entry, each None if it is not written as plain text."""
    key, call = item
    name = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
    if not isinstance(call, ast.Call):
        return name, None
    given = dict(zip(("env_id", "where"), call.args, strict=False))
    given |= {one.arg: one.value for one in call.keywords if one.arg}
    found = {k: v.value for k, v in given.items() if isinstance(v, ast.Constant)}
    texts = {k: v for k, v in found.items() if isinstance(v, str)}
    return name, Entry(**texts) if set(texts) == {"env_id", "where"} else None


def world_class(name: str) -> type[World]:
    """Return the class of the world called `name`.

    Raises:
        UserError: if there is none, or another package's cannot be imported or is no world.
    """
    known = entries()
    if isinstance(name, str) and name in faults():
        raise UserError(f"env={name} cannot be used: {faults()[name]}")
    if not isinstance(name, str) or name not in known:
        raise UserError(
            f"env={name!r} is not a world: use one of {', '.join(known)}, or install the package "
            f"that brings it{did_you_mean(name, known)}"
        )
    package, entry = known[name]
    if name in own_entries():
        return _attribute(package, entry)
    return _checked_class(name, package, entry)


def _attribute(package: str, entry: Entry) -> Any:
    module, _, attribute = entry.where.partition(":")
    full = f"{package}.{module}" if module else package
    return getattr(importlib.import_module(full), attribute)


@lru_cache
def _checked_class(name: str, package: str, entry: Entry) -> type[World]:
    """Import another package's world."""
    base: Any = importlib.import_module(f"{_ENVS}.core.world").World
    try:
        found = _attribute(package, entry)
    except Exception as error:
        raise UserError(
            f"env={name} is {entry.where} of {package}, which cannot be imported "
            f"({type(error).__name__}: {error}): fix or uninstall that package"
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)) or found.name != name:
        raise UserError(
            f"env={name} is {entry.where} of {package}, which is no World with name={name!r}: fix"
            " or uninstall that package"
        )
    return found


def make_world(name: str, **parameters: Any) -> World:
    """Return the world called `name` with the given parameters.

    Raises:
        UserError: for an unknown world or parameter, a wrong type or an impossible value.
    """
    if not isinstance(name, str):
        raise UserError(
            f"env.name={repr(name)[:60]} is not the name of a world: misgen levels list shows all"
        )
    cls = world_class(name)
    known = {f.name: f for f in dataclasses.fields(cls)}
    for key, value in parameters.items():
        if key not in known:
            raise UserError(
                f"env.{key}={repr(value)[:60]} is not a parameter of {name}: "
                f"use one of {', '.join(known)}{did_you_mean(key, known)}"
            )
        wanted = known[key].metadata.get("types", (type(known[key].default),))
        if type(value) not in wanted and not (float in wanted and type(value) is int):
            names = " or ".join(one.__name__ for one in wanted)
            raise UserError(f"env.{key}={repr(value)[:60]} must be of type {names}")
    return cls(**parameters)
