"""CoinRun as pixels: what an agent with `observation="rgb"` sees, and pictures of any size.

The window is that of Procgen: 13 x 13 cells centred on the agent's position (also in between
cells), 64/13 pixels a cell; beyond the world there is wall.  Barriers, the fork's invisible coin
and the level's end are not drawn, so that nothing tells whether a level is aligned.  The agent's
sprite stands 1.7415 times as high as its box.

Sprites come from `sprites.py` as textures: painted at a higher resolution and averaged over the
area of an output pixel, so that a kernel which takes one texel a pixel draws smooth pictures at
every sub-pixel position.  A scene is drawn from the slot's state alone.  Legs move with the way
that was gone, not with time, and who stands still looks to the right.

Public names: `Atlas`, `THEMES`, `OBSERVED`, `atlas`, `atlas_of`, `draw`, `with_look`, `load_look`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.kernels import HEAVY, parallel
from . import sprites
from .constants import (
    AGENT_RX,
    AGENT_RY,
    CRATE,
    ENEMY,
    ENTITY_R,
    GOAL,
    LAVA_MID,
    LAVA_TOP,
    MOST_ENTITIES,
    PERMEABLE,
    SAW,
    SIZE,
    WALL_MID,
    WALL_TOP,
)

OBSERVED = 64
"""Width and height of the observation, in pixels."""
CELLS = 13
"""Width and height of the window, in cells."""

THEMES = ("level", "fixed", "other")
"""Whose looks: `level`, those of the level's own numbers, as in the original; `fixed`, the same one
everywhere (number 0 of each); `other`, by the level's numbers from a set that shares none with
`level`."""

_PARALLAX = 0.25  # cells that the background moves for a cell of the agent's
_LEAST_TEXELS = 16  # a cell
_PAINTED = 64  # pixels a cell that sprites are painted with, at least
_HALF = np.float32(0.5)
_AGENT_HEIGHT = np.float32(sprites.AGENT_SIZE[1])


class Atlas(NamedTuple):
    """Textures for one size of picture, uint8; T texels a cell; RGBA is premultiplied."""

    blocks: NDArray[np.uint8]  # [2 * grounds + 1, T, T, 3 * width], see `_rows`
    things: NDArray[np.uint8]  # [3, T, T, 4] surface of lava, coin, saw
    crates: NDArray[np.uint8]  # [looks, T, T, 4]
    enemies: NDArray[np.uint8]  # [2 * looks, T, T, 4] two frames of each
    agents: NDArray[np.uint8]  # [4 * looks, 2.0156 T, T, 4] four frames of each
    backgrounds: NDArray[np.uint8]  # [looks, height, 3 * width], at the size of the picture
    scale: np.float32  # pixels a cell


# ---------------------------------------------------------------------------------------------
# What a slot's state needs besides what the rules need
# ---------------------------------------------------------------------------------------------


def with_look(state_dtype: np.dtype[np.void]) -> np.dtype[np.void]:
    """Return the record of a slot with the level's themes and those of its entities."""
    fields = state_dtype.fields or {}
    own = [(name, fields[name][0]) for name in state_dtype.names or ()]
    look = [("look", np.dtype((np.int16, 3))), ("theme", np.dtype((np.int16, MOST_ENTITIES)))]
    return np.dtype([*own, *look], align=True)


def load_look(states: NDArray[np.void], slots: NDArray[np.int64], levels: NDArray[np.void]) -> None:
    """Put the looks of `levels[k]` into `states[slots[k]]`, for every k."""
    states["look"][slots] = levels["look"]
    states["theme"][slots] = levels["entity_theme"]


# ---------------------------------------------------------------------------------------------
# Textures
# ---------------------------------------------------------------------------------------------


class Looks(NamedTuple):
    """Which looks of each kind of thing an atlas holds; they are hashable, unlike lists."""

    agent: range
    ground: range
    background: range
    crate: range
    enemy: range


def atlas(theme: str, height: int = OBSERVED, width: int = OBSERVED) -> Atlas:
    """Return the textures of a theme for pictures of some size.

    Args:
        theme: one of `THEMES`.
        height: pixels of the pictures, which show 13 cells from bottom to top.
        width: pixels.
    """
    looks = Looks(**{name: range(_count(theme, name)) for name in Looks._fields})
    return _atlas(_set(theme), looks, height, width)


def atlas_of(theme: str, state: np.void, height: int, width: int) -> Atlas:
    """Return the textures for a picture of one slot: large ones of all looks would take minutes.

    Arguments as for `atlas`; `state` is the slot's record.
    """
    own = zip(("agent", "ground", "background"), state["look"].tolist(), strict=True)
    chosen = {name: look % _count(theme, name) for name, look in own}
    looks = {name: range(look, look + 1) for name, look in chosen.items()}
    looks |= {name: range(_count(theme, name)) for name in ("crate", "enemy")}
    return _atlas(_set(theme), Looks(**looks), height, width)


def _set(theme: str) -> str:
    return "other" if theme == "other" else "level"


def _count(theme: str, name: str) -> int:
    return 1 if theme == "fixed" else sprites.COUNTS[name]


@lru_cache(maxsize=16)
def _atlas(kind: str, looks: Looks, height: int, width: int) -> Atlas:
    scale = height / CELLS
    texels = max(_LEAST_TEXELS, math.ceil(scale))
    step = max(1, _PAINTED // texels)
    n = texels * step

    def shrink(painted: list[sprites.Pixels]) -> NDArray[np.uint8]:
        return np.stack([_averaged(one, step, n / scale) for one in painted])

    walls = [
        paint(kind, k, n) for k in looks.ground for paint in (sprites.wall_mid, sprites.wall_top)
    ]
    return Atlas(
        blocks=_rows(shrink([*walls, sprites.lava_mid(n)])[..., :3], scale, width),
        things=shrink([paint(n) for paint in (sprites.lava_top, sprites.coin, sprites.saw)]),
        crates=shrink([sprites.crate(kind, k, n) for k in looks.crate]),
        enemies=shrink([sprites.enemy(kind, k, f, n) for k in looks.enemy for f in range(2)]),
        agents=shrink([sprites.agent(kind, k, f, n) for k in looks.agent for f in range(4)]),
        backgrounds=np.stack([_background(kind, k, scale, width) for k in looks.background]),
        scale=np.float32(scale),
    )


def _rows(textures: NDArray[np.uint8], scale: float, width: int) -> NDArray[np.uint8]:
    """Return textures repeated along rows of pixels, so that a run of equal cells is one copy.

    Args:
        textures: uint8 [k, T, T, 3].
        scale: pixels a cell.
        width: pixels of a row.

    Returns:
        uint8 [k, T, T, 3 * width]: texture, row of texels, and T phases, by how many T-ths of a
        cell the window's left edge lies right of a cell's.
    """
    texels = textures.shape[2]
    middles = ((np.arange(width) + 0.5) / scale * texels).astype(np.int64)
    column = (middles[None, :] + np.arange(texels)[:, None]) % texels  # [phase, width]
    return textures[:, :, column].reshape(*textures.shape[:2], texels, 3 * width)


def _background(kind: str, look: int, scale: float, width: int) -> NDArray[np.uint8]:
    """Return a background for windows `width` pixels wide, uint8 [rows, 3 * columns]."""
    n = math.ceil(scale)
    cells = _PARALLAX * SIZE + CELLS, _PARALLAX * SIZE + width / scale
    painted = sprites.background(kind, look, n, cells[1], cells[0])
    rows, columns = (
        np.minimum(np.arange(math.ceil(c * scale)) * n // scale, limit - 1).astype(np.int64)
        for c, limit in zip(cells, painted.shape, strict=False)
    )
    return painted[rows][:, columns].reshape(len(rows), -1)


def _averaged(painted: sprites.Pixels, step: int, box: float) -> NDArray[np.uint8]:
    """Return every `step`-th pixel of a sprite, each the mean of `box` x `box` pixels around."""
    for axis in (0, 1):
        painted = _box_mean(painted, axis, max(1, round(box)), step)
    return np.round(np.clip(painted, 0, 1) * 255).astype(np.uint8)


def _box_mean(values: sprites.Pixels, axis: int, box: int, step: int) -> sprites.Pixels:
    """Return means over windows of `box` values along an axis, one window every `step` values."""
    values = np.moveaxis(values, axis, 0)
    around = ((box, box), *((0, 0),) * (values.ndim - 1))
    sums = np.cumsum(np.pad(values, around, "edge"), axis=0, dtype=np.float64)
    first = np.arange(0, len(values) - step + 1, step) + box + (step - box) // 2
    means = (sums[first + box - 1] - sums[first - 1]) / box
    return np.moveaxis(means, 0, axis).astype(np.float32)


# ---------------------------------------------------------------------------------------------
# Drawing
# ---------------------------------------------------------------------------------------------


def draw(
    states: NDArray[np.void],
    slots: NDArray[np.int64],
    textures: Atlas,
    height: int = OBSERVED,
    width: int = OBSERVED,
    shift: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.uint8]:
    """Return pictures of `slots` [m], uint8 [m, height, width, 3].

    Args:
        states: records [n] of `with_look(STATE_DTYPE)`.
        slots: which of them, [m].
        textures: an `atlas` for pictures of this height and width.
        height: pixels.
        width: pixels.
        shift: cells by which the window's middle lies right of and above the agent.
    """
    out = np.empty((len(slots), height, width, 3), np.uint8)
    dx, dy = np.float32(shift[0]), np.float32(shift[1])
    _draw(states, slots, textures, dx, dy, out.reshape(len(slots), height, 3 * width))
    return out


@parallel("slots", HEAVY)
def _draw(states, slots, textures, dx, dy, out):
    for k in prange(len(slots)):
        _draw_one(states[slots[k]], textures, dx, dy, out[k])


@njit(cache=True)
def _draw_one(s, textures, dx, dy, out):
    scale = textures.scale
    middle_x, middle_y = s.x + dx, s.y + dy
    left = middle_x - _HALF * np.float32(out.shape[1] // 3) / scale
    top = middle_y + _HALF * np.float32(len(out)) / scale
    background = textures.backgrounds[s.look[2] % len(textures.backgrounds)]
    _draw_background(background, middle_x, middle_y, scale, out)
    _draw_tiles(s, textures, left, top, out)
    for j in range(s.count):
        x, y = s.ex[j] - ENTITY_R - left, top - (s.ey[j] + ENTITY_R)
        kind, theme = s.kind[j], s.theme[j]
        if kind == SAW:
            _stamp(textures.things[2], x, y, scale, False, out)
        elif kind == CRATE:
            _stamp(textures.crates[theme % len(textures.crates)], x, y, scale, False, out)
        elif kind == ENEMY:
            look = 2 * (theme % (len(textures.enemies) // 2)) + int(3 * s.ex[j]) % 2
            _stamp(textures.enemies[look], x, y, scale, s.evx[j] < 0, out)
    look = 4 * (s.look[0] % (len(textures.agents) // 4)) + _agent_frame(s)
    x, y = s.x - AGENT_RX - left, top - (s.y - AGENT_RY + _AGENT_HEIGHT)
    _stamp(textures.agents[look], x, y, scale, s.vx < 0, out)


@njit(cache=True)
def _agent_frame(s):
    if s.vy != 0:
        return sprites.JUMP
    if abs(s.vx) < np.float32(0.01):
        return sprites.STAND
    return sprites.STEP_A if int(np.float32(1.3) * s.x) % 2 else sprites.STEP_B


@njit(cache=True)
def _draw_background(picture, middle_x, middle_y, scale, out):
    """Copy the part of a background that is behind the window around `middle_x`, `middle_y`."""
    height, width = out.shape
    x = int(_PARALLAX * middle_x * scale)
    first_row = len(picture) - height - int(_PARALLAX * middle_y * scale)
    first_row = min(max(first_row, 0), len(picture) - height)
    first = 3 * min(max(x, 0), picture.shape[1] // 3 - width // 3)
    for row in range(height):
        _copy(picture[first_row + row], first, out[row], 0, width)


@njit(cache=True)
def _copy(source, at, target, start, count):
    """Copy `count` bytes; with signed indices, which may be negative, it took 20 times longer."""
    at, start = np.uint64(at), np.uint64(start)
    for k in range(np.uint64(max(count, 0))):
        target[start + k] = source[at + k]


@njit(cache=True)
def _draw_tiles(s, textures, left, top, out):
    """Draw all tiles; `left` and `top` are the window's edges, in cells."""
    blocks, things, scale = textures.blocks, textures.things, textures.scale
    height, width = len(out), out.shape[1] // 3
    lava = len(blocks) - 1
    wall = 2 * (s.look[1] % (lava // 2))
    first_x, last_x = math.floor(left), math.floor(left + np.float32(width) / scale)
    first_y, last_y = math.floor(top), math.floor(top - np.float32(height) / scale)
    phase = int((left - np.float32(first_x)) * blocks.shape[2])
    for y in range(first_y, last_y - 1, -1):
        x = first_x
        while x <= last_x:
            code = _tile(s, x, y)
            start = x
            x += 1
            if code == LAVA_TOP or code == GOAL:
                thing = things[0 if code == LAVA_TOP else 1]
                _stamp(thing, np.float32(start) - left, top - np.float32(y + 1), scale, False, out)
            elif code == WALL_MID or code == WALL_TOP or code == LAVA_MID:
                while x <= last_x and _tile(s, x, y) == code:
                    x += 1
                block = blocks[lava if code == LAVA_MID else wall + (code == WALL_TOP)]
                first, _ = _span(np.float32(start) - left, scale, width)
                _, last = _span(np.float32(x - 1) - left, scale, width)
                _fill(block, phase, top - np.float32(y + 1), scale, 3 * first, 3 * last, out)


@njit(cache=True)
def _fill(block, phase, y, scale, first, last, out):
    """Draw a run of equal cells whose upper edge is `y` below the window's, in cells.

    Args:
        block: uint8 [T, phases, 3 * width], rows of `Atlas.blocks`.
        phase: which of the phases.
        y: in cells.
        scale: pixels a cell.
        first: first byte of each row of the picture to draw.
        last: the byte after the last.
        out: the picture.
    """
    first_row, last_row = _span(y, scale, len(out))
    for i in range(first_row, last_row):
        texel = int(((np.float32(i) + _HALF) / scale - y) * np.float32(len(block)))
        source = block[min(max(texel, 0), len(block) - 1), phase]
        _copy(source, first, out[i], first, last - first)


@njit(cache=True)
def _tile(s, x, y):
    """Return the tile that shows in a cell; out of the world, and where it only looks so: wall."""
    if not (0 <= x < SIZE and 0 <= y < SIZE) or s.tiles[y, x] == PERMEABLE:
        return WALL_MID
    return np.int64(s.tiles[y, x])


@njit(cache=True)
def _span(start, scale, limit):
    """Return the pixels whose middles lie in the cell that starts at `start` (cells), as a range.

    Args:
        start: distance from the window's edge, in cells.
        scale: pixels a cell.
        limit: how many pixels there are.
    """
    first = math.ceil(start * scale - _HALF)
    last = math.ceil((start + np.float32(1)) * scale - _HALF)
    return max(first, 0), min(last, limit)


@njit(cache=True)
def _stamp(sprite, x, y, scale, mirrored, out):
    """Draw a sprite, one cell wide, over what is there.

    Args:
        sprite: premultiplied RGBA, uint8 [height, T, 4].
        x: its left edge, in cells from the window's.
        y: its upper edge, in cells from the window's.
        scale: pixels a cell.
        mirrored: look to the left.
        out: the picture, uint8 [height, 3 * width].
    """
    texels = sprite.shape[1]
    per_pixel = np.float32(texels) / scale
    first_row = max(math.ceil(y * scale - _HALF), 0)
    first, last = _span(x, scale, out.shape[1] // 3)
    for i in range(first_row, len(out)):
        row = max(int((np.float32(i) + _HALF) * per_pixel - y * texels), 0)
        if row >= len(sprite):
            break
        for j in range(first, last):
            t = int((np.float32(j) + _HALF) * per_pixel - x * texels)
            t = min(max(t, 0), texels - 1)
            if mirrored:
                t = texels - 1 - t
            clear = np.uint32(255) - sprite[row, t, 3]
            if clear < 255:
                for k in range(3):
                    below = ((out[i, 3 * j + k] * clear + np.uint32(128)) * np.uint32(257)) >> 16
                    out[i, 3 * j + k] = np.uint8(sprite[row, t, k] + below)
