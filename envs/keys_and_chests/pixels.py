"""The board as pixels: the agent where its body is, and the keys it holds at the upper right."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards import board
from ..core.kernels import HEAVY, parallel
from .rules import KEY_CLASS

_HUD = 0.06
"""Width and height of a held key's picture, as a part of the board's: as in the original."""


def draw(
    states: NDArray[np.void],
    slots: NDArray[np.int64],
    sprites: board.Sprites,
    height: int,
    width: int,
) -> NDArray[np.uint8]:
    """Return pictures of the boards of `slots` [m], uint8 [m, height, width, 3]."""
    pixels = np.empty((len(slots), height, width, 3), np.uint8)
    side = int(states["side"][slots].max(initial=1))
    texels = max(4, -(-max(height, width) // side))
    cells = board.atlas(sprites, texels)
    still = cells.copy()
    still[-1] = 0  # the board's own way to draw the agent knows whole cells alone
    board.draw(states, slots, still, pixels)
    icon = board.atlas(sprites, max(4, round(_HUD * height)))[KEY_CLASS]
    _overlay(states, slots, cells[-1], icon, pixels)
    return pixels


@parallel("slots", HEAVY)
def _overlay(states, slots, agent, icon, pixels):
    for k in prange(len(slots)):
        s, picture = states[slots[k]], pixels[k]
        height, width, _ = picture.shape
        side = np.float64(s.side)
        left, top = (s.fx - 0.5) / side * width, (side - s.fy - 0.5) / side * height
        _paste(picture, agent, left, top, width / side, height / side)
        for i in range(s.held):
            right = width * (1 - _HUD * i)
            _paste(picture, icon, right - _HUD * width, 0.0, _HUD * width, _HUD * height)


@njit(cache=True)
def _paste(picture, sprite, left, top, across, down):
    """Lay a sprite over a picture, `across` x `down` pixels from its upper left corner on."""
    height, width, _ = picture.shape
    texels = len(sprite)
    first_row, first_column = round(top), round(left)
    for row in range(max(0, first_row), min(height, first_row + round(down))):
        for column in range(max(0, first_column), min(width, first_column + round(across))):
            ty = min(texels - 1, int((row - first_row) * texels / down))
            tx = min(texels - 1, int((column - first_column) * texels / across))
            over = sprite[ty, tx]
            for c in range(3):
                under = np.int64(picture[row, column, c]) * (255 - np.int64(over[3])) // 255
                picture[row, column, c] = min(255, np.int64(over[c]) + under)
