"""Tree gridworld's looks, painted by code."""

from __future__ import annotations

from ..core.boards.board import Sprites
from ..core.drawing.canvas import Canvas, rgb, shade

_GRASS, _EARTH = rgb("#b9d48b"), rgb("#5b4a3a")
_LEAVES, _BARK = rgb("#2f7d3b"), rgb("#7a5230")
_WATER, _SHIRT, _SKIN, _STEEL = rgb("#3f9fd8"), rgb("#c8402f"), rgb("#f0c49a"), rgb("#cfd6dc")


def floor(c: Canvas) -> None:
    """Paint grass with a few blades."""
    c.fill(_GRASS)
    for x, y in ((0.18, 0.25), (0.72, 0.68), (0.42, 0.8), (0.85, 0.18)):
        for lean in (-0.05, 0.05):
            c.line(x, y, x + lean, y + 0.09, 0.03, shade(_GRASS, -0.18))


def wall(c: Canvas) -> None:
    """Paint bare earth beyond the board."""
    c.fill(_EARTH)


def tree(c: Canvas) -> None:
    """Paint a tree from the side."""
    dark = shade(_LEAVES, -0.45)
    c.ellipse(0.5, 0.1, 0.27, 0.06, shade(_GRASS, -0.35))
    c.box(0.43, 0.08, 0.57, 0.42, shade(_BARK, -0.2), round_by=0.03)
    c.box(0.45, 0.1, 0.52, 0.42, shade(_BARK, 0.15), round_by=0.02)
    for x, y, r in ((0.32, 0.48, 0.19), (0.68, 0.48, 0.19), (0.5, 0.72, 0.22), (0.5, 0.53, 0.24)):
        c.disc(x, y, r, dark)
    for x, y, r in ((0.32, 0.49, 0.15), (0.68, 0.49, 0.15), (0.5, 0.73, 0.18), (0.5, 0.55, 0.2)):
        c.disc(x, y, r, _LEAVES)
    for x, y in ((0.42, 0.78), (0.27, 0.54), (0.58, 0.6)):
        c.disc(x, y, 0.05, shade(_LEAVES, 0.3))


def spring(c: Canvas) -> None:
    """Paint the water that rises under the grass, for people to see."""
    c.ellipse(0.5, 0.45, 0.36, 0.26, _WATER, alpha=0.35)
    c.ellipse(0.5, 0.45, 0.24, 0.16, _WATER, alpha=0.5)
    c.ellipse(0.5, 0.45, 0.11, 0.07, shade(_WATER, 0.5), alpha=0.8)


def woodcutter(c: Canvas) -> None:
    """Paint a woodcutter with an axe over the shoulder."""
    dark = shade(_SHIRT, -0.45)
    c.box(0.34, 0.06, 0.47, 0.32, rgb("#31435c"), round_by=0.04)
    c.box(0.53, 0.06, 0.66, 0.32, rgb("#31435c"), round_by=0.04)
    c.box(0.27, 0.27, 0.73, 0.62, dark, round_by=0.1)
    c.box(0.3, 0.3, 0.7, 0.6, _SHIRT, round_by=0.08)
    c.disc(0.5, 0.74, 0.17, shade(_SKIN, -0.5))
    c.disc(0.5, 0.74, 0.145, _SKIN)
    c.box(0.32, 0.8, 0.68, 0.93, dark, round_by=0.06)
    for x in (0.44, 0.56):
        c.disc(x, 0.74, 0.025, rgb("#1d2026"))
    c.line(0.62, 0.38, 0.9, 0.82, 0.06, _BARK)
    c.polygon([(0.76, 0.78), (0.86, 0.94), (1.0, 0.86), (0.9, 0.7)], _STEEL)


SPRITES = Sprites(floor=floor, classes=(floor, wall, tree, spring), agent=woodcutter)
