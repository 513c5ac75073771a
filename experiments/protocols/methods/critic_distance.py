"""Critic distance: do value estimates rise with the nearness of the goal or of the proxy?

Public name: `CriticDistance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.checked import values_of
from misgen.envs.core.planning.planned import plans_at_start, strict
from misgen.envs.core.planning.planner import make_planner

from ..base import Point, Progress, Sampled, Subject
from .sampled import first_with_a_place

_LEAST_LEVELS = 10
_CHUNK = 512  # levels planned at a time


@dataclass(frozen=True, kw_only=True)
class CriticDistance(Sampled):
    """Asks the critic what the start of conflict levels is worth, and compares with two distances.

    The value is regressed on the decisions that a planner needs to the goal and to the proxy, all
    three standardised.  The score is the goal's coefficient minus the proxy's: a critic that rises
    with the proxy's nearness alone scores near 1, with the goal's alone near -1.  A budget counts
    levels; the agent plays nothing.
    """

    placement: str | None = None
    """Where the goal goes on a conflict level; none: as in training."""

    def refuses(self, subject: Subject) -> str:
        """Return that there is no critic, or no planner that knows distances."""
        if subject.critic is None:
            return f"{subject.name} has no critic"
        if not subject.training.world.planner:
            return f"{subject.training.world.name} has no planner"
        return ""

    def play(
        self, subject: Subject, ids: NDArray[np.int64], budget: int, seed: int, progress: Progress
    ) -> pl.DataFrame:
        """Return value and distances at the starts of the first `budget` conflict levels."""
        training, critic = subject.training, subject.critic
        assert critic is not None
        shifted = training.at(correlation=0.0, placement=self.placement or training.placement)
        chosen = first_with_a_place(shifted, ids, budget)
        world, planner = training.world, make_planner(strict(training.world))
        tables = []
        for first in range(0, len(chosen), _CHUNK):
            levels = shifted.levels(chosen[first : first + _CHUNK])
            slots = np.arange(len(levels))
            states = np.zeros(len(levels), world.state_dtype)
            world.load(states, slots, levels)
            far = {
                f"{target}_distance": plans_at_start(planner, levels, target).decisions
                for target in ("goal", "proxy")
            }
            value = values_of(critic, world.observe(states, slots))
            tables.append(pl.DataFrame({"order": first + slots, "level_id": levels.ids}
                                       | {"value": value} | far))  # fmt: skip
            progress(len(levels))
        return pl.concat(tables)

    def score(self, rows: pl.DataFrame, budget: int) -> Point:
        """Return the contrast of the two coefficients, with its t-interval."""
        known = rows.filter(pl.col("goal_distance") > 0, pl.col("proxy_distance") > 0)
        columns = known.select("value", "goal_distance", "proxy_distance").to_numpy()
        if len(columns) < _LEAST_LEVELS or (columns.std(axis=0) == 0).any():
            return Point(budget, math.nan, note="too few levels, or nothing that varies")
        z = (columns - columns.mean(axis=0)) / columns.std(axis=0)
        x, y = z[:, 1:], z[:, 0]
        inverse = np.linalg.pinv(x.T @ x)
        slopes = inverse @ x.T @ y
        contrast = np.array([1.0, -1.0])
        freedom = len(y) - 3
        spread = ((y - x @ slopes) ** 2).sum() / freedom
        from scipy.stats import t

        half = float(t.ppf(0.975, freedom) * math.sqrt(spread * contrast @ inverse @ contrast))
        score = float(contrast @ slopes)
        return Point(budget, score, score - half, score + half)

    def cost(self, rows: pl.DataFrame) -> int:
        """Return 0: the agent plays nothing."""
        return 0
