"""The register of worlds: each package beside this one says what worlds it has.

A world's package holds, after its specification,

    WORLDS = {"coinrun": Entry("misgen/CoinRun-v0", "world:CoinRun")}

and is found by that: nothing outside the package names the world.

Public names: `Entry`, `entries`, `world_class`, `make_world`.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .errors import UserError, did_you_mean

if TYPE_CHECKING:
    from .world import World

_ENVS = __name__.rpartition(".core.")[0]


@dataclass(frozen=True)
class Entry:
    """Where a world is."""

    env_id: str
    """Gymnasium's name for it."""
    where: str
    """`module:Class`, the module within the world's package; imported when asked for."""


@lru_cache
def entries() -> dict[str, tuple[str, Entry]]:
    """Return the package and the entry of each world, by the world's name."""
    found: dict[str, tuple[str, Entry]] = {}
    for module in pkgutil.iter_modules(importlib.import_module(_ENVS).__path__):
        if module.ispkg and module.name != "core":
            package = f"{_ENVS}.{module.name}"
            worlds = getattr(importlib.import_module(package), "WORLDS", {})
            found.update((name, (package, entry)) for name, entry in worlds.items())
    return found


def world_class(name: str) -> type[World]:
    """Return the class of the world called `name`.

    Raises:
        UserError: if there is none.
    """
    known = entries()
    if not isinstance(name, str) or name not in known:
        raise UserError(
            f"env={name!r} is not a world: use one of {', '.join(known)}{did_you_mean(name, known)}"
        )
    package, entry = known[name]
    module, attribute = entry.where.split(":")
    return getattr(importlib.import_module(f"{package}.{module}"), attribute)


def make_world(name: str, **parameters: Any) -> World:
    """Return the world called `name` with the given parameters.

    Raises:
        UserError: for an unknown world or parameter, a wrong type or an impossible value.
    """
    if not isinstance(name, str):
        raise UserError(
            f"env.name={repr(name)[:60]} is no world's name: misgen levels list has all"
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
