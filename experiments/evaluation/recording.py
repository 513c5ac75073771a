"""Recording the actions of an agent's episodes, decision by decision.

Public names: `record_levels`, `until_first`, `Recording`.

The rules are deterministic, so a level and the actions taken in it determine every state of the
episode (a planner's `q_along` and `visited` recompute them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from misgen.agents.base import Agent
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.planning.planner import NOTHING

from .rollout import run_levels


@dataclass(frozen=True, eq=False)
class Recording:
    """Episodes, and what was done in them."""

    episodes: pl.DataFrame
    """`rollout.SCHEMA`, one row for each (level, repeat), in that order."""
    actions: NDArray[np.int8]
    """[episodes, longest episode's decisions]; `NOTHING` from an episode's end on."""


def record_levels(
    agent: Agent, distribution: LevelDistribution, ids: ArrayLike, **options: Any
) -> Recording:
    """Play every level of a list as `run_levels` does, and keep the actions.

    Args:
        agent: who plays.
        distribution: which level an id means, and by which rules it is played.
        ids: integers [n], all different.
        options: the other arguments of `run_levels`, but for `record`.
    """
    world = distribution.world
    most = -(-world.max_steps // world.action_repeat)
    count = np.size(ids) * options.get("repeats", 1)
    actions = np.full((count, most), NOTHING, np.int8)

    def record(
        episode: NDArray[np.int64], decision: NDArray[np.int32], action: NDArray[np.int64]
    ) -> None:
        actions[episode, decision] = action

    episodes = run_levels(agent, distribution, ids, **options, record=record)
    longest = int(episodes["steps"].max() or 0)  # pyright: ignore[reportArgumentType]
    return Recording(episodes, actions[:, :longest].copy())


def until_first(played: Recording) -> Recording:
    """Return a recording without what was done after goal or proxy was reached."""
    first = played.episodes.select(pl.min_horizontal("goal_at", "proxy_at")).to_series()
    last = first.fill_null(played.actions.shape[1]).to_numpy()
    after = np.arange(played.actions.shape[1]) >= last[:, None]
    return Recording(played.episodes, np.where(after, np.int8(NOTHING), played.actions))
