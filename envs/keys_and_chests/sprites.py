"""Keys and Chests' looks, painted by code."""

from __future__ import annotations

from ..core.boards.board import Sprites
from ..core.drawing.canvas import Canvas, rgb, shade

_STONE, _EARTH = rgb("#3f4756"), rgb("#93673f")
_WOOD, _GOLD, _KEY = rgb("#2f6fb3"), rgb("#f2c14e"), rgb("#49c46b")
_SUIT, _VISOR = rgb("#e9edf2"), rgb("#f08a3c")


def floor(c: Canvas) -> None:
    """Paint flagstones."""
    c.fill(shade(_STONE, -0.25))
    c.box(0.03, 0.03, 0.97, 0.97, _STONE, round_by=0.06)


def wall(c: Canvas) -> None:
    """Paint earth with stones in it."""
    c.fill(_EARTH)
    for x, y, r in ((0.22, 0.72, 0.09), (0.68, 0.8, 0.06), (0.5, 0.42, 0.1), (0.82, 0.3, 0.08)):
        c.disc(x, y, r, shade(_EARTH, -0.22))
    for x, y, r in ((0.2, 0.25, 0.06), (0.85, 0.62, 0.05), (0.45, 0.88, 0.05)):
        c.disc(x, y, r, shade(_EARTH, 0.18))


def key(c: Canvas) -> None:
    """Paint a key that lies on its side."""
    dark = shade(_KEY, -0.45)
    for width, color in ((0.17, dark), (0.1, _KEY)):
        c.line(0.4, 0.5, 0.88, 0.5, width, color)
        c.line(0.72, 0.5, 0.72, 0.36, width, color)
        c.line(0.86, 0.5, 0.86, 0.34, width, color)
        c.disc(0.27, 0.5, 0.12 + width / 2, color)
    c.disc(0.27, 0.5, 0.08, dark)


def chest(c: Canvas) -> None:
    """Paint a chest with bands and a lock."""
    c.box(0.06, 0.12, 0.94, 0.86, shade(_WOOD, -0.5), round_by=0.1)
    c.box(0.1, 0.16, 0.9, 0.52, _WOOD, round_by=0.04)
    c.box(0.1, 0.56, 0.9, 0.82, shade(_WOOD, 0.22), round_by=0.08)
    for x in (0.24, 0.76):
        c.box(x - 0.05, 0.14, x + 0.05, 0.84, _GOLD)
    c.box(0.38, 0.38, 0.62, 0.64, _GOLD, round_by=0.05)
    c.disc(0.5, 0.54, 0.05, rgb("#20242c"))
    c.line(0.5, 0.53, 0.5, 0.44, 0.05, rgb("#20242c"))


def astronaut(c: Canvas) -> None:
    """Paint an astronaut from above."""
    dark = shade(_SUIT, -0.5)
    c.box(0.2, 0.16, 0.8, 0.52, dark, round_by=0.14)
    c.box(0.24, 0.2, 0.76, 0.48, shade(_SUIT, -0.12), round_by=0.11)
    c.disc(0.5, 0.56, 0.3, dark)
    c.disc(0.5, 0.56, 0.26, _SUIT)
    c.ellipse(0.5, 0.58, 0.2, 0.15, shade(_VISOR, -0.35))
    c.ellipse(0.5, 0.58, 0.17, 0.12, _VISOR)
    c.ellipse(0.43, 0.62, 0.05, 0.03, shade(_VISOR, 0.6))


SPRITES = Sprites(floor=floor, classes=(floor, wall, key, chest), agent=astronaut)
