"""Worlds on a board of cells: state, moves, what is seen, and how it is drawn.

A slot's state is a record of `board_state`: the agent's cell, the board as classes of things (which
change as things are taken), and movers on top of it.  Class 0 is free space and class 1 is wall, in
every world.  `observe` shows the agent the window around it; `draw` shows the whole board.

Public names: `board_state`, `FREE`, `WALL`, `MOVES`, `step_of`, `enter`, `is_at`,
`look_around`, `come_nearer`, `observe`, `Sprites`, `atlas`, `draw`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..blocks import copy_rows, fill_bytes, look_up
from ..drawing.canvas import Canvas
from ..kernels import HEAVY, LIGHT, parallel

FREE, WALL = 0, 1
MOVES = np.array([1, 3, 4, 5, 7])
"""Left, down, stay, up, right among Procgen's actions: those that differ on a board."""
STAY = 2
"""Index of staying among `MOVES`."""
_PAINTED = 48  # pixels a cell that sprites are painted with, at least


def board_state(
    size: tuple[int, int], body: int, movers: int, own: Sequence[tuple[Any, ...]] = ()
) -> np.dtype[np.void]:
    """Return the record of a slot.

    Args:
        size: height and width of the largest board.
        body: how many numbers the agent sees beside the board.
        movers: room for things that move.
        own: further fields, for the world's rules.
    """
    return np.dtype(
        [
            ("x", np.int16),  # the agent's cell
            ("y", np.int16),
            ("vx", np.int8),  # cells that it moved in the last frame
            ("vy", np.int8),
            ("body", np.float32, (body,)),
            ("side", np.int16),  # cells along a side of the board in use, from row and column 0
            ("board", np.uint8, size),  # class of each cell, row 0 at the bottom
            ("mover", np.int16, (max(1, movers), 3)),  # x, y, class; x < 0: none
            *own,
        ],
        align=True,
    )


@njit(cache=True)
def step_of(action):
    """Return the columns and rows that one of Procgen's 15 actions moves: sideways before upward.

    In Procgen's grid worlds, left or right pressed together with up or down is left or right.
    """
    if action >= 9:
        return 0, 0
    dx, dy = action // 3 - 1, action % 3 - 1
    return (dx, 0) if dx != 0 else (0, dy)


@njit(cache=True)
def enter(s, dx, dy):
    """Move the agent by one cell unless there is a wall or the board's edge; say whether it did."""
    x, y = s.x + dx, s.y + dy
    s.vx = s.vy = 0
    if 0 <= x < s.side and 0 <= y < s.side and s.board[y, x] != WALL:
        s.x, s.y = x, y
        s.vx, s.vy = dx, dy
        return dx != 0 or dy != 0
    return False


@njit(cache=True)
def is_at(s, cell):
    """Return whether the agent is in a cell."""
    return s.x == cell[0] and s.y == cell[1]


@njit(cache=True)
def look_around(s):
    """Write where the agent is on the board, in [-1, 1]."""
    middle = (s.side - 1) / 2
    s.body[0] = (s.x - middle) / middle
    s.body[1] = (s.y - middle) / middle


@njit(cache=True)
def come_nearer(s, episode):
    """Book how far the agent has come: the part of the steps to the proxy that it has behind it.

    For worlds whose state holds `steps` from each cell to the proxy, and the start's, `farthest`.
    """
    if s.steps[s.y, s.x] >= 0:  # else no way leads there
        way = np.float32(1) - np.float32(s.steps[s.y, s.x]) / np.float32(s.farthest)
        episode.progress = max(episode.progress, way)


# ---------------------------------------------------------------------------------------------
# What the agent sees
# ---------------------------------------------------------------------------------------------


@parallel("slots", LIGHT)
def observe(states, slots, features, tiles, body):
    """Write what the agents in `slots` [m] see.

    Args:
        states: `board_state` records [n].
        slots: which of them, int64 [m].
        features: uint8 [planes, `ENTRIES` or more]: what a class looks like in each plane; with no
            rows, the one plane shows the classes themselves.
        tiles: filled, uint8 [m, planes * view, view]: for each plane the window, row 0 on top.
        body: filled, float32 [m, k].
    """
    planes, view = len(features), tiles.shape[2]
    cells = view * view
    classes = np.empty((len(slots) if planes else 0, cells), np.uint8)
    for k in prange(len(slots)):
        s = states[slots[k]]
        if planes == 0:
            _show_classes(s, view, tiles, k * cells)
        else:
            _show_classes(s, view, classes, k * cells)
            look_up(classes, k * cells, features, tiles, k * planes * cells, cells)
        for j in range(body.shape[1]):
            body[k, j] = s.body[j]


@njit(cache=True)
def _show_classes(s, view, out, begin):
    """Write the classes in the window around the agent into `out`, from `begin` on; row 0 on top.

    Beyond the board there are walls.
    """
    side, width = int(s.side), s.board.shape[1]
    left, top = s.x - view // 2, s.y + view // 2
    first, last = max(0, -left), min(view, side - left)  # columns that are on the board
    low, high = max(0, top - view + 1), min(side, top + 1)  # and rows
    fill_bytes(out, begin, view * view, WALL)
    at, to = low * width + left + first, begin + (top - low) * view + first
    copy_rows(s.board, at, width, out, to, -view, high - low, last - first)
    for j in range(len(s.mover)):
        column, row = s.mover[j, 0] - left, top - s.mover[j, 1]
        if s.mover[j, 0] >= 0 and 0 <= row < view and 0 <= column < view:
            out.flat[begin + row * view + column] = s.mover[j, 2]


# ---------------------------------------------------------------------------------------------
# How it is drawn
# ---------------------------------------------------------------------------------------------

Paint = Callable[[Canvas], None]
"""Draws something into one cell."""


@dataclass(frozen=True)
class Sprites:
    """How a world's things look: one way to paint each."""

    floor: Paint
    """What is under everything."""
    classes: tuple[Paint, ...]
    """A thing of each class; the first is free space and paints nothing."""
    agent: Paint


@lru_cache(maxsize=64)
def atlas(sprites: Sprites, texels: int) -> NDArray[np.uint8]:
    """Return the cell of each class, and last the agent's: uint8 [classes + 1, texels, texels, 4].

    Red, green, blue are premultiplied with the fourth number, how opaque it is; free space is the
    floor, and everything else lies over it.
    """
    fine = texels * max(1, -(-_PAINTED // texels))
    cells = []
    for paint in (sprites.floor, *sprites.classes[1:], sprites.agent):
        canvas = Canvas(fine)
        paint(canvas)
        parts = canvas.pixels.reshape(texels, fine // texels, texels, fine // texels, 4)
        cells.append(parts.mean(axis=(1, 3)))
    return np.round(255 * np.clip(np.stack(cells), 0, 1)).astype(np.uint8)


def draw(
    states: NDArray[np.void],
    slots: NDArray[np.int64],
    atlas: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
) -> None:
    """Draw the boards of `slots` [m] from above.

    Args:
        states: `board_state` records [n].
        slots: which of them, int64 [m].
        atlas: what `atlas` returns.
        pixels: filled, uint8 [m, height, width, 3], row 0 on top.
    """
    opaque, through = atlas[..., :3].astype(np.int64), 255 - atlas[..., 3:].astype(np.int64)
    still = np.minimum(255, opaque + opaque[0] * through // 255)  # each thing on the floor
    still[0] = opaque[0]
    _draw(states, slots, still.astype(np.uint8), atlas, pixels)


@parallel("slots", HEAVY)
def _draw(states, slots, still, atlas, pixels):
    for k in prange(len(slots)):
        _draw_one(states[slots[k]], still, atlas, pixels[k])


@njit(cache=True)
def _draw_one(s, still, atlas, pixels):
    height, width, _ = pixels.shape
    texels, side = atlas.shape[1], int(s.side)
    xs, txs = np.empty(width, np.int64), np.empty(width, np.int64)
    for column in range(width):
        u = column * side * texels // width  # texels from the left edge of the board
        xs[column], txs[column] = u // texels, u % texels
    for row in range(height):
        v = row * side * texels // height
        cells, ty = s.board[side - 1 - v // texels], v % texels
        for column in range(width):
            texel = still[cells[xs[column]], ty, txs[column]]
            pixels[row, column, 0] = texel[0]
            pixels[row, column, 1] = texel[1]
            pixels[row, column, 2] = texel[2]
    for j in range(len(s.mover)):
        if s.mover[j, 0] >= 0:
            _lay(pixels, atlas[s.mover[j, 2]], s.mover[j, 0], s.mover[j, 1], side)
    _lay(pixels, atlas[len(atlas) - 1], s.x, s.y, side)


@njit(cache=True)
def _lay(pixels, sprite, x, y, side):
    """Lay a thing over what is drawn in a cell."""
    height, width, _ = pixels.shape
    texels = len(sprite)
    top = side - 1 - y
    for row in range(-(-top * height // side), -(-(top + 1) * height // side)):
        ty = row * side * texels // height - top * texels
        for column in range(-(-x * width // side), -(-(x + 1) * width // side)):
            over = sprite[ty, column * side * texels // width - x * texels]
            for c in range(3):
                value = over[c] + pixels[row, column, c] * (255 - np.int64(over[3])) // 255
                pixels[row, column, c] = min(255, value)
