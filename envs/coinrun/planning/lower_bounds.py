"""How far CoinRun's agent is from its target at least: nothing runs, rises or falls faster.

Public names: `frames_left`, `lead_of`.
"""

from __future__ import annotations

import math

import numpy as np

from ..constants import AGENT_RX, AGENT_RY, AIR_CONTROL, MAX_JUMP, MIX_RATE
from .search_memory import kernel

# The physics in float64, for bounds; what they miss by rounding is far below the slack.
_SLACK = 0.02  # cells; what snapping to a cell's face can gain
_BOX_X = float(AGENT_RX) - 0.001  # half of the box that touches cells
_BOX_Y = float(AGENT_RY) - 0.001
_JUMP = float(MAX_JUMP)
_GROUND, _AIR = float(MIX_RATE), float(MIX_RATE) * float(AIR_CONTROL)


@kernel
def frames_left(task, s):
    """Return how many frames the target is away at least."""
    grounded = s.vy == 0 or s.on_crate
    pull, top = float(s.gravity), float(s.max_speed)
    side, speed = _side(task, s)
    up = task.target_y - _BOX_Y - s.y
    down = s.y - _BOX_Y - (task.target_y + 1)
    rising = 0.0 if grounded or task.ceilings else float(s.vy)
    frames = _run_frames(side - _SLACK, speed, rising, pull, top)
    if up > 0:
        frames = max(frames, _rise_frames(up - _SLACK, s.vy, grounded, pull))
    elif down > 0:
        vy = min(float(s.vy), 0.0) if task.ceilings else float(s.vy)
        frames = max(frames, _fall_frames(down - _SLACK, vy, pull))
    return frames


@kernel
def lead_of(task, s):
    """Return, in cells, how far a state is ahead of another in its place."""
    side, speed = _side(task, s)
    return np.float32((speed - s.max_speed) / _GROUND - side) if side > 0 else np.float32(0)


@kernel
def _side(task, s):
    """Return how far the target's column is away, and the speed towards it."""
    right = task.target_x - _BOX_X - s.x
    left = s.x - _BOX_X - (task.target_x + 1)
    if right > 0:
        return right, float(s.vx)
    return left, -float(s.vx)


@kernel
def _run_frames(distance, speed, rising, pull, top):
    """Return the frames to cover a distance sideways, with little control while `rising`.

    `pull` is gravity and `top` the greatest speed, here and below.
    """
    frames = 0
    speed = max(speed, 0.0)
    while distance > 0 and rising > pull:
        speed += _AIR * (top - speed)
        distance -= speed
        rising -= pull
        frames += 1
    while distance > 0:
        speed += _GROUND * (top - speed)
        distance -= speed
        frames += 1
        if distance > 0 and speed > 0.999 * top:
            return frames + math.ceil(distance / top)
    return frames


@kernel
def _rise_frames(height, vy, grounded, pull):
    """Return the frames to get higher by `height`, with a new jump after each landing."""
    frames = 0
    speed = _JUMP if grounded else vy - pull
    while True:
        while speed > 0.01:
            height -= speed
            speed -= pull
            frames += 1
            if height <= 0:
                return frames
        frames += 1
        speed = _JUMP


@kernel
def _fall_frames(depth, vy, pull):
    """Return the frames to get lower by `depth`."""
    frames = 0
    while depth > 0:
        vy = max(vy - pull, -_JUMP)
        depth += vy
        frames += 1
    return frames
