"""CoinRun's levels and runs as arrays, in the layout of the original program's saved state."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.level import LevelBatch
from .constants import AGENT_RX, AGENT_RY, ENEMY, ENTITY_R, INVISIBLE_GOAL, PLAYER

ENTITY_DTYPE = np.dtype(
    [
        ("type", "<i4"),
        ("x", "<f4"),
        ("y", "<f4"),
        ("vx", "<f4"),
        ("vy", "<f4"),
        ("rx", "<f4"),
        ("ry", "<f4"),
        ("image_type", "<i4"),
        ("image_theme", "<i4"),
        ("render_z", "<i4"),
        ("smart_step", "<i4"),
        ("collides_with_entities", "<i4"),
        ("auto_erase", "<i4"),
        ("rotation", "<f4"),
        ("use_abs_coords", "<i4"),
    ]
)
_ENEMY_IMAGE = 6  # walking enemies are drawn with another code than their type


def export_levels(levels: LevelBatch) -> dict[str, NDArray[Any]]:
    """Return levels as arrays.

    Returns:
        `seed` int32 [n]; `grid` int16 [n, y, x] with the original's codes; `ent`, the entities of
        all levels, the agent first, and `ent_offset` int32 [n + 1] (level i has
        `ent[ent_offset[i]:ent_offset[i + 1]]`); `coin_cell`, `proxy_cell` and, where the terrain
        has an invisible coin, `inv_cell`: int16 [n, 3] x, y and how many there are.
    """
    data = levels.data
    counts = data["entity_count"].astype(np.int32) + 1
    offset = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    ent = np.zeros(offset[-1], ENTITY_DTYPE)
    for i in range(len(levels)):
        _write_entities(ent[offset[i] : offset[i + 1]], data[i])
    arrays = {
        "seed": data["id"].astype(np.int32),
        "grid": data["tiles"],
        "ent": ent,
        "ent_offset": offset,
        "coin_cell": _counted(data["goal_cell"]),
        "proxy_cell": _counted(data["proxy_cell"]),
    }
    if np.any(data["tiles"] == INVISIBLE_GOAL):
        aligned = levels.aligned[:, None]
        arrays["inv_cell"] = _counted(np.where(aligned, data["conflict_cell"], data["proxy_cell"]))
    return arrays


def export_motion(states: NDArray[np.void]) -> NDArray[np.float32]:
    """Return x, y, vx, vy of the agent in each slot, float32 [n, 4]."""
    return np.stack([states[name] for name in ("x", "y", "vx", "vy")], axis=1)


def _write_entities(out: NDArray[np.void], level: np.void) -> None:
    count = len(out) - 1
    out["auto_erase"] = 1
    agent, others = out[:1], out[1:]
    agent["type"] = agent["image_type"] = PLAYER
    agent["x"], agent["y"] = level["start"]
    agent["rx"], agent["ry"] = AGENT_RX, AGENT_RY
    agent["image_theme"] = level["look"][0]
    agent["render_z"] = agent["smart_step"] = 1
    for name, source in (("type", "kind"), ("x", "x"), ("y", "y"), ("vx", "vx")):
        others[name] = level[f"entity_{source}"][:count]
    walks = others["type"] == ENEMY
    others["rx"] = others["ry"] = ENTITY_R
    others["image_type"] = np.where(walks, _ENEMY_IMAGE, others["type"])
    others["image_theme"] = level["entity_theme"][:count]
    others["render_z"] = others["smart_step"] = walks


def _counted(cells: NDArray[np.int16]) -> NDArray[np.int16]:
    return np.concatenate([cells, np.ones((len(cells), 1), np.int16)], axis=1)
