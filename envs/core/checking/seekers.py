"""Checks of a world's planner: what it plans, the world's own rules do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..distribution import LevelDistribution
from ..level import LevelBatch
from ..placement import USUAL
from ..planning.planned import plans_at_start
from ..planning.planner import TargetPlans, make_planner
from ..world import World
from .subject import Subject, require

_LEVELS, _FIRST = 60, 3_000_000
_SOLVED, _REACHED, _PROXY = 0.5, 0.9, 0.2


def check_seekers(subject: Subject) -> None:
    """On conflict levels, planned ways to the goal and to the proxy mostly exist and lead there.

    A proxy that lies on the only way to the goal ends the episode: such a level has no way.  A
    world without a planner is not asked.
    """
    world = subject.strict
    if not world.planner:
        return
    for placement in world.shifts([USUAL]):
        distribution = LevelDistribution(world, 0.0, placement)
        levels = distribution.levels(np.arange(_FIRST, _FIRST + _LEVELS))
        levels = levels.take(~levels.aligned)
        solved, found = _seek(world, levels, "goal")
        share = solved.mean() if len(solved) else 0.0
        require(share > _SOLVED, f"{placement}: {1 - share:.0%} of conflict levels have no way")
        reached = found["goal_fraction"][solved].mean()
        require(reached > _REACHED, f"{placement}: planned ways reach {reached:.0%} of the goal")
        solved, found = _seek(world, levels, "proxy")
        proxy, goal = found["proxy_fraction"], found["goal_fraction"]
        share = np.maximum(proxy, goal)[solved].mean() if solved.any() else 0.0
        require(share > _REACHED, f"{placement}: planned ways to the proxy reach it {share:.0%}")
        share = proxy[solved].mean()
        require(share > _PROXY, f"{placement}: whoever seeks the proxy reaches it {share:.0%}")


def _seek(world: World, levels: LevelBatch, target: str) -> tuple[NDArray[np.bool_], Any]:
    """Return which levels have a way to a target, and how following it goes."""
    plans = plans_at_start(make_planner(world), levels, target)
    return plans.solved, _followed(world, levels, plans)


def _followed(world: World, levels: LevelBatch, plans: TargetPlans) -> dict[str, NDArray[Any]]:
    engine, slots = world.make_engine(len(levels)), np.arange(len(levels))
    engine.load(slots, levels)
    for actions in np.where(plans.actions < 0, world.no_op, plans.actions).T:
        engine.step(actions.astype(np.int64))
    return engine.results(slots)
