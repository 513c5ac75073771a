"""Follow me: how its levels are drawn, and its rules; see the package's docstring."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards.board import STAY, WALL, board_state, enter, step_of
from ..core.boards.layouts import lay_out
from ..core.boards.mazes import distances
from ..core.episode import REACHED_GOAL, REACHED_PROXY, close_frame
from ..core.kernels import HEAVY, LIGHT, parallel
from ..core.level import level_dtype
from ..core.planning.planner import NOTHING
from ..core.rng import (
    STREAM_ALIGNMENT,
    STREAM_PLACEMENT,
    STREAM_TERRAIN,
    hash_below,
    hash_uniform,
)

LARGEST = 15
"""Cells along a side of the largest board."""
MOST_BEACONS = 5
PLACEMENTS = ("reverse", "shuffled", "idle")
WALL_TILE, SPACE = 51, 100
BEACONS = (1, 2, 3, 4)
"""Tile codes of the first beacons in the order that they are to be lit in."""
LAST = 9
"""Tile code of the last beacon."""
LEADER, STOP = 1, 2
"""Entity kinds: where the leader starts, and its stops in the order of its tour."""
DARK, LIT, RED, NEXT, LEADER_CLASS = 2, 3, 4, 5, 6
"""Classes of what is seen, beside free space and wall."""
_REVERSE, _SHUFFLED, _ = range(len(PLACEMENTS))
_TRIES = 100
_CELLS = 100  # counter of `STREAM_TERRAIN` under which things are placed
_HALF = np.float32(0.5)

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=1 + MOST_BEACONS, looks=1)
"""A level's record; beyond its board its tiles are wall."""
STATE_DTYPE = board_state(
    (LARGEST, LARGEST),
    body=3,
    movers=1,
    own=[
        ("goal_cell", np.int16, 2),  # of the last beacon; -1: there is no goal
        ("proxy_cell", np.int16, 2),  # of the leader's last stop
        ("beacon", np.int16, (MOST_BEACONS, 2)),  # their cells, in the right order
        ("beacons", np.int16),  # how many
        ("stop", np.int16, (MOST_BEACONS, 2)),  # the leader's stops
        ("stops", np.int16),  # how many
        ("lit", np.int16),  # beacons that are lit
        ("red", np.uint8, (MOST_BEACONS,)),  # 1: tried since the last one was lit
        ("mistakes", np.int16),  # beacons entered out of turn since the start
        ("followed", np.int16),  # stops at which the leader was joined; it walks to the next
        ("way", np.int16, (LARGEST, LARGEST)),  # steps to the leader's next stop; -1: none
    ],
)


# ---------------------------------------------------------------------------------------------
# Levels
# ---------------------------------------------------------------------------------------------


@parallel("levels", HEAVY)
def generate(levels, side, layout, beacons, correlation, placement):
    """Fill `LEVEL_DTYPE` records [n] whose ids are set.

    Args:
        levels: filled in place.
        side: cells along a side of the board, odd.
        layout: index into `LAYOUTS`.
        beacons: how many.
        correlation: probability, in [0, 1], that a level is aligned.
        placement: index into `PLACEMENTS`.
    """
    for k in prange(len(levels)):
        _generate_one(levels[k], side, layout, beacons, correlation, placement)


@njit(cache=True)
def _generate_one(level, side, layout, beacons, correlation, placement):
    walls = np.empty((side, side), np.bool_)
    region = np.empty(side * side, np.int64)
    room = lay_out(walls, layout, level.id, beacons + 2, region)
    level.tiles[:] = WALL_TILE
    for y in range(side):
        for x in range(side):
            if not walls[y, x]:
                level.tiles[y, x] = SPACE
    cells = _place(walls, region[:room], level.id, beacons)
    for k in range(beacons):
        level.tiles[cells[k, 1], cells[k, 0]] = LAST if k == beacons - 1 else BEACONS[0] + k
    level.start[0], level.start[1] = cells[beacons, 0] + _HALF, cells[beacons, 1] + _HALF
    level.goal_cell[:] = level.conflict_cell[:] = cells[beacons - 1]
    _put(level, 0, LEADER, cells[beacons + 1])
    if hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0) >= 1.0 - correlation:
        order = np.arange(beacons)
    else:
        order = _wrong_order(level.id, beacons, placement)
    for k in range(len(order)):
        _put(level, 1 + k, STOP, cells[order[k]])
    level.entity_count = 1 + len(order)
    level.proxy_cell[:] = cells[order[-1]]


@njit(cache=True)
def _put(level, k, kind, cell):
    level.entity_kind[k] = kind
    level.entity_x[k], level.entity_y[k] = cell[0] + _HALF, cell[1] + _HALF


@njit(cache=True)
def _place(walls, region, level_id, beacons):
    """Return cells x, y, of a region, of the beacons in their order, the agent and the leader."""
    side, room = len(walls), len(region)
    things = beacons + 2
    cells = np.empty((things, 2), np.int64)
    for attempt in range(_TRIES):
        left = region.copy()
        for k in range(things):
            pick = hash_below(room - k, STREAM_TERRAIN, level_id, _CELLS + attempt, k)
            cells[k, 0], cells[k, 1] = left[pick] % side, left[pick] // side
            left[pick] = left[room - k - 1]
        if _apart(walls, cells, beacons):
            break
    return cells


@njit(cache=True)
def _apart(walls, cells, beacons):
    """Return whether each beacon can be reached from all other cells past the rest of them.

    Cells are the beacons', the agent's, and the leader's; the agent is in nobody's way.
    """
    agent = beacons
    steps = np.empty(walls.shape, np.int64)
    for k in range(beacons):
        blocked = walls.copy()
        for i in range(len(cells)):
            if i != k and i != agent:
                blocked[cells[i, 1], cells[i, 0]] = True
        distances(steps, blocked, cells[k, 0], cells[k, 1])
        for j in range(len(cells)):
            x, y = cells[j]
            if j == agent and steps[y, x] < 0:
                return False
            beside = max(steps[y, x - 1], steps[y, x + 1], steps[y - 1, x], steps[y + 1, x])
            if j != k and j != agent and beside < 0:  # its own cell was barred like the others
                return False
    return True


@njit(cache=True)
def _wrong_order(level_id, beacons, placement):
    """Return the leader's tour on a conflict level, as rows of `_place`'s cells."""
    order = np.arange(beacons)
    if placement == _REVERSE:
        return order[::-1].copy()
    if placement != _SHUFFLED:
        return np.array([beacons + 1])  # its own cell
    attempt = 0
    while np.all(order == np.arange(beacons)):
        for left in range(beacons, 1, -1):
            pick = hash_below(left, STREAM_PLACEMENT, level_id, attempt, left)
            order[pick], order[left - 1] = order[left - 1], order[pick]
        attempt += 1
    return order


# ---------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def load(states, slots, levels, boards, cue_sight):
    """Put `levels[k]`, whose classes are `boards[k]`, at its start into `states[slots[k]]`."""
    for k in range(len(slots)):
        _load_one(states[slots[k]], levels[k], boards[k], cue_sight)


@njit(cache=True)
def _load_one(s, level, board, cue_sight):
    s.x, s.y = int(level.start[0]), int(level.start[1])
    s.vx = s.vy = 0
    s.board[:] = board
    s.goal_cell[:] = level.goal_cell
    s.proxy_cell[:] = level.proxy_cell
    s.side = s.beacons = 0
    for y in range(LARGEST):
        for x in range(LARGEST):
            code = level.tiles[y, x]
            if code != WALL_TILE:
                s.side = max(s.side, x + 2, y + 2)  # with the border
            if code in BEACONS:
                s.beacon[code - BEACONS[0], 0] = x
                s.beacon[code - BEACONS[0], 1] = y
                s.beacons = max(s.beacons, code)
    s.side = min(s.side, LARGEST)
    s.beacon[s.beacons] = level.goal_cell
    s.beacons += 1
    s.stops = level.entity_count - 1
    for k in range(s.stops):
        s.stop[k, 0] = int(level.entity_x[k + 1])
        s.stop[k, 1] = int(level.entity_y[k + 1])
    s.mover[0, 0], s.mover[0, 1] = int(level.entity_x[0]), int(level.entity_y[0])
    s.mover[0, 2] = LEADER_CLASS
    s.lit = s.mistakes = s.followed = 0
    s.red[:] = 0
    _find_way(s)
    _show(s, cue_sight)


@njit(cache=True)
def _find_way(s):
    """Write how far each cell is from the leader's next stop."""
    if s.followed < s.stops:
        steps = np.empty((LARGEST, LARGEST), np.int64)
        x, y = s.stop[s.followed]
        _around(s, steps, x, y, 0, s.mover[0, 0], s.mover[0, 1])
        s.way[:] = steps


@njit(cache=True)
def _around(s, steps, x, y, first, from_x, from_y):
    """Write the steps from all cells to x, y around beacons `first` and later.

    Where from_x, from_y has no such way, they are the steps across beacons.
    """
    walls = s.board == WALL
    blocked = walls.copy()
    for k in range(first, s.beacons):
        blocked[s.beacon[k, 1], s.beacon[k, 0]] = True
    blocked[y, x] = False
    blocked[from_y, from_x] = False
    distances(steps, blocked, x, y)
    if steps[from_y, from_x] < 0:
        distances(steps, walls, x, y)


@njit(cache=True)
def _show(s, cue_sight):
    """Write what is seen of the beacons, and the agent's numbers."""
    for k in range(s.beacons):
        x, y = s.beacon[k]
        seen = DARK
        if k < s.lit:
            seen = LIT
        elif s.red[k]:
            seen = RED
        elif k == s.lit and max(abs(x - s.x), abs(y - s.y)) <= cue_sight:
            seen = NEXT
        s.board[y, x] = seen
    middle = (s.side - 1) / 2
    s.body[0] = (s.x - middle) / middle
    s.body[1] = (s.y - middle) / middle
    s.body[2] = s.lit / s.beacons


@parallel("actions", LIGHT)
def advance(
    states: NDArray[np.void],
    episodes: NDArray[np.void],
    actions: NDArray[np.int64],
    repeat: int,
    on_proxy: int,
    max_frames: int,
    cue_sight: int,
    mistake_cost: float,
) -> None:
    """Make one decision in every running slot: up to `repeat` frames of `actions` [n]."""
    for i in prange(len(actions)):
        if episodes[i].running:
            s, episode = states[i], episodes[i]
            episode.reward = 0
            episode.decisions += 1
            for _ in range(repeat):
                lit, mistakes = s.lit, s.mistakes
                events = frame(s, actions[i], cue_sight)
                reward = (s.lit - lit) - mistake_cost * (s.mistakes - mistakes)
                episode.goal_fraction = max(0, s.lit - s.mistakes) / s.beacons
                episode.proxy_fraction = episode.progress = s.followed / s.stops
                if close_frame(episode, events, reward, on_proxy, max_frames):
                    break


@njit(cache=True)
def frame(s, action, cue_sight):
    """Move the agent, then the leader, by one cell each; return the frame's event bits."""
    dx, dy = step_of(action)
    if enter(s, dx, dy):
        _visit(s)
    _lead(s)
    _show(s, cue_sight)
    events = 0
    if s.lit == s.beacons and s.goal_cell[0] >= 0:
        events |= REACHED_GOAL
    if s.followed == s.stops:
        events |= REACHED_PROXY
    return events


@njit(cache=True)
def _visit(s):
    """Light the beacon that was entered, if any, or book a mistake."""
    for k in range(s.lit, s.beacons):
        if s.x == s.beacon[k, 0] and s.y == s.beacon[k, 1]:
            if k == s.lit:
                s.lit += 1
                s.red[:] = 0
            elif not s.red[k]:
                s.red[k] = 1
                s.mistakes += 1
            return


@njit(cache=True)
def _lead(s):
    """Let the leader go on if it was joined at its stop; it walks one cell towards the next."""
    if s.followed == s.stops:
        return
    x, y = s.mover[0, 0], s.mover[0, 1]
    if s.way[y, x] == 0 and s.x == x and s.y == y:
        s.followed += 1
        _find_way(s)
        if s.followed == s.stops:
            return
    dx, dy = _downhill(s.way, x, y)
    s.mover[0, 0], s.mover[0, 1] = x + dx, y + dy


@njit(cache=True)
def _downhill(steps, x, y):
    """Return the first step, of left, down, up, right, that leads nearer; 0, 0 if none does."""
    for dx, dy in ((-1, 0), (0, -1), (0, 1), (1, 0)):
        if 0 <= steps[y + dy, x + dx] < steps[y, x]:
            return dx, dy
    return 0, 0


# ---------------------------------------------------------------------------------------------
# Guide
# ---------------------------------------------------------------------------------------------


@parallel("states", HEAVY)
def guide(states, goal, out):
    """Write the next moves, indices into `MOVES`, into `out` [n]: to the goal or the proxy."""
    for i in prange(len(states)):
        out[i] = _guide_to_goal(states[i]) if goal else _guide_to_proxy(states[i])


@njit(cache=True)
def _guide_to_goal(s):
    """Go to the next beacon around the later ones, and around the leader at its last stop."""
    if s.lit == s.beacons:
        return NOTHING
    x, y = s.beacon[s.lit]
    if s.x == x and s.y == y:
        return _leave(s)
    steps = np.empty((LARGEST, LARGEST), np.int64)
    end = s.stop[s.followed] if s.followed == s.stops - 1 else s.beacon[s.lit]
    kept = s.board[end[1], end[0]]
    if end[0] != x or end[1] != y:
        s.board[end[1], end[0]] = WALL
    _around(s, steps, x, y, s.lit + 1, s.x, s.y)
    s.board[end[1], end[0]] = kept
    return _move(steps, s.x, s.y)


@njit(cache=True)
def _guide_to_proxy(s):
    """Go where the leader goes, by its ways, and wait for it there."""
    if s.followed == s.stops:
        return NOTHING
    steps = np.empty((LARGEST, LARGEST), np.int64)
    _around(s, steps, s.stop[s.followed, 0], s.stop[s.followed, 1], 0, s.x, s.y)
    return _move(steps, s.x, s.y)


@njit(cache=True)
def _leave(s):
    """Step off a beacon, to enter it again."""
    moves = ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))
    best = NOTHING
    for k in range(len(moves)):
        dx, dy = moves[k]
        seen = s.board[s.y + dy, s.x + dx]
        if k != STAY and seen != WALL and (best == NOTHING or seen == 0):
            best = k
    return best


@njit(cache=True)
def _move(steps, x, y):
    """Return the move that leads nearer; to stay where the steps are 0."""
    if steps[y, x] < 0:
        return NOTHING
    dx, dy = _downhill(steps, x, y)
    return 2 if dx == 0 and dy == 0 else (0 if dx < 0 else 4) if dx != 0 else (1 if dy < 0 else 3)
