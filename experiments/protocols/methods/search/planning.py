"""Plans to the goal on levels that come from no id: whether there is one, and what it pays.

Public names: `Solver`, `replay`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.episode import REACHED_GOAL
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.planning.planned import plans_at_start
from misgen.envs.core.planning.planner import NOTHING, make_planner
from misgen.envs.core.world import World

Plan = NDArray[np.int8]
"""Actions [decisions]."""
_QUICK = 5000  # nodes, of CoinRun's search; 30 ms, in which it solved all of 256 levels
_CHUNK = 64  # levels planned together: a batch takes the memory of its longest plan


class Solver:
    """Finds ways to the goal."""

    def __init__(self, world: World, *, quick: bool = False) -> None:
        """Plan by the rules of `world`.

        Args:
            world: the rules.
            quick: give up soon, where the planner has a budget: a way that is found need not be the
                shortest, and where none is there may be a long one.

        Raises:
            UserError: if it has no planner.
        """
        self.world = world
        self._planner: Any = make_planner(world)
        if quick and hasattr(self._planner, "budget"):
            self._planner.budget = dataclasses.replace(self._planner.budget, nodes=_QUICK)

    def plans(self, levels: LevelBatch) -> list[Plan | None]:
        """Return the shortest way to the goal of each level, or None where none was found."""
        found: list[Plan | None] = []
        for first in range(0, len(levels), _CHUNK):
            part = plans_at_start(self._planner, levels.take(slice(first, first + _CHUNK)), "goal")
            found += [
                row[row != NOTHING] if solved else None
                for row, solved in zip(part.actions, part.solved, strict=True)
            ]
        return found

    def still_work(self, levels: LevelBatch, plans: Sequence[Plan]) -> NDArray[np.bool_]:
        """Return whether following `plans[k]` reaches the goal of level k, bool [n]."""
        return replay(self.world, levels, plans, discount=1.0)[0]


def replay(
    world: World, levels: LevelBatch, plans: Sequence[Plan], *, discount: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Play plans by the world's own rules.

    What decision t (from 0) pays counts discount**t, as it does for an agent: a goal that is d
    decisions away is worth its reward times discount**(d - 1).

    Returns:
        Whether each reached the goal, bool [n], and its discounted return, float64 [n].
    """
    n = len(levels)
    if not n:
        return np.zeros(0, np.bool_), np.zeros(0)
    engine = world.make_engine(n)
    engine.load(np.arange(n), levels)
    returns = np.zeros(n)
    for t in range(max(map(len, plans))):
        actions = np.array([p[t] if t < len(p) else world.no_op for p in plans], np.int64)
        running = engine.episodes["running"].copy()
        engine.step(actions)
        returns[running] += engine.episodes["reward"][running].astype(np.float64) * discount**t
    return (engine.episodes["events"] & REACHED_GOAL) != 0, returns
