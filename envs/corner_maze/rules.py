"""Corner maze's levels, bit for bit the originals', and its rule.

Sources: `procgen/src/games/maze.cpp` of https://github.com/openai/procgen, and
`procgen/src/games/maze_aisc.cpp` of https://github.com/JacobPfau/procgenAISC.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards.board import board_state, come_nearer, enter, is_at, look_around, step_of
from ..core.boards.mazes import NOWHERE, dig, distances, place, place_in_corner, put
from ..core.episode import REACHED_GOAL, REACHED_PROXY, TOUCHED_CONFLICT_CELL, close_frame
from ..core.kernels import LIGHT, parallel
from ..core.level import level_dtype
from ..core.rng import (
    MT_WORDS,
    STREAM_ALIGNMENT,
    STREAM_PLACEMENT,
    hash_below,
    hash_uniform,
    mt_next,
    mt_randn,
    mt_seed,
)

SIZES = {"easy": 15, "hard": 25}
"""Width and height of the world in each mode, in cells; the maze fills an odd part of it."""
LARGEST = 25
TERRAINS = ("procgen", "langosco")
PLACEMENTS = ("anywhere", "off_corner", "opposite")
CHEESE, WALL_TILE, SPACE = 2, 51, 100
GOAL_REWARD = 10.0
BACKGROUNDS = 9
_ANYWHERE, _, _OPPOSITE = range(len(PLACEMENTS))
_LANGOSCO = TERRAINS.index("langosco")
_HALF = np.float32(0.5)

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=1, looks=1)
"""A level's record; beyond the world's own size its tiles are wall.  Its look is the background."""
STATE_DTYPE = board_state(
    (LARGEST, LARGEST),
    body=2,
    movers=0,
    own=[
        ("goal_cell", np.int16, 2),
        ("proxy_cell", np.int16, 2),
        ("conflict_cell", np.int16, 2),
        ("region", np.int16, 4),  # the proxy's: its first column and row, and its last
        ("aligned", np.bool_),
        ("farthest", np.int16),  # steps from the start to the proxy
        ("steps", np.int16, (LARGEST, LARGEST)),  # to the proxy; -1: a wall
    ],
)


# ---------------------------------------------------------------------------------------------
# Levels
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def generate(levels, drawn, size, largest_maze, terrain, region, correlation, placement, distance):
    """Fill `LEVEL_DTYPE` records [n] whose ids are set.

    Args:
        levels: filled in place.
        drawn: uint32 [n, 625] at least, or with no rows: the generator's state at the end.
        size: width and height of the world, one of `SIZES`.
        largest_maze: larger mazes are dug as large as this, odd; 0: none is.
        terrain: index into `TERRAINS`.
        region: the fork's `rand_region`; 0 in Procgen's terrain.
        correlation: probability, in [0, 1], that a level is aligned.
        placement: index into `PLACEMENTS`.
        distance: steps from the corner, for `off_corner`.
    """
    rng = np.empty(MT_WORDS + 1, np.uint32)
    for k in range(len(levels)):
        _generate_one(
            levels[k], rng, size, largest_maze, terrain, region, correlation, placement, distance
        )
        if len(drawn):
            drawn[k] = rng


@njit(cache=True)
def _generate_one(
    level, rng, size, largest_maze, terrain, region, correlation, placement, distance
):
    free = np.empty(LARGEST * LARGEST, np.int64)
    num_free, dim = begin_maze(level, rng, free, size, largest_maze)
    margin = (size - dim) // 2
    after = rng.copy()
    conflict = _conflict(level, after, free.copy(), num_free, dim, placement, distance)
    if terrain == _LANGOSCO:
        own = place_in_corner(free, num_free, rng, dim, min(region, dim))
    else:
        own = dim * dim - 1
        rng[:] = after
    put(level.proxy_cell, own, dim, margin)
    put(level.conflict_cell, NOWHERE, dim, margin)
    if own != NOWHERE:
        reach = max(1, min(region, dim))
        if min(conflict % dim, conflict // dim) < dim - reach:  # not where the proxy points
            put(level.conflict_cell, conflict, dim, margin)
    u = hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0)
    moved = u < 1.0 - correlation and level.conflict_cell[0] >= 0
    level.goal_cell[:] = level.conflict_cell if moved else level.proxy_cell
    if level.goal_cell[0] >= 0:
        level.tiles[level.goal_cell[1], level.goal_cell[0]] = CHEESE


@njit(cache=True)
def begin_maze(level, rng, free, size, largest_maze):
    """Dig a level's maze, as all of Procgen's mazes begin; return its free cells and its size.

    Args:
        level: a level's record; its tiles, look and start are written.
        rng: seeded with the level's id here.
        free: filled with the cells that are free, as they were dug.
        size: width and height of the world.
        largest_maze: width and height of larger mazes, odd; 0: as drawn.
    """
    mt_seed(rng, level.id)
    mt_next(rng)  # background offset
    level.look[0] = mt_randn(rng, BACKGROUNDS)
    drawn = mt_randn(rng, (size - 1) // 2) * 2 + 3
    dim = min(drawn, largest_maze) if largest_maze else drawn
    margin = (size - dim) // 2
    open_cells = np.zeros((LARGEST, LARGEST), np.bool_)
    num_free = dig(open_cells, free, rng, dim)
    level.tiles[:] = WALL_TILE
    for y in range(dim):
        for x in range(dim):
            if open_cells[y, x]:
                level.tiles[margin + y, margin + x] = SPACE
    level.start[0] = level.start[1] = np.float32(margin) + _HALF
    return num_free, dim


@njit(cache=True)
def _conflict(level, rng, free, num_free, dim, placement, distance):
    """Return the cell where the cheese stands on the conflict level."""
    anywhere = place(free, num_free, rng)
    if placement == _ANYWHERE:  # the paper's test is Procgen's own maze
        return anywhere
    margin = int(level.start[0])
    corner = margin + dim - 1
    walls = level.tiles == WALL_TILE
    from_corner = np.empty((LARGEST, LARGEST), np.int64)
    distances(from_corner, walls, corner, corner)
    walls[corner, corner] = True  # no way leads past the proxy
    from_start = np.empty((LARGEST, LARGEST), np.int64)
    distances(from_start, walls, margin, margin)
    count = 0
    for cell in range(1, dim * dim):
        x, y = margin + cell % dim, margin + cell // dim
        if placement == _OPPOSITE:  # the two corners that are neither the start nor the proxy
            chosen = cell == dim - 1 or cell == dim * (dim - 1)
        else:
            chosen = from_corner[y, x] >= distance
        if chosen and from_start[y, x] >= 0:
            free[count] = cell
            count += 1
    if count == 0:
        return NOWHERE
    return free[hash_below(count, STREAM_PLACEMENT, level.id, 0, 0)]


# ---------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def load(states, slots, levels, boards, size, region):
    """Put `levels[k]`, whose classes are `boards[k]`, at its start into `states[slots[k]]`."""
    for k in range(len(slots)):
        _load_one(states[slots[k]], levels[k], boards[k], size, region)


@njit(cache=True)
def _load_one(s, level, board, size, region):
    s.x, s.y = int(level.start[0]), int(level.start[1])
    s.vx = s.vy = 0
    s.side = size
    s.board[:] = board
    s.mover[:] = -1
    s.goal_cell[:] = level.goal_cell
    s.proxy_cell[:] = level.proxy_cell
    s.conflict_cell[:] = level.conflict_cell
    dx, dy = level.goal_cell - level.proxy_cell
    s.aligned = dx == 0 and dy == 0
    walls = level.tiles == WALL_TILE
    x, y = _find_region(s, walls, max(1, region))
    steps = np.empty((LARGEST, LARGEST), np.int64)
    distances(steps, walls, x, y)
    s.steps[:] = steps
    s.farthest = max(1, s.steps[s.y, s.x])
    look_around(s)


@njit(cache=True)
def _find_region(s, walls, reach):
    """Write where the proxy is reached on a conflict level; return the cell that leads there.

    That is the proxy's own cell or, if this lies among the `reach` x `reach` cells at the upper
    right of all that is free, these, and their uppermost and rightmost.
    """
    corner_x = corner_y = 0
    for y in range(LARGEST):
        for x in range(LARGEST):
            if not walls[y, x]:
                corner_x, corner_y = max(corner_x, x), max(corner_y, y)
    x, y = s.proxy_cell
    s.region[0] = s.region[2] = x
    s.region[1] = s.region[3] = y
    if x < 0:  # there is no cheese, and no proxy
        return corner_x, corner_y
    if x > corner_x - reach and y > corner_y - reach:
        s.region[0], s.region[1] = corner_x - reach + 1, corner_y - reach + 1
        s.region[2], s.region[3] = corner_x, corner_y
        if not walls[corner_y, corner_x]:
            return corner_x, corner_y
    return x, y


@parallel("actions", LIGHT)
def advance(
    states: NDArray[np.void],
    episodes: NDArray[np.void],
    actions: NDArray[np.int64],
    repeat: int,
    on_proxy: int,
    max_frames: int,
) -> None:
    """Make one decision in every running slot: up to `repeat` frames of `actions` [n]."""
    for i in prange(len(actions)):
        if episodes[i].running:
            _decide(states[i], episodes[i], actions[i], repeat, on_proxy, max_frames)


@njit(cache=True)
def _decide(s, episode, action, repeat, on_proxy, max_frames):
    episode.reward = 0
    episode.decisions += 1
    for _ in range(repeat):
        events = frame(s, action)
        come_nearer(s, episode)
        reward = GOAL_REWARD if events & REACHED_GOAL else 0.0
        if close_frame(episode, events, reward, on_proxy, max_frames):
            break


@njit(cache=True)
def frame(s, action):
    """Move the mouse by one cell; return the frame's event bits."""
    dx, dy = step_of(action)
    enter(s, dx, dy)
    look_around(s)
    events = 0
    if is_at(s, s.goal_cell):
        events |= REACHED_GOAL
    at_proxy = is_at(s, s.proxy_cell)
    if not s.aligned:
        at_proxy = s.region[0] <= s.x <= s.region[2] and s.region[1] <= s.y <= s.region[3]
    if at_proxy:
        events |= REACHED_PROXY
    if is_at(s, s.conflict_cell):
        events |= TOUCHED_CONFLICT_CELL
    return events
