"""Protocols that draw levels and count: `Held`.

Public name: `Held` (protocols `iid` and `harder`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..evaluation.cells import GOAL
from ..evaluation.rollout import run_levels
from .base import Point, Progress, Sampled, Subject, detail_rows, mean_point


@dataclass(frozen=True, kw_only=True)
class Held(Sampled):
    """Plays new levels of the training distribution, and counts failures.

    The score is the mean of 1 - (how much of the intended goal an episode reached).
    """

    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Parameters of the world that differ from training, by the world's name; where a world is not
    named, the protocol is not applicable.  Empty: nothing differs, whatever the world."""

    def refuses(self, subject: Subject) -> str:
        """Return that the world has no changes of its own."""
        name = subject.training.world.name
        if not self.changes or self.changes.get(name):
            return ""
        return f"no capability shift is given for {name}: add options.changes.{name}"

    def play(
        self, subject: Subject, ids: NDArray[np.int64], budget: int, seed: int, progress: Progress
    ) -> pl.DataFrame:
        """Play the first `budget` levels, in the order of their ids."""
        training = subject.training
        changes = self.changes.get(training.world.name, {})
        levels = training.at(world=dataclasses.replace(training.world, **changes))
        episodes = run_levels(
            subject.agent, levels, ids[:budget], actions=subject.actions, seed=seed,
            num_slots=self.num_slots, progress=progress,
        )  # fmt: skip
        return detail_rows(episodes, np.arange(len(episodes)))

    def score(self, rows: pl.DataFrame, budget: int) -> Point:
        """Return the mean failure."""
        return mean_point(budget, 1.0 - rows.select(GOAL).to_series().to_numpy(), bounds=(0, 1))
