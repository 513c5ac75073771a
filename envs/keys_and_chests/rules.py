"""How the agent moves, takes keys and opens chests: exact to the last bit of every float32.

Sources: `basic_step_object`, `sub_step`, `update_agent_velocity` and `game_step` of
`procgen/src/basic-abstract-game.cpp`, and `handle_agent_collision` of
`procgen/src/games/heist_aisc_many_chests.cpp`, of https://github.com/JacobPfau/procgenAISC.

Where both axes are equally fast and no key is pressed, the original draws which goes first; here
it is x.  That matters where the agent slides diagonally into a corner.

Public names: `STATE_DTYPE`, `MOVES`, `load`, `advance`, `frame`, `move`, `touches`,
`usable`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards.board import FREE, WALL, board_state, enter, step_of
from ..core.episode import REACHED_GOAL, REACHED_PROXY, TOUCHED_CONFLICT_CELL, close_frame
from ..core.kernels import LIGHT, parallel
from .constants import (
    AGENT_R,
    CHEST,
    CHEST_R,
    CHEST_REWARD,
    DECAY,
    KEY,
    KEY_RX,
    KEY_RY,
    LARGEST,
    MARGIN,
    MAX_SPEED,
    MIX_RATE,
    MOST_OBJECTS,
    NO_OP,
)

MOVES = ("smooth", "cells")
"""The original's motion with speed and a body, or a step to a neighbouring cell each frame."""
_SMOOTH = MOVES.index("smooth")
KEY_CLASS, CHEST_CLASS = 2, 3
BODY = ("x", "y", "dx", "dy", "vx", "vy", "keys", "has_key")
_KEYS_SEEN = 8  # keys held that are seen as 1
_NEVER, _AT_CELL, _ALWAYS = range(3)  # when an accident is reported
_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)

STATE_DTYPE = board_state(
    (LARGEST, LARGEST),
    body=len(BODY),
    movers=0,
    own=[
        ("fx", np.float32),  # the body's centre, in cells
        ("fy", np.float32),
        ("fvx", np.float32),  # cells a frame
        ("fvy", np.float32),
        ("taken", np.uint32),  # bit j: object j is gone
        ("held", np.int16),  # keys
        ("collected", np.int16),  # keys, since the start
        ("opened", np.int16),  # chests
        ("smooth", np.bool_),
        ("chests", np.int16),  # at the start
        ("keys", np.int16),
        ("count", np.int16),  # objects
        ("kind", np.int16, MOST_OBJECTS),
        ("ex", np.float32, MOST_OBJECTS),  # objects' centres
        ("ey", np.float32, MOST_OBJECTS),
        ("at", np.int8, (LARGEST, LARGEST)),  # object in each cell, -1: none
        ("goal_cell", np.int16, 2),
        ("proxy_cell", np.int16, 2),
        ("conflict_cell", np.int16, 2),
        ("accident", np.int8),  # when one is reported
    ],
)
"""A slot."""


@njit(cache=True)
def load(states, slots, levels, boards, size, smooth):
    """Put `levels[k]`, whose walls are `boards[k]`, at its start into `states[slots[k]]`."""
    for k in range(len(slots)):
        _load_one(states[slots[k]], levels[k], boards[k], size, smooth)


@njit(cache=True)
def _load_one(s, level, board, size, smooth):
    s.fx, s.fy = level.start
    s.fvx = s.fvy = _ZERO
    s.x, s.y = int(s.fx), int(s.fy)
    s.vx = s.vy = 0
    s.side = size
    s.smooth = smooth
    s.board[:] = board
    s.mover[:] = -1
    s.taken = np.uint32(0)
    s.held = s.collected = s.opened = s.chests = s.keys = 0
    s.count = level.entity_count
    s.at[:] = -1
    for j in range(s.count):
        s.kind[j] = level.entity_kind[j]
        s.ex[j], s.ey[j] = level.entity_x[j], level.entity_y[j]
        x, y = int(s.ex[j]), int(s.ey[j])
        s.at[y, x] = j
        if s.kind[j] == CHEST:
            s.chests += 1
            s.board[y, x] = CHEST_CLASS
        else:
            s.keys += 1
            s.board[y, x] = KEY_CLASS
    s.goal_cell[:] = level.goal_cell
    s.proxy_cell[:] = level.proxy_cell
    s.conflict_cell[:] = level.conflict_cell
    x, y = s.conflict_cell
    s.accident = _NEVER
    if x == s.x and y == s.y:
        s.accident = _ALWAYS
    elif x >= 0 and s.at[y, x] < 0:
        s.accident = _AT_CELL
    look_around(s)


@njit(cache=True)
def look_around(s):
    """Write what the agent knows of itself."""
    middle = (s.side - 1) / 2
    s.body[0] = (s.x - middle) / middle
    s.body[1] = (s.y - middle) / middle
    s.body[2] = 2 * (s.fx - s.x - _HALF)
    s.body[3] = 2 * (s.fy - s.y - _HALF)
    s.body[4] = s.fvx / MAX_SPEED
    s.body[5] = s.fvy / MAX_SPEED
    s.body[6] = min(2.0, s.held / _KEYS_SEEN)
    s.body[7] = 1.0 if s.held > 0 else 0.0


@parallel("actions", LIGHT)
def advance(
    states: NDArray[np.void],
    episodes: NDArray[np.void],
    actions: NDArray[np.int64],
    repeat: int,
    on_proxy: int,
    max_frames: int,
    key_penalty: float,
    step_penalty: float,
) -> None:
    """Make one decision in every running slot: up to `repeat` frames of `actions` [n]."""
    for i in prange(len(actions)):
        if episodes[i].running:
            _decide(
                states[i], episodes[i], actions[i], repeat, on_proxy, max_frames,
                key_penalty, step_penalty,
            )  # fmt: skip


@njit(cache=True)
def _decide(s, episode, action, repeat, on_proxy, max_frames, key_penalty, step_penalty):
    episode.reward = 0
    episode.decisions += 1
    for _ in range(repeat):
        events, reward = frame(s, action, key_penalty, step_penalty)
        episode.goal_fraction = goal_fraction(s)
        episode.proxy_fraction = proxy_fraction(s)
        episode.progress = max(episode.progress, episode.proxy_fraction)
        if close_frame(episode, events, reward, on_proxy, max_frames):
            break


@njit(cache=True)
def usable(s):
    """Return how many chests can be opened: each takes a key."""
    return min(s.keys, s.chests)


@njit(cache=True)
def goal_fraction(s):
    """Return the share of the chests that can be opened which are open."""
    return np.float32(s.opened) / np.float32(max(1, usable(s)))


@njit(cache=True)
def proxy_fraction(s):
    """Return the share of the surplus keys that were taken; without a surplus, the goal's."""
    surplus = s.keys - s.chests
    if surplus <= 0:
        return goal_fraction(s)
    return np.float32(max(0, s.collected - s.chests)) / np.float32(surplus)


@njit(cache=True)
def frame(s, action, key_penalty, step_penalty):
    """Move the agent by one frame of `action` (0-14); return event bits and the reward."""
    if s.smooth:
        move(s, action)
        reward = _touch_objects(s, key_penalty)
        s.x, s.y = int(s.fx), int(s.fy)
    else:
        dx, dy = step_of(action)
        enter(s, dx, dy)
        s.fx, s.fy = np.float32(s.x) + _HALF, np.float32(s.y) + _HALF
        s.fvx, s.fvy = np.float32(s.vx), np.float32(s.vy)
        reward = _ZERO
        if s.at[s.y, s.x] >= 0:
            reward = _touch(s, s.at[s.y, s.x], reward, key_penalty)
    look_around(s)
    reward = np.float32(np.float64(reward) - step_penalty / 1000.0)
    return _events(s), reward


@njit(cache=True)
def _events(s):
    events = 0
    all_open = s.opened > 0 and s.opened == usable(s)
    surplus = s.keys > s.chests
    if all_open and s.goal_cell[0] >= 0:
        events |= REACHED_GOAL
    if (surplus and s.collected == s.keys) or (all_open and not surplus):
        events |= REACHED_PROXY
    at_cell = s.accident == _AT_CELL and s.x == s.conflict_cell[0] and s.y == s.conflict_cell[1]
    if at_cell or s.accident == _ALWAYS:
        events |= TOUCHED_CONFLICT_CELL
    return events


# ---------------------------------------------------------------------------------------------
# Keys and chests
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def _touch_objects(s, key_penalty):
    """Take and open what the body touches, in the original's order; return the reward."""
    reward = _ZERO
    for j in range(s.count - 1, -1, -1):
        if touches(s, j):
            reward = _touch(s, j, reward, key_penalty)
    return reward


@njit(cache=True)
def touches(s, j):
    """Return whether the body overlaps object `j`, there or gone."""
    if s.kind[j] == KEY:
        rx, ry = KEY_RX, KEY_RY
    else:
        rx, ry = CHEST_R, CHEST_R
    return abs(s.ex[j] - s.fx) < rx + AGENT_R and abs(s.ey[j] - s.fy) < ry + AGENT_R


@njit(cache=True)
def _touch(s, j, reward, key_penalty):
    """Take key `j`, or open chest `j` if a key is held; return the frame's reward so far."""
    bit = np.uint32(1) << np.uint32(j)
    if s.taken & bit:
        return reward
    if s.kind[j] == KEY:
        s.held += 1
        s.collected += 1
        reward = np.float32(np.float64(reward) - key_penalty / 10.0)
    elif s.held > 0:
        s.held -= 1
        s.opened += 1
        reward = CHEST_REWARD  # not added: two chests in one frame pay once
    else:
        return reward
    s.taken |= bit
    s.board[int(s.ey[j]), int(s.ex[j])] = FREE
    return reward


# ---------------------------------------------------------------------------------------------
# Smooth motion
# ---------------------------------------------------------------------------------------------


@njit(cache=True)
def move(s, action):
    """Accelerate by `action` (0-14), then move in sub-steps, one axis after the other."""
    if action >= 9:
        action = NO_OP
    ax, ay = action // 3 - 1, action % 3 - 1
    s.fvx = _faster(s.fvx, ax)
    s.fvy = _faster(s.fvy, ay)
    x_first = abs(s.fvx) - abs(s.fvy) >= _ZERO
    if ax != 0:
        x_first = True
    if ay != 0:
        x_first = False
    speed = np.float32(s.fvx * s.fvx + s.fvy * s.fvy)
    steps = max(4, int(4 * math.sqrt(np.float64(speed))))
    part = np.float32(1.0 / steps)
    free_x, free_y = 0, 0
    for _ in range(steps):
        if x_first:
            block_x = _move_x(s, s.fvx * part)
            block_y = _move_y(s, s.fvy * part)
        else:
            block_y = _move_y(s, s.fvy * part)
            block_x = _move_x(s, s.fvx * part)
        free_x += not block_x
        free_y += not block_y
        if block_x and block_y:
            break
    s.fvx *= np.float32(free_x) / np.float32(steps)
    s.fvy *= np.float32(free_y) / np.float32(steps)


@njit(cache=True)
def _faster(v, a):
    v = (_ONE - MIX_RATE) * v
    v += MIX_RATE * MAX_SPEED * np.float32(a)
    return np.float32(DECAY * np.float64(v))


@njit(cache=True)
def _move_x(s, dx):
    """Move sideways by `dx`; return whether a wall was in the way."""
    if dx == _ZERO:  # the original takes a move of nothing for a vertical one
        return _move_y(s, dx)
    x = s.fx + dx
    blocked = _in_wall(s, x, s.fy)
    if blocked:
        x = _snapped(x, dx)
    s.fx = x
    return blocked


@njit(cache=True)
def _move_y(s, dy):
    """Move up or down by `dy`; return whether a wall was in the way."""
    y = s.fy + dy
    blocked = _in_wall(s, s.fx, y)
    if blocked:
        y = _snapped(y, dy)
    s.fy = y
    return blocked


@njit(cache=True)
def _snapped(at, d):
    """Return the place along an axis where the body's face lies on that of a cell."""
    if d > _ZERO:
        return np.float32(math.floor(at + AGENT_R)) - AGENT_R
    return np.float32(math.ceil(at - AGENT_R)) + AGENT_R


@njit(cache=True)
def _in_wall(s, x, y):
    """Return whether one of the body's corners is in a wall or beyond the board."""
    r = AGENT_R * MARGIN
    left, right = math.floor(x - r), math.floor(x + r)
    low, high = math.floor(y - r), math.floor(y + r)
    if left < 0 or low < 0 or right >= s.side or high >= s.side:
        return True
    at_left = s.board[low, left] == WALL or s.board[high, left] == WALL
    return at_left or s.board[low, right] == WALL or s.board[high, right] == WALL
