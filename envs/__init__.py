"""Worlds and levels.  Importing this package registers the worlds with gymnasium.

    gymnasium.make("misgen/CoinRun-v0", correlation=0.98)
    gymnasium.make_vec("misgen/CoinRun-v0", num_envs=64, correlation=0.98)

Keyword arguments: those of `misgen.envs.make.distribution`, and the world's own parameters;
`make_vec` also takes `autoreset_mode` ("SAME_STEP", "NEXT_STEP" or "DISABLED", as gymnasium).

A process that was started anew (a worker of `AsyncVectorEnv` or stable-baselines3's `SubprocVecEnv`
with `spawn`, joblib, Ray) has not imported this package and knows no worlds.  There, give the id
with the package's name before it, and gymnasium imports it:

    gymnasium.make("misgen.envs:misgen/CoinRun-v0")
    gymnasium.make_vec("misgen.envs:misgen/CoinRun-v0", num_envs=4, vectorization_mode="async")

The worlds of other installed packages (entry points `misgen.worlds`, see `core/registry.py`) are
registered too.  `check_world` tells whether a world keeps the promises that all of them make.

Public, and imported when asked for: `make_world("coinrun", mode="easy")` makes a world,
`distribution("coinrun", correlation=0.98)` its levels.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING

from gymnasium.envs.registration import register, registry

from .core.errors import UserError
from .core.registry import entries, own_entries

if TYPE_CHECKING:
    from .core.checking.world_checks import WorldError, check_world
    from .core.distribution import LevelDistribution
    from .core.registry import Entry, make_world
    from .core.world import World
    from .make import distribution

__all__ = [
    "Entry",
    "LevelDistribution",
    "UserError",
    "World",
    "WorldError",
    "check_world",
    "distribution",
    "make_world",
]

_WHERE = {
    "Entry": "core.registry",
    "LevelDistribution": "core.distribution",
    "World": "core.world",
    "WorldError": "core.checking.world_checks",
    "check_world": "core.checking.world_checks",
    "distribution": "make",
    "make_world": "core.registry",
}
"""Module of each public name that is imported when it is asked for."""


def _register_worlds() -> None:
    known = own_entries()
    with contextlib.suppress(UserError):  # said when a world is asked for
        known = entries()
    for name, (_, entry) in known.items():
        if entry.env_id not in registry:
            register(
                id=entry.env_id,
                entry_point="misgen.envs.make:single",
                vector_entry_point="misgen.envs.make:vector",
                kwargs={"world": name},
            )


_register_worlds()

with contextlib.suppress(ImportError):
    # stable-baselines3 imports the old gym where Procgen brought it: silence its notice.
    from gym_notices import notices

    notices.notices.clear()


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: registering worlds needs few of them."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
