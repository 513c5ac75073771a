"""Levels drawn by hand, and action strings to run on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.coinrun.constants import SIZE
from misgen.envs.coinrun.generator import LEVEL_DTYPE
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.engine import Engine
from misgen.envs.core.level import Level, LevelBatch
from misgen.envs.core.level_text.text import FORMAT, level_from_text

KEYS = {".": 4, "r": 7, "l": 1, "j": 5, "R": 8, "L": 2, "d": 3}
"""Nothing, right, left, jump, jump to the right, jump to the left, down."""


def draw(*rows: str, entities: tuple[str, ...] = (), **header: object) -> Level:
    """Return a level from its lowest rows, top first; what is above them is free."""
    lines = [FORMAT, *(f"{key}: {value}" for key, value in header.items()), "map:"]
    lines += [f".  x{SIZE - len(rows)}", *rows, "entities:", *entities]
    return level_from_text("\n".join(lines), CoinRun())


def actions(keys: str) -> NDArray[np.int64]:
    """Return the actions that a string of `KEYS` stands for."""
    return np.array([KEYS[key] for key in keys], np.int64)


def start(level: Level, world: CoinRun | None = None, slots: int = 1) -> Engine:
    """Return an engine with the level in every slot."""
    engine = Engine(world or CoinRun(), slots)
    engine.load(np.arange(slots), LevelBatch.stack([level] * slots, LEVEL_DTYPE))
    return engine


def play(level: Level, keys: str, **parameters: Any) -> dict[str, Any]:
    """Run one decision a key; return how the episode went, or where it got to if it goes on.

    Adds `terminated`, `truncated`, `frames` and `rewards` (one a decision) to the episode's info.
    """
    engine = start(level, CoinRun(**parameters))
    rewards, ended = [], np.zeros(0, np.int64)
    for action in actions(keys):
        ended = engine.step(np.array([action]))
        rewards.append(float(engine.episodes["reward"][0]))
        if len(ended):
            break
    (info,) = engine.infos(np.zeros(1, np.int64))
    if not len(ended):
        info["outcome"] = None
    for name in ("terminated", "truncated"):
        info[name] = bool(engine.episodes[name][0])
    info["frames"] = int(engine.episodes["frames"][0])
    info["rewards"] = rewards
    return info


def same_records(one: NDArray[np.void], other: NDArray[np.void]) -> bool:
    """Return whether two record arrays are equal in every field (the padding is nobody's)."""
    return one.dtype == other.dtype and all(
        np.array_equal(one[name], other[name]) for name in one.dtype.names or ()
    )
