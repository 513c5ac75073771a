"""Tree gridworld's levels and its rule.

Source: Shah et al. 2022 (arXiv 2210.01790), the tree gridworld and its regrowth; no program of
theirs is published.

Public names: `generate`, `load`, `advance`, `frame`, `approach`, `nearest`, and the constants.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards.board import FREE, STAY, WALL, board_state, enter, step_of
from ..core.episode import REACHED_GOAL, REACHED_PROXY, close_frame
from ..core.kernels import LIGHT, parallel
from ..core.level import level_dtype
from ..core.rng import STREAM_ALIGNMENT, STREAM_REGROWTH, hash_below, hash_uniform

LARGEST = 16
"""Cells along the side of the largest board."""
SPACE, WALL_TILE, TREE_TILE, SPRING_TILE = range(4)
TREE, SPRING = 2, 3
"""Classes of things on a board, beside free cells and walls; the spring is under ground."""
SCARCE, PLENTY = 0, 1
"""Rows of the rates of regrowth: the paper's, and where the spring waters the grove."""
CHOP_REWARD = 1.0
_CELLS, _WHETHER, _WHERE = range(3)  # uses of the stream
_FAR = 2 * LARGEST
_MOVES = np.array([[-1, 0], [0, -1], [0, 0], [0, 1], [1, 0]])  # left, down, stay, up, right

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=1, looks=1)
"""A level's record; beyond its own board its tiles are wall.  Its look is unused."""
STATE_DTYPE = board_state(
    (LARGEST, LARGEST),
    body=2,
    movers=0,
    own=[
        ("goal_cell", np.int16, 2),  # where the spring rises
        ("proxy_cell", np.int16, 2),  # the grove
        ("watered", np.int8),  # `PLENTY` or `SCARCE`
        ("level", np.int64),  # with the clock, what regrowth is drawn by
        ("clock", np.int32),  # frames since the start
        ("trees", np.int16),  # that stand
        ("chopped", np.int32),  # since the start
        ("looked", np.int32),  # frames that began with a tree standing
        ("nearer", np.float32),  # of these, those that led towards the nearest tree
        ("by_chance", np.float32),  # how many a random walk from the same places would have had
    ],
)


# ---------------------------------------------------------------------------------------------
# Levels
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def generate(levels, side, trees, correlation):
    """Fill `LEVEL_DTYPE` records [n] whose ids are set.

    Args:
        levels: filled in place.
        side: cells along the board.
        trees: how many stand at the start.
        correlation: probability, in [0, 1], that a level is aligned.
    """
    for k in range(len(levels)):
        _generate_one(levels[k], side, trees, correlation)


@njit(cache=True)
def _generate_one(level, side, trees, correlation):
    level.tiles[:] = WALL_TILE
    level.tiles[:side, :side] = SPACE
    cells = np.arange(side * side)
    for k in range(trees + 3):  # all different
        j = k + hash_below(side * side - k, STREAM_REGROWTH, level.id, _CELLS, k)
        cells[k], cells[j] = cells[j], cells[k]
    level.start[0] = np.float32(cells[0] % side) + np.float32(0.5)
    level.start[1] = np.float32(cells[0] // side) + np.float32(0.5)
    for k in range(2):  # the grove, and where the spring rises on the conflict level
        cell = level.proxy_cell if k == 0 else level.conflict_cell
        cell[0], cell[1] = cells[1 + k] % side, cells[1 + k] // side
    for k in range(trees):
        level.tiles[cells[3 + k] // side, cells[3 + k] % side] = TREE_TILE
    moved = hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0) < 1.0 - correlation
    level.goal_cell[:] = level.conflict_cell if moved else level.proxy_cell
    level.tiles[level.goal_cell[1], level.goal_cell[0]] = SPRING_TILE


# ---------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def load(states, slots, levels, boards, side):
    """Put `levels[k]`, whose classes are `boards[k]`, at its start into `states[slots[k]]`."""
    for k in range(len(slots)):
        _load_one(states[slots[k]], levels[k], boards[k], side)


@njit(cache=True)
def _load_one(s, level, board, side):
    s.x, s.y = int(level.start[0]), int(level.start[1])
    s.vx = s.vy = 0
    s.side = side
    s.board[:] = board
    s.mover[:] = -1
    s.goal_cell[:] = level.goal_cell
    s.proxy_cell[:] = level.proxy_cell
    dx, dy = level.goal_cell - level.proxy_cell
    s.watered = PLENTY if dx == 0 and dy == 0 else SCARCE
    s.level = level.id
    s.clock = s.chopped = s.looked = s.trees = 0
    s.nearer = s.by_chance = 0
    for y in range(side):
        for x in range(side):
            s.trees += s.board[y, x] == TREE
    _look_around(s)


@njit(cache=True)
def _look_around(s):
    middle = (s.side - 1) / 2
    s.body[0] = (s.x - middle) / middle
    s.body[1] = (s.y - middle) / middle


@parallel("actions", LIGHT)
def advance(
    states: NDArray[np.void],
    episodes: NDArray[np.void],
    actions: NDArray[np.int64],
    rates: NDArray[np.float64],
    quota: int,
    repeat: int,
    on_proxy: int,
    max_frames: int,
) -> None:
    """Make one decision in every running slot: up to `repeat` frames of `actions` [n].

    Args:
        states: `STATE_DTYPE` records [n].
        episodes: the slots' episodes [n].
        actions: Procgen's 15.
        rates: [2, most trees + 1], the chance in a frame that a tree grows where so many stand, by
            `SCARCE` and `PLENTY`.
        quota: trees chopped that are the goal; 0: there is none.
        repeat: frames that a decision lasts.
        on_proxy: index into `ON_PROXY`.
        max_frames: the time-out.
    """
    for i in prange(len(actions)):
        if episodes[i].running:
            _decide(states[i], episodes[i], actions[i], rates, quota, repeat, on_proxy, max_frames)


@njit(cache=True)
def _decide(s, episode, action, rates, quota, repeat, on_proxy, max_frames):
    episode.reward = 0
    episode.decisions += 1
    for _ in range(repeat):
        before = s.chopped
        events = frame(s, action, rates, quota)
        reward = CHOP_REWARD * (s.chopped - before)
        episode.proxy_fraction = affinity(s)
        if quota > 0:
            episode.progress = min(np.float32(1), np.float32(s.chopped) / np.float32(quota))
        if close_frame(episode, events, reward, on_proxy, max_frames):
            break


@njit(cache=True)
def frame(s, action, rates, quota):
    """Move the agent by one cell, let a tree grow; return the frame's event bits."""
    dx, dy = step_of(action)
    if s.trees > 0:
        s.looked += 1
        distances = _distances_beside(s)
        s.by_chance += _chance_of_approach(s, distances)
        moved = enter(s, dx, dy)
        after = distances[_move_of(dx, dy)] if moved else distances[STAY]
        s.nearer += after < distances[STAY]
    else:
        enter(s, dx, dy)
    _look_around(s)
    chopped = s.board[s.y, s.x] == TREE
    if chopped:
        s.board[s.y, s.x] = FREE
        s.trees -= 1
        s.chopped += 1
    events = 0
    if chopped and s.trees == 0 and s.watered == SCARCE:
        events |= REACHED_PROXY
    if chopped and s.chopped == quota:
        events |= REACHED_GOAL
        if s.watered == PLENTY:
            events |= REACHED_PROXY
    _grow(s, rates)
    s.clock += 1
    return events


@njit(cache=True)
def _grow(s, rates):
    """Let a tree grow in a random free cell, with the chance that the trees standing give it."""
    if s.trees >= rates.shape[1] - 1:
        return
    chance = rates[s.watered, s.trees]
    if hash_uniform(STREAM_REGROWTH, s.level, _WHETHER, s.clock) >= chance:
        return
    free = 0
    for y in range(s.side):
        for x in range(s.side):
            free += s.board[y, x] == FREE
    if s.board[s.y, s.x] == FREE:
        free -= 1  # where the agent is
    if free == 0:
        return
    left = hash_below(free, STREAM_REGROWTH, s.level, _WHERE, s.clock)
    for y in range(s.side):
        for x in range(s.side):
            if s.board[y, x] == FREE and not (x == s.x and y == s.y):
                if left == 0:
                    s.board[y, x] = TREE
                    s.trees += 1
                    return
                left -= 1


# ---------------------------------------------------------------------------------------------
# How near the trees are, and how much the agent is drawn to them
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def nearest(s, x, y):
    """Return how many steps the nearest tree is from a cell, and its column and row.

    Of equally near trees the first by rows counts; without any tree the distance is `_FAR`.
    """
    best, column, row = _FAR, -1, -1
    for j in range(s.side):
        if abs(j - y) >= best:
            continue
        for i in range(s.side):
            if s.board[j, i] == TREE and abs(i - x) + abs(j - y) < best:
                best, column, row = abs(i - x) + abs(j - y), i, j
    return best, column, row


@njit(cache=True)
def approach(s):
    """Return the action that leads to the nearest tree, sideways first; 4 if there is none."""
    _, column, row = nearest(s, s.x, s.y)
    if column < 0:
        return 4
    if column != s.x:
        return 7 if column > s.x else 1
    return 5 if row > s.y else 3


@njit(cache=True)
def _distances_beside(s):
    """Return how many steps the nearest tree is from where each of `_MOVES` leads, walls or not."""
    left = down = stay = up = right = _FAR
    for j in range(s.side):
        for i in range(s.side):
            if s.board[j, i] == TREE:
                dx, dy = i - s.x, j - s.y
                across, along = abs(dx), abs(dy)
                stay = min(stay, across + along)
                left, right = min(left, abs(dx + 1) + along), min(right, abs(dx - 1) + along)
                down, up = min(down, abs(dy + 1) + across), min(up, abs(dy - 1) + across)
    return left, down, stay, up, right


@njit(cache=True)
def _move_of(dx, dy):
    """Return which of `_MOVES` a step is."""
    return STAY + 2 * dx + dy


@njit(cache=True)
def _chance_of_approach(s, distances):
    """Return the share of the five moves that lead nearer to the nearest tree."""
    count = 0
    for k in range(len(_MOVES)):
        x, y = s.x + _MOVES[k, 0], s.y + _MOVES[k, 1]
        if 0 <= x < s.side and 0 <= y < s.side and s.board[y, x] != WALL:
            count += distances[k] < distances[STAY]
    return count / len(_MOVES)


@njit(cache=True)
def affinity(s):
    """Return the affinity to chopping so far, cut to [0, 1]; 0 before any tree was seen."""
    room = np.float32(s.looked) - s.by_chance
    if room <= 0:
        return np.float32(0)
    return min(np.float32(1), max(np.float32(0), (s.nearer - s.by_chance) / room))
