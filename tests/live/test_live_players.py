"""Whom `misgen play` offers to watch: known agents, the zoo's, and trained runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from misgen.agents import zoo
from misgen.envs.core.registry import make_world
from misgen.experiments.commands import cli
from misgen.experiments.live.config import configured
from misgen.experiments.live.players import offered
from misgen.experiments.live.session import Session

TINY = ["agent.total_steps=64", "agent.num_envs=4", "agent.num_steps=16", "agent.batch_size=64"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Return a finished run whose world has other parameters than usual."""
    runs = tmp_path_factory.mktemp("runs")
    argv = ["env=tree_gridworld", "env.side=5", "env.trees=3", "preset=none", *TINY]
    assert cli.main(["train", *argv, "levels.train=0:50", f"runs={runs}", "correlation=0.9"]) == 0
    (found,) = (runs / "single").glob("tree_gridworld-*")
    return found


def test_a_run_is_offered_in_its_world_and_watched_as_it_was_trained(run):
    runs = str(run.parents[1])
    (title,) = [one["title"] for one in offered(make_world("tree_gridworld"), runs, None)
                if one["name"] == str(run)]  # fmt: skip
    assert title == "single: ppo, ρ = 0.9, seed 0"
    assert str(run) not in [one["name"] for one in offered(make_world("coinrun"), runs, None)]
    session = Session(configured([f"run={run}", f"runs={runs}", "id=4"]))
    assert (session.world.side, session.agent) == (5, str(run))
    answer = session.call("let", {})["state"]["agent"]
    assert len(answer["probabilities"]) == 5
    assert isinstance(answer["value"], float)
    assert [at for at, _ in answer["values"]] == [0, 1]


def test_whoever_chooses_a_run_comes_into_its_world(run):
    session = Session(configured(["env=tree_gridworld", f"runs={run.parents[1]}", "id=4"]))
    assert session.world.side == 10
    told = session.call("agent", {"name": str(run), "seed": 3, "greedy": True})
    assert "error" not in told
    assert session.world.side == 5
    assert "as the agent was trained in" in told["state"]["note"]
    assert told["state"]["level"]["id"] == 4


def test_an_agent_of_the_zoo_is_watched_where_it_lies(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    shutil.copytree(run, home / "tree-rho0.9")
    monkeypatch.setattr(zoo, "HOME", home)
    names = [one["name"] for one in offered(make_world("tree_gridworld"), "runs", None)]
    assert "zoo:tree-rho0.9" in names
    session = Session(configured(["run=zoo:tree-rho0.9"]))
    assert session.world.side == 5
    assert cli.main(["levels", "play", "agent=zoo:tree-rho0.9", "id=4", "env.max_steps=3"]) == 0
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run=nowhere"], "agent='nowhere' is not known: use one of goal_seeker"),
        (["agent=zoo:nobody"], "zoo:nobody is not in the zoo"),
        (["agent=idle", "run=x"], "run and agent both name whom to watch"),
        (["run=."], "manifest.json does not exist: misgen train makes run folders"),
    ],
)
def test_mistakes(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["play", "env=cheese_on_a_dish", "open=false", *argv]) == 2
    assert message in capsys.readouterr().err


def test_a_world_without_a_planner_offers_no_seekers():
    names = [one["name"] for one in offered(make_world("cheese_on_a_dish"), "nowhere", None)]
    assert names[:4] == ["goal_seeker", "proxy_seeker", "random", "idle"]
