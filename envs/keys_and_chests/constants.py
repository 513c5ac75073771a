"""Numbers of the original program, and the sizes of this world's records."""

from __future__ import annotations

import numpy as np

SIZES = {"easy": 9, "hard": 13}
"""Width and height of the world in each mode, in cells; the maze fills an odd part of it."""
LARGEST = 13
MOST_OBJECTS = 32
"""Room for keys and chests; what was taken is a bit of 32."""

CHEST, KEY, KEY_ON_RING, PLAYER = 1, 2, 11, 0
"""Kinds of entities, in the original's codes."""
WALL_TILE, SPACE = 51, 100
BACKGROUNDS = 9
SMALLEST_MAZE = 5

AGENT_R = np.float32(0.375)
"""Half the width and height of the agent's body, in cells."""
CHEST_R = np.float32(0.5)
KEY_RX = np.float32(0.375)
KEY_RY = KEY_RX / (np.float32(42) / np.float32(26))
"""Half the height of a key: as its picture's, which has 42 x 26 pixels."""

MIX_RATE = np.float32(0.5)
MAX_SPEED = np.float32(0.75)
DECAY = 0.9  # in double, as the original's literal is
MARGIN = np.float32(0.98)  # corners are tested at this part of the radius
NO_OP = 4
CHEST_REWARD = np.float32(1)
