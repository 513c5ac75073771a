"""Numbers of CoinRun, as in Procgen 0.10.7.

Source: `procgen/src/games/coinrun.cpp` and `procgen/src/basic-abstract-game.cpp` of
https://github.com/openai/procgen, and of the fork https://github.com/JacobPfau/procgenAISC.
"""

from __future__ import annotations

import math

import numpy as np

SIZE = 64
"""Width and height of the world, in cells."""

# Tile codes.
GOAL = 1
INVISIBLE_GOAL = -1
WALL_MID = 15
WALL_TOP = 16
LAVA_MID = 17
LAVA_TOP = 18
BARRIER = 19
PERMEABLE = 14
"""Looks like `WALL_MID`, and is none to whoever walks: of no original level (`open_end`)."""
SPACE = 100

# Entity kinds.
PLAYER = 0
SAW = 2
ENEMY = 5
CRATE = 20

MODES = ("easy", "hard")
TERRAINS = ("procgen", "langosco", "langosco_aisc")
"""`procgen`: the original's levels; `langosco`: those of the paper's fork; `langosco_aisc`: those
of the fork's second game, which always randomises the coin and so draws one number less."""
PLACEMENTS = ("section_start", "anywhere", "behind")
"""Those that need no planner."""

MOST_SECTIONS = 8
"""The original lays 5 at most; parameters can ask for more."""
MOST_ENTITIES = 8 * MOST_SECTIONS
"""A section has at most one saw, one enemy and two piles of three crates, or a pit of 7."""
MOST_DIFFICULTY = 5
"""The original draws 1 to 3; from 6 on a section could leave the world."""

AGENT_RX = np.float32(0.5)
AGENT_RY = np.float32(0.5787)
ENTITY_R = np.float32(0.5)
GOAL_REWARD = 10.0

# Physics, in cells and frames.
GRAVITY = np.float32(0.2)
MAX_JUMP = np.float32(1.5)
MAX_SPEED = np.float32(0.5)
MIX_RATE = np.float32(0.2)
AIR_CONTROL = np.float32(0.15)
ENEMY_SPEED = 0.15

MAX_DY = int(float(MAX_JUMP * MAX_JUMP / (np.float32(2) * GRAVITY)) - 0.5)
"""Highest step between sections that a jump clears, in cells (5)."""
MAX_DX = int(float(MAX_SPEED * np.float32(2) * MAX_JUMP / GRAVITY) - 0.5)
"""Widest pit that a jump clears, in cells (7)."""


def jump_rows(gravity: float) -> int:
    """Return the rows that the feet rise above the ground in a standing jump.

    Args:
        gravity: cells a frame, a frame.
    """
    frames = math.ceil(float(MAX_JUMP) / gravity)
    return math.floor(sum(float(MAX_JUMP) - gravity * k for k in range(frames)))


JUMP_ROWS = jump_rows(0.2)
"""The same in the original: 6 (1.5 + 1.3 + ... + 0.1 = 6.4)."""

# Actions of Procgen that differ: a // 3 - 1 is left/right, a % 3 - 1 is down/up; 9-14 do nothing.
NUM_ACTIONS = {"procgen": 15, "distinct": 9}
NO_OP = 4
