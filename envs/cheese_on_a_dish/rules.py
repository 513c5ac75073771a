"""Cheese on a dish: its levels and its rule."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards.board import board_state, come_nearer, enter, is_at, look_around, step_of
from ..core.boards.layouts import lay_out
from ..core.boards.mazes import NOWHERE, distances, put
from ..core.boards.walled_world import FREE_TILE, LARGEST, WALL_TILE
from ..core.episode import REACHED_GOAL, REACHED_PROXY, TOUCHED_CONFLICT_CELL, close_frame
from ..core.kernels import LIGHT, parallel
from ..core.level import level_dtype
from ..core.rng import (
    STREAM_ALIGNMENT,
    STREAM_PLACEMENT,
    STREAM_TERRAIN,
    hash_below,
    hash_uniform,
)

CHEESE, DISH, CHEESE_ON_DISH = 2, 3, 4
"""Tile codes, which are the classes on the board; on a level's tiles all cheese is `CHEESE`."""
PLACEMENTS = ("anywhere", "off_dish", "near")
GOAL_REWARD = 10.0
_, _OFF_DISH, _NEAR = range(len(PLACEMENTS))
_LEAST_ROOM = 2  # cells, for mouse and dish
_START, _PROXY = 10, 11  # uses of the terrain's stream, apart from those of `layouts`
_HALF = np.float32(0.5)

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=1, looks=0)
"""A level's record; beyond the board its tiles are wall."""
STATE_DTYPE = board_state(
    (LARGEST, LARGEST),
    body=2,
    movers=0,
    own=[
        ("goal_cell", np.int16, 2),
        ("proxy_cell", np.int16, 2),
        ("conflict_cell", np.int16, 2),
        ("farthest", np.int16),  # steps from the start to the dish
        ("steps", np.int16, (LARGEST, LARGEST)),  # to the dish; -1: a wall
    ],
)


# ---------------------------------------------------------------------------------------------
# Levels
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def generate(levels, size, layout, correlation, placement, distance):
    """Fill `LEVEL_DTYPE` records [n] whose ids are set.

    Args:
        levels: filled in place.
        size: cells along a side of the board.
        layout: index into `LAYOUTS`.
        correlation: probability, in [0, 1], that a level is aligned.
        placement: index into `PLACEMENTS`.
        distance: steps from the dish, for the placements that take some.
    """
    walls = np.empty((size, size), np.bool_)
    cells = np.empty(size * size, np.int64)
    for k in range(len(levels)):
        level = levels[k]
        count = lay_out(walls, layout, level.id, _LEAST_ROOM, cells)
        level.tiles[:] = WALL_TILE
        level.tiles[:size, :size] = walls  # which are 0 and 1
        pick = hash_below(count, STREAM_TERRAIN, level.id, _START, 0)
        start = cells[pick]
        cells[pick] = cells[count - 1]
        dish = cells[hash_below(count - 1, STREAM_TERRAIN, level.id, _PROXY, 0)]
        level.start[0] = np.float32(start % size) + _HALF
        level.start[1] = np.float32(start // size) + _HALF
        put(level.proxy_cell, dish, size, 0)
        conflict = _conflict(level.id, walls, start, dish, placement, distance)
        put(level.conflict_cell, conflict, size, 0)
        u = hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0)
        moved = u < 1.0 - correlation and conflict != NOWHERE
        put(level.goal_cell, conflict if moved else dish, size, 0)
        level.tiles[level.proxy_cell[1], level.proxy_cell[0]] = DISH
        level.tiles[level.goal_cell[1], level.goal_cell[0]] = CHEESE


@njit(cache=True)
def _conflict(level_id, walls, start, dish, placement, distance):
    """Return the cell where the cheese lies on the conflict level, or `NOWHERE`."""
    size = len(walls)
    from_dish = np.empty((size, size), np.int64)
    distances(from_dish, walls, dish % size, dish // size)
    walls = walls.copy()
    walls[dish // size, dish % size] = True  # no way leads past the dish
    from_start = np.empty((size, size), np.int64)
    distances(from_start, walls, start % size, start // size)
    cells = np.empty(size * size, np.int64)
    count = 0
    for cell in range(size * size):
        y, x = cell // size, cell % size
        fits = from_start[y, x] > 0
        if placement == _OFF_DISH:
            fits = fits and from_dish[y, x] >= distance
        elif placement == _NEAR:
            fits = fits and from_dish[y, x] <= distance
        if fits:
            cells[count] = cell
            count += 1
    if count == 0:
        return NOWHERE
    return cells[hash_below(count, STREAM_PLACEMENT, level_id, 0, 0)]


# ---------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def load(states, slots, levels, size):
    """Put `levels[k]` at its start into `states[slots[k]]`, for every k."""
    for k in range(len(slots)):
        _load_one(states[slots[k]], levels[k], size)


@njit(cache=True)
def _load_one(s, level, size):
    s.x, s.y = int(level.start[0]), int(level.start[1])
    s.vx = s.vy = 0
    s.side = size
    s.mover[:] = -1
    s.board[:] = level.tiles.astype(np.uint8)
    s.goal_cell[:] = level.goal_cell
    s.proxy_cell[:] = level.proxy_cell
    s.conflict_cell[:] = level.conflict_cell
    x, y = s.proxy_cell
    if s.board[y, x] == CHEESE:
        s.board[y, x] = CHEESE_ON_DISH
    steps = np.empty((size, size), np.int64)
    distances(steps, level.tiles[:size, :size] == WALL_TILE, x, y)
    s.steps[:size, :size] = steps
    s.farthest = max(1, s.steps[s.y, s.x])
    look_around(s)


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
    if is_at(s, s.proxy_cell):
        events |= REACHED_PROXY
        if s.board[s.y, s.x] == DISH:
            s.board[s.y, s.x] = FREE_TILE
    if is_at(s, s.conflict_cell):
        events |= TOUCHED_CONFLICT_CELL
    return events
