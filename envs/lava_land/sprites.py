"""Lava land's looks, painted by code."""

from __future__ import annotations

from ..core.boards.board import Sprites
from ..core.drawing.canvas import Canvas, rgb, shade
from ..corner_maze.sprites import cheese, mouse

_GRASS, _LEAF, _LAVA = rgb("#a9cf7a"), rgb("#3d7a3a"), rgb("#d8431f")


def grass(c: Canvas) -> None:
    """Paint grass with a few blades."""
    c.fill(_GRASS)
    for x, y in ((0.2, 0.25), (0.68, 0.7), (0.55, 0.18), (0.28, 0.78)):
        c.line(x, y, x + 0.05, y + 0.12, 0.03, shade(_GRASS, -0.2))
        c.line(x, y, x - 0.05, y + 0.1, 0.03, shade(_GRASS, -0.2))


def tree(c: Canvas) -> None:
    """Paint a fir on dark ground."""
    c.fill(shade(_GRASS, -0.35))
    c.box(0.44, 0.04, 0.56, 0.3, rgb("#6b4a2e"))
    for low, high, half in ((0.2, 0.6, 0.42), (0.42, 0.8, 0.34), (0.62, 0.97, 0.24)):
        c.polygon([(0.5 - half, low), (0.5, high), (0.5 + half, low)], shade(_LEAF, -0.3))
        c.polygon([(0.54 - half, low + 0.03), (0.5, high - 0.04), (0.46 + half, low + 0.03)], _LEAF)


def lava(c: Canvas) -> None:
    """Paint glowing rock with bubbles."""
    c.fill(_LAVA)
    for y in (0.2, 0.55, 0.88):
        c.line(0.0, y, 0.35, y + 0.07, 0.08, rgb("#f58a1f"))
        c.line(0.35, y + 0.07, 0.65, y - 0.05, 0.08, rgb("#f58a1f"))
        c.line(0.65, y - 0.05, 1.0, y, 0.08, rgb("#f58a1f"))
    for x, y, r in ((0.25, 0.4, 0.09), (0.72, 0.72, 0.07), (0.6, 0.32, 0.05)):
        c.disc(x, y, r, rgb("#ffd24a"))
        c.disc(x, y, 0.55 * r, shade(_LAVA, -0.25))


def _nothing(_: Canvas) -> None:
    """Paint nothing: the grass shows."""


SPRITES = Sprites(floor=grass, classes=(grass, tree, cheese, lava, _nothing), agent=mouse)
