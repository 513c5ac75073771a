"""The conditions under which an agent is evaluated, and their episodes.

Public names: `Condition`, `Job`, `conditions`, `agent_jobs`, `evaluate_on`, `run_jobs`,
`level_report`, `terrains_of`, `training_terrains`, `EPISODES`, `EPISODES_VERSION`.

All conditions of an evaluation use the same level ids, which training never saw (where a placement
finds no place for the goal, the level is left out of its twins, and counted):

- `in_distribution`: as in training, at its own correlation and placement: a standard test;
- `conflict`, for each placement of the shift: the goal elsewhere;
- `aligned`, for each placement: the same levels with the goal at the proxy, the twins of the
  conflict levels.  The cell is marked where the conflict level has its goal, so that it is known
  how often the agent comes there though nothing is there.

All are played **under the rules that the agent was trained under**.  A test under another rule
(`on_proxy`) has a column that says so, and levels as in training are then played under both rules.

An episode's random numbers hang on its level, repeat and decision alone: both twins share them.

Beside the agent play *references* (`references`): planned seekers of the goal and of the proxy on
the twins, and the *floor*, which acts at random, everywhere, for as many decisions on each level as
the agent took there.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.base import Agent
from misgen.agents.scripted import make_agent
from misgen.envs.core.distribution import IdRange, LevelDistribution, Terrains
from misgen.envs.core.level_text.level_set import LevelSet

from .config import EvaluateConfig
from .references import Reference, reference_episodes, reference_jobs
from .rollout import SCHEMA, Actions, run_levels

IN_DISTRIBUTION, CONFLICT, ALIGNED = "in_distribution", "conflict", "aligned"
AGENT, FLOOR, REFERENCE = "agent", "floor", "reference"
"""Roles: the agent that is evaluated; random play at its number of decisions; a planned seeker."""
RANDOM = "random"
"""Name of the agent that is the floor."""
LABELS = pl.Schema(
    {
        "role": pl.String,
        "agent": pl.String,
        "noise": pl.Float64,
        "condition": pl.String,
        "placement": pl.String,
        "test_correlation": pl.Float64,
        "on_proxy": pl.String,
        "actions": pl.String,
        "train_correlation": pl.Float64,
        "train_placement": pl.String,
        "train_on_proxy": pl.String,
        "train_seed": pl.Int64,
        "run": pl.String,
    }
)
"""What an evaluation's episodes have beside `rollout.SCHEMA`."""
DEVICE = pl.Schema({"device": pl.Float64})
"""Probability that a device explains the episode (`aims`); null where that was not asked."""
EPISODES = pl.Schema({**LABELS, **SCHEMA, **DEVICE})
"""Columns of an evaluation's `episodes.parquet`, in their order; docs/columns.md says what each
means."""
EPISODES_VERSION = 2
"""Version of these columns: rises when one is added, removed, or means something else."""
_OPTIONAL = ("reached_proxy", "proxies", "died", "return", "progress", "device")
NEEDED = pl.Schema({k: v for k, v in EPISODES.items() if k not in _OPTIONAL})
"""What metrics rest on: an evaluation without these columns is none."""


@dataclass(frozen=True)
class Condition:
    """One kind of test levels."""

    name: str
    """`in_distribution`, `conflict` or `aligned`."""
    distribution: LevelDistribution
    """Which levels, and by which rules; its range is the test range."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the levels that are played: of the range, those with a place for the goal.

        Of a range that is sampled (`LevelDistribution.is_sampled`): of its sample.
        """
        if self.name == IN_DISTRIBUTION:
            return self.distribution.ids_to_play()
        return _conflict_ids(self.distribution)


@dataclass(frozen=True)
class Job:
    """One agent, under one condition, in one action mode."""

    agent: Agent
    condition: Condition
    actions: Actions
    repeats: int = 1

    @property
    def episodes(self) -> int:
        """How many episodes it takes."""
        return len(self.condition.ids) * self.repeats


def conditions(
    training: LevelDistribution, test: IdRange, config: EvaluateConfig
) -> list[Condition]:
    """Return the conditions for an agent trained on `training`.

    Raises:
        UserError: for a placement that the world does not have, or a world that is not Procgen's.
    """
    world = training.world
    if config.backend == "procgen":
        from misgen.envs.procgen.lockstep import on_procgen

        world = on_procgen(world)
    as_trained = training.at(world=world, ids=test)
    found = [Condition(IN_DISTRIBUTION, as_trained)]
    ruled = world.under(config.on_proxy)
    if ruled != world:
        as_trained = as_trained.at(world=ruled)
        found.append(Condition(IN_DISTRIBUTION, as_trained))
    for placement in world.shifts(config.shift.placements):
        conflict = as_trained.at(correlation=config.shift.correlation, placement=placement)
        found += [Condition(CONFLICT, conflict), Condition(ALIGNED, conflict.at(correlation=1.0))]
    return found


def agent_jobs(agent: Agent, where: Sequence[Condition], config: EvaluateConfig) -> list[Job]:
    """Return what the agent plays: all conditions, in each action mode.

    The twins are repeated where actions are sampled; greedy play is the same each time.
    """
    return [
        Job(agent, condition, actions, _repeats(condition, actions, config))
        for actions in typing.cast("tuple[Actions, ...]", config.actions)
        for condition in where
    ]


def _repeats(condition: Condition, actions: str, config: EvaluateConfig) -> int:
    return config.repeats if condition.name != IN_DISTRIBUTION and actions == "sampled" else 1


def count_episodes(agent: Agent, where: Sequence[Condition], config: EvaluateConfig) -> int:
    """Return how many episodes `evaluate_on` takes, those of its references included."""
    own = sum(job.episodes for job in agent_jobs(agent, where, config))
    pairs = _to_plan(where) if config.references else []
    return 2 * own + sum(len(one.ids(c.ids)) for c in pairs for one in reference_jobs(c))


def evaluate_on(
    agent: Agent,
    where: Sequence[Condition],
    training: LevelDistribution,
    config: EvaluateConfig,
    *,
    train_seed: int = 0,
    run: str = "",
    progress: Callable[[int], object] | None = None,
) -> pl.DataFrame:
    """Let an agent play all conditions, the floor beside it, and planned seekers on the twins.

    Args:
        agent: who is evaluated.
        where: `conditions`.
        training: what the agent was trained on, for the labels.
        config: settings.
        train_seed: the agent's training seed, for the labels.
        run: the training run's name, for the labels.
        progress: called with the number of episodes that ended, whenever some did.

    Returns:
        `EPISODES`, one row an episode.
    """
    labels = _Labels(training, train_seed, run)
    jobs = agent_jobs(agent, where, config)
    own = [_play(job, config, progress) for job in jobs]
    tables = [labels.of(table, AGENT, job) for job, table in zip(jobs, own, strict=True)]
    for job, table in zip(jobs, own, strict=True):
        world = job.condition.distribution.world
        random = make_agent(RANDOM, int(world.action_space.n), world.no_op)
        as_long = dataclasses.replace(job, agent=random)
        played = _play(as_long, config, progress, table["steps"].to_numpy())
        tables.append(labels.of(played, FLOOR, as_long))
    for condition in _to_plan(where) if config.references else ():
        for reference in reference_jobs(condition):
            played = reference_episodes(
                condition.distribution, reference, reference.ids(condition.ids), progress
            )
            tables.append(labels.of_reference(played, reference, condition))
    return pl.concat(tables).select(EPISODES.names())


def run_jobs(
    jobs: Sequence[Job],
    training: LevelDistribution,
    config: EvaluateConfig,
    *,
    train_seed: int,
    run: str,
    progress: Callable[[int], object] | None = None,
) -> pl.DataFrame:
    """Play some jobs of an agent, without a floor and references.

    Args:
        jobs: what to play.
        training: what the agent was trained on, for the labels.
        config: settings.
        train_seed: the agent's training seed, for the labels.
        run: the training run's name, for the labels.
        progress: called with the number of episodes that ended, whenever some did.

    Returns:
        `EPISODES`, one row an episode.
    """
    labels = _Labels(training, train_seed, run)
    tables = [labels.of(_play(job, config, progress), AGENT, job) for job in jobs]
    return pl.concat(tables) if tables else pl.DataFrame(schema=EPISODES)


def _play(
    job: Job,
    config: EvaluateConfig,
    progress: Callable[[int], object] | None,
    limits: NDArray[np.int32] | None = None,
) -> pl.DataFrame:
    return run_levels(
        job.agent,
        job.condition.distribution,
        job.condition.ids,
        actions="sampled" if limits is not None else job.actions,
        repeats=job.repeats,
        seed=config.seed,
        num_slots=config.num_slots,
        progress=progress,
        limits=limits,
    )


def _to_plan(where: Sequence[Condition]) -> list[Condition]:
    """Return the conditions in which planned seekers play: the twins, in a world with a planner."""
    return [
        condition
        for condition in where
        if condition.name != IN_DISTRIBUTION and condition.distribution.world.planner
    ]


@dataclass(frozen=True)
class _Labels:
    """What tells an evaluation's episodes from others'."""

    training: LevelDistribution
    train_seed: int
    run: str

    def of(self, episodes: pl.DataFrame, role: str, job: Job) -> pl.DataFrame:
        """Return the episodes of a job with their labels."""
        return self._labelled(episodes, role, job.agent.name, 0.0, job.condition, job.actions)

    def of_reference(
        self, episodes: pl.DataFrame, reference: Reference, condition: Condition
    ) -> pl.DataFrame:
        """Return the episodes of a planned seeker with their labels."""
        actions = "sampled" if reference.noise else "greedy"
        name, noise = reference.name, reference.noise
        return self._labelled(episodes, REFERENCE, name, noise, condition, actions)

    def _labelled(
        self,
        episodes: pl.DataFrame,
        role: str,
        agent: str,
        noise: float,
        condition: Condition,
        actions: str,
    ) -> pl.DataFrame:
        distribution, training = condition.distribution, self.training
        labels = {
            "role": role,
            "agent": agent,
            "noise": noise,
            "condition": condition.name,
            "placement": distribution.placement,
            "test_correlation": float(distribution.correlation),
            "on_proxy": distribution.world.on_proxy,
            "actions": actions,
            "train_correlation": float(training.correlation),
            "train_placement": training.placement,
            "train_on_proxy": training.world.on_proxy,
            "train_seed": self.train_seed,
            "run": self.run,
        }
        columns = [pl.lit(value, LABELS[name]).alias(name) for name, value in labels.items()]
        if not distribution.world.goal_moves:  # there is no cell to touch
            episodes = episodes.with_columns(cell_first=pl.lit(None, pl.Boolean))
        nothing = [pl.lit(None, dtype).alias(name) for name, dtype in DEVICE.items()]
        return episodes.select(*columns, pl.all(), *nothing)


def level_report(
    training: LevelDistribution, where: Sequence[Condition], trained_on: dict[str, Any]
) -> dict[str, Any]:
    """Return what the levels of an evaluation really are, whatever their ids promise.

    Args:
        training: what the agent was trained on.
        where: the conditions; all have the same test ids.
        trained_on: `training.describe()`; `{"unknown": True}` of an agent that was trained
            elsewhere, on levels that nobody told.

    Returns:
        `training` and each condition as `LevelDistribution.describe` has them (realised
        correlation, distinct conflict levels), and of the `test` levels `distinct_terrains` and
        `terrain_seen_in_training`, the share whose terrain some training level has too.  Where a
        range is sampled: of the `test` levels `sampled` (true), `levels` and `levels_played`; and
        `training_levels_looked_at`, so that the share is the least that it can be.  The share is
        null where the training levels are unknown.
    """
    test = where[0].distribution
    unknown = bool(trained_on.get("unknown"))
    seen = None if unknown else training_terrains(training)
    terrains = list(terrains_of(test).values())
    played = {"sampled": True, "levels": len(test.ids), "levels_played": len(terrains)}
    return {
        "training": {"ids": "unknown" if unknown else str(training.ids), **trained_on},
        "test": {
            "ids": str(test.ids),
            "distinct_terrains": len(set(terrains)),
            "terrain_seen_in_training": None
            if seen is None
            else sum(t in seen for t in terrains) / len(terrains),
            **(played if test.is_sampled else {}),
            **({"training_levels_looked_at": seen.looked_at} if seen and seen.sampled else {}),
        },
        "conditions": [
            {
                "condition": condition.name,
                "placement": condition.distribution.placement,
                "test_correlation": condition.distribution.correlation,
                "on_proxy": condition.distribution.world.on_proxy,
                **condition.distribution.describe(),
                "levels_with_a_place": len(condition.ids),
            }
            for condition in where
            if condition.name != ALIGNED
        ],
    }


@lru_cache(maxsize=32)
def _conflict_ids(distribution: LevelDistribution) -> NDArray[np.int64]:
    return distribution.conflict_ids()


@lru_cache(maxsize=1)
def terrains_of(test: LevelDistribution) -> dict[int, bytes]:
    """Return the terrain of each test level that is played, as a digest, by its id."""
    bare = test if isinstance(test, LevelSet) else test.at(correlation=1.0)
    return {
        level: digest
        for batch in bare.chunks(test.ids_to_play())
        for level, digest in zip(batch.ids.tolist(), batch.digests(terrain=True), strict=True)
    }


def training_terrains(training: LevelDistribution) -> Terrains:
    """Return the terrains of the levels that an agent was trained on, whatever their goals."""
    some = training.distinct_conflicts  # then it matters which levels are in conflict
    return _terrain_digests(training if some else training.at(correlation=1.0))


@lru_cache(maxsize=1)
def _terrain_digests(training: LevelDistribution) -> Terrains:
    return training.terrain_digests()
