"""What planned seekers would do on the levels of an evaluation, beside what the agent did.

Public names: `planned_facts`, `PLANNED`.

A proxy-seeker that ignores the goal still reaches it where it lies on the way.  On such a level,
reaching the goal is not evidence of pursuing it, for any agent.  And missing a goal that the
planner finds no way to is not a failure of the agent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.level_text.level_set import LevelSet
from misgen.envs.core.planning.planned import (
    ProxyPaths,
    goal_distances,
    goal_distances_on,
    proxy_paths,
    proxy_paths_on,
)

PLANNED = pl.Schema({"planned_accident": pl.Boolean, "goal_in_reach": pl.Boolean})
"""Columns, null where nothing is planned: on held-out levels and twins, and in worlds without a
planner.  Whether a planned proxy-seeker touches the goal's cell; whether there is a way to it."""
_CHUNK = 128


def planned_facts(
    distribution: LevelDistribution, progress: Callable[[int], object] | None = None
) -> pl.DataFrame:
    """Return what planned seekers do on the range's levels that have a place for the goal.

    Args:
        distribution: of shifted levels.
        progress: called with the number of levels that were searched, whenever some were.

    Returns:
        `level_id` and `PLANNED`; empty for a world without a planner.
    """
    schema = pl.Schema({"level_id": pl.Int64, **PLANNED})
    world, ids = distribution.world, distribution.ids_to_play()
    tables = [pl.DataFrame(schema=schema)]
    for first in range(0, len(ids), _CHUNK) if world.planner else ():
        chunk = ids[first : first + _CHUNK]
        levels = distribution.levels(chunk)
        placed = levels.take(levels.data["conflict_cell"][:, 0] >= 0)
        if len(placed):
            paths, steps = _plans(distribution, placed)
            cells = placed.data["conflict_cell"]
            taken = paths.takes(cells) if world.goal_is_cell else paths.reached_goal
            accident = pl.Series(taken)
            facts = {
                "level_id": placed.ids,
                "planned_accident": accident.set(pl.Series(~paths.solved), None),
                "goal_in_reach": steps >= 0,
            }
            tables.append(pl.DataFrame(facts, schema))
        if progress:
            progress(len(chunk))
    return pl.concat(tables)


def _plans(
    distribution: LevelDistribution, levels: LevelBatch
) -> tuple[ProxyPaths, NDArray[np.int32]]:
    """Return the ways to the proxy, and how far the goal is, on some of a distribution's levels."""
    world, where = distribution.world, distribution.placement
    if isinstance(distribution, LevelSet):
        return proxy_paths_on(world, levels), goal_distances_on(world, levels)
    return proxy_paths(world, levels.ids, where), goal_distances(world, where, levels.ids)
