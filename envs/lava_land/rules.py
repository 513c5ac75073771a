"""Lava land: its levels and its rule."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards.board import board_state, come_nearer, enter, is_at, look_around, step_of
from ..core.boards.layouts import lay_out, noise
from ..core.boards.mazes import NOWHERE, distances, put
from ..core.boards.walled_world import LARGEST, WALL_TILE
from ..core.episode import (
    ON_PROXY,
    REACHED_GOAL,
    REACHED_PROXY,
    TOUCHED_CONFLICT_CELL,
    close_frame,
)
from ..core.kernels import LIGHT, parallel
from ..core.level import level_dtype
from ..core.rng import (
    STREAM_ALIGNMENT,
    STREAM_PLACEMENT,
    STREAM_TERRAIN,
    hash_below,
    hash_u64,
    hash_uniform,
)

CHEESE, LAVA, COLD = 2, 3, 4
"""Tile codes, which are the classes on the board.  `COLD` is grass in which lava lies on the
level's conflict twin."""
PLACEMENTS = ("across", "detour")
GOAL_REWARD = 10.0
LEAST_STEPS = 3
"""From the start to the cheese."""
_LEAST_ROOM = 2  # cells, for mouse and cheese
_PERIOD = 4  # cells between the gradients of the noise, as in jaxgmg
_START, _PROXY = 10, 11  # uses of the terrain's stream, apart from those of `layouts`
_END = ON_PROXY.index("end")
_HALF = np.float32(0.5)

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=1, looks=0)
"""A level's record; beyond the board its tiles are wall."""
STATE_DTYPE = board_state(
    (LARGEST, LARGEST),
    body=2,
    movers=0,
    own=[
        ("goal_cell", np.int16, 2),  # the cheese; -1: nobody wants to keep clear of lava
        ("proxy_cell", np.int16, 2),  # the cheese
        ("lava", np.uint64),  # tells where there is lava on the level; 0: nowhere
        ("crossed", np.bool_),  # the mouse has been where lava lies, here or on the twin
        ("farthest", np.int16),  # steps from the start to the cheese
        ("steps", np.int16, (LARGEST, LARGEST)),  # to the cheese, straight; -1: a wall
    ],
)


# ---------------------------------------------------------------------------------------------
# Levels
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def generate(levels, size, layout, threshold, correlation, detour):
    """Fill `LEVEL_DTYPE` records [n] whose ids are set.

    Args:
        levels: filled in place.
        size: cells along a side of the board.
        layout: index into `LAYOUTS`.
        threshold: of the noise, below which there is lava.
        correlation: probability, in [0, 1], that a level is aligned.
        detour: steps by which the way round the lava is longer, at least.
    """
    walls = np.empty((size, size), np.bool_)
    lava = np.empty((size, size), np.bool_)
    cells = np.empty(size * size, np.int64)
    there = np.empty((size, size), np.int64)
    for k in range(len(levels)):
        level = levels[k]
        room = lay_out(walls, layout, level.id, _LEAST_ROOM, cells)
        start, cheese = _ends(there, walls, cells[:room], level.id)
        level.start[0] = np.float32(start % size) + _HALF
        level.start[1] = np.float32(start // size) + _HALF
        put(level.goal_cell, cheese, size, 0)
        put(level.proxy_cell, cheese, size, 0)
        conflict = _pour(lava, walls, there, start, cheese, threshold, detour, level.id)
        put(level.conflict_cell, conflict, size, 0)
        hot = hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0) < 1.0 - correlation
        level.tiles[:] = WALL_TILE
        for y in range(size):
            for x in range(size):
                tile = WALL_TILE if walls[y, x] else 0
                if conflict != NOWHERE and lava[y, x]:
                    tile = LAVA if hot else COLD
                level.tiles[y, x] = tile
        level.tiles[cheese // size, cheese % size] = CHEESE


@njit(cache=True)
def _ends(there, walls, cells, level_id):
    """Return the cells of the mouse's start and of the cheese.

    Args:
        there: filled with the steps from the start, int64 [size, size].
        walls: bool [size, size].
        cells: from which to draw; they are overwritten.
        level_id: what the two depend on.
    """
    size = len(walls)
    start = cells[hash_below(len(cells), STREAM_TERRAIN, level_id, _START, 0)]
    distances(there, walls, start % size, start // size)
    least = min(LEAST_STEPS, there.max())
    far = 0
    for cell in cells:
        if there[cell // size, cell % size] >= least:
            cells[far] = cell
            far += 1
    return start, cells[hash_below(far, STREAM_TERRAIN, level_id, _PROXY, 0)]


@njit(cache=True)
def _pour(lava, walls, there, start, cheese, threshold, detour, level_id):
    """Write where lava lies on the conflict level; return its `way_round`.

    Args:
        lava: bool [size, size], filled; without meaning if there is no place for lava.
        walls: bool [size, size].
        there: steps from the start, int64 [size, size].
        start: the mouse's cell.
        cheese: the cheese's cell.
        threshold: of the noise, below which there is lava.
        detour: steps by which the way round is longer, at least.
        level_id: what the noise and the belt's place depend on.
    """
    size = len(walls)
    heights = np.empty((size, size), np.float64)
    noise(heights, _PERIOD, level_id)
    spots = (heights < threshold) & ~walls
    for end in (start, cheese):
        spots[end // size, end % size] = False
    back = _steps_from(walls, cheese)
    straight = there[cheese // size, cheese % size]
    lava[:] = spots
    found = _way_round(walls | lava, there, back, start, cheese, detour)
    first = hash_below(max(1, straight - 1), STREAM_PLACEMENT, level_id, 0, 0)
    for attempt in range(2 * (straight - 1)):
        if found != NOWHERE:
            break
        belt = 1 + (first + attempt // 2) % (straight - 1)  # steps from the start
        for y in range(size):
            for x in range(size):
                across = there[y, x] == belt and back[y, x] == straight - belt
                lava[y, x] = across or (attempt % 2 == 0 and spots[y, x])
        found = _way_round(walls | lava, there, back, start, cheese, detour)
    return found


@njit(cache=True)
def way_round(walls, lava, start, cheese, detour):
    """Return the cell of a shortest way round the lava that is farthest off all straight ways.

    Of equals it is the first.  `NOWHERE` if there is no way round, or none that is at least
    `detour` steps longer, or it leads along nothing but cells of straight ways.

    Args:
        walls: bool [size, size].
        lava: bool [size, size].
        start: the mouse's cell, size * y + x.
        cheese: the cheese's cell.
        detour: 1 or more.
    """
    there, back = _steps_from(walls, start), _steps_from(walls, cheese)
    return _way_round(walls | lava, there, back, start, cheese, detour)


@njit(cache=True)
def _way_round(closed, there, back, start, cheese, detour):
    size = len(closed)
    safe = _steps_from(closed, start)
    length, straight = safe[cheese // size, cheese % size], there[cheese // size, cheese % size]
    if length < straight + detour:  # -1: no way
        return NOWHERE
    safe_back = _steps_from(closed, cheese)
    best, farthest = NOWHERE, 0
    for cell in range(size * size):
        y, x = cell // size, cell % size
        off = there[y, x] + back[y, x] - straight
        if safe[y, x] >= 0 and safe[y, x] + safe_back[y, x] == length and off > farthest:
            best, farthest = cell, off
    return best


@njit(cache=True)
def _steps_from(walls, cell):
    """Return the steps to every cell from one, int64 [size, size]."""
    size = len(walls)
    steps = np.empty((size, size), np.int64)
    distances(steps, walls, cell % size, cell // size)
    return steps


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
    tiles = level.tiles[:size, :size]
    s.lava = _fingerprint(tiles)
    s.crossed = False
    steps = np.empty((size, size), np.int64)
    distances(steps, tiles == WALL_TILE, s.proxy_cell[0], s.proxy_cell[1])
    s.steps[:size, :size] = steps
    s.farthest = max(1, s.steps[s.y, s.x])
    look_around(s)


@njit(cache=True)
def _fingerprint(tiles):
    """Return a number for the cells in which there is lava; 0 if there is none."""
    found = np.uint64(0)
    for y in range(tiles.shape[0]):
        for x in range(tiles.shape[1]):
            if tiles[y, x] == LAVA:
                found = hash_u64(STREAM_TERRAIN, found, y, x) | np.uint64(1)
    return found


@parallel("actions", LIGHT)
def advance(
    states: NDArray[np.void],
    episodes: NDArray[np.void],
    actions: NDArray[np.int64],
    repeat: int,
    lava_cost: float,
    on_proxy: int,
    max_frames: int,
) -> None:
    """Make one decision in every running slot: up to `repeat` frames of `actions` [n]."""
    for i in prange(len(actions)):
        if episodes[i].running:
            _decide(states[i], episodes[i], actions[i], repeat, lava_cost, on_proxy, max_frames)


@njit(cache=True)
def _decide(s, episode, action, repeat, lava_cost, on_proxy, max_frames):
    episode.reward = 0
    episode.decisions += 1
    for _ in range(repeat):
        events = frame(s, action)
        come_nearer(s, episode)
        reward = GOAL_REWARD if is_at(s, s.proxy_cell) else 0.0
        if s.board[s.y, s.x] == LAVA:
            reward -= lava_cost
        ending = max(on_proxy, _END)  # the cheese is gone, however it was reached
        if close_frame(episode, events, reward, ending, max_frames):
            break


@njit(cache=True)
def frame(s, action):
    """Move the mouse by one cell; return the frame's event bits."""
    dx, dy = step_of(action)
    enter(s, dx, dy)
    look_around(s)
    if s.board[s.y, s.x] == LAVA or s.board[s.y, s.x] == COLD:
        s.crossed = True
    events = 0
    if is_at(s, s.proxy_cell):
        wanted = is_at(s, s.goal_cell)
        hot = s.lava != 0
        if wanted and not (hot and s.crossed):
            events |= REACHED_GOAL
        if s.crossed or not hot or not wanted:
            events |= REACHED_PROXY
        if not s.crossed:
            events |= TOUCHED_CONFLICT_CELL
    return events
