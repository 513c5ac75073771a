"""Levels as arrays, in the layout of the original program's saved state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..coinrun.export import ENTITY_DTYPE
from ..core.level import LevelBatch
from .constants import AGENT_R, CHEST, CHEST_R, KEY, KEY_ON_RING, KEY_RX, KEY_RY, PLAYER

_RING_R = np.float32(0.03)
"""Half the width of a key in the display of keys held, in screens."""


def export_levels(levels: LevelBatch, size: int) -> dict[str, NDArray[Any]]:
    """Return levels as arrays.

    Args:
        levels: the levels [n].
        size: width and height of their world.

    Returns:
        `seed` int32 [n]; `grid` int16 [n, y, x] with the original's codes; `ent`, the entities of
        all levels, the agent first and the display's keys last, and `ent_offset` int32 [n + 1]
        (level i has `ent[ent_offset[i]:ent_offset[i + 1]]`); `agent` float32 [n, 2]; `num_keys` and
        `background_index` int16 [n].
    """
    data = levels.data
    keys = (data["entity_kind"] == KEY) & _present(data)
    num_keys = keys.sum(axis=1)
    sizes = 1 + data["entity_count"] + num_keys
    offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    ent = np.zeros(offset[-1], ENTITY_DTYPE)
    for i in range(len(levels)):
        _write_entities(ent[offset[i] : offset[i + 1]], data[i])
    return {
        "seed": data["id"].astype(np.int32),
        "grid": data["tiles"][:, :size, :size],
        "ent": ent,
        "ent_offset": offset,
        "agent": data["start"],
        "num_keys": num_keys.astype(np.int16),
        "background_index": data["look"][:, 0],
    }


def _present(data: NDArray[np.void]) -> NDArray[np.bool_]:
    room = data["entity_kind"].shape[1]
    return np.arange(room) < data["entity_count"][:, None]


def _write_entities(out: NDArray[np.void], level: np.void) -> None:
    count = int(level["entity_count"])
    out["auto_erase"] = 1
    agent, objects, ring = out[0], out[1 : 1 + count], out[1 + count :]
    agent["type"] = agent["image_type"] = PLAYER
    agent["x"], agent["y"] = level["start"]
    agent["rx"] = agent["ry"] = AGENT_R
    agent["render_z"] = agent["smart_step"] = 1
    objects["type"] = objects["image_type"] = level["entity_kind"][:count]
    for name in ("x", "y"):
        objects[name] = level[f"entity_{name}"][:count]
    objects["image_theme"] = level["entity_theme"][:count]
    chest = objects["type"] == CHEST
    objects["rx"] = np.where(chest, CHEST_R, KEY_RX)
    objects["ry"] = np.where(chest, CHEST_R, KEY_RY)
    ring["type"], ring["image_type"] = KEY_ON_RING, KEY
    order = np.arange(len(ring))
    ring["image_theme"] = order
    ring["x"] = 1 - np.float64(_RING_R) * (2 * order + 1.25)
    ring["y"] = np.float64(_RING_R) * 0.75
    ring["rx"], ring["ry"] = _RING_R, _RING_R / (KEY_RX / KEY_RY)
    ring["rotation"], ring["render_z"], ring["use_abs_coords"] = math.pi / 2, 1, 1
