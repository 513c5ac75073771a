"""Follow me's looks, painted by code."""

from __future__ import annotations

from ..core.boards.board import Paint, Sprites
from ..core.drawing.canvas import Canvas, Color, rgb, shade

_MOSS, _HEDGE, _STONE = rgb("#dfe8d0"), rgb("#4f7a52"), rgb("#9a958c")
_GLASS, _GLOW, _RED, _BLUE = rgb("#5c6470"), rgb("#ffd23f"), rgb("#e4572e"), rgb("#3fa7ff")
_LEADER, _AGENT, _INK = rgb("#8e44ad"), rgb("#2f7fd8"), rgb("#1d2026")


def floor(c: Canvas) -> None:
    """Paint moss with a few tufts."""
    c.fill(_MOSS)
    for x, y in ((0.2, 0.25), (0.75, 0.7), (0.6, 0.2), (0.25, 0.8)):
        c.line(x, y, x + 0.03, y + 0.09, 0.035, shade(_MOSS, -0.15))


def wall(c: Canvas) -> None:
    """Paint a hedge."""
    c.fill(shade(_HEDGE, -0.35))
    for x, y in ((0.25, 0.27), (0.75, 0.27), (0.5, 0.52), (0.02, 0.55), (0.98, 0.55), (0.27, 0.8)):
        c.disc(x, y, 0.24, _HEDGE)
        c.disc(x - 0.05, y + 0.07, 0.1, shade(_HEDGE, 0.22))
    c.disc(0.75, 0.8, 0.22, shade(_HEDGE, 0.05))


def beacon(color: Color, halo: float) -> Paint:
    """Return how to paint a sphere on a plinth, with light around it."""

    def paint(c: Canvas) -> None:
        if halo:
            c.disc(0.5, 0.56, 0.5, color, halo * 0.4)
            c.disc(0.5, 0.56, 0.41, color, halo * 0.7)
        c.box(0.24, 0.06, 0.76, 0.2, shade(_STONE, -0.35), round_by=0.04)
        c.polygon([(0.34, 0.18), (0.4, 0.38), (0.6, 0.38), (0.66, 0.18)], _STONE)
        c.disc(0.5, 0.57, 0.3, shade(color, -0.5))
        c.disc(0.5, 0.57, 0.26, color)
        c.disc(0.41, 0.67, 0.08, shade(color, 0.7))

    return paint


def walker(coat: Color, flag: Color | None) -> Paint:
    """Return how to paint somebody with a hat, and perhaps a flag."""

    def paint(c: Canvas) -> None:
        dark = shade(coat, -0.45)
        c.line(0.38, 0.06, 0.42, 0.3, 0.11, _INK)
        c.line(0.62, 0.06, 0.58, 0.3, 0.11, _INK)
        c.ellipse(0.5, 0.36, 0.25, 0.24, dark)
        c.ellipse(0.5, 0.37, 0.21, 0.2, coat)
        c.disc(0.5, 0.66, 0.18, shade(rgb("#f0c8a0"), -0.25))
        c.disc(0.5, 0.66, 0.15, rgb("#f0c8a0"))
        c.box(0.3, 0.72, 0.7, 0.78, dark, round_by=0.03)
        c.box(0.38, 0.76, 0.62, 0.9, dark, round_by=0.05)
        c.disc(0.45, 0.66, 0.03, _INK)
        c.disc(0.55, 0.66, 0.03, _INK)
        if flag:
            c.line(0.82, 0.2, 0.82, 0.95, 0.05, _INK)
            c.polygon([(0.8, 0.94), (0.8, 0.66), (0.52, 0.8)], flag)

    return paint


SPRITES = Sprites(
    floor=floor,
    classes=(
        floor,
        wall,
        beacon(_GLASS, 0.0),
        beacon(_GLOW, 1.0),
        beacon(_RED, 0.6),
        beacon(_BLUE, 0.8),
        walker(_LEADER, rgb("#e6b800")),
    ),
    agent=walker(_AGENT, None),
)
