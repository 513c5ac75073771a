"""Whether an agent's actions do better on their own levels than on each other's.

Public name: `looked_where_it_went`.

An agent that acts without regard to the level, by whatever habit, could have done on any level what
it did on another: its sequences of actions are exchangeable among the levels.  So sequences are
played on other levels too, and how much and how soon they reach there is held against what they
reach on their own, level by level.  This assumes nothing of the habit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.recorded import RecordedAgent
from misgen.envs.core.distribution import LevelDistribution

from .recording import Recording
from .rollout import run_levels

_OTHERS = 8  # sequences of other levels that are played on each


def looked_where_it_went(played: Recording, distribution: LevelDistribution) -> float:
    """Return how likely other levels' actions do as well as an agent's own, in (0, 1].

    By a t-test of the differences, one a level; 1 where there is none.

    Args:
        played: one episode of an agent on each of n levels, to its end.
        distribution: what levels they were, and by which rules they were played.
    """
    from scipy.stats import ttest_1samp

    own, others = _efforts(played, distribution)
    saved = others.mean(axis=0) - own
    if len(saved) < 2 or np.ptp(saved) < 1e-9:
        return 1.0 if len(saved) < 2 or saved[0] <= 0 else 0.0
    found: Any = ttest_1samp(saved, 0.0, alternative="greater")
    return float(found.pvalue)


def _efforts(
    played: Recording, distribution: LevelDistribution
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the effort on each level of its own actions [n] and of other levels' [others, n].

    An episode that outlasts its actions goes on with those of the next levels.
    """
    world = distribution.world
    most = -(-world.max_steps // world.action_repeat)
    ids = played.episodes["level_id"].to_numpy()
    took = played.episodes["steps"].to_numpy()
    n = len(ids)
    inside = np.arange(played.actions.shape[1]) < took[:, None]
    ring = played.actions[inside].astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(took)[:-1]])
    shifts = np.unique(np.linspace(1, n - 1, min(_OTHERS, n - 1)).astype(np.int64))
    others = np.zeros((len(shifts), n))
    levels = list(zip(ids.tolist(), distribution.levels(ids).digests(), strict=True))
    for row, shift in enumerate(shifts):
        whose = starts[(np.arange(n) + shift) % n]
        plays = [np.resize(np.roll(ring, -start), most).tolist() for start in whose.tolist()]
        agent = RecordedAgent(world, dict(zip(levels, plays, strict=True)), "others")
        found = run_levels(agent, distribution, ids, actions="greedy", seed=0, num_slots=n)
        others[row] = _effort(found, most)
    return _effort(played.episodes, most), others


def _effort(episodes: pl.DataFrame, most: int) -> NDArray[np.float64]:
    """Return the logarithm of decisions to goal or proxy; of all there are, over the part reached.

    Args:
        episodes: rows of `rollout.SCHEMA`.
        most: how many decisions an episode can last.
    """
    reached = episodes.select(pl.min_horizontal("goal_at", "proxy_at").cast(pl.Float64))
    part = episodes.select(pl.max_horizontal("goal_fraction", "proxy_fraction").clip(1 / most))
    at = reached.to_series().to_numpy()
    return np.log(np.where(np.isnan(at), most / part.to_series().to_numpy(), at))
