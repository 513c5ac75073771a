"""What planned seekers do on the levels of an evaluation: agents whose goal is known.

Public names: `Reference`, `reference_jobs`, `reference_episodes`, `goals_in_reach`, `NOISES`.

A goal-seeker takes the shortest way to the goal that is clear of the proxy, a proxy-seeker the
shortest way to the proxy as if there were no goal.  What they reach is what the levels allow: a
goal that the proxy-seeker gets as well lies on the way, and one that the goal-seeker misses is out
of reach.

Where the goal is no cell, an agent's choice is held against seekers as competent as it is.  There
they also play with noise, on some of the levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.known import SEEKER, SEEKERS, known_agent
from misgen.agents.reference import SeekerConfig
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.level_text.level_set import LevelSet
from misgen.envs.core.planning.disk_cache import DiskCache, Rows
from misgen.envs.core.planning.planned import rules_key

from .rollout import FIRST, OUTCOME, SCHEMA, run_levels

if TYPE_CHECKING:
    from .conditions import Condition

GOAL_SEEKER, PROXY_SEEKER = SEEKERS
NOISES = (0.2, 0.5)
"""Shares of random actions of the seekers that are not perfect."""
_NOISY_LEVELS = 120
"""On how many levels, the first, these play."""
_VERSION = "1"
"""Rises when a seeker would do something else on the same levels by the same rules."""
_CHUNK = 128
_ANY = IdRange(0, 1)
_ENUMS = {"outcome": OUTCOME, "first": FIRST}
_NO_FACT = ("level_id", "repeat")


@dataclass(frozen=True)
class Reference:
    """A planned seeker."""

    name: str
    """One of `known.SEEKERS`."""
    noise: float = 0.0

    def ids(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some levels that it plays."""
        return ids[:_NOISY_LEVELS] if self.noise else ids

    @property
    def config(self) -> SeekerConfig:
        """What it seeks, and how well."""
        return SeekerConfig(SEEKERS[self.name].goal_share, self.noise)


def reference_jobs(condition: Condition) -> list[Reference]:
    """Return the seekers that play under a condition: one where both would go to the same cell."""
    if not condition.distribution.world.goal_moves:
        return [Reference(name, noise) for noise in (0.0, *NOISES) for name in SEEKERS]
    both_seek_the_same = condition.distribution.correlation == 1
    return [Reference(name) for name in SEEKERS if name == PROXY_SEEKER or not both_seek_the_same]


def reference_episodes(
    distribution: LevelDistribution,
    reference: Reference,
    ids: NDArray[np.int64],
    progress: Callable[[int], object] | None = None,
) -> pl.DataFrame:
    """Return one episode of a seeker on each of some levels, as `rollout.SCHEMA`.

    They are kept between processes, as plans take milliseconds a level.

    Args:
        distribution: which level an id means, and by which rules it is played.
        reference: who plays.
        ids: of the levels, all different.
        progress: called with the number of episodes that are there, whenever some are.
    """
    ids = np.sort(ids)
    if len(ids) and not isinstance(distribution, LevelSet):
        return _table(ids, _cache(distribution.at(ids=_ANY), reference).rows(ids, progress))
    tables = [pl.DataFrame(schema=SCHEMA)]
    for first in range(0, len(ids), _CHUNK):
        chunk = ids[first : first + _CHUNK]
        tables.append(_played(distribution, reference, chunk))
        if progress:
            progress(len(chunk))
    return pl.concat(tables)


def goals_in_reach(distribution: LevelDistribution, ids: NDArray[np.int64]) -> pl.DataFrame:
    """Return whether a planned goal-seeker gets to the goal's cell before it reaches the proxy.

    Returns:
        `level_id` and `goal_in_reach`, one row a level; no row where nobody can plan, or the goal
        is no cell.
    """
    if not (distribution.world.planner and distribution.world.goal_moves):
        ids = ids[:0]
    played = reference_episodes(distribution, Reference(next(iter(SEEKERS))), ids)
    return played.select("level_id", pl.col("cell_first").alias("goal_in_reach"))


def _played(
    distribution: LevelDistribution, reference: Reference, ids: NDArray[np.int64]
) -> pl.DataFrame:
    world = distribution.world
    agent = known_agent(SEEKER, world, reference.config, reference.name)
    actions = "sampled" if reference.noise else "greedy"
    return run_levels(agent, distribution, ids, actions=actions, seed=0, num_slots=_CHUNK)


def _table(ids: NDArray[np.int64], rows: Rows) -> pl.DataFrame:
    """Return facts as episodes."""
    columns = {name: pl.Series(name, values) for name, values in rows.items()}
    for name, enum in _ENUMS.items():
        columns[name] = pl.Series(np.array(enum.categories.to_list())[rows[name]], dtype=enum)
    table = pl.DataFrame({"level_id": ids, **columns}).with_columns(
        pl.col("goal_at", "proxy_at").replace(0, None), repeat=pl.lit(0)
    )
    return table.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def _facts(episodes: pl.DataFrame) -> Rows:
    """Return episodes, one a level, as arrays that can be kept."""
    plain = episodes.with_columns(
        pl.col("goal_at", "proxy_at").fill_null(0), pl.col(*_ENUMS).to_physical()
    )
    return {name: plain[name].to_numpy() for name in SCHEMA if name not in _NO_FACT}


@lru_cache(maxsize=256)
def _cache(distribution: LevelDistribution, reference: Reference) -> DiskCache:
    """Return what is known of a seeker, by level; the distribution's range does not matter."""
    world = distribution.world
    others = distribution.correlation, distribution.placement, distribution.proxy_correlations

    def find(ids: NDArray[np.int64]) -> Rows:
        return _facts(_played(distribution, reference, ids))

    key = rules_key(world, *others, reference, _VERSION)
    return DiskCache(f"{world.name}-{reference.name.replace('_', '-')}", key, find)
