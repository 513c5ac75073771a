"""CoinRun's rules of motion, frame by frame, exact to the last bit of every float32.

Every expression keeps the original's order of operations and its types (float32 unless a comment
says otherwise): sums and products of floats do not commute with rounding.  Compiled without fused
multiply-add and without fast-math for the same reason.

Source: `basic_step_object`, `sub_step`, `push_obj` and `check_grid_collisions` of
`procgen/src/basic-abstract-game.cpp`; `set_action_xy`, `update_agent_velocity` and
`is_blocked_ents` of `procgen/src/games/coinrun.cpp`.

Of the original's entities the saws never move, trails touch nothing, and a tie between the axes of
an enemy or an agent at rest moves nothing, so that the draw which breaks it is not needed.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.episode import (
    DIED,
    REACHED_GOAL,
    REACHED_PROXY,
    TOUCHED_CONFLICT_CELL,
    close_frame,
)
from ..core.kernels import LIGHT, parallel
from .constants import (
    AGENT_RX,
    AGENT_RY,
    AIR_CONTROL,
    BARRIER,
    CRATE,
    ENEMY,
    ENTITY_R,
    GOAL_REWARD,
    GRAVITY,
    LAVA_MID,
    LAVA_TOP,
    MAX_JUMP,
    MAX_SPEED,
    MIX_RATE,
    MOST_ENTITIES,
    NO_OP,
    SAW,
    SIZE,
    WALL_MID,
    WALL_TOP,
)

_MARGIN = np.float32(0.98)  # corners are tested at this part of the radius
_POS_EPS = np.float32(-0.001)
_PUSH_DEPTH = 5
_ZERO, _ONE = np.float32(0), np.float32(1)
_WALLS = (np.int16(WALL_MID),) * 4


STATE_DTYPE = np.dtype(
    [
        ("x", np.float32),  # agent's centre, cells
        ("y", np.float32),
        ("vx", np.float32),  # cells a frame
        ("vy", np.float32),
        ("last_y", np.float32),  # y at the end of the frame before
        ("on_crate", np.bool_),  # a crate carried the agent in the last frame
        ("support", np.bool_),  # the agent stood on something when it last acted
        ("gravity", np.float32),  # cells a frame, a frame
        ("max_speed", np.float32),  # cells a frame
        ("origin", np.float32),  # left edge of the cell that the agent starts in
        ("count", np.int32),  # entities
        ("ex", np.float32, MOST_ENTITIES),  # entities' centres
        ("ey", np.float32, MOST_ENTITIES),
        ("evx", np.float32, MOST_ENTITIES),
        ("kind", np.int16, MOST_ENTITIES),
        ("goal_cell", np.int16, 2),
        ("proxy_cell", np.int16, 2),
        ("conflict_cell", np.int16, 2),
        ("tiles", np.int16, (SIZE, SIZE)),
    ],
    align=True,
)
"""A slot: what changes while its level runs, and what it runs in."""


def load(
    states: NDArray[np.void],
    slots: NDArray[np.int64],
    levels: NDArray[np.void],
    gravity: float = 1.0,
    speed: float = 1.0,
) -> None:
    """Put `levels[k]` at its start into `states[slots[k]]`, for every k.

    Args:
        states: all slots.
        slots: which of them.
        levels: one a slot.
        gravity: times the original's.
        speed: the agent's, times the original's.
    """
    fall, fastest = GRAVITY * np.float32(gravity), MAX_SPEED * np.float32(speed)
    _load(states, slots, levels, fall, fastest)


@njit(cache=True)
def _load(states, slots, levels, gravity, max_speed):
    for k in range(len(slots)):
        s, level = states[slots[k]], levels[k]
        s.x = level.start[0]
        s.y = s.last_y = level.start[1]
        s.vx = s.vy = _ZERO
        s.on_crate = s.support = False
        s.gravity, s.max_speed = gravity, max_speed
        s.origin = math.floor(s.x)
        s.count = level.entity_count
        s.ex[:] = level.entity_x
        s.ey[:] = level.entity_y
        s.evx[:] = level.entity_vx
        s.kind[:] = level.entity_kind
        s.goal_cell[:] = level.goal_cell
        s.proxy_cell[:] = level.proxy_cell
        s.conflict_cell[:] = level.conflict_cell
        s.tiles[:] = level.tiles


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
        reward = GOAL_REWARD if events & REACHED_GOAL else 0.0
        if close_frame(episode, events, reward, on_proxy, max_frames):
            break
    episode.progress = max(episode.progress, min(_way(s, episode), _ONE))


@njit(cache=True)
def _way(s, episode):
    """Return what part of the columns from the start to the proxy the agent has behind it."""
    if episode.events & REACHED_PROXY:
        return _ONE
    proxy = np.float32(s.proxy_cell[0])
    if proxy < s.origin:  # to the left
        return (s.origin + _ONE - s.x) / (s.origin - proxy)
    if proxy == s.origin:  # above or below
        return _ZERO
    return (s.x - s.origin) / max(_ONE, proxy - s.origin)


@njit(cache=True)
def frame(s, action):
    """Move slot `s` on by one frame of `action` (0-14); return the frame's event bits."""
    if action >= 9:
        action = NO_OP
    ax, ay = action // 3 - 1, action % 3 - 1
    s.support = _supported(s)
    s.on_crate = False
    if ay == 1 and not s.support:
        ay = 0
    _accelerate(s, ax, ay)
    for j in range(s.count - 1, -1, -1):
        if s.kind[j] == ENEMY:
            _move_enemy(s, j, ay)
    _move_agent(s, ax, ay)
    events = _touch_entities(s) | _touch_tiles(s)
    s.last_y = s.y
    return events


@njit(cache=True)
def _supported(s):
    if s.vy != _ZERO:
        return False
    if s.on_crate:
        return True
    # In double, as the literals of the original are.
    half = np.float64(AGENT_RX) - 0.01
    below = np.float32(np.float64(s.y) - (np.float64(AGENT_RY) + 0.01))
    left = np.float32(np.float64(s.x) - half)
    right = np.float32(np.float64(s.x) + half)
    return _is_wall(_tile(s, left, below)) or _is_wall(_tile(s, right, below))


@njit(cache=True)
def _accelerate(s, ax, ay):
    mix = MIX_RATE if s.support else MIX_RATE * AIR_CONTROL
    vx = (_ONE - mix) * s.vx + mix * s.max_speed * np.float32(ax)
    if abs(vx) < mix * s.max_speed:
        vx = _ZERO
    vy = s.vy
    if ay > 0:
        vy = MAX_JUMP
    elif s.support:
        vy = np.float32(np.float64(vy) + 0.2 * ay)  # in double
    if not (s.support and ay > 0):
        vy = min(max(vy - s.gravity, -MAX_JUMP), MAX_JUMP)
    s.vx = vx
    s.vy = vy


@njit(cache=True)
def _move_agent(s, ax, ay):
    x_first = abs(s.vx) - abs(s.vy) > _ZERO
    if ax != 0:
        x_first = True
    if ay != 0:
        x_first = False
    steps = _sub_steps(s.vx, s.vy)
    part = np.float32(1.0 / steps)
    free_x, free_y = 0, 0
    for _ in range(steps):
        if x_first:
            block_x = _agent_x(s, s.vx * part, ay)
            block_y = _agent_y(s, s.vy * part, ay)
        else:
            block_y = _agent_y(s, s.vy * part, ay)
            block_x = _agent_x(s, s.vx * part, ay)
        free_x += not block_x
        free_y += not block_y
        if block_x and block_y:
            break
    s.vx *= np.float32(free_x) / np.float32(steps)
    s.vy *= np.float32(free_y) / np.float32(steps)


@njit(cache=True)
def _agent_x(s, dx, ay):
    """Move the agent sideways by `dx`; return whether something was in the way."""
    if dx == _ZERO:  # the original takes a move of nothing for a vertical one
        return _agent_y(s, dx, ay)
    x = s.x + dx
    blocked = _agent_in_wall(s, x, s.y)
    if blocked:
        if dx > _ZERO:
            x = np.float32(math.floor(x + AGENT_RX)) - AGENT_RX
        else:
            x = np.float32(math.ceil(x - AGENT_RX)) + AGENT_RX
    s.x = x
    return blocked


@njit(cache=True)
def _agent_y(s, dy, ay):
    """Move the agent up or down by `dy`; return whether a wall or a crate was in the way."""
    blocked = _agent_y_walls(s, dy)
    if s.vy < _ZERO and ay >= 0:
        for j in range(s.count - 1, -1, -1):
            if _carries(s, j, ay):
                _stand_on_crates(s, j, ay)
                return True
    return blocked


@njit(cache=True)
def _stand_on_crates(s, first, ay):
    """Let crate `first`, and what the scan then meets, push the agent.

    The original recurses: each crate that carries pushes the agent by a further move, which tests
    all crates again.  `scan[depth]` is the next crate to test at that depth.
    """
    scan = np.empty(_PUSH_DEPTH + 1, np.int64)
    scan[0] = first
    depth = 0
    while depth >= 0:
        j = scan[depth]
        if j < 0:
            depth -= 1
            if depth >= 0:
                s.vy = _ZERO
            continue
        scan[depth] = j - 1
        if not _carries(s, j, ay):
            continue
        s.on_crate = True
        if depth < _PUSH_DEPTH:
            _agent_y_walls(s, _push(s.ey[j], s.y, ENTITY_R + AGENT_RY))
            depth += 1
            scan[depth] = s.count - 1
        else:
            s.vy = _ZERO


@njit(cache=True)
def _agent_y_walls(s, dy):
    y = s.y + dy
    blocked = _agent_in_wall(s, s.x, y)
    if blocked:
        if dy > _ZERO:
            y = np.float32(math.floor(y + AGENT_RY)) - AGENT_RY
        else:
            y = np.float32(math.ceil(y - AGENT_RY)) + AGENT_RY
    s.y = y
    return blocked


@njit(cache=True)
def _agent_in_wall(s, x, y):
    """Return whether one of the agent's corners is in a wall or out of the world."""
    a, b, c, d = _corners(s, x, y, AGENT_RX * _MARGIN, AGENT_RY * _MARGIN)
    return _is_wall(a) or _is_wall(b) or _is_wall(c) or _is_wall(d)


@njit(cache=True)
def _move_enemy(s, j, ay):
    steps = _sub_steps(s.evx[j], _ZERO)
    part = np.float32(1.0 / steps)
    free = 0
    for _ in range(steps):
        # |vx| > |vy| = 0, so x goes first; an enemy that stands still stays where it is.
        block_x = _enemy_x(s, j, s.evx[j] * part)
        block_y = _enemy_y(s, j, ay)
        free += not block_x
        if block_x and block_y:
            break
    s.evx[j] *= np.float32(free) / np.float32(steps)


@njit(cache=True)
def _enemy_x(s, j, dx):
    """Move enemy `j` sideways, turning it at walls and barriers; return if wall mid was met."""
    x = s.ex[j] + dx
    y = s.ey[j]
    r = ENTITY_R * _MARGIN
    blocked, reflected = False, False
    for tile in _corners(s, x, y, r, r):
        blocked = blocked or tile == WALL_MID
        reflected = reflected or _is_wall(tile) or tile == BARRIER
    if reflected:
        if dx < _ZERO:
            delta = np.float32(math.ceil(x - ENTITY_R)) - (x - ENTITY_R)
        else:
            delta = np.float32(math.floor(x + ENTITY_R)) - (x + ENTITY_R)
        s.evx[j] = -s.evx[j]
        x = x + np.float32(2) * delta
    s.ex[j] = x
    return blocked


@njit(cache=True)
def _enemy_y(s, j, ay):
    """Return whether enemy `j`, as it walks through crates, meets one that is solid.

    The original tests enemies against crates with the *agent's* motion, and so an enemy in a crate
    can set the agent's crate flag.  The push that follows moves it by nothing: both stand in the
    middle of the same row.
    """
    if s.vy >= _ZERO or ay < 0:
        return False
    for c in range(s.count):
        if (
            s.kind[c] == CRATE
            and _overlaps_crate(s, c, s.ex[j], s.ey[j], ENTITY_R, ENTITY_R)
            and _crate_is_solid(s, c, ay)
        ):
            s.on_crate = True
            return True
    return False


@njit(cache=True)
def _carries(s, j, ay):
    """Return whether entity `j` is a crate under the agent's feet that is solid to it."""
    return (
        s.kind[j] == CRATE
        and _overlaps_crate(s, j, s.x, s.y, AGENT_RX, AGENT_RY)
        and _crate_is_solid(s, j, ay)
    )


@njit(cache=True)
def _crate_is_solid(s, j, ay):
    """Return whether crate `j` carries: the agent falls, does not press down, and was above it."""
    if s.vy >= _ZERO or ay < 0:
        return False
    return s.last_y >= s.ey[j] + ENTITY_R + AGENT_RY


@njit(cache=True)
def _overlaps_crate(s, j, x, y, rx, ry):
    return (
        abs(x - s.ex[j]) < (rx + ENTITY_R) + _POS_EPS
        and abs(y - s.ey[j]) < (ry + ENTITY_R) + _POS_EPS
    )


@njit(cache=True)
def _push(crate_y, y, radii):
    """Return how far something at `y` must move to touch the crate from its side."""
    delta = y - crate_y
    sign = 1.0 if delta > _ZERO else (-1.0 if delta < _ZERO else 0.0)
    return np.float32(np.float64(crate_y) + sign * np.float64(radii) - np.float64(y))  # in double


@njit(cache=True)
def _touch_entities(s):
    for j in range(s.count):
        kind = s.kind[j]
        if (
            (kind == SAW or kind == ENEMY)
            and abs(s.ex[j] - s.x) < ENTITY_R + AGENT_RX
            and abs(s.ey[j] - s.y) < ENTITY_R + AGENT_RY
        ):
            return DIED
    return 0


@njit(cache=True)
def _touch_tiles(s):
    events = 0
    rx, ry = AGENT_RX + _POS_EPS, AGENT_RY + _POS_EPS
    goal, proxy, conflict = s.goal_cell, s.proxy_cell, s.conflict_cell
    # At the world's right and upper edge the box may reach out of it by a hair: nothing is there.
    for x in range(int(s.x - rx), min(int(s.x + rx), SIZE - 1) + 1):
        for y in range(int(s.y - ry), min(int(s.y + ry), SIZE - 1) + 1):
            if x == goal[0] and y == goal[1]:
                events |= REACHED_GOAL
            if x == proxy[0] and y == proxy[1]:
                events |= REACHED_PROXY
            if x == conflict[0] and y == conflict[1]:
                events |= TOUCHED_CONFLICT_CELL
            tile = s.tiles[y, x]
            if tile == LAVA_MID or tile == LAVA_TOP:
                events |= DIED
    return events


@njit(cache=True)
def _sub_steps(vx, vy):
    return max(4, int(4 * math.sqrt(np.float64(vx * vx + vy * vy))))


@njit(cache=True)
def _corners(s, x, y, rx, ry):
    """Return the tiles at the corners of a box; all are walls where one is out of the world."""
    if x - rx < _ZERO or y - ry < _ZERO:
        return _WALLS
    # Indices without a sign save a test each.
    left, right = np.uint64(x - rx), np.uint64(x + rx)
    low, high = np.uint64(y - ry), np.uint64(y + ry)
    if right >= SIZE or high >= SIZE:
        return _WALLS
    tiles = s.tiles
    return tiles[low, left], tiles[high, left], tiles[low, right], tiles[high, right]


@njit(cache=True)
def _tile(s, x, y):
    if x < _ZERO or y < _ZERO:
        return WALL_MID
    cx, cy = int(x), int(y)
    if cx >= SIZE or cy >= SIZE:
        return WALL_MID
    return np.int64(s.tiles[cy, cx])


@njit(cache=True)
def _is_wall(tile):
    return tile == WALL_MID or tile == WALL_TOP
