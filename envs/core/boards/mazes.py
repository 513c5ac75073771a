"""Procgen's mazes, bit for bit, and distances on any board.

Source: `procgen/src/mazegen.cpp` of https://github.com/openai/procgen (Kruskal's algorithm on the
cells of even coordinates) and of the fork https://github.com/JacobPfau/procgenAISC, which adds
`deterministic_place`.

Public names: `dig`, `place`, `place_in_corner`, `put`, `distances`, `NOWHERE`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..rng import mt_randn

NOWHERE = -1


@njit(cache=True)
def dig(open_cells, free, rng, dim):
    """Dig a maze of `dim` x `dim` cells; return how many cells are free.

    Args:
        open_cells: bool [dim, dim] at least, filled: row y, column x, whether the cell is free.
        free: int [dim * dim] at least, filled with the free cells (dim * y + x) as they were dug,
            in the order that the original draws from.
        rng: Mersenne Twister, advanced.
        dim: odd.
    """
    walls = np.empty((dim * dim, 4), np.int64)  # x1, y1, x2, y2 of the cells they part
    count = 0
    for x in range(1, dim - 1, 2):
        for y in range(0, dim, 2):
            walls[count, 0], walls[count, 1], walls[count, 2], walls[count, 3] = x - 1, y, x + 1, y
            count += 1
    for x in range(0, dim, 2):
        for y in range(1, dim - 1, 2):
            walls[count, 0], walls[count, 1], walls[count, 2], walls[count, 3] = x, y - 1, x, y + 1
            count += 1
    part = np.arange(dim * dim)  # what is connected has one number
    open_cells[:dim, :dim] = False
    num_free = 0
    while count > 0:
        n = mt_randn(rng, count)
        x1, y1, x2, y2 = walls[n]
        walls[n : count - 1] = walls[n + 1 : count].copy()
        count -= 1
        one, other = part[dim * y1 + x1], part[dim * y2 + x2]
        if one != other:
            part[part == one] = other
            for x, y in ((x1, y1), ((x1 + x2) // 2, (y1 + y2) // 2), (x2, y2)):
                if not open_cells[y, x]:
                    open_cells[y, x] = True
                    free[num_free] = dim * y + x
                    num_free += 1
    return num_free


@njit(cache=True)
def place(free, num_free, rng):
    """Return a free cell as the original draws it, and take it from `free`; never cell 0."""
    n = mt_randn(rng, num_free)
    while free[n] == NOWHERE or free[n] == 0:
        n = mt_randn(rng, num_free)
    cell = free[n]
    free[n] = NOWHERE
    return cell


@njit(cache=True)
def place_in_corner(free, num_free, rng, dim, region):
    """Return a free cell of the upper right `region` x `region` as the fork draws it.

    With `region` 0 it is the corner itself and nothing is drawn.  The fork gives up after
    100 `dim` draws; then this returns `NOWHERE`.
    """
    if region == 0:
        return dim * dim - 1
    mt_randn(rng, num_free)  # drawn and not used
    for _ in range(dim * 100):
        n = mt_randn(rng, num_free)
        cell = free[n]
        inside = cell % dim >= dim - region and cell // dim >= dim - region
        if cell != NOWHERE and cell != 0 and inside:
            free[n] = NOWHERE
            return cell
    return NOWHERE


@njit(cache=True)
def put(cell, index, dim, margin):
    """Write the column and row of a maze's cell `index`, or -1 twice for `NOWHERE`."""
    cell[0] = cell[1] = -1
    if index != NOWHERE:
        cell[0], cell[1] = margin + index % dim, margin + index // dim


@njit(cache=True)
def distances(steps, walls, x0, y0):
    """Write the steps from every cell to x0, y0 into `steps`; -1 where there is no way.

    Args:
        steps: int [height, width], filled.
        walls: bool [height, width], cells that nobody enters.
        x0: column of the target.
        y0: row of the target.
    """
    height, width = walls.shape
    steps[:] = -1
    queue = np.empty((height * width, 2), np.int64)
    queue[0, 0], queue[0, 1] = x0, y0
    steps[y0, x0] = 0
    first, last = 0, 1
    while first < last:
        x, y = queue[first]
        first += 1
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            nx, ny = x + dx, y + dy
            if 0 <= nx < width and 0 <= ny < height and not walls[ny, nx] and steps[ny, nx] < 0:
                steps[ny, nx] = steps[y, x] + 1
                queue[last, 0], queue[last, 1] = nx, ny
                last += 1
