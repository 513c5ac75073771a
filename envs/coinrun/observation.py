"""What a CoinRun agent sees: the window that Procgen's pixels would show, as tile classes.

`tiles` is uint8 [WINDOW, WINDOW], row 0 on top, the agent's cell in the middle.  Barriers, the
fork's invisible coin and the level's end cell are as invisible here as on the screen: nothing tells
whether a level is aligned, nor which level it is.  `body` is float32 [4]: the agent's velocity
(cells a frame) and its offset within its cell, x and y of each.

Moving things are rasterised to the cell that holds their centre, an enemy with the direction it
walks in; where things overlap, the deadliest shows.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.kernels import LIGHT, parallel
from .constants import (
    CRATE,
    ENEMY,
    GOAL,
    LAVA_MID,
    LAVA_TOP,
    PERMEABLE,
    SAW,
    SIZE,
    WALL_MID,
    WALL_TOP,
)

WINDOW = 13
CLASSES = (
    "free",
    "wall",
    "crate",
    "coin",
    "lava",
    "saw",
    "enemy to the left",
    "enemy to the right",
)
"""Meaning of each tile code, in ascending order of what wins a shared cell."""
BODY = ("vx", "vy", "offset x", "offset y")

_FREE, _WALL, _CRATE, _COIN, _LAVA, _SAW, _ENEMY_LEFT, _ENEMY_RIGHT = range(len(CLASSES))
_HALF = WINDOW // 2


def _class_table() -> NDArray[np.uint8]:
    """Return the class of every tile code, indexed by code + 1 (codes start at -1)."""
    table = np.zeros(128, np.uint8)
    for code, shown in (
        (WALL_MID, _WALL),
        (WALL_TOP, _WALL),
        (PERMEABLE, _WALL),
        (GOAL, _COIN),
        (LAVA_MID, _LAVA),
        (LAVA_TOP, _LAVA),
    ):
        table[code + 1] = shown
    return table


CLASS_OF_TILE = _class_table()


@parallel("slots", LIGHT)
def observe(
    states: NDArray[np.void],
    slots: NDArray[np.int64],
    class_of_tile: NDArray[np.uint8],
    tiles: NDArray[np.uint8],
    body: NDArray[np.float32],
) -> None:
    """Write what the agents in `slots` [m] see.

    Args:
        states: `STATE_DTYPE` records [n].
        slots: which of them, [m].
        class_of_tile: `CLASS_OF_TILE`.
        tiles: filled with tile classes, uint8 [m, WINDOW, WINDOW].
        body: filled with velocity and offset, float32 [m, 4].
    """
    for k in prange(len(slots)):
        _observe_one(states[slots[k]], class_of_tile, tiles[k], body[k])


@njit(cache=True)
def _observe_one(s, class_of_tile, tiles, body):
    cell_x, cell_y = int(s.x), int(s.y)
    left, top = cell_x - _HALF, cell_y + _HALF
    first, last = max(0, -left), min(WINDOW, SIZE - left)  # columns that are in the world
    for row in range(WINDOW):
        y = top - row
        for column in range(WINDOW):
            tiles[row, column] = _WALL
        if 0 <= y < SIZE:
            for column in range(first, last):  # indices without a sign save a test each
                code = s.tiles[np.uint64(y), np.uint64(left + column)]
                tiles[row, np.uint64(column)] = class_of_tile[np.uint64(code + 1)]
    for j in range(s.count):
        row, column = top - int(s.ey[j]), int(s.ex[j]) - left
        if 0 <= row < WINDOW and 0 <= column < WINDOW:
            shown = _entity_class(s.kind[j], s.evx[j])
            tiles[row, column] = max(tiles[row, column], np.uint8(shown))
    body[0], body[1] = s.vx, s.vy
    body[2], body[3] = s.x - cell_x, s.y - cell_y


@njit(cache=True)
def _entity_class(kind, vx):
    if kind == CRATE:
        return _CRATE
    if kind == SAW:
        return _SAW
    if kind == ENEMY:
        return _ENEMY_RIGHT if vx > 0 else _ENEMY_LEFT
    return _FREE
