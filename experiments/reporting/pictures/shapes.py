"""The shapes that pictures of levels are made of.

Things that fill cells (ground, liquids) are painted into one raster, so that no seams show between
them; everything else is a few matplotlib patches.

Public names: `paint_cells`, `draw_thing`, `draw_path`, `DRAWN`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import patches, patheffects
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from misgen.envs.core.drawing.palette import FILLING, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

PIXELS = 16
"""Raster pixels along a cell's side."""
PATH_COLOUR = "#0b2e6f"
_ACROSS = (np.arange(PIXELS) + 0.5) / PIXELS  # [PIXELS] centres of the pixels of a cell, 0 to 1
_HEIGHT = 1 - _ACROSS[:, None]  # [PIXELS, 1] row 0 is the cell's top


def paint_cells(
    tiles: NDArray[np.int16], styles: Mapping[int, Style], sky: tuple[str, str]
) -> NDArray[np.float64]:
    """Return the picture of what fills cells: float64 [height * PIXELS, width * PIXELS, 3].

    Args:
        tiles: codes [height, width], row 0 at the bottom; the picture's row 0 is the top.
        styles: tile code -> style; other codes show the sky.
        sky: colours at the bottom and at the top.
    """
    height, width = tiles.shape
    bottom, top = (np.array(to_rgb(colour)) for colour in sky)
    fade = np.linspace(1, 0, height * PIXELS)[:, None, None]
    image = np.broadcast_to(top * fade + bottom * (1 - fade), (*fade.shape[:1], width * PIXELS, 3))
    image = image.copy()
    for code, style in styles.items():
        if not style.fills_cell:
            continue
        for y, x in np.argwhere(tiles == code):
            row, column = (height - 1 - y) * PIXELS, x * PIXELS
            _fill_cell(image[row : row + PIXELS, column : column + PIXELS], style)
    return image


def _fill_cell(cell: NDArray[np.float64], style: Style) -> None:
    """Paint one cell, [PIXELS, PIXELS, 3], in place."""
    fill, accent = np.array(to_rgb(style.fill)), np.array(to_rgb(style.accent))
    ripple = 0.07 * np.sin(2 * np.pi * _ACROSS)  # fits itself at the cell's sides
    if style.shape == "wave":
        surface = 0.78 + ripple
        cell[surface >= _HEIGHT] = fill
        cell[(surface >= _HEIGHT) & (surface - 0.22 < _HEIGHT)] = accent
        return
    cell[:] = fill
    if style.shape == "turf":
        cell[0.66 + 0.5 * ripple < _HEIGHT] = accent
        cell[(0.58 + 0.5 * ripple < _HEIGHT) & (0.66 + 0.5 * ripple >= _HEIGHT)] = 0.8 * accent


def draw_thing(ax: Axes, style: Style, x: float, y: float, facing: int = 0) -> None:
    """Draw something that is no filling.

    Args:
        ax: axes in cells.
        style: how.
        x: its centre, in cells.
        y: its centre, in cells.
        facing: -1 left, 1 right, 0 neither.
    """
    for order, patch in enumerate(_STANDING[style.shape](style, x, y, facing)):
        patch.set_zorder(3 + 0.01 * order)
        ax.add_patch(patch)


def draw_path(ax: Axes, xy: NDArray[np.float64], colour: str = PATH_COLOUR) -> None:
    """Draw a way taken, [t, 2] in cells, with an arrow head where it stops."""
    outline = [patheffects.withStroke(linewidth=4.2, foreground="white")]
    ax.plot(
        *xy.T, color=colour, linewidth=1.9, zorder=5, path_effects=outline,
        solid_joinstyle="round", solid_capstyle="round",
    )  # fmt: skip
    ax.plot(
        *xy[-1], marker="o", markersize=6.5, color=colour, zorder=6,
        markeredgecolor="white", markeredgewidth=1.2,
    )  # fmt: skip


def _crate(style: Style, x: float, y: float, facing: int) -> list[Patch]:
    def bar(dx: float, dy: float, width: float, height: float) -> Patch:
        return patches.Rectangle((x + dx, y + dy), width, height, facecolor=style.accent)

    plank = patches.Polygon(
        [(x - 0.38, y - 0.38), (x - 0.24, y - 0.38), (x + 0.38, y + 0.24), (x + 0.38, y + 0.38),
         (x + 0.24, y + 0.38), (x - 0.38, y - 0.24)],
        facecolor=style.accent, alpha=0.65,
    )  # fmt: skip
    box = patches.Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=style.fill)
    frame = [
        bar(-0.48, -0.48, 0.96, 0.13),
        bar(-0.48, 0.35, 0.96, 0.13),
        bar(-0.48, -0.48, 0.13, 0.96),
        bar(0.35, -0.48, 0.13, 0.96),
    ]
    return [box, plank, *frame]


def _cog(style: Style, x: float, y: float, facing: int) -> list[Patch]:
    teeth = 10
    angles = np.arange(2 * teeth) * np.pi / teeth
    radii = np.where(np.arange(2 * teeth) % 2, 0.36, 0.5)
    lean = angles + np.where(np.arange(2 * teeth) % 2, 0.0, 0.12)  # as if it turned
    rim = np.stack([x + radii * np.cos(lean), y + radii * np.sin(lean)], axis=1)
    return [
        patches.Polygon(rim, facecolor=style.fill, edgecolor=style.accent, linewidth=0.7),
        patches.Circle((x, y), 0.23, facecolor="#e4e8ec"),
        patches.Circle((x, y), 0.1, facecolor=style.accent),
    ]


def _creature(style: Style, x: float, y: float, facing: int) -> list[Patch]:
    side = facing or 1
    trunk = patches.FancyBboxPatch(
        (x - 0.24, y - 0.22), 0.48, 0.44, boxstyle="round,pad=0.18,rounding_size=0.4",
        facecolor=style.fill, edgecolor=style.accent, linewidth=0.7,
    )  # fmt: skip
    feet = [
        patches.Ellipse((x + dx + 0.06 * side, y - 0.42), 0.28, 0.16, facecolor=style.accent)
        for dx in (-0.2, 0.2)
    ]
    horn = patches.Polygon(
        [(x + 0.46 * side, y + 0.12), (x + 0.46 * side, y - 0.2), (x + 0.72 * side, y - 0.04)],
        facecolor=style.accent,
    )
    return [*feet, trunk, horn, *_eyes(x + 0.14 * side, y + 0.12, side)]


def _disc(style: Style, x: float, y: float, facing: int) -> list[Patch]:
    return [
        patches.Circle((x, y), 0.95, facecolor=style.fill, alpha=0.28),
        patches.Circle((x, y), 0.56, facecolor=style.fill, edgecolor=style.accent, linewidth=1.3),
        patches.Circle((x, y), 0.34, facecolor="none", edgecolor=style.accent, linewidth=0.9),
        patches.Wedge((x, y), 0.47, 110, 160, width=0.07, facecolor="white"),
    ]


def _flag(style: Style, x: float, y: float, facing: int) -> list[Patch]:
    dashes = {"linestyle": (0, (2.2, 1.4)), "linewidth": 1.3, "edgecolor": style.accent}
    pole = patches.Polygon([(x, y - 0.5), (x, y + 2.3)], closed=False, facecolor="none", **dashes)
    cloth = patches.Polygon(
        [(x, y + 2.3), (x + 1.4, y + 1.85), (x, y + 1.4)], facecolor=style.fill + "d0", **dashes
    )
    return [cloth, pole]


def _body(style: Style, x: float, y: float, facing: int) -> list[Patch]:
    legs = [
        patches.Rectangle((x + dx, y - 0.56), 0.15, 0.3, facecolor=style.accent)
        for dx in (-0.23, 0.08)
    ]
    trunk = patches.FancyBboxPatch(
        (x - 0.14, y - 0.2), 0.28, 0.5, boxstyle="round,pad=0.22,rounding_size=0.3",
        facecolor=style.fill, edgecolor=style.accent, linewidth=0.9,
    )  # fmt: skip
    return [*legs, trunk, *_eyes(x + 0.12, y + 0.2, 1)]


def _eyes(x: float, y: float, side: int) -> list[Patch]:
    """Two eyes around x, y that look to `side`."""
    return [
        patches.Circle((x + dx + shift * side, y), radius, facecolor=colour)
        for dx in (-0.13, 0.13)
        for radius, shift, colour in ((0.115, 0.0, "white"), (0.06, 0.04, "#14171a"))
    ]


_STANDING = {
    "crate": _crate,
    "cog": _cog,
    "creature": _creature,
    "disc": _disc,
    "flag": _flag,
    "body": _body,
}
DRAWN = {*FILLING, *_STANDING}
"""The shapes that can be drawn."""
