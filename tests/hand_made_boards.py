"""Levels of worlds on a board drawn by hand, and moves to run on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from misgen.envs.core.boards.board import MOVES
from misgen.envs.core.boards.grid_world import GridWorld
from misgen.envs.core.engine import Engine
from misgen.envs.core.level import Level, LevelBatch
from misgen.envs.core.level_text.text import FORMAT, level_from_text

KEYS = "ld.ur"
"""Left, down, stay, up, right."""


def draw(world: GridWorld, *rows: str, **header: object) -> Level:
    """Return a level from its lowest rows, top first; what is above and beside them is wall."""
    height, width = world.level_dtype["tiles"].shape
    header = {"size": f"{width} {height}", **header}
    lines = [FORMAT, *(f"{key}: {value}" for key, value in header.items()), "map:"]
    if height > len(rows):
        lines.append(f"#  x{height - len(rows)}")
    return level_from_text("\n".join([*lines, *(row + "#" for row in rows)]), world)


def walk(world: GridWorld, level: Level, keys: str) -> dict[str, Any]:
    """Make a decision a key; return how the episode went, `outcome` None if it goes on.

    Adds `terminated`, `truncated`, `rewards` (one a decision) and `cell`, where the agent is.
    """
    engine = Engine(world, 1)
    engine.load(np.zeros(1, np.int64), LevelBatch.stack([level], world.level_dtype))
    rewards, ended = [], np.zeros(0, np.int64)
    for key in keys:
        move = KEYS.index(key)
        action = move if world.action_set == "distinct" else MOVES[move]
        ended = engine.step(np.array([action]))
        rewards.append(float(engine.episodes["reward"][0]))
        if len(ended):
            break
    (info,) = engine.infos(np.zeros(1, np.int64))
    if not len(ended):
        info["outcome"] = None
    for name in ("terminated", "truncated"):
        info[name] = bool(engine.episodes[name][0])
    info["rewards"] = rewards
    info["cell"] = (int(engine.states["x"][0]), int(engine.states["y"][0]))
    return info
