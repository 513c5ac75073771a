"""The conditions under which an agent is evaluated, and their episodes.

Public names: `Condition`, `Job`, `conditions`, `agent_jobs`, `reference_jobs`, `run_jobs`,
`add_planned`, `level_report`, `EPISODES`, `EPISODES_VERSION`.

All conditions of an evaluation use the same held-out level ids (where a placement finds no place
for the goal, the level is left out of its shifted levels and twins, and counted):

- `heldout`: as in training (its correlation and placement), on levels that training never saw;
- `shifted`, for each placement of the shift: the goal elsewhere (correlation 0 by default);
- `twin`, for each placement: every level aligned, with the cell marked where the shifted level has
    its goal.  An agent that touches that cell without a goal in it would have reached the goal by
    accident.

`heldout` and `shifted` share the random numbers of their sampled actions, level by level; the
repeats on a twin are independent of both.
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
from misgen.envs.core.distribution import IdRange, LevelDistribution, Terrains
from misgen.envs.core.level_text.level_set import LevelSet

from .config import EvaluateConfig
from .planned import PLANNED, planned_facts
from .rollout import SCHEMA, Actions, run_levels

HELDOUT, SHIFTED, TWIN = "heldout", "shifted", "twin"
RANDOM = "random"
"""Name of the reference agent that is the floor."""
LABELS = pl.Schema(
    {
        "agent": pl.String,
        "condition": pl.String,
        "placement": pl.String,
        "test_correlation": pl.Float64,
        "actions": pl.String,
        "train_correlation": pl.Float64,
        "train_placement": pl.String,
        "train_seed": pl.Int64,
        "run": pl.String,
    }
)
"""What an evaluation's episodes have beside `rollout.SCHEMA`."""
EPISODES = pl.Schema({**LABELS, **SCHEMA, **PLANNED})
"""Columns of an evaluation's `episodes.parquet`, in their order; docs/columns.md says what each
means."""
EPISODES_VERSION = 1
"""Version of these columns: rises when one is added, removed, or means something else."""
_OPTIONAL = ("reached_proxy", "proxies", "died", "steps", "return", "progress")
NEEDED = pl.Schema({k: v for k, v in {**LABELS, **SCHEMA}.items() if k not in _OPTIONAL})
"""What metrics rest on: an evaluation without these columns is none."""


@dataclass(frozen=True)
class Condition:
    """One kind of test levels."""

    name: str
    """`heldout`, `shifted` or `twin`."""
    distribution: LevelDistribution
    """Which levels, and by which rules; its range is the test range."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the levels that are played: of the range, those with a place for the goal.

        Of a range that is sampled (`LevelDistribution.is_sampled`): of its sample.
        """
        if self.name == HELDOUT:
            return self.distribution.ids_to_play()
        return _conflict_ids(self.distribution)


@dataclass(frozen=True)
class Job:
    """One agent, under one condition, in one action mode."""

    agent: Agent
    condition: Condition
    actions: Actions
    repeats: int = 1
    first_repeat: int = 0
    """0, which shares its random numbers with other jobs' repeat 0; 1 on twins, which must not."""

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
    world = dataclasses.replace(training.world, on_proxy=config.on_proxy)
    if config.backend == "procgen":
        from misgen.envs.procgen.lockstep import on_procgen

        world = on_procgen(world)
    held = LevelDistribution(world, training.correlation, training.placement, test)
    found = [Condition(HELDOUT, held)]
    for placement in world.shifts(config.shift.placements):
        shifted = held.at(correlation=config.shift.correlation, placement=placement)
        found += [Condition(SHIFTED, shifted), Condition(TWIN, shifted.at(correlation=1.0))]
    return found


def agent_jobs(agent: Agent, where: Sequence[Condition], config: EvaluateConfig) -> list[Job]:
    """Return what a trained agent plays: all conditions, in each action mode."""
    jobs: list[Job] = []
    for actions in typing.cast("tuple[Actions, ...]", config.actions):
        twins = config.accident_repeats if actions == "sampled" else 1
        for condition in where:
            is_twin = condition.name == TWIN
            jobs.append(Job(agent, condition, actions, twins if is_twin else 1, int(is_twin)))
    return jobs


def reference_jobs(agent: Agent, where: Sequence[Condition]) -> list[Job]:
    """Return what a reference agent plays: all but the twins, with sampled actions."""
    return [Job(agent, condition, "sampled") for condition in where if condition.name != TWIN]


def run_jobs(
    jobs: Sequence[Job],
    training: LevelDistribution,
    config: EvaluateConfig,
    *,
    train_seed: int,
    run: str,
    progress: Callable[[int], object] | None = None,
) -> pl.DataFrame:
    """Play all jobs.

    Args:
        jobs: what to play.
        training: what the agent was trained on, for the labels.
        config: settings.
        train_seed: the agent's training seed, for the labels.
        run: the training run's name, for the labels.
        progress: called with the number of episodes that ended, whenever some did.

    Returns:
        One row an episode: `LABELS`, then `rollout.SCHEMA`.
    """
    tables = []
    for job in jobs:
        distribution = job.condition.distribution
        episodes = run_levels(
            job.agent,
            distribution,
            job.condition.ids,
            actions=job.actions,
            repeats=job.repeats,
            first_repeat=job.first_repeat,
            seed=config.seed,
            num_slots=config.num_slots,
            progress=progress,
        )
        labels = {
            "agent": job.agent.name,
            "condition": job.condition.name,
            "placement": distribution.placement,
            "test_correlation": float(distribution.correlation),
            "actions": job.actions,
            "train_correlation": float(training.correlation),
            "train_placement": training.placement,
            "train_seed": train_seed,
            "run": run,
        }
        columns = [pl.lit(value, LABELS[name]).alias(name) for name, value in labels.items()]
        tables.append(episodes.select(*columns, pl.all()))
    return pl.concat(tables) if tables else pl.DataFrame(schema={**LABELS, **SCHEMA})


def add_planned(
    episodes: pl.DataFrame,
    where: Sequence[Condition],
    progress: Callable[[int], object] | None = None,
) -> pl.DataFrame:
    """Return the episodes with `planned.PLANNED`: what planned seekers do on shifted levels.

    Args:
        episodes: what `run_jobs` returned.
        where: the conditions; the columns are null on levels of others.
        progress: called with the number of levels that were searched, whenever some were.
    """
    keys = ["condition", "placement", "level_id"]
    schema = pl.Schema({**{name: (LABELS | SCHEMA)[name] for name in keys}, **PLANNED})
    facts = [pl.DataFrame(schema=schema)]
    for condition in where:
        if condition.name == SHIFTED:
            found = planned_facts(condition.distribution, progress)
            labels = {"condition": SHIFTED, "placement": condition.distribution.placement}
            facts.append(found.with_columns(pl.lit(v).alias(k) for k, v in labels.items()))
    known = pl.concat([table.select(schema.names()) for table in facts])
    return episodes.join(known, on=keys, how="left", maintain_order="left")


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
    seen = None if unknown else _terrains(training.at(correlation=1.0))
    bare = test if isinstance(test, LevelSet) else test.at(correlation=1.0)
    batches = bare.chunks(test.ids_to_play())
    terrains = [digest for batch in batches for digest in batch.digests(terrain=True)]
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
                **condition.distribution.describe(),
                "levels_with_a_place": len(condition.ids),
            }
            for condition in where
            if condition.name != TWIN
        ],
    }


@lru_cache(maxsize=32)
def _conflict_ids(distribution: LevelDistribution) -> NDArray[np.int64]:
    return distribution.conflict_ids()


@lru_cache(maxsize=1)  # a sweep's runs share their training levels
def _terrains(training: LevelDistribution) -> Terrains:
    return training.terrain_digests()
