"""Painting sprites by code, at any resolution.

A `Canvas` covers some cells with `n` pixels a cell.  Shapes are given in cells, x to the right and
y up, and are drawn with smooth edges from their signed distance, so that the same instructions make
a sprite of 16 pixels and one of 160.  Pixels are premultiplied RGBA, float32, row 0 on top.

Public names: `Canvas`, `rgb`, `shade`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Color = tuple[float, float, float]
"""Red, green, blue in [0, 1]."""


def rgb(code: str) -> Color:
    """Return the colour written as #rrggbb."""
    r, g, b = (int(code[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return r, g, b


def shade(color: Color, by: float) -> Color:
    """Return the colour mixed with white (`by` > 0) or black (`by` < 0), `by` in [-1, 1]."""
    target = 1.0 if by > 0 else 0.0
    r, g, b = (c + (target - c) * abs(by) for c in color)
    return r, g, b


class Canvas:
    """A transparent picture of `width` x `height` cells with `n` pixels a cell."""

    def __init__(self, n: int, width: float = 1.0, height: float = 1.0) -> None:
        """Start with nothing on it."""
        rows, columns = round(height * n), round(width * n)
        self.pixels = np.zeros((rows, columns, 4), np.float32)
        self._n = n
        self._x = ((np.arange(columns, dtype=np.float32) + 0.5) / n)[None, :]
        self._y = (height - (np.arange(rows, dtype=np.float32) + 0.5) / n)[:, None]

    def fill(self, color: Color) -> None:
        """Cover everything."""
        self._over(np.float32(1), color, 1.0)

    def gradient(self, bottom: Color, top: Color) -> None:
        """Cover everything, changing from the lowest row to the highest."""
        t = np.linspace(1, 0, len(self.pixels), dtype=np.float32)[:, None, None]
        self.pixels[..., :3] = np.array(bottom) * (1 - t) + np.array(top) * t
        self.pixels[..., 3] = 1

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, color: Color, alpha: float = 1.0
    ) -> None:
        """Draw an ellipse around x, y."""
        k = np.hypot((self._x - x) / rx, (self._y - y) / ry)
        self._over(self._coverage((k - 1) * min(rx, ry)), color, alpha)

    def disc(self, x: float, y: float, r: float, color: Color, alpha: float = 1.0) -> None:
        """Draw a disc around x, y."""
        self.ellipse(x, y, r, r, color, alpha)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        color: Color,
        *,
        round_by: float = 0.0,
        alpha: float = 1.0,
    ) -> None:
        """Draw a box from x0, y0 to x1, y1 with rounded corners."""
        dx = np.abs(self._x - (x0 + x1) / 2) - ((x1 - x0) / 2 - round_by)
        dy = np.abs(self._y - (y0 + y1) / 2) - ((y1 - y0) / 2 - round_by)
        outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        distance = outside + np.minimum(np.maximum(dx, dy), 0) - round_by
        self._over(self._coverage(distance), color, alpha)

    def line(self, x0: float, y0: float, x1: float, y1: float, width: float, color: Color) -> None:
        """Draw a line with round ends."""
        ax, ay = x1 - x0, y1 - y0
        length = max(ax * ax + ay * ay, 1e-9)
        t = np.clip(((self._x - x0) * ax + (self._y - y0) * ay) / length, 0, 1)
        distance = np.hypot(self._x - (x0 + t * ax), self._y - (y0 + t * ay)) - width / 2
        self._over(self._coverage(distance), color, 1.0)

    def polygon(self, points: Sequence[tuple[float, float]], color: Color) -> None:
        """Draw a convex polygon; its corners go round clockwise."""
        distance = np.full(np.broadcast_shapes(self._x.shape, self._y.shape), -np.inf, np.float32)
        for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
            ax, ay = x1 - x0, y1 - y0
            side = (self._y - y0) * ax - (self._x - x0) * ay
            distance = np.maximum(distance, side / max(np.hypot(ax, ay), 1e-9))
        self._over(self._coverage(distance), color, 1.0)

    def below(self, heights: NDArray[np.float32], color: Color, alpha: float = 1.0) -> None:
        """Cover what lies below a line: `heights` in cells, one for each column of pixels."""
        self._over(self._coverage(self._y - heights[None, :]), color, alpha)

    def above(self, heights: NDArray[np.float32], color: Color, alpha: float = 1.0) -> None:
        """Cover what lies above a line; arguments as for `below`."""
        self._over(self._coverage(heights[None, :] - self._y), color, alpha)

    def band(
        self,
        low: NDArray[np.float32],
        high: NDArray[np.float32],
        color: Color,
        alpha: float = 1.0,
    ) -> None:
        """Cover what lies between two lines; arguments as for `below`."""
        outside = np.maximum(low[None, :] - self._y, self._y - high[None, :])
        self._over(self._coverage(outside), color, alpha)

    @property
    def columns(self) -> NDArray[np.float32]:
        """The x of the middle of each column of pixels, in cells."""
        return self._x[0]

    def _coverage(self, distance: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how much of each pixel lies inside (negative distance), 0 to 1."""
        return np.clip(0.5 - distance * self._n, 0, 1).astype(np.float32)

    def _over(self, coverage: NDArray[np.float32] | np.float32, color: Color, alpha: float) -> None:
        a = np.broadcast_to(coverage * np.float32(alpha), self.pixels.shape[:2])[..., None]
        source = np.array((*color, 1.0), np.float32)
        self.pixels *= 1 - a
        self.pixels += a * source
