"""What of a level a picture shows, and how the world's things look.

Public names: `Window`, `window_of`, `palette_of`, `start_of`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.level import LevelBatch

if TYPE_CHECKING:
    from misgen.envs.core.drawing.palette import Palette
    from misgen.envs.core.level import Level
    from misgen.envs.core.world import World

Window = tuple[int, int, int, int]
"""Columns from, to and rows from, to that a picture shows, `to` excluded."""


def window_of(level: Level, world: World, paths: Sequence[NDArray[np.float64]] = ()) -> Window:
    """Return what of the level to show: start, goals, entities, the ground between, the ways."""
    height, width = level.tiles.shape
    palette = palette_of(world)
    if palette is None:
        side = int(start_of(level, world)["side"])
        return 0, side, 0, side
    if palette.margin is None:
        return 0, width, 0, height
    points = [level.start, level.goal_cell, level.proxy_cell]
    points += [cell for cell in (level.conflict_cell,) if cell[0] >= 0]
    points += [(float(entity["x"]), float(entity["y"])) for entity in level.entities]
    points += [tuple(corner) for way in paths for corner in (way.min(axis=0), way.max(axis=0))]
    x, y = np.array(points, np.float64).T
    first, last = int(x.min()), int(x.max())
    highest = max(float(y.max()), _surface(level, palette)[first : last + 1].max())
    left, right, below, above = palette.margin
    return (
        max(0, first - left),
        min(width, last + 1 + right),
        max(0, int(y.min()) - below),
        min(height, int(highest) + 1 + above),
    )


def palette_of(world: World) -> Palette | None:
    """Return how a world's levels are drawn; None for one that draws them itself."""
    return importlib.import_module(world.palette).PALETTE if world.palette else None


def start_of(level: Level, world: World) -> np.void:
    """Return a slot's record at the start of a level."""
    states = np.zeros(1, world.state_dtype)
    batch = LevelBatch.stack([level], world.level_dtype)
    world.load(states, np.zeros(1, np.int64), batch)
    return states[0]


def _surface(level: Level, palette: Palette) -> NDArray[np.int64]:
    """Return the highest row of each column that is filled and has something open above."""
    filled = np.isin(level.tiles, [c for c, style in palette.tiles.items() if style.fills_cell])
    tops = filled[:-1] & ~filled[1:]  # [height - 1, width]
    rows = np.arange(len(tops))[:, None]
    return np.where(tops, rows, 0).max(axis=0)
