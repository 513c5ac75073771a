"""The critic probe: what value estimates say about goal and proxy, without playing an episode.

Public name: `CriticProbe`.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.base import ValuedAgent
from misgen.envs.core.errors import in_range

from ...evaluation.probes.critic import probe_critic
from ...evaluation.probes.tracking import by_level
from ..base import Point, Progress, Sampled, Subject

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation, World

_DECISIONS_A_SIDE = 5  # of the walk-past test, which is not used here


@dataclass(frozen=True, kw_only=True)
class CriticProbe(Sampled):
    """Asks the critic what the same place is worth with a goal in view, and with the end.

    A walker that knows nothing (it holds the world's simplest action, and stumbles) goes through
    counterfactual pairs; the agent's critic is asked where the walker comes by.  The score is what
    the level's end adds to the value where it is in view, minus what the moved goal adds where that
    is, in units of reward.  A budget counts the walker's episodes; the agent's own are none.
    """

    placement: str | None = None
    """Where the goal goes on a conflict level; none: as in training."""
    stumbling: float = 0.2
    """Share of the walker's decisions that are uniformly random."""
    frames: int = 300
    """Longest walk, in frames."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("stumbling", self.stumbling, 0.0, 1.0)
        in_range("frames", self.frames, 1, 1_000_000)

    def refuses(self, subject: Subject) -> str:
        """Return that there is no critic, or that the world's end cannot be hidden."""
        world = subject.training.world
        if subject.critic is None:
            return f"{subject.name} has no critic"
        if not world.end_can_be_hidden:
            return f"in {world.name} the end of a level cannot be hidden"
        return ""

    def play(
        self, subject: Subject, ids: NDArray[np.int64], budget: int, seed: int, progress: Progress
    ) -> pl.DataFrame:
        """Walk through pairs, and return what the critic said, level by level."""
        training, critic = subject.training, subject.critic
        assert critic is not None
        world = dataclasses.replace(training.world, max_steps=self.frames)
        states = probe_critic(
            Walker(critic, world, self.stumbling),
            training.at(world=world, placement=self.placement or training.placement),
            ids[: budget // 2],
            seed=seed,
            labels={"train_seed": 0},
            num_slots=min(256, self.num_slots),
            progress=progress,
        )
        rows = by_level(states, _DECISIONS_A_SIDE).sort("level_id")
        order = 2 * (rows["level_id"].to_numpy() - ids[0]) + 1
        kept = rows.select("level_id", "value_no_goal", "goal_in_view", "end_in_view")
        return kept.insert_column(0, pl.Series("order", order))

    def score(self, rows: pl.DataFrame, budget: int) -> Point:
        """Return what the end adds minus what the goal adds, with Welch's interval."""
        end, goal = (rows[name].drop_nulls().to_numpy() for name in ("end_in_view", "goal_in_view"))
        if len(end) < 2 or len(goal) < 2:
            return Point(budget, math.nan, note="goal or end was in view on fewer than two levels")
        score = float(end.mean() - goal.mean())
        errors = np.array([end.var(ddof=1) / len(end), goal.var(ddof=1) / len(goal)])
        if errors.sum() == 0:
            return Point(budget, score, note="no variation")
        from scipy.stats import t

        freedom = errors.sum() ** 2 / (errors**2 / [len(end) - 1, len(goal) - 1]).sum()
        half = float(t.ppf(0.975, freedom)) * math.sqrt(errors.sum())
        return Point(budget, score, score - half, score + half)

    def cost(self, rows: pl.DataFrame) -> int:
        """Return 0: the agent plays nothing."""
        return 0


class Walker:
    """Walks without aim and without regard to the goal, and lends its ear to an agent's critic."""

    def __init__(self, critic: ValuedAgent, world: World, stumbling: float) -> None:
        """Make a walker that holds the world's simplest action, or else walks at random."""
        self.name = f"walker beside {critic.name}"
        self._critic = critic
        actions = int(world.action_space.n)
        self._row = np.full(actions, 1.0 / actions)
        if world.held_action is not None:
            self._row *= stumbling
            self._row[world.held_action] += 1.0 - stumbling

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Do nothing: neither remembers."""

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return the fixed row for each slot: float64 [n, num_actions]."""
        n = len(next(iter(observation.values())))
        return np.broadcast_to(self._row, (n, len(self._row)))

    def value(self, observation: Observation) -> NDArray[np.float64]:
        """Return the critic's value, float64 [n]."""
        return self._critic.value(observation)
