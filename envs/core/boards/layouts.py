"""Square boards with walls, in the layouts that gridworlds of the field offer.

Source of the layouts: `jaxgmg/procgen/maze_generation.py` of https://github.com/matomatical/jaxgmg,
in our own words and with our own random numbers, so that ids mean other boards than seeds do there.
Its noise mazes are not offered.

Public names: `LAYOUTS`, `lay_out`, `most_room`, `noise`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..rng import STREAM_TERRAIN, hash_below, hash_uniform
from .mazes import UNSEEN, fenced, root, spread

LAYOUTS = ("open", "blocks", "edges", "tree")
"""No walls but the border's; each cell a wall with probability 1/4; a grid of passages, each there
with probability 3/4; a maze in which one way leads from any cell to any other."""
BLOCK, EDGE = 0.25, 0.75
_OPEN, _BLOCKS, _EDGES, _TREE = range(len(LAYOUTS))
_WALLS, _ORDER, _NOISE = range(3)  # uses of the stream
_AGAIN = 1000  # from one drawing of the walls to the next; all uses of a level's are below


@njit(cache=True)
def lay_out(walls, layout, level_id, least, cells):
    """Write the walls of a board, border included; return the size of its largest connected part.

    A board on which this has fewer than `least` cells is drawn again.

    Args:
        walls: bool [size, size], filled; size is odd.
        layout: index into `LAYOUTS`.
        level_id: what the walls depend on, beside the layout and `least`.
        least: from 1 to what `most_room` says.
        cells: int64 [size * size], filled with that part's cells, size * y + x, in rising order.
    """
    room = drawn = 0
    while room < least:
        _draw(walls, layout, level_id, _WALLS + _AGAIN * drawn)
        drawn += 1
        room = _largest_region(walls, cells)
    return room


def most_room(layout: str, size: int) -> int:
    """Return how many cells the largest connected part of a board of a layout has at most."""
    if layout in ("open", "blocks"):
        return (size - 2) ** 2
    nodes = ((size - 1) // 2) ** 2
    passages = nodes - 1 if layout == "tree" else (size - 1) * (size - 3) // 2
    return nodes + passages


@njit(cache=True)
def _draw(walls, layout, level_id, use):
    size = len(walls)
    walls[:] = True
    walls[1 : size - 1, 1 : size - 1] = False
    for y in range(1, size - 1):
        for x in range(1, size - 1):
            u = hash_uniform(STREAM_TERRAIN, level_id, use, size * y + x)
            if layout == _BLOCKS:
                walls[y, x] = u < BLOCK
            elif layout == _EDGES and x % 2 + y % 2 == 1:
                walls[y, x] = u >= EDGE
            elif layout != _OPEN:
                walls[y, x] = x % 2 + y % 2 < 2
    if layout == _TREE:
        _span(walls, level_id)


@njit(cache=True)
def _span(walls, level_id):
    """Open passages between the cells of odd coordinates, until all are connected (Kruskal)."""
    size = len(walls)
    edges = np.empty(size * size, np.int64)
    count = 0
    for y in range(1, size - 1):
        for x in range(1, size - 1):
            if x % 2 + y % 2 == 1:
                edges[count] = size * y + x
                count += 1
    part = np.arange(size * size)  # up from a cell to the one that its connected part is named by
    for left in range(count, 0, -1):
        k = hash_below(left, STREAM_TERRAIN, level_id, _ORDER, left)
        cell = edges[k]
        edges[k] = edges[left - 1]
        beside = 1 if cell % size % 2 == 0 else size
        one, other = root(part, cell - beside), root(part, cell + beside)
        if one != other:
            part[one] = other
            walls[cell // size, cell % size] = False


@njit(cache=True)
def _largest_region(walls, cells):
    """Find the largest connected part of a board (of equals the lowest); return its size.

    Args:
        walls: bool [size, size].
        cells: int64 [size * size], filled with the part's cells, size * y + x, in rising order.
    """
    size = len(walls)
    stride = size + 2
    parts = fenced(walls)
    queue = np.empty(len(parts), np.uint32)
    count = best = largest = 0
    for y in range(size):
        for x in range(size):
            if parts[stride * (y + 1) + x + 1] == UNSEEN:
                reached = spread(parts, stride, x, y, count, 0, queue)
                if reached > best:
                    best, largest = reached, count
                count += 1
    k = 0
    for y in range(size):
        for x in range(size):
            cells[k] = size * y + x  # overwritten by the next, unless it is one of them
            k += parts[stride * (y + 1) + x + 1] == largest
    return best


@njit(cache=True)
def noise(out, period, level_id):
    """Write Perlin noise, in [-1, 1]: smooth hills and hollows that `period` cells part.

    Args:
        out: float64 [size, size], filled.
        period: cells from one point of the grid of gradients to the next.
        level_id: what the noise depends on, beside its period.
    """
    points = len(out) // period + 2
    slopes = np.empty((points, points, 2))
    for j in range(points):
        for i in range(points):
            angle = 2 * np.pi * hash_uniform(STREAM_TERRAIN, level_id, _NOISE, points * j + i)
            slopes[j, i, 0], slopes[j, i, 1] = np.cos(angle), np.sin(angle)
    for y in range(len(out)):
        for x in range(len(out)):
            j, i = y // period, x // period
            v, u = (y % period + 0.5) / period, (x % period + 0.5) / period
            low = _mix(_slope(slopes[j, i], u, v), _slope(slopes[j, i + 1], u - 1, v), u)
            high = _mix(
                _slope(slopes[j + 1, i], u, v - 1), _slope(slopes[j + 1, i + 1], u - 1, v - 1), u
            )
            out[y, x] = _mix(low, high, v)


@njit(cache=True)
def _slope(gradient, u, v):
    return gradient[0] * u + gradient[1] * v


@njit(cache=True)
def _mix(a, b, t):
    """Return what lies between a and b, smoothly from a (t = 0) to b (t = 1)."""
    return a + (b - a) * t * t * t * (t * (6 * t - 15) + 10)
