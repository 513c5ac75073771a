"""Placement `off_path(k)`: the coin off the path of a proxy-seeker.

The coin goes to a cell in reach (`placement.cells_in_reach`) that is at least k cells, sideways and
up, from every cell that the body of a planned proxy-seeker touches, and that the planner has found
a way to.  Among those the choice is uniform, by the level's id.  A level without such a cell has no
conflict cell and stays aligned at any correlation.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..core.level import LevelBatch
from ..core.planning.disk_cache import DiskCache
from ..core.planning.planned import plans_at_start, proxy_paths, rules_key, strict
from ..core.planning.planner import make_planner
from ..core.rng import STREAM_PLACEMENT, hash_below
from ..core.world import World
from .constants import SIZE, TERRAINS
from .generator import move_goals
from .placement import cells_in_reach

_TRIES = 8
"""Cells that are tried, one after the other, until there is a way to one."""


def off_path_levels(
    world: World, ids: NDArray[np.int64], correlation: float, distance: int
) -> LevelBatch:
    """Return the levels of `ids`, int64 [n], with their coins off a proxy-seeker's path.

    Args:
        world: CoinRun.
        ids: level ids.
        correlation: probability, in [0, 1], that a level is aligned.
        distance: k, in cells.
    """
    ids = np.ascontiguousarray(ids, np.int64)
    aligned = world.levels(ids, correlation, "anywhere").aligned
    cells = _cache(strict(world), distance).rows(ids)["cells"]
    return _with_goals(world, world.levels(ids, 1.0, "anywhere"), cells, aligned)


def _with_goals(
    world: World, levels: LevelBatch, cells: NDArray[np.int16], aligned: NDArray[np.bool_]
) -> LevelBatch:
    """Return aligned `levels` with other conflict cells [n, 2]."""
    terrain = dict(levels.variant)["terrain"]
    moved = LevelBatch(levels.world, levels.data.copy(), levels.variant)
    move_goals(moved.data, cells.astype(np.int64), aligned, TERRAINS.index(terrain))
    return moved


@lru_cache(maxsize=16)
def _cache(world: World, distance: int) -> DiskCache:
    return DiskCache(
        f"{world.name}-off-path",
        rules_key(world, distance),
        lambda ids: {"cells": _find(world, ids, distance)},
    )


def _find(world: World, ids: NDArray[np.int64], distance: int) -> NDArray[np.int16]:
    """Return x, y of each level's coin, int16 [n, 2], or -1 where there is no place for one."""
    levels = world.levels(ids, 1.0, "anywhere")
    paths = proxy_paths(world, ids)
    found = np.full((len(ids), 2), -1, np.int16)
    tries = np.full((len(ids), _TRIES, 2), -1, np.int16)
    _draw(levels.data, paths.touched, distance, world.jump_rows, tries)  # pyright: ignore
    left = np.flatnonzero(paths.solved)
    planner = make_planner(world)
    for turn in range(_TRIES):
        left = left[tries[left, turn, 0] >= 0]
        if not len(left):
            break
        cells = tries[left, turn]
        conflict = _with_goals(world, levels.take(left), cells, np.zeros(len(left), np.bool_))
        solved = plans_at_start(planner, conflict, "goal").solved
        found[left[solved]] = cells[solved]
        left = left[~solved]
    return found


@njit(cache=True)
def _draw(levels, touched, distance, rows, tries):
    """Draw cells off the path, without replacement, into `tries` [n, most, 2]."""
    for k in range(len(levels)):
        level = levels[k]
        cells, count = cells_in_reach(level, int(level.proxy_cell[0]), rows)
        left = 0
        for i in range(count):
            if not _near(touched[k], cells[i, 0], cells[i, 1], distance):
                cells[left] = cells[i]
                left += 1
        for turn in range(min(left, tries.shape[1])):
            pick = turn + hash_below(left - turn, STREAM_PLACEMENT, level.id, distance, turn)
            x, y = cells[pick, 0], cells[pick, 1]
            cells[pick] = cells[turn]
            tries[k, turn, 0], tries[k, turn, 1] = x, y


@njit(cache=True)
def _near(touched, x, y, distance):
    """Return whether a touched cell is less than `distance` cells away."""
    for row in range(max(0, y - distance + 1), min(SIZE, y + distance)):
        for column in range(max(0, x - distance + 1), min(SIZE, x + distance)):
            if touched[row, column]:
                return True
    return False
