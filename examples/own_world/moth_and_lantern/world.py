"""Moth and lantern as a `World`: names, and the calls into its kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.boards.layouts import LAYOUTS
from misgen.envs.core.boards.walled_world import FREE_TILE, WALL_TILE, WalledWorld
from misgen.envs.core.episode import ON_PROXY
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.placement import Placement
from misgen.envs.core.world import Symbols

from . import rules


@dataclass(frozen=True, kw_only=True)
class MothAndLantern(WalledWorld):
    """Moth and lantern; see the package's docstring for the specification."""

    name: ClassVar[str] = "moth_and_lantern"
    level_dtype: ClassVar = rules.LEVEL_DTYPE
    state_dtype: ClassVar = rules.STATE_DTYPE
    placements: ClassVar = {"anywhere": None, "far": 4}
    usual_shifts: ClassVar = ("anywhere", "far(4)")
    symbols: ClassVar = Symbols(
        tiles={FREE_TILE: ".", WALL_TILE: "#", rules.FLOWER: "F", rules.LANTERN: "L"},
        entities={},
        looks=(),
        names={
            FREE_TILE: "free",
            WALL_TILE: "hedge",
            rules.FLOWER: "the flower",
            rules.LANTERN: "the lantern, where the flower is elsewhere (one at most)",
        },
    )
    single_tiles: ClassVar = (rules.LANTERN,)
    refused_marks: ClassVar = {"X": "draw the lantern L where the proxy is to be"}
    goal_tile: ClassVar = rules.FLOWER
    proxy_tiles: ClassVar = (rules.LANTERN,)
    proxies: ClassVar = ("lantern",)
    classes: ClassVar = ("free", "hedge", "flower", "lantern", "flower under the lantern")
    features: ClassVar = (
        (0, 1, 0, 0, 0),  # hedges
        (0, 0, 1, 0, 1),  # flower
        (0, 0, 0, 1, 1),  # light
    )
    sprites: ClassVar = "moth_and_lantern.sprites"
    goal_description: ClassVar = "the flower"
    proxy_description: ClassVar = "the lantern"
    # What protocols and surfaces ask a world; without these it would say that it has none.
    harder: ClassVar = {"size": 11, "max_steps": 40}
    search_space: ClassVar = {"max_steps": (20, 60)}

    max_steps: int = 60

    def levels(self, ids: NDArray[np.int64], correlation: Any, placement: str) -> LevelBatch:
        """Return the levels of `ids`; pure."""
        ids = np.ascontiguousarray(ids, np.int64)
        where = Placement.parse(placement, self.placements)
        batch = LevelBatch.empty(self.name, ids, rules.LEVEL_DTYPE, ())
        rules.generate(
            batch.data,
            self.size,
            LAYOUTS.index(self.layout),
            float(correlation),
            rules.PLACEMENTS.index(where.rule),
            where.distance or 0,
        )
        return batch

    def load(self, states: NDArray[np.void], slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Put each level at its start into its slot."""
        rules.load(states, slots, levels.data, self.size)

    def play(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot."""
        on_proxy = ON_PROXY.index(self.on_proxy)
        rules.advance(states, episodes, actions, self.action_repeat, on_proxy, self.max_steps)
