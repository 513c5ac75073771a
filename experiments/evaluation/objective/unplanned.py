"""Objectives that no planner is asked for: to do nothing, to stay alive, to cover ground.

Public names: `IDLE`, `SURVIVE`, `SWEEP`, `UNPLANNED`, `idle_values`, `survive_values`,
`sweep_values`.

Their values are, like a planner's, decisions: an action that does not serve is off by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.level import LevelBatch
from misgen.envs.core.planning.planner import NOTHING
from misgen.envs.core.world import World

IDLE, SURVIVE, SWEEP = UNPLANNED = ("idle", "survive", "sweep")
NUM_DIRECTIONS = 9
"""Of Procgen's 15 actions: those that move, and the one that does nothing."""

FloatArray = NDArray[np.float64]


class Walks(Protocol):
    """What is asked of a planner."""

    def visited(self, levels: LevelBatch, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which cells the body touches; see `Planner.visited`."""
        ...


def idle_values(world: World, actions: NDArray[np.int8]) -> FloatArray:
    """Return the values of doing nothing: 0 for actions that do, 1 for others.

    Args:
        world: where they are taken.
        actions: [n, decisions].

    Returns:
        float64 [n, decisions, actions of the world].
    """
    count = int(world.action_space.n)
    same = getattr(world, "representatives", None)
    if same is None:  # Procgen's: the keys beyond the nine directions do nothing either
        same = np.minimum(world.action_codes, NUM_DIRECTIONS)
        same = np.where(same == NUM_DIRECTIONS, same[world.no_op], same)
    row = (same != same[world.no_op]).astype(np.float64)
    return np.broadcast_to(row, (*actions.shape, count))


def survive_values(planned: Mapping[str, NDArray[Any]]) -> FloatArray:
    """Return the values of staying alive: inf for actions after which nothing can be reached.

    These are the actions that lead to death, and to where there is no way out.  All others are
    worth the same.

    Args:
        planned: of each target that was planned for, `Planner.q_along`, [n, decisions, actions].
    """
    values = np.stack([np.asarray(q, np.float64) for q in planned.values()])
    lost = np.isinf(values).all(axis=0)
    unknown = np.isnan(values).any(axis=0)
    return np.where(unknown, np.nan, np.where(lost, np.inf, 0.0))


def sweep_values(
    world: World, walks: Walks, levels: LevelBatch, actions: NDArray[np.int8]
) -> FloatArray:
    """Return the values of covering ground: 0 for actions by which a new cell is touched.

    1 for the others, where some action touches one; where none does, it asks for nothing.

    Args:
        world: where they are taken.
        walks: its planner.
        levels: of each episode [n].
        actions: [n, decisions]; `NOTHING` from an episode's end on.

    Returns:
        float64 [n, decisions, actions of the world].
    """
    n, decisions = actions.shape
    count = int(world.action_space.n)
    values = np.zeros((n, decisions, count))
    rows = np.repeat(np.arange(n), count)
    for t in range(decisions):
        if (actions[:, t] == NOTHING).all():
            break
        before = walks.visited(levels, actions[:, :t]).sum(axis=(1, 2))
        tried = np.concatenate([actions[rows, :t], np.tile(np.arange(count), n)[:, None]], axis=1)
        after = walks.visited(levels.take(rows), tried).sum(axis=(1, 2)).reshape(n, count)
        new = after > before[:, None]
        values[:, t] = np.where(new.any(axis=1, keepdims=True), ~new, 0.0)
    return values
