"""What every registered world promises; a new one is found by its name.

The worlds on Procgen are left to `test_procgen_backend.py`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from omegaconf import OmegaConf

from misgen.agents.reference import Seeker, SeekerConfig
from misgen.envs import WorldError, check_world
from misgen.envs.core.checking.levels import alike_within_sight
from misgen.envs.core.checking.subject import Subject
from misgen.envs.core.checking.world_checks import CHECKS
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.id_range import IdRange
from misgen.envs.core.placement import USUAL
from misgen.envs.core.planning.planned import plans_at_start
from misgen.envs.core.planning.planner import make_planner
from misgen.envs.core.registry import entries, world_class
from misgen.experiments.evaluation import validation
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.levels.arrays import run_actions
from misgen.experiments.training.settings import compose

NAMES = [name for name, (package, _) in entries().items() if not package.endswith(".procgen")]
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
LEVELS = 60
"""Levels that reference agents are played on."""
CHOSEN = ("goal_seeker", "proxy_seeker", "uniformly random", "idle")


@pytest.fixture(params=NAMES, scope="session")
def subject(request) -> Subject:
    small = dict(compose("train", [f"env={request.param}", "preset=lab"])["env"])
    return Subject(small.pop("name"), small)


def test_the_worlds_are_found():
    assert {"coinrun", "corner_maze", "shape_colour_maze"} <= set(NAMES)


@pytest.mark.parametrize("check", CHECKS)
def test_every_world_keeps_its_promises(subject: Subject, check: str):
    CHECKS[check](subject)


# --- beside the world itself


def test_yaml_holds_the_defaults(subject: Subject):
    written: Any = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"env/{subject.name}.yaml"))
    fields = dataclasses.fields(subject.world)
    assert written == {"name": subject.name, **{f.name: f.default for f in fields}}


def test_replay(subject: Subject):
    n = int(subject.world.action_space.n)
    actions = np.random.default_rng(1).integers(0, n, (4, 15))
    found = run_actions(LevelDistribution(subject.world, 0.0, ids=IdRange(0, 4)), actions)
    agent, length = found["agent"], found["length"]
    assert agent.shape == (4, 16, 4)
    assert not np.isnan(agent[:, 0]).any()
    for k in range(4):
        assert np.isnan(found["reward"][k, length[k] :]).all()
        assert not np.isnan(found["reward"][k, : length[k]]).any()
    assert (agent[:, 1:] != agent[:, :1])[~np.isnan(agent[:, 1:])].any(), "nobody moved"


def test_twins_that_look_alike_are_compared_somewhere():
    """The check of what an agent sees would say nothing if all differed within sight."""
    compared = 0
    for name in NAMES:
        subject = Subject(name)
        for placement in subject.placements:
            one, other = (subject.levels(rho, placement) for rho in (1.0, 0.0))
            compared += int(alike_within_sight(subject, one, other).sum())
    assert compared > 50


# --- worlds that break their promises


def _twisted_levels(cls, change):
    """Let a world's levels be changed after they were generated."""
    generate = cls.levels

    def levels(self, ids, correlation, placement):
        batch = generate(self, ids, correlation, placement)
        change(batch.data, correlation)
        return batch

    return levels


def _more_cheese(data, correlation):
    data["conflict_cell"][:, 0] = 1 + (correlation > 0.5)


def _id_in_start(data, correlation):
    data["start"][:, 0] = 1.5 + np.arange(len(data)) % 2


BROKEN = {
    "twins": lambda cls: {"levels": _twisted_levels(cls, _more_cheese)},
    "purity": lambda cls: {"levels": _twisted_levels(cls, _id_in_start)},
    "correlation": lambda cls: {
        "levels": lambda self, ids, rho, where, make=cls.levels: make(self, ids, rho**2, where)
    },
    "names": lambda cls: {"capability": {"speed": "of light"}},
    "values": lambda cls: {"harder": {"size": 1000}},
    "pictures": lambda cls: {
        "picture": lambda self, state, height, width, shift=(0, 0): np.zeros(
            (height, width, 3), np.uint8
        )
    },
    "seekers": lambda cls: {"goal_tile": cls.goal_tile, "no_op": 0, "play": _stay},
}


def _stay(self, states, episodes, actions):
    from misgen.envs.cheese_on_a_dish import rules

    rules.advance(states, episodes, np.full_like(actions, 4), 1, 0, self.max_steps)


@pytest.mark.parametrize("check", BROKEN)
def test_a_promise_that_is_not_kept_is_named(check, monkeypatch):
    cls = world_class("cheese_on_a_dish")
    for name, value in BROKEN[check](cls).items():
        monkeypatch.setattr(cls, name, value)
    with pytest.raises(WorldError, match=rf"(?s)^cheese_on_a_dish fails \d+ of .*\n  {check}: "):
        check_world("cheese_on_a_dish", size=7)


def test_a_world_that_is_none_cannot_be_checked():
    with pytest.raises(UserError, match="did you mean 'cheese_on_a_dish'"):
        check_world("cheese_on_dish")
    with pytest.raises(UserError, match=r"env\.sise=7 is not a parameter"):
        check_world("cheese_on_a_dish", sise=7)


# --- agents whose goal is known


def seek(subject: Subject, placement: str, target: str) -> tuple[NDArray[np.bool_], Any]:
    """Return which conflict levels a planner can solve, and the seeker's episodes there."""
    ids = np.arange(3_000_000, 3_000_000 + LEVELS)
    distribution = LevelDistribution(subject.strict, 0.0, placement)
    levels = distribution.levels(ids)
    ids = ids[~levels.aligned]
    plans = plans_at_start(make_planner(subject.strict), distribution.levels(ids), target)
    seeker = Seeker(subject.strict, SeekerConfig(goal_share=float(target == "goal")), target)
    return plans.solved, run_levels(seeker, distribution, ids, actions="greedy", seed=0)


def test_seekers_reach_what_they_seek(subject: Subject):
    """A proxy that lies on the only way to the goal ends the episode: such a level has no way."""
    for placement in subject.strict.shifts([USUAL]):
        solved, episodes = seek(subject, placement, "goal")
        reached = episodes["goal_fraction"].to_numpy()
        assert solved.mean() > 0.5, f"{placement}: {1 - solved.mean():.0%} cannot be solved"
        assert reached[solved].mean() > 0.9, f"{placement}: {reached[solved].mean():.0%} reached"
        solved, episodes = seek(subject, placement, "proxy")
        reached = episodes["proxy_fraction"].to_numpy()
        goal = episodes["goal_fraction"].to_numpy()
        assert np.maximum(reached, goal)[solved].mean() > 0.9, placement
        assert reached[solved].mean() > 0.2, placement


def test_no_verdict_is_wrong(subject: Subject, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # threads would wait for other tests' workers
    known = validation.references
    monkeypatch.setattr(
        validation, "references", lambda world: [r for r in known(world) if r.name in CHOSEN]
    )
    first = subject.strict.shifts([USUAL])[:1]
    small = {"name": subject.name, **subject.small}
    config = validation.ValidateConfig(small, LEVELS, placements=first)
    cases = list(validation.validate(config))
    assert {case.agent for case in cases} == set(CHOSEN)
    decided = [case for case in cases if case.verdict.name != "undetermined"]  # not all: few levels
    wrong = [(c.agent, c.placement, c.verdict.name, c.verdict.reasons) for c in decided if c.wrong]
    assert not wrong
    # Of a seeker of the proxy that leaves the goal on aligned levels too, nothing can be said.
    seekers = CHOSEN[:2] if subject.strict.goal_moves else CHOSEN[:1]
    assert set(seekers) <= {case.agent for case in decided}, "nothing is said of them"
