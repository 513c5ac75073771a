"""Placements of the goal on conflict levels, besides the paper's own rule.

`section_start`, the paper's rule, lives in the generator, and `off_path`, which needs a planner,
in `off_path.py`.

`behind` is uniform over the cells above the agent's head at the start: in the start's column, from
two rows above the start to as high as a standing jump gets.  There is nothing to the left of a
CoinRun start, and whoever runs off to the right has left the column by the second decision.

`anywhere` is uniform over the cells that an agent's body can touch standing or in a standing jump,
clear of hazards:

- in a column between the start and the end whose highest ground can be stood on,
- from the ground to as many rows above it as the feet rise in a standing jump,
- a free cell: no wall, no entity, no barrier, not on an enemy's beat (the cells between the walls
  or barriers that turn it), and not one that the agent touches where it starts.

Above an enemy's beat the column counts, as the agent can wait there for the enemy to pass; above a
saw, lava, or a beat that enemies share (a pit full of them) it does not.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..core.rng import STREAM_PLACEMENT, hash_below
from .constants import (
    BARRIER,
    CRATE,
    ENEMY,
    LAVA_TOP,
    SAW,
    SIZE,
    SPACE,
    WALL_MID,
    WALL_TOP,
)

_FREE, _TAKEN, _BEAT, _DEADLY = 0, 1, 2, 3


@njit(cache=True)
def behind_cell(level, rows):
    """Return x, y of the level's conflict cell under placement `behind`.

    Args:
        level: the level's record.
        rows: that the feet rise in a standing jump, at least 2.
    """
    x, y = int(level.start[0]), int(level.start[1])
    return x, y + 2 + hash_below(rows - 1, STREAM_PLACEMENT, level.id, 0, 0)


@njit(cache=True)
def anywhere_cell(level, end_x, rows):
    """Return x, y of the level's conflict cell under placement `anywhere`; see `cells_in_reach`."""
    cells, count = cells_in_reach(level, end_x, rows)
    pick = hash_below(count, STREAM_PLACEMENT, level.id, 0, 0)
    return cells[pick, 0], cells[pick, 1]


@njit(cache=True)
def cells_in_reach(level, end_x, rows):
    """Return x, y of the free cells in reach, int64 [most, 2], and how many there are.

    Args:
        level: the level's record, with no coin in its tiles but at the end.
        end_x: column of the level's end.
        rows: that the feet rise in a standing jump.
    """
    use = _uses(level)
    cells = np.empty((SIZE * (rows + 1), 2), np.int64)
    count = 0
    for x in range(1, end_x):
        ground = _ground(level.tiles, x)
        if use[ground, x] == _DEADLY or level.tiles[ground, x] == LAVA_TOP:
            continue
        for y in range(ground, min(ground + rows + 1, SIZE - 1)):
            at_start = x <= 2 and y <= 2
            if use[y, x] == _FREE and level.tiles[y, x] == SPACE and not at_start:
                cells[count, 0] = x
                cells[count, 1] = y
                count += 1
    return cells, count


@njit(cache=True)
def _uses(level):
    """Return what entities do with each cell: int8 [SIZE, SIZE]."""
    use = np.zeros((SIZE, SIZE), np.int8)
    tiles = level.tiles
    for i in range(level.entity_count):
        x, y = int(level.entity_x[i]), int(level.entity_y[i])
        kind = level.entity_kind[i]
        if kind == CRATE:
            use[y, x] = max(use[y, x], _TAKEN)
        elif kind == SAW:
            use[y, x] = _DEADLY
        elif kind == ENEMY:
            left = x
            while not _turns(tiles[y, left - 1]):
                left -= 1
            column = left
            while not _turns(tiles[y, column]):
                use[y, column] = _BEAT if use[y, column] < _BEAT else _DEADLY
                column += 1
    return use


@njit(cache=True)
def _turns(tile):
    return tile == WALL_MID or tile == WALL_TOP or tile == BARRIER


@njit(cache=True)
def _ground(tiles, x):
    """Return the row above the highest wall of column `x`, or the top of the lava above it."""
    y = SIZE - 2
    while not (tiles[y, x] == WALL_MID or tiles[y, x] == WALL_TOP or tiles[y, x] == LAVA_TOP):
        y -= 1
    return y if tiles[y, x] == LAVA_TOP else y + 1
