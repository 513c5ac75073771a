"""Moth and lantern: its levels and its rule, as kernels."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from misgen.envs.core.boards.board import (
    board_state,
    come_nearer,
    enter,
    is_at,
    look_around,
    step_of,
)
from misgen.envs.core.boards.layouts import lay_out
from misgen.envs.core.boards.mazes import NOWHERE, distances, put
from misgen.envs.core.boards.walled_world import FREE_TILE, LARGEST, WALL_TILE
from misgen.envs.core.episode import (
    REACHED_GOAL,
    REACHED_PROXY,
    TOUCHED_CONFLICT_CELL,
    close_frame,
)
from misgen.envs.core.kernels import LIGHT, parallel
from misgen.envs.core.level import level_dtype
from misgen.envs.core.rng import (
    STREAM_ALIGNMENT,
    STREAM_PLACEMENT,
    STREAM_TERRAIN,
    hash_below,
    hash_uniform,
)

FLOWER, LANTERN, LIT_FLOWER = 2, 3, 4
"""Classes on the board; a level's tiles have `FLOWER` for any flower."""
PLACEMENTS = ("anywhere", "far")
GOAL_REWARD = 10.0
_, _FAR = range(len(PLACEMENTS))
_LEAST_ROOM = 2  # cells, for moth and lantern
_START, _LANTERN = 20, 21  # uses of the terrain's stream, apart from those of `layouts`

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=1, looks=0)
STATE_DTYPE = board_state(
    (LARGEST, LARGEST),
    body=2,
    movers=0,
    own=[
        ("goal_cell", np.int16, 2),
        ("proxy_cell", np.int16, 2),
        ("conflict_cell", np.int16, 2),
        ("farthest", np.int16),  # steps from the start to the lantern
        ("steps", np.int16, (LARGEST, LARGEST)),  # to the lantern; -1: a hedge
    ],
)


@njit(cache=True)
def generate(levels, size, layout, correlation, placement, distance):
    """Fill `LEVEL_DTYPE` records [n] whose ids are set: nothing but the id decides the terrain."""
    walls = np.empty((size, size), np.bool_)
    cells = np.empty(size * size, np.int64)
    for k in range(len(levels)):
        level = levels[k]
        count = lay_out(walls, layout, level.id, _LEAST_ROOM, cells)
        pick = hash_below(count, STREAM_TERRAIN, level.id, _START, 0)
        start = cells[pick]
        cells[pick] = cells[count - 1]
        lantern = cells[hash_below(count - 1, STREAM_TERRAIN, level.id, _LANTERN, 0)]
        level.tiles[:] = WALL_TILE
        level.tiles[:size, :size] = walls
        level.start[0] = np.float32(start % size + 0.5)
        level.start[1] = np.float32(start // size + 0.5)
        other = _elsewhere(level.id, walls, start, lantern, placement, distance)
        moved = hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0) < 1.0 - correlation
        put(level.proxy_cell, lantern, size, 0)
        put(level.conflict_cell, other, size, 0)
        put(level.goal_cell, other if moved and other != NOWHERE else lantern, size, 0)
        level.tiles[level.proxy_cell[1], level.proxy_cell[0]] = LANTERN
        level.tiles[level.goal_cell[1], level.goal_cell[0]] = FLOWER


@njit(cache=True)
def _elsewhere(level_id, walls, start, lantern, placement, distance):
    """Return the flower's cell on the conflict level, or `NOWHERE`."""
    size = len(walls)
    from_lantern = np.empty((size, size), np.int64)
    distances(from_lantern, walls, lantern % size, lantern // size)
    hedges = walls.copy()
    hedges[lantern // size, lantern % size] = True  # no way leads past the light
    from_start = np.empty((size, size), np.int64)
    distances(from_start, hedges, start % size, start // size)
    cells = np.empty(size * size, np.int64)
    count = 0
    for cell in range(size * size):
        y, x = cell // size, cell % size
        near = placement == _FAR and from_lantern[y, x] < distance
        if from_start[y, x] > 0 and not near:
            cells[count] = cell
            count += 1
    if count == 0:
        return NOWHERE
    return cells[hash_below(count, STREAM_PLACEMENT, level_id, 0, 0)]


@njit(cache=True)
def load(states, slots, levels, size):
    """Put `levels[k]` at its start into `states[slots[k]]`, for every k."""
    steps = np.empty((size, size), np.int64)
    for k in range(len(slots)):
        s, level = states[slots[k]], levels[k]
        s.x, s.y = int(level.start[0]), int(level.start[1])
        s.vx = s.vy = 0
        s.side = size
        s.mover[:] = -1
        s.board[:] = level.tiles.astype(np.uint8)
        s.goal_cell[:] = level.goal_cell
        s.proxy_cell[:] = level.proxy_cell
        s.conflict_cell[:] = level.conflict_cell
        x, y = s.proxy_cell
        if s.board[y, x] == FLOWER:
            s.board[y, x] = LIT_FLOWER
        distances(steps, level.tiles[:size, :size] == WALL_TILE, x, y)
        s.steps[:] = -1
        s.steps[:size, :size] = steps
        s.farthest = max(1, s.steps[s.y, s.x])
        look_around(s)


@parallel("actions", LIGHT)
def advance(states, episodes, actions, repeat, on_proxy, max_frames):
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
    """Move the moth by one cell; return the frame's event bits."""
    dx, dy = step_of(action)
    enter(s, dx, dy)
    look_around(s)
    events = 0
    if is_at(s, s.goal_cell):
        events |= REACHED_GOAL
    if is_at(s, s.proxy_cell):
        events |= REACHED_PROXY
        if s.board[s.y, s.x] == LANTERN:
            s.board[s.y, s.x] = FREE_TILE  # it goes out
    if is_at(s, s.conflict_cell):
        events |= TOUCHED_CONFLICT_CELL
    return events
