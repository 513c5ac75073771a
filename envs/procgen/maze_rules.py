"""Maze by our own rules: its levels, bit for bit Procgen's, and how the mouse moves.

Source: `procgen/src/mazegen.cpp` and `procgen/src/games/maze.cpp` of
https://github.com/openai/procgen.  Where the cheese stands is decided here: in the corner of the
maze at the upper right (aligned), or on any other free cell (in conflict).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..core.episode import REACHED_GOAL, REACHED_PROXY, TOUCHED_CONFLICT_CELL, close_frame
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
GOAL, WALL, SPACE = 2, 51, 100
GOAL_REWARD = 10.0
BACKGROUNDS = 9
_HALF = np.float32(0.5)

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=1, looks=1)
"""A level's record; beyond the world's own size its tiles are wall.  Its look is the background."""
STATE_DTYPE = np.dtype(
    [
        ("x", np.int16),  # the mouse's cell
        ("y", np.int16),
        ("farthest", np.int16),  # steps from the start to the proxy
        ("goal_cell", np.int16, 2),
        ("proxy_cell", np.int16, 2),
        ("conflict_cell", np.int16, 2),
        ("distance", np.int16, (LARGEST, LARGEST)),  # steps to the proxy, -1: wall
    ],
    align=True,
)
"""A slot."""


@njit(cache=True)
def generate(levels: NDArray[np.void], size: int, correlation: float) -> None:
    """Fill `LEVEL_DTYPE` records [n] whose ids are set.

    Args:
        levels: filled in place.
        size: width and height of the world, one of `SIZES`.
        correlation: probability, in [0, 1], that a level is aligned.
    """
    rng = np.empty(MT_WORDS + 1, np.uint32)
    for k in range(len(levels)):
        _generate_one(levels[k], rng, size, correlation)


@njit(cache=True)
def _generate_one(level, rng, size, correlation):
    mt_seed(rng, level.id)
    mt_next(rng)  # background offset
    level.look[0] = mt_randn(rng, BACKGROUNDS)
    dim = mt_randn(rng, (size - 1) // 2) * 2 + 3
    margin = (size - dim) // 2
    for y in range(LARGEST):
        for x in range(LARGEST):
            level.tiles[y, x] = WALL
    _dig(level.tiles, rng, dim, margin)
    level.start[0] = level.start[1] = np.float32(margin) + _HALF
    end = margin + dim - 1
    level.proxy_cell[0] = level.proxy_cell[1] = end
    conflict_x, conflict_y = _anywhere(level, margin, end)
    level.conflict_cell[0], level.conflict_cell[1] = conflict_x, conflict_y
    aligned = hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0) >= 1.0 - correlation
    level.goal_cell[:] = level.proxy_cell if aligned else level.conflict_cell
    level.tiles[level.goal_cell[1], level.goal_cell[0]] = GOAL


@njit(cache=True)
def _dig(tiles, rng, dim, margin):
    """Dig a spanning tree of passages between the cells of even coordinates (Kruskal)."""
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
    while count > 0:
        n = mt_randn(rng, count)
        x1, y1, x2, y2 = walls[n]
        walls[n : count - 1] = walls[n + 1 : count].copy()
        count -= 1
        one, other = part[dim * y1 + x1], part[dim * y2 + x2]
        if one != other:
            part[part == one] = other
            for x, y in ((x1, y1), ((x1 + x2) // 2, (y1 + y2) // 2), (x2, y2)):
                tiles[margin + y, margin + x] = SPACE


@njit(cache=True)
def _anywhere(level, start, end):
    """Return a free cell, uniformly, that is neither the start nor the upper right corner."""
    cells = np.empty((LARGEST * LARGEST, 2), np.int64)
    count = 0
    for y in range(start, end + 1):
        for x in range(start, end + 1):
            corner = x == y and (x == start or x == end)
            if level.tiles[y, x] == SPACE and not corner:
                cells[count, 0], cells[count, 1] = x, y
                count += 1
    pick = hash_below(count, STREAM_PLACEMENT, level.id, 0, 0)
    return cells[pick, 0], cells[pick, 1]


@njit(cache=True)
def load(states: NDArray[np.void], slots: NDArray[np.int64], levels: NDArray[np.void]) -> None:
    """Put `levels[k]` at its start into `states[slots[k]]`, for every k."""
    for k in range(len(slots)):
        _load_one(states[slots[k]], levels[k])


@njit(cache=True)
def _load_one(s, level):
    s.x, s.y = int(level.start[0]), int(level.start[1])
    for axis in range(2):
        s.goal_cell[axis] = level.goal_cell[axis]
        s.proxy_cell[axis] = level.proxy_cell[axis]
        s.conflict_cell[axis] = level.conflict_cell[axis]
    _measure(s.distance, level.tiles, level.proxy_cell)
    s.farthest = s.distance[s.y, s.x]


@njit(cache=True)
def _measure(distance, tiles, target):
    """Write the steps from every cell to `target`; -1 where there is a wall, or no way."""
    distance[:] = -1
    queue = np.empty((LARGEST * LARGEST, 2), np.int64)
    queue[0, 0], queue[0, 1] = target[0], target[1]
    distance[target[1], target[0]] = 0
    first, last = 0, 1
    while first < last:
        x, y = queue[first]
        first += 1
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            nx, ny = x + dx, y + dy
            inside = 0 <= nx < LARGEST and 0 <= ny < LARGEST
            if inside and tiles[ny, nx] != WALL and distance[ny, nx] < 0:
                distance[ny, nx] = distance[y, x] + 1
                queue[last, 0], queue[last, 1] = nx, ny
                last += 1


@njit(cache=True)
def advance(
    states: NDArray[np.void],
    episodes: NDArray[np.void],
    actions: NDArray[np.int64],
    repeat: int,
    on_proxy: int,
    max_frames: int,
) -> None:
    """Make one decision in every running slot: up to `repeat` frames of `actions` [n]."""
    for i in range(len(actions)):
        if episodes[i].running:
            _decide(states[i], episodes[i], actions[i], repeat, on_proxy, max_frames)


@njit(cache=True)
def _decide(s, episode, action, repeat, on_proxy, max_frames):
    episode.reward = 0
    episode.decisions += 1
    for _ in range(repeat):
        events = frame(s, action)
        way = np.float32(1) - np.float32(s.distance[s.y, s.x]) / np.float32(s.farthest)
        episode.progress = max(episode.progress, way)
        reward = GOAL_REWARD if events & REACHED_GOAL else 0.0
        if close_frame(episode, events, reward, on_proxy, max_frames):
            break


@njit(cache=True)
def frame(s, action):
    """Move the mouse by one cell, sideways before up and down; return the frame's event bits."""
    ax, ay = (action // 3 - 1, action % 3 - 1) if action < 9 else (0, 0)
    if ax != 0:
        ay = 0
    x, y = s.x + ax, s.y + ay
    if 0 <= x < LARGEST and 0 <= y < LARGEST and s.distance[y, x] >= 0:
        s.x, s.y = x, y
    events = 0
    if s.x == s.goal_cell[0] and s.y == s.goal_cell[1]:
        events |= REACHED_GOAL
    if s.x == s.proxy_cell[0] and s.y == s.proxy_cell[1]:
        events |= REACHED_PROXY
    if s.x == s.conflict_cell[0] and s.y == s.conflict_cell[1]:
        events |= TOUCHED_CONFLICT_CELL
    return events
