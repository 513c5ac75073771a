"""Cheese on a dish's looks, painted by code."""

from __future__ import annotations

from ..core.boards.board import Sprites
from ..core.drawing.canvas import Canvas, rgb, shade
from ..corner_maze.sprites import cheese, floor, mouse, wall

_CHINA = rgb("#dfe8f2")


def dish(c: Canvas) -> None:
    """Paint a plate with a blue rim."""
    c.ellipse(0.5, 0.5, 0.47, 0.47, shade(_CHINA, -0.45))
    c.ellipse(0.5, 0.5, 0.43, 0.43, _CHINA)
    c.ellipse(0.5, 0.5, 0.36, 0.36, rgb("#4d7fbf"))
    c.ellipse(0.5, 0.5, 0.32, 0.32, shade(_CHINA, 0.4))
    c.ellipse(0.5, 0.5, 0.22, 0.22, shade(_CHINA, -0.08))


def small_cheese(c: Canvas) -> None:
    """Paint a wedge that leaves its surroundings to be seen."""
    yellow = rgb("#f4c430")
    c.polygon([(0.2, 0.36), (0.66, 0.74), (0.8, 0.58), (0.8, 0.36)], shade(yellow, 0.35))
    c.box(0.2, 0.24, 0.8, 0.46, shade(yellow, -0.1), round_by=0.04)
    c.polygon([(0.2, 0.42), (0.66, 0.74), (0.8, 0.58), (0.8, 0.42)], yellow)
    for x, y, r in ((0.38, 0.34, 0.05), (0.62, 0.31, 0.06), (0.64, 0.55, 0.05)):
        c.disc(x, y, r, shade(yellow, -0.35))


def cheese_on_dish(c: Canvas) -> None:
    """Paint the wedge on the plate."""
    dish(c)
    small_cheese(c)


SPRITES = Sprites(floor=floor, classes=(floor, wall, cheese, dish, cheese_on_dish), agent=mouse)
