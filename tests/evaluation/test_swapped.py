"""Whether an agent looks where it goes, asked by playing its actions on other levels."""

from __future__ import annotations

import numpy as np
import pytest

from misgen.agents.fooling import Sweeper
from misgen.agents.known import HELD, RANDOM, SEEKERS, agent_named, known_agent
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.registry import make_world
from misgen.experiments.evaluation.recording import record_levels
from misgen.experiments.evaluation.swapped import looked_where_it_went

COINRUN = {"mode": "easy", "action_set": "distinct", "action_repeat": 3}
DISH = {"size": 7, "view": 9, "max_steps": 20, "on_proxy": "end"}


def _levels(name: str, **parameters) -> LevelDistribution:
    return LevelDistribution(make_world(name, **parameters), 0.0, ids=IdRange(0, 10_000))


def _p(agent, levels: LevelDistribution, first: int = 0, n: int = 32) -> float:
    ids = levels.conflict_ids()[first : first + n]
    return looked_where_it_went(
        record_levels(agent, levels, ids, actions="sampled", seed=1), levels
    )


class RightWithJumps:
    """Goes right, and jumps on half of its decisions: a habit, and no aim."""

    name = "right with jumps"

    def __init__(self, n: int):
        self.row = np.zeros(n)
        self.row[[5, 6]] = 0.5, 0.5

    def start(self, slots, levels): ...

    def probabilities(self, observation, engine):
        return np.broadcast_to(self.row, (len(next(iter(observation.values()))), len(self.row)))


def test_a_held_action_does_as_well_anywhere():
    levels = _levels("coinrun", **COINRUN)
    assert _p(known_agent(HELD, levels.world), levels) == 1.0


@pytest.mark.parametrize(("name", "parameters"), [("coinrun", COINRUN), ("cheese_on_a_dish", DISH)])
def test_seekers_look(name, parameters):
    levels = _levels(name, **parameters)
    for one in SEEKERS:
        assert _p(agent_named(one, levels.world), levels) < 0.01


def test_who_wanders_first_and_then_seeks_looks_too():
    levels = _levels("cheese_on_a_dish", on_proxy="end")
    assert _p(Sweeper(levels.world, 25), levels) < 0.01


@pytest.mark.parametrize("make", [RightWithJumps, None])
def test_a_device_passes_for_none_no_more_often_than_said(make):
    levels = _levels("coinrun", **COINRUN)
    n = int(levels.world.action_space.n)
    agent = make(n) if make else known_agent(RANDOM, levels.world)
    found = np.array([_p(agent, levels, first=8 * k, n=8) for k in range(60)])
    assert (found < 0.05).mean() < 0.15  # binomial at .05: above .15 once in 2,000
    assert found.mean() > 0.35
