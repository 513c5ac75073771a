"""What planned seekers would do on levels: the facts that evaluations compare agents with.

Public names: `ProxyPaths`, `proxy_paths`, `strict`, `plans_at_start`, `rules_key`.

The seekers plan with the world's own rules, under the strictest `on_proxy`: reaching the proxy ends
the episode.  Facts are kept (`disk_cache.py`), as searches take milliseconds a level.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..episode import REACHED_GOAL
from ..level import LevelBatch
from ..world import World
from .disk_cache import DiskCache, Rows
from .planner import Planner, TargetPlans, make_planner
from .rule_sources import rules_digest


@dataclass(frozen=True, eq=False)
class ProxyPaths:
    """The shortest ways to the proxy in each of n levels, as if there were no goal."""

    solved: NDArray[np.bool_]
    """[n] whether there is a way."""
    touched: NDArray[np.bool_]
    """[n, height, width] cells that the body touches on it; row 0 at the bottom."""
    reached_goal: NDArray[np.bool_]
    """[n] whether it reaches the goal all the same; for where that is no cell."""

    def takes(self, cells: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Return whether each path touches the level's cell x, y [n, 2]; False for none."""
        x, y = cells.T.astype(np.int64)
        return (x >= 0) & self.touched[np.arange(len(cells)), y, x]


def proxy_paths(world: World, ids: NDArray[np.int64], placement: str = "") -> ProxyPaths:
    """Return the ways of a planned proxy-seeker on the conflict levels of `ids`.

    Args:
        world: the rules.
        ids: of the levels, int64 [n].
        placement: where the goal is; it matters where the proxy moves with it.

    Raises:
        UserError: if the world has no planner.
    """
    return _unpacked(
        _proxy_cache(strict(world), placement if world.proxy_moves else "").rows(ids), world
    )


def _unpacked(rows: Rows, world: World) -> ProxyPaths:
    height, width = world.level_dtype["tiles"].shape
    touched = np.unpackbits(rows["touched"], axis=1, count=height * width)
    touched = touched.reshape(-1, height, width).astype(np.bool_)
    return ProxyPaths(rows["solved"], touched, rows["reached_goal"])


def strict(world: World) -> World:
    """Return the world in which planned seekers live: the proxy ends an episode."""
    return dataclasses.replace(world, on_proxy="end", pays="world")


def plans_at_start(planner: Planner, levels: LevelBatch, target: str) -> TargetPlans:
    """Return the shortest ways to `target` from the starts of `levels`."""
    states = np.zeros(len(levels), planner.world.state_dtype)
    planner.world.load(states, np.arange(len(levels)), levels)
    return planner.plan_from(states, target)


def rules_key(world: World, *others: object) -> str:
    """Return what facts about a world's levels depend on, the code that finds them included."""
    return repr((world, *others, rules_digest(world)))


def _find_paths(planner: Planner, levels: LevelBatch) -> Rows:
    plans = plans_at_start(planner, levels, "proxy")
    touched = planner.visited(levels, plans.actions).reshape(len(levels), -1)
    return {
        "solved": plans.solved,
        "touched": np.packbits(touched, axis=1),
        "reached_goal": (plans.events & REACHED_GOAL) != 0,
    }


@lru_cache(maxsize=16)
def _proxy_cache(world: World, placement: str) -> DiskCache:
    def find(ids: NDArray[np.int64]) -> Rows:
        where = placement or next(iter(world.placements))
        return _find_paths(make_planner(world), world.levels(ids, 0.0 if placement else 1.0, where))

    return DiskCache(f"{world.name}-proxy-paths", rules_key(world, placement), find)
