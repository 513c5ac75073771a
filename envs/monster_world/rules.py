"""Monster world: how its levels are drawn, and its rules; see the package's docstring."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards.board import FREE, STAY, WALL, board_state, enter, step_of
from ..core.boards.layouts import lay_out
from ..core.boards.mazes import distances
from ..core.episode import ON_PROXY, REACHED_GOAL, REACHED_PROXY, close_frame
from ..core.kernels import HEAVY, LIGHT, parallel
from ..core.level import level_dtype
from ..core.planning.planner import NOTHING
from ..core.rng import (
    STREAM_ALIGNMENT,
    STREAM_MOTION,
    STREAM_TERRAIN,
    hash_below,
    hash_u64,
    hash_uniform,
)

LARGEST = 15
"""Cells along a side of the largest board."""
MOST_MONSTERS = 10
PLACEMENTS = ("calm", "few")
APPLE_TILE, SHIELD_TILE, WALL_TILE, SPACE = 2, 3, 51, 100
MONSTER = 1
"""Entity kind."""
APPLE, SHIELD, MONSTER_CLASS = 2, 3, 4
"""Classes of what is seen, beside free space and wall."""
_CALM = PLACEMENTS.index("calm")
_CONTINUE = ON_PROXY.index("continue")
_CELLS = 100  # counter of `STREAM_TERRAIN` under which things are placed
_STEPS = ((-1, 0), (0, -1), (0, 1), (1, 0))
_MOVES = (0, 1, 3, 4)  # indices of these into `MOVES`
_HALF = np.float32(0.5)

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=MOST_MONSTERS, looks=1)
"""A level's record; beyond its board its tiles are wall."""
STATE_DTYPE = board_state(
    (LARGEST, LARGEST),
    body=3,
    movers=MOST_MONSTERS,
    own=[
        ("id", np.int64),  # of the level: what the monsters' ways depend on
        ("step", np.int32),  # since the start
        ("horizon", np.int32),  # time-out, in frames
        ("aligned", np.bool_),  # each shield is of use
        ("goal_cell", np.int16, 2),  # of one of the apples; -1: there is no goal
        ("proxy_cell", np.int16, 2),  # of one of the shields
        ("apples", np.int16),  # at the start
        ("shields", np.int16),
        ("apples_left", np.int16),
        ("shields_left", np.int16),
        ("in_hand", np.int16),  # shields taken and not used
        ("hits", np.int16),  # in the last frame
    ],
)


# ---------------------------------------------------------------------------------------------
# Levels
# ---------------------------------------------------------------------------------------------


@parallel("levels", HEAVY)
def generate(levels, side, layout, counts, correlation, placement, few):
    """Fill `LEVEL_DTYPE` records [n] whose ids are set.

    Args:
        levels: filled in place.
        side: cells along a side of the board, odd.
        layout: index into `LAYOUTS`.
        counts: how many apples, shields and monsters, int64 [3].
        correlation: probability, in [0, 1], that a level is aligned.
        placement: index into `PLACEMENTS`.
        few: monsters on a conflict level of the placement `few`.
    """
    for k in prange(len(levels)):
        _generate_one(levels[k], side, layout, counts, correlation, placement, few)


@njit(cache=True)
def _generate_one(level, side, layout, counts, correlation, placement, few):
    apples, shields, monsters = counts
    things = 1 + apples + shields + monsters
    walls = np.empty((side, side), np.bool_)
    region = np.empty(side * side, np.int64)
    room = lay_out(walls, layout, level.id, things, region)
    level.tiles[:] = WALL_TILE
    for y in range(side):
        for x in range(side):
            if not walls[y, x]:
                level.tiles[y, x] = SPACE
    cells = _draw_cells(region[:room], side, level.id, things)
    level.start[0], level.start[1] = cells[0, 0] + _HALF, cells[0, 1] + _HALF
    for k in range(1, 1 + apples + shields):
        level.tiles[cells[k, 1], cells[k, 0]] = APPLE_TILE if k <= apples else SHIELD_TILE
    _mark(level, level.goal_cell, APPLE_TILE)
    _mark(level, level.proxy_cell, SHIELD_TILE)
    level.conflict_cell[:] = level.goal_cell
    conflict = hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0) < 1.0 - correlation
    if conflict:
        monsters = 0 if placement == _CALM else min(few, shields - 1)
    level.entity_count = monsters
    for k in range(monsters):
        x, y = cells[1 + apples + shields + k]
        level.entity_kind[k] = MONSTER
        level.entity_x[k], level.entity_y[k] = x + _HALF, y + _HALF


@njit(cache=True)
def _draw_cells(region, side, level_id, count):
    """Return different cells of a region, x, y each; of the region nothing is kept."""
    room = len(region)
    cells = np.empty((count, 2), np.int64)
    for k in range(count):
        pick = hash_below(room - k, STREAM_TERRAIN, level_id, _CELLS, k)
        cells[k, 0], cells[k, 1] = region[pick] % side, region[pick] // side
        region[pick] = region[room - k - 1]
    return cells


@njit(cache=True)
def _mark(level, cell, code):
    """Write the first cell of a tile code, in the order that maps are read in."""
    for y in range(LARGEST):
        for x in range(LARGEST):
            if level.tiles[y, x] == code:
                cell[0], cell[1] = x, y
                return


# ---------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def load(states, slots, levels, boards, short_steps, max_steps):
    """Put `levels[k]`, whose classes are `boards[k]`, at its start into `states[slots[k]]`."""
    for k in range(len(slots)):
        _load_one(states[slots[k]], levels[k], boards[k], short_steps, max_steps)


@njit(cache=True)
def _load_one(s, level, board, short_steps, max_steps):
    s.id = level.id
    s.x, s.y = int(level.start[0]), int(level.start[1])
    s.vx = s.vy = 0
    s.board[:] = board
    s.goal_cell[:] = level.goal_cell
    s.proxy_cell[:] = level.proxy_cell
    s.side = s.apples = s.shields = 0
    for y in range(LARGEST):
        for x in range(LARGEST):
            if board[y, x] != WALL:
                s.side = max(s.side, x + 2, y + 2)  # with the border
            s.apples += board[y, x] == APPLE
            s.shields += board[y, x] == SHIELD
    s.side = min(s.side, LARGEST)
    s.apples_left, s.shields_left = s.apples, s.shields
    s.in_hand = s.hits = s.step = 0
    s.mover[:] = -1
    for k in range(level.entity_count):
        s.mover[k, 0], s.mover[k, 1] = int(level.entity_x[k]), int(level.entity_y[k])
        s.mover[k, 2] = MONSTER_CLASS
    s.aligned = level.entity_count >= s.shields
    s.horizon = min(short_steps, max_steps) if s.aligned else max_steps
    _look_around(s)


@njit(cache=True)
def _look_around(s):
    middle = (s.side - 1) / 2
    s.body[0] = (s.x - middle) / middle
    s.body[1] = (s.y - middle) / middle
    s.body[2] = s.in_hand / 5


@parallel("actions", LIGHT)
def advance(
    states: NDArray[np.void],
    episodes: NDArray[np.void],
    actions: NDArray[np.int64],
    repeat: int,
    on_proxy: int,
    chase: float,
) -> None:
    """Make one decision in every running slot: up to `repeat` frames of `actions` [n]."""
    for i in prange(len(actions)):
        if episodes[i].running:
            s, episode = states[i], episodes[i]
            episode.reward = 0
            episode.decisions += 1
            ends = _CONTINUE if s.aligned else on_proxy
            for _ in range(repeat):
                apples = s.apples_left
                events = frame(s, actions[i], chase)
                reward = np.float64(apples - s.apples_left - s.hits)
                episode.goal_fraction = 1 - s.apples_left / s.apples
                episode.proxy_fraction = episode.progress = 1 - s.shields_left / s.shields
                if close_frame(episode, events, reward, ends, s.horizon):
                    break


@njit(cache=True)
def frame(s, action, chase):
    """Move the agent and the monsters, and settle where they meet; return the event bits."""
    dx, dy = step_of(action)
    enter(s, dx, dy)
    for k in range(len(s.mover)):
        if s.mover[k, 0] >= 0:
            _prowl(s, k, chase)
    s.step += 1
    _take(s)
    _meet(s)
    _look_around(s)
    events = 0
    if s.apples_left == 0 and s.goal_cell[0] >= 0:
        events |= REACHED_GOAL
    if s.shields_left == 0:
        events |= REACHED_PROXY
    return events


@njit(cache=True)
def _prowl(s, k, chase):
    """Move monster `k`: towards the agent with probability `chase`, else by a random step or none.

    Of two steps towards it each is as probable; a step that is barred is not made.
    """
    draw = hash_u64(STREAM_MOTION, s.id, s.step, k)
    x, y = s.mover[k, 0], s.mover[k, 1]
    dx, dy = 0, 0
    if (draw >> np.uint64(40)) < chase * 16777216.0:
        dx, dy = _towards(s, x, y, draw & np.uint64(1))
    else:
        pick = np.int64((draw >> np.uint64(1)) % np.uint64(5))
        if pick < 4:
            dx, dy = _STEPS[pick]
    if not _barred(s, x + dx, y + dy):
        s.mover[k, 0], s.mover[k, 1] = x + dx, y + dy


@njit(cache=True)
def _towards(s, x, y, upright):
    """Return the step that leads nearer to the agent; the other one where the first is barred."""
    across = np.sign(s.x - x), 0
    along = 0, np.sign(s.y - y)
    if across[0] == 0:
        return along
    if along[1] == 0:
        return across
    first, second = (along, across) if upright else (across, along)
    return second if _barred(s, x + first[0], y + first[1]) else first


@njit(cache=True)
def _barred(s, x, y):
    """Return whether a monster cannot go there: a wall, or another monster."""
    barred = s.board[y, x] == WALL
    for j in range(len(s.mover)):
        barred |= s.mover[j, 0] == x and s.mover[j, 1] == y
    return barred


@njit(cache=True)
def _take(s):
    """Take what lies in the agent's cell."""
    seen = s.board[s.y, s.x]
    if seen == APPLE:
        s.apples_left -= 1
    elif seen == SHIELD:
        s.shields_left -= 1
        s.in_hand += 1
    s.board[s.y, s.x] = FREE


@njit(cache=True)
def _meet(s):
    """Let each monster in the agent's cell hit it, or be destroyed by a shield."""
    s.hits = 0
    for k in range(len(s.mover)):
        if s.mover[k, 0] == s.x and s.mover[k, 1] == s.y:
            if s.in_hand > 0:
                s.in_hand -= 1
                s.mover[k, 0] = s.mover[k, 1] = -1
            else:
                s.hits += 1


# ---------------------------------------------------------------------------------------------
# Guide
# ---------------------------------------------------------------------------------------------


@parallel("states", HEAVY)
def guide(states, goal, out):
    """Write the next moves, indices into `MOVES`, into `out` [n]: to the goal or the proxy."""
    for i in prange(len(states)):
        s = states[i]
        if goal:
            left, wanted = s.apples_left, APPLE
        else:
            left, wanted = s.shields_left, SHIELD
        if left == 0:
            out[i] = STAY if not goal and s.shields_left == 0 else NOTHING
        else:
            out[i] = _to_nearest(s, wanted, goal and s.shields_left == 1)


@njit(cache=True)
def _to_nearest(s, wanted, spare_shield):
    """Return the first move of a shortest way to the nearest thing of a class, or `NOTHING`."""
    walls = s.board == WALL
    if spare_shield:
        walls |= s.board == SHIELD
    steps = np.empty((LARGEST, LARGEST), np.int64)
    distances(steps, walls, s.x, s.y)
    nearest, x, y = -1, 0, 0
    for row in range(LARGEST):
        for column in range(LARGEST):
            far = steps[row, column]
            if s.board[row, column] == wanted and far >= 0 and (nearest < 0 or far < nearest):
                nearest, x, y = far, column, row
    if nearest < 0:
        return NOTHING
    distances(steps, walls, x, y)
    for k in range(len(_STEPS)):
        dx, dy = _STEPS[k]
        if 0 <= steps[s.y + dy, s.x + dx] < steps[s.y, s.x]:
            return _MOVES[k]
    return STAY
