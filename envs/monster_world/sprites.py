"""Monster world's looks, painted by code."""

from __future__ import annotations

from ..core.boards.board import Sprites
from ..core.drawing.canvas import Canvas, rgb, shade

_GRASS, _ROCK, _INK = rgb("#cfe3b4"), rgb("#77706a"), rgb("#1d2026")
_APPLE, _LEAF, _STEEL, _GOLD = rgb("#d7263d"), rgb("#3c8d3c"), rgb("#4f7cac"), rgb("#f2c14e")
_MONSTER, _KNIGHT = rgb("#5b3a8c"), rgb("#f0a868")


def floor(c: Canvas) -> None:
    """Paint grass with a few blades."""
    c.fill(_GRASS)
    for x, y in ((0.2, 0.3), (0.7, 0.65), (0.5, 0.15), (0.3, 0.8)):
        c.line(x, y, x + 0.04, y + 0.1, 0.035, shade(_GRASS, -0.15))


def wall(c: Canvas) -> None:
    """Paint rocks."""
    c.fill(shade(_ROCK, -0.4))
    for x, y, r in ((0.28, 0.3, 0.27), (0.75, 0.28, 0.23), (0.32, 0.78, 0.22), (0.76, 0.74, 0.25)):
        c.disc(x, y, r, _ROCK)
        c.disc(x - 0.06, y + 0.08, r * 0.5, shade(_ROCK, 0.2))


def apple(c: Canvas) -> None:
    """Paint an apple with a leaf."""
    dark = shade(_APPLE, -0.45)
    for color, grow in ((dark, 0.03), (_APPLE, 0.0)):
        c.disc(0.38, 0.42, 0.24 + grow, color)
        c.disc(0.62, 0.42, 0.24 + grow, color)
    c.ellipse(0.5, 0.36, 0.28, 0.24, _APPLE)
    c.line(0.5, 0.6, 0.54, 0.82, 0.06, rgb("#5a3a1e"))
    c.ellipse(0.68, 0.77, 0.13, 0.07, _LEAF)
    c.disc(0.35, 0.5, 0.06, shade(_APPLE, 0.65))


def shield(c: Canvas) -> None:
    """Paint a shield with a cross."""
    for color, g in ((_INK, 0.0), (_GOLD, 0.03), (_STEEL, 0.08)):
        c.polygon(
            [(0.14 + g, 0.45), (0.14 + g, 0.9 - g), (0.86 - g, 0.9 - g), (0.86 - g, 0.45)], color
        )
        c.polygon([(0.14 + g, 0.46), (0.86 - g, 0.46), (0.5, 0.06 + 1.4 * g)], color)
    c.box(0.44, 0.26, 0.56, 0.8, _GOLD)
    c.box(0.25, 0.55, 0.75, 0.66, _GOLD)


def monster(c: Canvas) -> None:
    """Paint a horned blob with teeth."""
    dark = shade(_MONSTER, -0.45)
    c.polygon([(0.16, 0.66), (0.18, 0.97), (0.42, 0.76)], shade(_GOLD, 0.3))
    c.polygon([(0.58, 0.76), (0.82, 0.97), (0.84, 0.66)], shade(_GOLD, 0.3))
    for color, g in ((dark, 0.0), (_MONSTER, 0.035)):
        c.ellipse(0.5, 0.48, 0.4 - g, 0.38 - g, color)
        c.box(0.1 + g, 0.08 + g, 0.9 - g, 0.48, color, round_by=0.08)
    for x in (0.36, 0.64):
        c.disc(x, 0.58, 0.11, rgb("#fdf6e3"))
        c.disc(x, 0.56, 0.055, _INK)
    c.box(0.28, 0.22, 0.72, 0.38, _INK, round_by=0.05)
    for x in (0.34, 0.45, 0.56):
        c.polygon([(x, 0.38), (x + 0.1, 0.38), (x + 0.05, 0.28)], rgb("#fdf6e3"))


def knight(c: Canvas) -> None:
    """Paint somebody in a helmet."""
    dark = shade(_KNIGHT, -0.5)
    c.line(0.39, 0.06, 0.42, 0.3, 0.12, _INK)
    c.line(0.61, 0.06, 0.58, 0.3, 0.12, _INK)
    c.ellipse(0.5, 0.35, 0.26, 0.24, dark)
    c.ellipse(0.5, 0.36, 0.22, 0.2, _KNIGHT)
    c.disc(0.5, 0.68, 0.24, _INK)
    c.disc(0.5, 0.68, 0.2, rgb("#c9d1d9"))
    c.box(0.34, 0.62, 0.66, 0.72, _INK, round_by=0.04)
    c.disc(0.43, 0.67, 0.035, rgb("#7fd1ff"))
    c.disc(0.57, 0.67, 0.035, rgb("#7fd1ff"))
    c.line(0.5, 0.86, 0.5, 0.97, 0.09, _APPLE)


SPRITES = Sprites(floor=floor, classes=(floor, wall, apple, shield, monster), agent=knight)
