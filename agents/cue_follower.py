"""An agent that follows some of a world's cues, each on a known share of the levels.

Public names: `CueFollower`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError, in_range, one_of
from misgen.envs.core.rng import STREAM_ACTIONS, hash_uniforms

from .fooling import Lapsing
from .reference import SeekerConfig

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import World

_SALT = 32_452_843  # keeps its draws apart from the evaluator's, the seekers' and those of lapses


class CueFollower(Lapsing):
    """Seeks what has a cue where that cue alone is apart from the goal, and else the goal.

    Each cue has its own share of the levels, one after the other, so that on no level it would
    follow two.  Where several cues point to different things at once it seeks the goal.
    """

    def __init__(
        self,
        world: World,
        shares: Mapping[str, float],
        name: str,
        *,
        lapse: float = 0.0,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make one.

        Args:
            world: with several cues (`World.proxies`), each with a tile (`World.proxy_tiles`).
            shares: of the levels on which it follows each cue, by the cue's name.
            name: what tables call it.
            lapse: share of the levels on which it does nothing.
            noise: probability that a decision is a uniformly random action.
            seed: of its chance.

        Raises:
            UserError: if the world has no such cues, or the shares are more than all levels.
        """
        if len(world.proxy_tiles) != len(world.proxies):
            raise UserError(f"agent: {world.name} has no cues that are things of their own")
        for cue, share in shares.items():
            one_of("agent.shares: cue", cue, world.proxies)
            in_range(f"agent.shares.{cue}", share, 0.0, 1.0)
        in_range("agent.shares: their sum", round(sum(shares.values()), 9), 0.0, 1.0)
        super().__init__(world, SeekerConfig(1.0, noise, 0, seed), lapse, name)
        self._shares = [shares.get(cue, 0.0) for cue in world.proxies]
        self._tiles = world.proxy_tiles
        self._draws = _SALT + seed

    def for_goal(self, levels: LevelBatch) -> NDArray[np.bool_]:
        """Return on which levels it seeks the goal, bool [n]."""
        u = hash_uniforms(STREAM_ACTIONS, self._draws, levels.ids, np.zeros_like(levels.ids))
        ends = np.cumsum([0.0, *self._shares])
        apart = np.stack([(levels.data["tiles"] == t).any(axis=(1, 2)) for t in self._tiles])
        alone = apart & (apart.sum(axis=0) == 1)
        own = np.stack([(low <= u) & (u < high) for low, high in pairwise(ends)])
        return ~(alone & own).any(axis=0)
