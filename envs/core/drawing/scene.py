"""What a state looks like as sprites in places, for whoever draws it elsewhere (a web page).

A world paints each sprite once (`World.sheet`) and says of its states which sprite stands where
(`World.scenes`): a replay then needs some numbers a frame instead of a picture.

Public names: `Sheet`, `Scenes`, `Sprite`, `unit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Sprite = NDArray[np.uint8]
"""Premultiplied RGBA, uint8 [rows, texels, 4], row 0 on top: one cell wide, of any height."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """The sprites of a world; scenes name them by their place here."""

    sprites: Sequence[Sprite]
    """Number 0 is what an empty cell shows; it lies under every other cell, too."""
    texels: int
    """Pixels along a cell."""
    backdrop: NDArray[np.uint8] | None = None
    """What is behind the whole level, uint8 [height, width, 3]; None: nothing can be seen of it."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """What some states show, t of them in a row."""

    board: NDArray[np.uint8]  # [t, height, width] sprite of each cell, row 0 at the bottom
    things: NDArray[np.float32]
    """[t, k, 4] what stands in front, drawn in this order, the agent last: its left and its lower
    edge (cells), its sprite (below 0: it is not there), and whether it is mirrored (0 or 1)."""


def unit(sprite: NDArray[np.float32]) -> Sprite:
    """Return a painted sprite, whose numbers are in [0, 1], as bytes."""
    return np.round(255 * np.clip(sprite, 0, 1)).astype(np.uint8)
