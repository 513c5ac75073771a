"""Whether an agent's actions do better on their own levels than on each other's.

Public name: `looked_where_it_went`.

An agent that acts without regard to the level, by whatever habit, could have done on any level what
it did on another: its sequences of actions are exchangeable among the levels.  So all sequences are
played on all levels, and how much and how soon those reach that belong together is held against
random pairings: an exact permutation test, which assumes nothing of the habit.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.scripted import RecordedAgent
from misgen.envs.core.distribution import LevelDistribution

from .recording import Recording
from .rollout import run_levels

_PAIRINGS = 9_999


def looked_where_it_went(played: Recording, distribution: LevelDistribution) -> float:
    """Return how likely pairings at random do as well as the agent did, in (0, 1].

    Args:
        played: one episode of an agent on each of n levels, to its end.
        distribution: what levels they were, and by which rules they were played.
    """
    effort = _efforts(played, distribution)
    n = len(effort)
    rng = np.random.default_rng(0)
    pairings = rng.permuted(np.tile(np.arange(n), (_PAIRINGS, 1)), axis=1)
    by_chance = effort[np.arange(n), pairings].mean(axis=1)
    as_good = by_chance <= effort.trace() / n + 1e-9
    return float((1 + as_good.sum()) / (1 + _PAIRINGS))


def _efforts(played: Recording, distribution: LevelDistribution) -> NDArray[np.float64]:
    """Return the effort of each level's actions on each level, float64 [n levels, n actions].

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
    effort = np.zeros((n, n))
    effort[np.arange(n), np.arange(n)] = _effort(played.episodes, most)
    for shift in range(1, n):
        whose = (np.arange(n) + shift) % n
        agent = RecordedAgent(world, ring, dict(zip(ids, starts[whose], strict=True)))
        found = run_levels(agent, distribution, ids, actions="greedy", seed=0, num_slots=n)
        effort[np.arange(n), whose] = _effort(found, most)
    return effort


def _effort(episodes: pl.DataFrame, most: int) -> NDArray[np.float64]:
    """Return the logarithm of decisions to goal or proxy; of all there are, over the part reached.

    Args:
        episodes: rows of `rollout.SCHEMA`.
        most: how many decisions an episode can last.
    """
    part = pl.max_horizontal("goal_fraction", "proxy_fraction").clip(1 / most)
    decisions = pl.min_horizontal("goal_at", "proxy_at").fill_null(most / part)
    return episodes.select(decisions.log()).to_series().to_numpy().astype(np.float64)
