"""Procgen's mazes, bit for bit, and distances on any board.

Source: `procgen/src/mazegen.cpp` of https://github.com/openai/procgen (Kruskal's algorithm on the
cells of even coordinates) and of the fork https://github.com/JacobPfau/procgenAISC, which adds
`deterministic_place`.

Public names: `dig`, `root`, `place`, `place_in_corner`, `put`, `distances`,
`fenced`, `spread`, `NOWHERE`, `UNSEEN`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..rng import mt_randn

NOWHERE = -1
UNSEEN = -1
"""A free cell that nothing has spread to yet."""
_ONE = np.uint64(1)


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
    walls = np.empty(dim * dim, np.int32)  # the cells that part two of even coordinates
    count = 0
    for x in range(1, dim - 1, 2):
        for y in range(0, dim, 2):
            walls[count] = dim * y + x
            count += 1
    for x in range(0, dim, 2):
        for y in range(1, dim - 1, 2):
            walls[count] = dim * y + x
            count += 1
    part = np.arange(dim * dim)
    open_cells[:dim, :dim] = False
    num_free = 0
    while count > 0:
        n = mt_randn(rng, count)
        wall = np.int64(walls[n])
        count -= 1
        for k in range(n, count):
            walls[k] = walls[k + 1]
        beside = 1 if wall % dim % 2 == 1 else dim
        one, other = root(part, wall - beside), root(part, wall + beside)
        if one != other:
            part[one] = other
            for cell in (wall - beside, wall, wall + beside):
                y, x = cell // dim, cell % dim
                if not open_cells[y, x]:
                    open_cells[y, x] = True
                    free[num_free] = cell
                    num_free += 1
    return num_free


@njit(cache=True)
def root(part, cell):
    """Return the cell that names a cell's connected part, and shorten the way there.

    Args:
        part: int64, for each cell one that is nearer to the name of its part, or itself.
        cell: which.
    """
    while part[cell] != cell:
        part[cell] = part[part[cell]]
        cell = part[cell]
    return cell


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
    found = fenced(walls)
    if 0 <= x0 < width and 0 <= y0 < height:
        spread(found, width + 2, x0, y0, 0, 1, np.empty(len(found), np.uint32))
    for y in range(height):
        first = (y + 1) * (width + 2) + 1
        for x in range(width):
            steps[y, x] = max(np.int16(UNSEEN), found[first + x])


@njit(cache=True)
def fenced(walls):
    """Return a board row by row with a fence of walls around it, int16 [(height + 2)(width + 2)].

    A free cell is `UNSEEN`, and a wall less.  With a fence there are no edges to look out for.
    """
    height, width = walls.shape
    cells = np.full((height + 2) * (width + 2), UNSEEN - 1, np.int16)
    for y in range(height):
        first = (y + 1) * (width + 2) + 1
        for x in range(width):
            cells[first + x] = np.int16(UNSEEN) - np.int16(walls[y, x])
    return cells


@njit(cache=True)
def spread(cells, stride, x0, y0, first, more, queue):
    """Spread from a cell over all that are `UNSEEN` and connected; return how many were reached.

    Args:
        cells: what `fenced` returns; what is reached is numbered.
        stride: cells from one row to the next.
        x0: column to begin at.
        y0: its row.
        first: the number that its cell gets.
        more: by how much the number rises with each step.
        queue: room for all cells.
    """
    start = stride * (y0 + 1) + x0 + 1
    cells[start] = first
    queue[0] = start
    begin, end, row = np.uint64(0), np.uint64(1), np.uint64(stride)
    while begin < end:
        here = np.uint64(queue[begin])
        begin += _ONE
        number = np.int16(cells[here] + more)
        end = _reach(cells, here - _ONE, number, queue, end)
        end = _reach(cells, here + _ONE, number, queue, end)
        end = _reach(cells, here - row, number, queue, end)
        end = _reach(cells, here + row, number, queue, end)
    return np.int64(end)


@njit(cache=True)
def _reach(cells, cell, number, queue, end):
    """Number a cell that is `UNSEEN`, and queue it: without a branch, half of which would fail."""
    before = cells[cell]
    new = before == UNSEEN
    cells[cell] = number if new else before
    queue[end] = cell
    return end + np.uint64(new)
