"""How much a policy is drawn to chopping trees, by how many stand.

Source: Shah et al. 2022 (arXiv 2210.01790): with R a policy's return from states with n trees,

    affinity = (R - R_random) / (R_greedy - R_random)

so that it is 0 for a uniformly random policy and 1 for one that walks to the nearest tree.  What
the paper leaves open to us, we set: nothing regrows while R is measured, over `2 * side` steps.

Public name: `affinity`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..core.errors import in_range
from ..core.level import LevelBatch
from ..core.placement import USUAL
from ..core.world import Observation
from .rules import SPACE, TREE_TILE, approach
from .world import TreeGridworld

Policy = Callable[[Observation, NDArray[np.void]], NDArray[Any]]
"""Returns an action for each of the observations [n]; it may look at their state records [n]."""


def affinity(
    world: TreeGridworld, policy: Policy, trees: int, *, levels: int = 500, seed: int = 0
) -> float:
    """Return a policy's affinity to chopping where `trees` stand.

    Args:
        world: whose board and actions.
        policy: what is measured.
        trees: how many stand at the start, from 1 to the world's most.
        levels: how many boards the returns are means over.
        seed: of the random policy.

    Raises:
        UserError: for a number of trees that there cannot be.
    """
    in_range("trees", trees, 1, world.trees)
    still = dataclasses.replace(
        world, r_min=0.0, r_max=0.0, plenty=0.0, quota=0.0, max_steps=2 * world.side
    )
    batch = _thinned(still.levels(np.arange(levels), 0.0, USUAL), trees)
    rng = np.random.default_rng(seed)
    codes = still.action_codes.tolist()

    def at_random(seen: Observation, states: NDArray[np.void]) -> NDArray[np.int64]:
        return rng.integers(0, len(codes), len(states))

    def greedy(seen: Observation, states: NDArray[np.void]) -> NDArray[np.int64]:
        return np.array([codes.index(code) for code in _approach_all(states).tolist()])

    own, low, high = (_mean_return(still, batch, one) for one in (policy, at_random, greedy))
    return (own - low) / (high - low)


def _mean_return(world: TreeGridworld, levels: LevelBatch, policy: Policy) -> float:
    engine = world.make_engine(len(levels))
    engine.load(np.arange(len(levels)), levels)
    for _ in range(world.max_steps):
        engine.step(policy(engine.observe(), engine.states))
    return float(engine.episodes["returns"].mean())


def _thinned(levels: LevelBatch, trees: int) -> LevelBatch:
    """Return the levels with the first `trees` of each one's trees alone."""
    data = levels.data.copy()
    standing = data["tiles"] == TREE_TILE
    order = standing.reshape(len(data), -1).cumsum(axis=1).reshape(standing.shape)
    data["tiles"][standing & (order > trees)] = SPACE
    return dataclasses.replace(levels, data=data)


@njit(cache=True)
def _approach_all(states):
    out = np.empty(len(states), np.int64)
    for k in range(len(states)):
        out[k] = approach(states[k])
    return out
