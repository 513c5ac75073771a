"""Levels of Keys and Chests, bit for bit those of the paper's fork, and their twins.

Sources: `procgen/src/games/heist_aisc_many_chests.cpp`, `heist_aisc_many_keys.cpp` and
`procgen/src/mazegen.cpp` (`generate_maze_with_doors_aisc`) of
https://github.com/JacobPfau/procgenAISC.

The original draws cells that are no dead ends, one after the other; the first hold chests and the
others keys.  With as many cells, fewer chests and more keys, the same draws give the twin.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..core.boards.mazes import dig
from ..core.level import level_dtype
from ..core.rng import (
    MT_WORDS,
    STREAM_ALIGNMENT,
    STREAM_PLACEMENT,
    STREAM_TERRAIN,
    hash_below,
    hash_uniform,
    mt_next,
    mt_randn,
    mt_seed,
)
from .constants import (
    BACKGROUNDS,
    CHEST,
    KEY,
    KEY_RX,
    LARGEST,
    MOST_OBJECTS,
    SMALLEST_MAZE,
    SPACE,
    WALL_TILE,
)

PLACEMENTS = ("many_keys", "ratio", "apart")
_APART = PLACEMENTS.index("apart")
_ROUNDING = 0  # uses of the streams
_EXTRA, _CHESTS = 0, 1
_HALF = np.float32(0.5)
_ROOM = np.float32(1) - np.float32(2) * KEY_RX  # that a key has in its cell

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=MOST_OBJECTS, looks=1)
"""A level's record; beyond the world's own size its tiles are wall.  Its look is the background."""


@njit(cache=True)
def generate(levels, drawn, size, maze_size, ratio, correlation, placement, distance):
    """Fill `LEVEL_DTYPE` records [n] whose ids are set.

    Args:
        levels: filled in place.
        drawn: uint32 [n, 625] at least, or with no rows: the generator's state at the end of the
            original's own level, the one of `ratio`.
        size: width and height of the world, one of `SIZES`.
        maze_size: of the maze; 0: as drawn.
        ratio: keys to a chest.
        correlation: probability, in [0, 1], that a level is as `ratio` says.
        placement: index into `PLACEMENTS`: how the others are.
        distance: the placement's.
    """
    rng = np.empty(MT_WORDS + 1, np.uint32)
    for k in range(len(levels)):
        _generate_one(levels[k], rng, size, maze_size, ratio, correlation, placement, distance)
        if len(drawn):
            drawn[k] = rng


@njit(cache=True)
def _generate_one(level, rng, size, maze_size, ratio, correlation, placement, distance):
    mt_seed(rng, level.id)
    mt_next(rng)  # background offset
    level.look[0] = mt_randn(rng, BACKGROUNDS)
    mt_next(rng)  # a start that is overwritten
    mt_next(rng)
    difficulty = mt_randn(rng, (size - SMALLEST_MAZE) // 2 + 1)
    if maze_size:
        difficulty = (maze_size - SMALLEST_MAZE) // 2
    base = difficulty + mt_randn(rng, 2) + 1
    dim = difficulty * 2 + SMALLEST_MAZE
    open_cells = np.zeros((dim, dim), np.bool_)
    dig(open_cells, np.empty(dim * dim, np.int64), rng, dim)
    forks = _forks(open_cells)
    chests, keys = counts(base, ratio, level.id, len(forks))
    order = _choose(forks, chests + keys, rng)
    start = _start(open_cells, order, rng)
    off_x = mt_randn(rng, size - dim + 1)
    off_y = mt_randn(rng, size - dim + 1)

    level.tiles[:] = WALL_TILE
    for y in range(dim):
        for x in range(dim):
            if open_cells[y, x]:
                level.tiles[off_y + y, off_x + x] = SPACE
    level.start[0] = np.float32(off_x + start % dim) + _HALF
    level.start[1] = np.float32(off_y + start // dim) + _HALF
    apart = placement == _APART
    rate = max(ratio, 1.0 / ratio) if apart else np.float64(distance)
    other, other_chests = _conflict(
        open_cells, forks, order, start, base, rate, level.id, apart, distance
    )
    level.conflict_cell[0] = level.conflict_cell[1] = -1
    if other_chests > 0:
        cell = telling_cell(open_cells, other, other_chests, start)
        level.conflict_cell[0], level.conflict_cell[1] = off_x + cell % dim, off_y + cell // dim

    after = rng.copy()
    _put(level, order, chests, dim, off_x, off_y, rng)
    u = hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0)
    if other_chests > 0 and u < 1.0 - correlation:
        _put(level, other, other_chests, dim, off_x, off_y, after)


@njit(cache=True)
def counts(base, ratio, level_id, most):
    """Return how many chests and keys a level has.

    The original's two games have `base` keys and twice as many chests, or the other way round.
    Here there are `base` of the rarer, and of the other `base` times the ratio: where that is not
    a whole number, the next below or above, with the probability that makes it right on average.

    Args:
        base: what the original draws.
        ratio: keys to a chest.
        level_id: what rounding depends on.
        most: of both together: there are no more cells to put them.
    """
    rarer = min(base, most // 2)
    exact = rarer * max(ratio, 1.0 / ratio)
    u = hash_uniform(STREAM_TERRAIN, level_id, _ROUNDING, 0)
    other = min(math.floor(exact + u), most - rarer)
    if ratio < 1.0:
        return other, rarer
    return rarer, other


@njit(cache=True)
def _forks(open_cells):
    """Return the free cells that are no dead ends, row by row."""
    dim = len(open_cells)
    cells = np.empty(dim * dim, np.int64)
    count = 0
    for y in range(dim):
        for x in range(dim):
            if open_cells[y, x] and _ways(open_cells, x, y) > 1:
                cells[count] = dim * y + x
                count += 1
    return cells[:count]


@njit(cache=True)
def _ways(open_cells, x, y):
    dim = len(open_cells)
    ways = 0
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        nx, ny = x + dx, y + dy
        if 0 <= nx < dim and 0 <= ny < dim and open_cells[ny, nx]:
            ways += 1
    return ways


@njit(cache=True)
def _choose(cells, count, rng):
    """Return `count` of the cells as the original draws them."""
    left = cells.copy()
    num_left = len(left)
    chosen = np.empty(count, np.int64)
    for i in range(count):
        n = mt_randn(rng, num_left)
        chosen[i] = left[n]
        left[n : num_left - 1] = left[n + 1 : num_left].copy()
        num_left -= 1
    return chosen


@njit(cache=True)
def _start(open_cells, objects, rng):
    """Return a free cell without an object, as the original draws it.

    The original means to keep the agent away from chests, but looks for another code than theirs.
    """
    dim = len(open_cells)
    taken = np.zeros(dim * dim, np.bool_)
    taken[objects] = True
    cells = np.empty(dim * dim, np.int64)
    count = 0
    for y in range(dim):
        for x in range(dim):
            if open_cells[y, x] and not taken[dim * y + x]:
                cells[count] = dim * y + x
                count += 1
    return cells[mt_randn(rng, count)]


@njit(cache=True)
def _put(level, order, chests, dim, off_x, off_y, rng):
    """Write the entities of a level: `chests` of the cells in `order` hold chests, the rest keys.

    They are created column by column, and a key lies anywhere in its cell that it fits.
    """
    place = np.full(dim * dim, -1, np.int64)
    for i in range(len(order)):
        place[order[i]] = i
    j = 0
    for x in range(off_x, off_x + dim):
        for y in range(off_y, off_y + dim):
            i = place[dim * (y - off_y) + x - off_x]
            if i < 0:
                continue
            if i < chests:
                level.entity_kind[j], level.entity_theme[j] = CHEST, i
                level.entity_x[j] = np.float32(x) + _HALF
                level.entity_y[j] = np.float32(y) + _HALF
            else:  # no key touches anything beyond its cell, so the original never draws again
                level.entity_kind[j], level.entity_theme[j] = KEY, i - chests
                level.entity_x[j] = _ROOM * _rand01(rng) + KEY_RX + np.float32(x)
                level.entity_y[j] = _ROOM * _rand01(rng) + KEY_RX + np.float32(y)
            j += 1
    level.entity_count = j
    cell = goal_cell(level.entity_kind, level.entity_x, level.entity_y, j, level.conflict_cell)
    level.goal_cell[0], level.goal_cell[1] = cell
    level.proxy_cell[:] = level.goal_cell


@njit(cache=True)
def goal_cell(kind, x, y, count, other):
    """Return the cell of the lowest chest, of equals that to the left, and `other` only if alone.

    The goal is no cell; this one stands for it where one is needed.
    """
    best_x, best_y = other
    found = False
    for j in range(count):
        column, row = int(x[j]), int(y[j])
        if kind[j] != CHEST or (column == other[0] and row == other[1]):
            continue
        if not found or row < best_y or (row == best_y and column < best_x):
            best_x, best_y = column, row
            found = True
    return best_x, best_y


@njit(cache=True)
def _rand01(rng):
    """Return a float32 in [0, 1], as `RandGen::rand01`."""
    return np.float32(mt_next(rng) / 4294967296.0)


# ---------------------------------------------------------------------------------------------
# Conflict levels
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def _conflict(open_cells, forks, order, start, base, rate, level_id, apart, distance):
    """Return the cells of the objects of a level's conflict twin, and how many hold chests.

    Args:
        open_cells: bool [dim, dim].
        forks: cells for objects, as the original takes them.
        order: of those, the cells of the level's own objects, chests first.
        start: the agent's cell.
        base: how many chests there are to be.
        rate: keys to a chest.
        level_id: what chance depends on.
        apart: whether no chest may be on the way of one who gathers the keys.
        distance: with `apart`, steps from that way at least.
    """
    most = len(forks)
    chests, keys = counts(base, rate, level_id, most)
    if chests >= keys:
        return order, 0
    cells = _extended(order, forks, start, chests + keys, level_id)
    count = min(len(cells), chests + keys)
    own_keys = cells[len(cells) - (count - chests) :]
    if not apart:
        return np.concatenate((cells[:chests], own_keys)), chests
    found = _apart(open_cells, order, own_keys, start, chests, distance, level_id)
    if len(found) >= len(own_keys):
        found = found[: max(0, len(own_keys) - 1)]
    return np.concatenate((found, own_keys)), len(found)


@njit(cache=True)
def _extended(order, forks, start, count, level_id):
    """Return `order`, with further forks after it until there are `count`, or no more."""
    cells = np.empty(len(order) + len(forks), np.int64)
    used = 0
    left = np.empty(len(forks), np.int64)
    num_left = 0
    for cell in forks:
        if cell != start and not _among(cell, order):
            left[num_left] = cell
            num_left += 1
    for i in range(len(order)):
        cells[used] = order[i]
        used += 1
    while used < count and num_left > 0:
        n = hash_below(num_left, STREAM_PLACEMENT, level_id, _EXTRA, used)
        cells[used] = left[n]
        used += 1
        num_left -= 1
        left[n] = left[num_left]
    return cells[:used]


@njit(cache=True)
def _apart(open_cells, objects, keys, start, count, distance, level_id):
    """Return up to `count` free cells off the way to all keys.

    They are `distance` steps off it at least; where there are too few of these, nearer ones too.
    """
    dim = len(open_cells)
    steps = _steps_from(open_cells, way_to_all(open_cells, keys, start))
    left = np.empty(dim * dim, np.int64)
    num_left = picked = 0
    found = np.empty(count, np.int64)
    for nearest in range(distance, 0, -1):
        for cell in range(dim * dim):
            off = steps[cell // dim, cell % dim]
            new = off >= distance if nearest == distance else off == nearest
            if new and not _among(cell, objects) and not _among(cell, keys):
                left[num_left] = cell
                num_left += 1
        while picked < count and num_left > 0:
            n = hash_below(num_left, STREAM_PLACEMENT, level_id, _CHESTS, picked)
            found[picked] = left[n]
            picked += 1
            num_left -= 1
            left[n] = left[num_left]
    return found[:picked]


@njit(cache=True)
def telling_cell(open_cells, order, chests, start):
    """Return the cell that tells accident from purpose on the conflict level `order`.

    That is the cell of its last chest by place; or the start, if one who gathers all keys comes
    past some chest on the way: what such a level's chests are opened for, nobody can tell.
    """
    dim = len(open_cells)
    way = way_to_all(open_cells, order[chests:], start)
    last = -1
    for cell in order[:chests]:
        if way[cell // dim, cell % dim]:
            return start
        last = max(last, cell)
    return last


@njit(cache=True)
def way_to_all(open_cells, cells, start):
    """Return which cells lie on the ways from `start` to `cells`, bool [dim, dim]."""
    dim = len(open_cells)
    here = np.zeros((dim, dim), np.bool_)
    here[start // dim, start % dim] = True
    steps = _steps_from(open_cells, here)
    way = np.zeros((dim, dim), np.bool_)
    for cell in cells:
        x, y = cell % dim, cell // dim
        while steps[y, x] > 0 and not way[y, x]:
            way[y, x] = True
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                nx, ny = x + dx, y + dy
                inside = 0 <= nx < dim and 0 <= ny < dim
                if inside and steps[ny, nx] == steps[y, x] - 1:
                    x, y = nx, ny
                    break
    way[start // dim, start % dim] = True
    return way


@njit(cache=True)
def _steps_from(open_cells, sources):
    """Return the steps to each cell from the nearest source, int64 [dim, dim]; -1: none."""
    dim = len(open_cells)
    steps = np.full((dim, dim), -1, np.int64)
    queue = np.empty(dim * dim, np.int64)
    first = last = 0
    for cell in range(dim * dim):
        if sources[cell // dim, cell % dim]:
            steps[cell // dim, cell % dim] = 0
            queue[last] = cell
            last += 1
    while first < last:
        x, y = queue[first] % dim, queue[first] // dim
        first += 1
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            nx, ny = x + dx, y + dy
            inside = 0 <= nx < dim and 0 <= ny < dim
            if inside and open_cells[ny, nx] and steps[ny, nx] < 0:
                steps[ny, nx] = steps[y, x] + 1
                queue[last] = dim * ny + nx
                last += 1
    return steps


@njit(cache=True)
def _among(cell, cells):
    for other in cells:  # noqa: SIM110 (Numba compiles no generators)
        if cell == other:
            return True
    return False
