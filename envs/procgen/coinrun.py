"""CoinRun on Procgen as a `World`; the package's docstring is the specification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..coinrun.constants import MOST_ENTITIES
from ..coinrun.world import CoinRun
from ..core.level import LevelBatch
from ..core.rng import MT_WORDS, mt_next, mt_seed
from .engine import OnProcgen
from .saved_state import ENTITY_DTYPE, TRAIL, SavedState


@dataclass(frozen=True, kw_only=True)
class ProcgenCoinRun(OnProcgen, CoinRun):
    """The original CoinRun; levels, coin cells and outcomes are those of the native world."""

    name: ClassVar[str] = "procgen_coinrun"
    game: ClassVar[str] = "coinrun"
    native: ClassVar[str] = "coinrun"
    capability: ClassVar = {}  # its levels are the original's
    capability_values: ClassVar = {}
    harder: ClassVar = {"mode": "hard"}
    search_space: ClassVar = {}
    kept: ClassVar = ("action_set", "action_repeat", "max_steps", "on_proxy", "pays")

    def start_state(self, template: SavedState, levels: LevelBatch, k: int) -> bytes:
        """Return the saved state of the start of `levels[k]`."""
        ours = self.export_levels(levels.take(slice(k, k + 1)))
        record = levels.data[k]
        state = template.with_entities(full_entities(ours["ent"]))
        state["grid"][:] = ours["grid"][0]
        _, state["wall_theme"][0], state["background_index"][0] = record["look"]
        state["bg_pct_x"][0] = background_offset(record["id"])
        state["level_seed"][0] = record["id"]
        state["last_agent_y"][0] = record["start"][1]
        return bytes(state)

    def motion(self, states: NDArray[np.void]) -> dict[str, NDArray[Any]]:
        """Return agent and entities; rows of `entities` beyond a level's own are 0."""
        agent = [states[name] for name in ("x", "y", "vx", "vy", "last_y")]
        entities = np.stack([states[name] for name in ("ex", "ey", "evx")], axis=-1)
        entities[np.arange(MOST_ENTITIES) >= states["count"][:, None]] = 0
        return {
            "x, y, vx, vy and last y of the agent": np.stack(agent, axis=-1),
            "support and crate flag": np.stack([states["support"], states["on_crate"]], axis=-1),
            "x, y, vx of the entities": entities,
        }

    def saved_motion(self, state: SavedState) -> dict[str, NDArray[Any]]:
        """Return agent and entities; rows of `entities` beyond a level's own are 0."""
        agent, *others = state["entities"][state["entities"]["type"] != TRAIL].tolist()
        entities = np.zeros((MOST_ENTITIES, 3), np.float32)
        entities[: len(others)] = [entity[:3] for entity in others] or 0
        own = (*agent[:4], state["last_agent_y"][0])
        flags = (state["has_support"][0], state["is_on_crate"][0])
        return {
            "x, y, vx, vy and last y of the agent": np.array(own, np.float32),
            "support and crate flag": np.array(flags, np.bool_),
            "x, y, vx of the entities": entities,
        }


def full_entities(known: NDArray[np.void]) -> NDArray[np.void]:
    """Return entities with all of Procgen's fields, those that are not known as when created."""
    full = np.zeros(len(known), ENTITY_DTYPE)
    for name in known.dtype.names or ():
        full[name] = known[name]
    for name in ("fire_time", "spawn_time", "expire_time"):
        full[name] = -1
    for name in ("friction", "alpha", "health", "grow_rate", "alpha_decay"):
        full[name] = 1
    full["theta"] = -100
    return full


@njit(cache=True)
def background_offset(level_id):
    """Return where a level's background begins, in [0, 1): the first draw of its generator."""
    if level_id < 0:  # made by hand
        return np.float32(0)
    state = np.empty(MT_WORDS + 1, np.uint32)
    mt_seed(state, level_id)
    return np.float32(mt_next(state) / 4294967296.0)
