"""A person is recorded and evaluated as an agent is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from misgen.agents.known import agent_named
from misgen.agents.recorded import RecordedAgent
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import make_world
from misgen.experiments.evaluation.conditions import EPISODES
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.levels.game import Game
from misgen.experiments.levels.watching import Watched
from misgen.experiments.live.config import configured
from misgen.experiments.live.people import FIRST, PersonTest
from misgen.experiments.live.session import Session


@pytest.fixture
def session(tmp_path) -> Session:
    return Session(configured(["env=cheese_on_a_dish", f"runs={tmp_path}"]))


def play_as(session: Session, who: str) -> None:
    """Let somebody at the keys do what a known agent would, to the end of the level."""
    watched = Watched(agent_named(who, session.world), session.game)
    while session.game.running:
        session.call("act", {"action": watched.answer().action})


def result_of(session: Session, who: str, levels: int) -> dict:
    told = session.call("test", {"called": "Ada", "levels": levels})
    assert "error" not in told
    while session.testing.test is not None:
        assert told["state"]["level"] is None, "it does not tell which twin this is"
        assert told["state"]["agent"] is None
        play_as(session, who)
        told = session.call("test_next", {})
        assert "error" not in told
    return told["result"]


def test_who_seeks_the_goal_at_the_keys_is_measured_as_the_goal_seeker(session, tmp_path):
    result = result_of(session, "goal_seeker", 3)
    rows = [(label, number) for label, number in result["rows"] if number is not None]
    assert rows[5] == ("goal", next(number for label, number in rows if label == "goal"))
    assert result["notes"][0].startswith("n too small: 3 pairs of levels are too few")
    episodes = pl.read_parquet(Path(result["folder"]) / "episodes.parquet")
    assert episodes.columns == EPISODES.names()
    own = episodes.filter(pl.col("role") == "agent")
    assert own["agent"].unique().to_list() == ["Ada"]
    assert set(episodes["role"]) == {"agent", "floor", "reference"}
    for condition in ("aligned", "conflict"):
        one = own.filter(pl.col("condition") == condition).sort("level_id")
        assert one["reached_goal"].all()
        levels = LevelDistribution(session.world, float(condition == "aligned"), "anywhere")
        alone = run_levels(
            agent_named("goal_seeker", session.world),
            levels,
            one["level_id"].to_numpy(),
            actions="greedy",
            seed=0,
        )
        assert one["steps"].to_list() == alone["steps"].to_list()
    manifest = json.loads((Path(result["run"]) / "manifest.json").read_text())
    assert manifest["external_agent"]["kind"] == "a person, whose actions were recorded"
    kept = pl.read_parquet(session.diary.folder / "episodes.parquet")
    assert (len(kept), set(kept["role"]), set(kept["agent"])) == (6, {"human"}, {"Ada"})


def test_two_people_of_one_name_are_two(session):
    first = result_of(session, "goal_seeker", 1)
    second = result_of(session, "proxy_seeker", 1)
    assert first["run"] != second["run"]
    assert first["pairs"] == second["pairs"] == 1
    assert first["notes"][0].startswith("n too small: 1 pair of levels is")


def test_a_test_that_is_stopped_counts_whole_pairs_and_can_hold_none(session):
    session.call("test", {"called": "Ada", "levels": 2})
    told = session.call("open", {"world": "coinrun", "id": 1, "correlation": 0})
    assert "a test is going on" in told["error"]
    assert "is not played yet" in session.call("test_next", {})["error"]
    told = session.call("test_stop", {})
    assert told["result"] is None
    assert "there is nothing to evaluate" in told["state"]["note"]
    assert session.call("again", {})["state"]["test"] is None


def test_levels_of_a_test_are_unseen_twins_in_an_order_that_tells_nothing():
    world = make_world("corner_maze", mode="easy")
    test = PersonTest.of(world, "anywhere", "Ada", 8, seed=1)
    assert min(test.ids) >= FIRST
    assert sorted(test.left) == sorted((i, rho) for i in test.ids for rho in (1.0, 0.0))
    assert test.left != PersonTest.of(world, "anywhere", "Ada", 8, seed=2).left
    assert len({rho for _, rho in test.left[:8]}) == 2
    later = PersonTest.of(world, "anywhere", "Ada", 8, seed=1, first=test.ids[-1] + 1)
    assert not set(later.ids) & set(test.ids)
    with pytest.raises(UserError, match="levels=101 is out of range"):
        PersonTest.of(world, "anywhere", "Ada", 101, seed=1)


@pytest.mark.parametrize("name", ["cheese_on_a_dish", "monster_world", "coinrun"])
def test_what_was_recorded_goes_the_same_way_side_by_side_with_others(name):
    """Also where monsters move by chance, and on twins, which have one id."""
    world = make_world(name)
    ids = IdRange(3, 7).ids()
    rng = np.random.default_rng(0)
    plays, steps = {}, {}
    for correlation in (1.0, 0.0):
        for level in ids.tolist():
            game = Game(world, LevelDistribution(world, correlation).levels(np.array([level])))
            while game.running and game.at < 400:
                game.step(int(rng.integers(world.action_space.n)), "human")
            plays[level, game.levels.digests()[0]] = game.actions
            steps[level, correlation] = game.at
    agent = RecordedAgent(world, plays, "Ada")
    for correlation in (1.0, 0.0):
        found = run_levels(
            agent,
            LevelDistribution(world, correlation),
            ids,
            actions="sampled",
            seed=9,
            limits=np.full(4, 400, np.int32),
        )
        assert found["steps"].to_list() == [steps[level, correlation] for level in ids.tolist()]


def test_every_episode_is_kept_with_who_took_which_decision(tmp_path):
    argv = ["env=cheese_on_a_dish", "id=5", f"runs={tmp_path}", "agent=goal_seeker", "called=Bo"]
    session = Session(configured(argv))
    session.call("act", {"action": session.world.no_op})
    while session.game.running:
        session.call("let", {})
    session.call("again", {})
    session.call("act", {"action": session.world.no_op})
    session.call("again", {})  # left: kept as far as it went
    session.close()
    lines = [json.loads(line) for line in (session.diary.folder / "plays.jsonl").open()]
    assert [(one["role"], one["finished"]) for one in lines] == [("mixed", True), ("human", False)]
    assert lines[0]["turns"] == [["human", 1], ["goal_seeker", len(lines[0]["actions"]) - 1]]
    assert lines[0]["level"] == {"id": 5, "correlation": 0.0, "placement": "anywhere"}
    table = pl.read_parquet(session.diary.folder / "episodes.parquet")
    assert table.schema == EPISODES
    assert table["agent"].to_list() == ["Bo and goal_seeker", "Bo"]
    assert table["outcome"].to_list()[0] == "GOAL"
