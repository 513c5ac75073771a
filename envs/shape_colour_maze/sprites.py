"""Shape-colour maze's looks, painted by code."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..core.boards.board import Sprites
from ..core.drawing.canvas import Canvas, Color, rgb, shade
from ..corner_maze.sprites import floor, mouse, wall

_YELLOW, _RED, _BLUE = rgb("#f2c521"), rgb("#d93a2b"), rgb("#2f6fd6")


def line(c: Canvas, color: Color, striped: bool) -> None:
    """Paint a diagonal line, with dark bands if it is striped."""
    c.line(0.14, 0.14, 0.86, 0.86, 0.26, shade(color, -0.35))
    c.line(0.14, 0.14, 0.86, 0.86, 0.18, color)
    for t in (0.26, 0.5, 0.74) if striped else ():
        c.line(t - 0.06, t + 0.06, t + 0.06, t - 0.06, 0.07, shade(color, -0.6))


def gem(c: Canvas, color: Color) -> None:
    """Paint a cut stone."""
    dark, light = shade(color, -0.3), shade(color, 0.45)
    c.polygon([(0.5, 0.06), (0.06, 0.6), (0.28, 0.9), (0.72, 0.9), (0.94, 0.6)], dark)
    c.polygon([(0.5, 0.12), (0.12, 0.6), (0.88, 0.6)], color)
    c.polygon([(0.13, 0.62), (0.31, 0.85), (0.69, 0.85), (0.87, 0.62)], light)


def star(c: Canvas, color: Color) -> None:
    """Paint a five-pointed star with dark bands."""
    for k in range(5):
        angle = np.pi / 2 + k * 2 * np.pi / 5
        tip = (0.5 + 0.46 * np.cos(angle), 0.5 + 0.46 * np.sin(angle))
        left, right = (
            (0.5 + 0.2 * np.cos(angle + d), 0.5 + 0.2 * np.sin(angle + d)) for d in (0.63, -0.63)
        )
        c.polygon([left, tip, right, (0.5, 0.5)], color)
    for y in (0.34, 0.5, 0.66):
        c.line(0.34, y, 0.66, y, 0.06, shade(color, -0.55))


SPRITES = Sprites(
    floor=floor,
    classes=(
        floor,
        wall,
        partial(line, color=_YELLOW, striped=True),
        partial(line, color=_RED, striped=True),
        partial(line, color=_YELLOW, striped=False),
        partial(line, color=_RED, striped=False),
        partial(gem, color=_YELLOW),
        partial(star, color=_BLUE),
    ),
    agent=mouse,
)
