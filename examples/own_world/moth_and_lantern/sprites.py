"""Moth and lantern's looks, painted by code."""

from __future__ import annotations

from misgen.envs.core.boards.board import Sprites
from misgen.envs.core.drawing.canvas import Canvas, rgb, shade

_NIGHT, _HEDGE, _LIGHT = rgb("#2b3a55"), rgb("#31572c"), rgb("#ffd166")


def floor(c: Canvas) -> None:
    """Paint a lawn at night."""
    c.fill(_NIGHT)
    for x, y in ((0.2, 0.3), (0.7, 0.7), (0.5, 0.15)):
        c.disc(x, y, 0.04, shade(_NIGHT, 0.2))


def hedge(c: Canvas) -> None:
    """Paint leaves."""
    c.fill(shade(_HEDGE, -0.3))
    for x, y in ((0.25, 0.25), (0.75, 0.3), (0.3, 0.75), (0.7, 0.75), (0.5, 0.5)):
        c.disc(x, y, 0.2, shade(_HEDGE, 0.1 * x))


def flower(c: Canvas) -> None:
    """Paint four petals."""
    for x, y in ((0.3, 0.5), (0.7, 0.5), (0.5, 0.3), (0.5, 0.7)):
        c.disc(x, y, 0.16, rgb("#e5989b"))
    c.disc(0.5, 0.5, 0.12, _LIGHT)


def lantern(c: Canvas) -> None:
    """Paint a light and its glow."""
    c.disc(0.5, 0.5, 0.46, shade(_LIGHT, -0.35))
    c.disc(0.5, 0.5, 0.34, shade(_LIGHT, -0.1))
    c.box(0.36, 0.3, 0.64, 0.7, shade(_LIGHT, 0.5), round_by=0.08)


def lit_flower(c: Canvas) -> None:
    """Paint the flower in the light."""
    lantern(c)
    flower(c)


def moth(c: Canvas) -> None:
    """Paint two pairs of wings."""
    for x in (0.28, 0.72):
        c.ellipse(x, 0.6, 0.22, 0.16, rgb("#cdb4db"))
        c.ellipse(x, 0.36, 0.15, 0.12, rgb("#a98fb8"))
    c.ellipse(0.5, 0.5, 0.07, 0.3, rgb("#5e4b66"))


SPRITES = Sprites(floor=floor, classes=(floor, hedge, flower, lantern, lit_flower), agent=moth)
