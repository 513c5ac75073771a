"""Corner maze's looks, painted by code."""

from __future__ import annotations

from ..core.boards.board import Sprites
from ..core.drawing.canvas import Canvas, rgb, shade

_SAND, _STONE = rgb("#f3e9d2"), rgb("#8a7458")
_CHEESE, _FUR = rgb("#f4c430"), rgb("#8d99a6")


def floor(c: Canvas) -> None:
    """Paint sand with a few grains."""
    c.fill(_SAND)
    for x, y in ((0.2, 0.3), (0.7, 0.75), (0.55, 0.2), (0.3, 0.8)):
        c.disc(x, y, 0.04, shade(_SAND, -0.12))


def wall(c: Canvas) -> None:
    """Paint a course of stones."""
    c.fill(shade(_STONE, -0.3))
    for x0, y0, x1, y1 in (
        (0.02, 0.53, 0.47, 0.97),
        (0.53, 0.53, 0.98, 0.97),
        (-0.22, 0.03, 0.22, 0.47),
        (0.28, 0.03, 0.72, 0.47),
        (0.78, 0.03, 1.22, 0.47),
    ):
        c.box(x0, y0, x1, y1, _STONE, round_by=0.07)
        c.box(x0 + 0.05, y1 - 0.12, x1 - 0.05, y1 - 0.05, shade(_STONE, 0.25), round_by=0.03)


def cheese(c: Canvas) -> None:
    """Paint a wedge with holes."""
    c.polygon([(0.08, 0.3), (0.72, 0.85), (0.92, 0.62), (0.92, 0.3)], shade(_CHEESE, 0.35))
    c.box(0.08, 0.12, 0.92, 0.42, shade(_CHEESE, -0.08), round_by=0.05)
    c.polygon([(0.08, 0.38), (0.72, 0.85), (0.92, 0.62), (0.92, 0.38)], _CHEESE)
    for x, y, r in ((0.3, 0.25, 0.07), (0.62, 0.22, 0.09), (0.68, 0.58, 0.08), (0.45, 0.46, 0.05)):
        c.disc(x, y, r, shade(_CHEESE, -0.35))


def mouse(c: Canvas) -> None:
    """Paint a mouse from above, looking up."""
    dark = shade(_FUR, -0.45)
    c.line(0.5, 0.2, 0.62, 0.04, 0.06, rgb("#d98c8c"))
    c.ellipse(0.5, 0.42, 0.27, 0.33, dark)
    c.ellipse(0.5, 0.43, 0.23, 0.29, _FUR)
    for x in (0.28, 0.72):
        c.disc(x, 0.68, 0.15, dark)
        c.disc(x, 0.68, 0.1, rgb("#e8a5a5"))
    c.disc(0.42, 0.66, 0.045, rgb("#1d2026"))
    c.disc(0.58, 0.66, 0.045, rgb("#1d2026"))
    c.disc(0.5, 0.77, 0.05, rgb("#d98c8c"))


SPRITES = Sprites(floor=floor, classes=(floor, wall, cheese), agent=mouse)
