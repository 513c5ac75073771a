"""The critic probe: critics that are known by construction are named rightly."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from misgen.agents.config import PPOConfig
from misgen.agents.scripted import RandomAgent
from misgen.envs.core.distribution import IdRange
from misgen.envs.core.errors import UserError
from misgen.envs.make import distribution
from misgen.experiments.commands import evaluate, probe
from misgen.experiments.evaluation.config import EvaluateConfig, ShiftConfig, VerdictConfig
from misgen.experiments.evaluation.metrics import SUMMARY
from misgen.experiments.evaluation.probes import critic, run, tracking
from misgen.experiments.evaluation.result_folders import PROBE, kept
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.reporting import probe_sentences
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import DONE, MANIFEST, RunFolder
from tests.hand_made import draw, start

RIGHT, JUMP_RIGHT = 7, 8
WALL, COIN = 1, 3
IDS = np.arange(2_000_000, 2_000_120)


def coin_in_view(tiles):
    return (tiles == COIN).any(axis=(1, 2)).astype(float)


def end_in_view(tiles):
    """Nothing in CoinRun but the level's end is wall over the window's whole height."""
    return (tiles[:, :, 7:] == WALL).all(axis=1).any(axis=1).astype(float)


CRITICS = {
    "goal": lambda tiles: 2 * coin_in_view(tiles),
    "end": lambda tiles: 5 + end_in_view(tiles),
    "both": lambda tiles: 1 + coin_in_view(tiles) + 2 * end_in_view(tiles),
    "neither": lambda tiles: np.full(len(tiles), 8.0),
}


class Runner:
    """Runs right and jumps when it stands before a wall, a saw or nothing; knows of no goal."""

    def __init__(self, judge):
        self.name = "ppo"
        self.judge = judge

    def start(self, slots, levels):
        pass

    def probabilities(self, observation, engine):
        tiles = observation["tiles"]
        ahead, floor = tiles[:, 6, 7:9], tiles[:, 7, 7]
        jump = ((ahead == WALL) | (ahead > COIN)).any(axis=1) | (floor == 0) | (floor > COIN)
        return np.eye(9)[np.where(jump, JUMP_RIGHT, RIGHT)]

    def value(self, observation):
        return self.judge(observation["tiles"])


def levels(**changes):
    settings = {"action_repeat": 3, "action_set": "distinct", "mode": "easy", "max_steps": 400}
    return distribution("coinrun", placement="anywhere", **(settings | changes))


def ask(judge, ids=IDS, **settings):
    labels = {"run": "a-run", "train_seed": 0, "train_correlation": 1.0, "train_placement": "x"}
    return critic.probe_critic(Runner(judge), levels(), ids, labels=labels, **settings)


@pytest.fixture(scope="module")
def asked():
    return {name: ask(judge) for name, judge in CRITICS.items()}


def numbers(states, config=None):
    table = tracking.critic_table(states, config)
    assert table.schema == SUMMARY
    assert table["metric"].to_list() == list(tracking.METRICS)
    return {row["metric"]: row for row in table.iter_rows(named=True)}


@pytest.mark.parametrize("name", CRITICS)
def test_known_critics_are_named(asked, name):
    table = tracking.critic_table(asked[name])
    ((keys, found),) = tracking.judge_critic(table)
    assert keys["placement"] == "anywhere"
    assert found.in_view == name, str(found)
    assert found.walking_past == name, str(found)


@pytest.mark.parametrize(
    ("name", "goal", "end"), [("goal", 2, 0), ("end", 0, 1), ("both", 1, 2), ("neither", 0, 0)]
)
def test_effects_are_the_critics_own_numbers(asked, name, goal, end):
    found = {metric: row["estimate"] for metric, row in numbers(asked[name]).items()}
    assert found["goal_in_view"] == pytest.approx(goal)
    assert found["goal_at_end_in_view"] == pytest.approx(goal)
    assert found["end_in_view"] == pytest.approx(end, abs=0.02)
    assert found["drop_past_goal_net"] == pytest.approx(goal)
    assert found["rise_to_end_net"] == pytest.approx(end, abs=0.02)
    assert found["fall_after_end"] == pytest.approx(0, abs=0.2), "the end stays in view"
    assert 0.1 < found["walk_past_share"] < 1


def test_profiles_drop_at_the_goal_and_rise_at_the_end(asked):
    def curve(name, event, scene):
        table = tracking.critic_profiles(asked[name]).filter(event=event, curve=scene)
        assert (table["low"] <= table["high"]).all()
        return dict(zip(table["offset"], table["estimate"], strict=True))

    passing = curve("goal", "goal passed", "moved")
    assert set(passing) == set(range(-15, 16))
    assert passing[0] > passing[12] + 1
    assert set(curve("goal", "goal passed", "no_goal").values()) == {0.0}
    ending = curve("end", "end reached", "moved")
    assert ending[-1] == pytest.approx(6)
    assert ending[-14] < 5.3
    assert set(curve("end", "end reached", "no_end").values()) == {5.0}


def test_a_weak_effect_is_no_tracking():
    states = ask(lambda tiles: 0.3 * coin_in_view(tiles), IDS[:60])
    table = tracking.critic_table(states)
    words = [
        next(tracking.judge_critic(table, tracking.CriticConfig(smallest_effect=smallest)))[
            1
        ].in_view
        for smallest in (0.5, 0.1)
    ]
    assert words == ["neither", "goal"]


def test_few_levels_say_nothing(asked):
    few = asked["both"].filter(pl.col("level_id") < IDS[tracking.MIN_LEVELS - 1])
    ((_, found),) = tracking.judge_critic(tracking.critic_table(few))
    assert (found.in_view, found.walking_past) == ("undetermined", "undetermined")


def test_seeds_are_taken_together(asked):
    other = asked["end"].with_columns(train_seed=pl.lit(1, pl.Int64), run=pl.lit("other"))
    row = numbers(pl.concat([asked["goal"], other]))["goal_in_view"]
    assert row["n_seeds"] == 2
    assert row["estimate"] == pytest.approx(1)
    assert "n small" in row["note"]
    twice = other.with_columns(train_seed=pl.lit(0, pl.Int64))
    with pytest.raises(ValueError, match="same training settings and seed 0"):
        tracking.critic_table(pl.concat([asked["goal"], twice]))


# --- the states that are asked about ---------------------------------------------------------


def test_watching_changes_nothing(asked):
    """Every decision before the end is asked about; the way there is as without the watcher."""
    played = run_levels(
        Runner(CRITICS["goal"]), levels(correlation=1.0), IDS, actions="sampled", seed=0
    )
    twins = asked["goal"].filter(pl.col("condition") == "aligned").group_by("level_id").len()
    assert twins.sort("level_id")["len"].to_list() == played["steps"].to_list()


def test_the_number_of_slots_changes_nothing(asked):
    assert ask(CRITICS["both"], num_slots=7).equals(asked["both"])


def test_what_is_asked_is_the_observation_with_and_without_the_goal(asked):
    """On a twin the goal stands at the end, so the scene `at_end` is what the agent really saw."""
    seen = []

    class Recorder(Runner):
        def probabilities(self, observation, engine):
            seen.extend(coin_in_view(observation["tiles"]).tolist())
            return super().probabilities(observation, engine)

    run_levels(
        Recorder(None), levels(correlation=1.0), IDS[:1], actions="sampled", seed=0, num_slots=1
    )
    states = asked["goal"].filter(pl.col("condition") == "aligned", pl.col("level_id") == IDS[0])
    assert (states["value_at_end"] / 2).to_list() == seen
    assert (states["sees_at_end"] == (states["value_at_end"] > 0)).all()
    assert (states["value_no_goal"] == 0).all()


def test_the_ground_goes_on_beyond_the_end():
    level = draw(
        ".............####",
        "A......C......X##",
        "=================",
    )
    engine = start(level)
    states = engine.states.copy()
    places = np.zeros(1, critic.PLACES)
    places["proxy"], places["start"] = level.proxy_cell, level.start
    critic.ground_goes_on(states, places)
    tiles = states["tiles"][0]
    x, _ = level.proxy_cell
    assert (tiles[:, : x + 1] == level.tiles[:, : x + 1]).all()
    assert (tiles[:, x:] == level.tiles[:, [x]]).all()
    places["start"] = (40, 1)  # from the right: the end is on the left
    states = engine.states.copy()
    critic.ground_goes_on(states, places)
    assert (states["tiles"][0][:, x:] == level.tiles[:, x:]).all()
    assert (states["tiles"][0][:, :x] == level.tiles[:, [x]]).all()


def test_levels_without_a_second_cell_are_left_alone():
    states = np.zeros(2, levels().world.state_dtype)
    cells = np.array([[-1, -1], [3, 5]], np.int16)
    critic._put(states, cells, 7)
    assert np.argwhere(states["tiles"]).tolist() == [[1, 5, 3]]


def test_an_agent_without_a_critic_is_refused():
    with pytest.raises(UserError, match="agent 'random' has no critic"):
        critic.probe_critic(RandomAgent(9), levels(), IDS[:2])


def test_no_levels_are_no_states():
    assert ask(CRITICS["goal"], IDS[:0]).schema == critic.STATES


# --- the command -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The folder of an evaluated run whose policy was never trained."""
    import torch

    from misgen.agents.checkpoint import build_policy, save_policy
    from misgen.agents.spec import PolicySpec

    env = {"name": "coinrun", "mode": "easy", "action_set": "distinct", "action_repeat": 3}
    config = TrainConfig(env={**env, "max_steps": 150}, agent=PPOConfig(), seed=4)
    splits = dataclasses.replace(config.levels, train="0:200", test="2000000:2000020")
    config = dataclasses.replace(config, levels=splits)
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "sweep" / "a-run")
    torch.manual_seed(0)
    world = config.world
    spec = PolicySpec.of(PPOConfig(), world.observation_space, world.action_space, "distinct")
    save_policy(folder.path, build_policy(spec), spec)
    manifest = {"status": "done", "config": config.science, "config_hash": config.hash}
    (folder.path / MANIFEST).write_text(json.dumps(manifest))
    folder.mark(DONE, config.hash)
    shift = ShiftConfig(placements=("anywhere",))
    evaluate.evaluate_run(
        folder, EvaluateConfig(shift=shift, repeats=2, verdict=VerdictConfig(devices=0))
    )
    return folder


@pytest.mark.parametrize("whole_sweep", [False, True])
def test_probe_writes_what_it_says(evaluated, whole_sweep, capsys, tmp_path):
    path = evaluated.path.parent if whole_sweep else evaluated.path
    assert probe.main([f"run={path}", f"out={tmp_path}/new", "critic.resamples=100"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    (one,) = kept(tmp_path / "new", PROBE)
    stored = json.loads((one.path / run.JSON).read_text())
    assert (one.path / run.PICTURE).stat().st_size > 10_000
    assert kept(evaluated.path, PROBE) == []
    assert stored["runs"] == ["a-run"]
    assert stored["critic_levels"] == "2000000:2000020"
    assert {row["actions"] for row in stored["pairs"]} == {"sampled", "greedy"}
    assert [row["metric"] for row in stored["critic"]] == list(tracking.METRICS)
    for text in probe_sentences.sentences(stored):
        assert text in printed
        assert "the critic tracks" in text or "undetermined" in text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["levels=100:300"], "share level ids"),
        (["placements=[section_start]"], "placements='section_start' is not known"),
        (["actions=best"], "actions='best' is not known"),
        (["critic.smallest_effect=-1"], "critic.smallest_effect"),
        (["critic.smalest_effect=1"], "did you mean 'critic.smallest_effect'"),
    ],
)
def test_mistakes_are_refused(evaluated, overrides, message):
    with pytest.raises(UserError, match=message):
        probe.main([f"run={evaluated.path}", *overrides])


def test_what_was_not_evaluated_is_refused(evaluated, tmp_path):
    with pytest.raises(UserError, match="run is missing"):
        probe.main([])
    with pytest.raises(UserError, match="does not exist"):
        probe.main([f"run={tmp_path}"])
    for name in (MANIFEST, DONE):
        (tmp_path / name).write_text((evaluated.path / name).read_text())
    with pytest.raises(UserError, match="was not evaluated: run misgen evaluate"):
        probe.main([f"run={tmp_path}"])


def test_actor_and_critic_are_compared():
    def case(low, high):
        return {"goal_minus_proxy_driven": {"low": low, "high": high}}

    intervals = {"goal": (0.1, 0.2), "end": (-0.2, -0.1), "undetermined": (-0.1, 0.1)}
    for word, ends in intervals.items():
        assert probe_sentences.what_actor_follows(case(*ends)) == word
    assert probe_sentences.agreement("end", "goal") == ". They differ."
    assert probe_sentences.agreement("end", "end") == ". They agree."
    assert probe_sentences.agreement("end", "both") == "."
    assert probe_sentences.agreement("undetermined", "undetermined") == "."


def test_agents_trained_on_other_placements_are_told_apart():
    """Same correlation, another training placement: neither hides the other."""
    shares = dict.fromkeys(("both", "neither"), 0.1)
    rows, tracks = [], []
    for trained, driven in (("anywhere", 0.7), ("section_start", 0.1)):
        who = {"train_correlation": 0.5, "train_placement": trained}
        who |= {"placement": "anywhere", "actions": "sampled"}
        own = {**shares, "goal_driven": driven, "proxy_driven": 0.8 - driven}
        own |= {"goal_minus_proxy_driven": 2 * driven - 0.8, "goal_in_view": 2, "end_in_view": 0}
        for metric, value in own.items():
            bounds = {"low": value - 0.05, "high": value + 0.05}
            rows.append({**who, "metric": metric, "estimate": value, **bounds})
        tracks.append({**who, "in_view": "goal", "walking_past": "goal"})
    found = {"pairs": rows, "critic": rows, "tracks": tracks, "config": {"actions": "sampled"}}
    told = probe_sentences.sentences(found)
    assert [text.split(";")[0] for text in told] == ["ρ = 0.5, anywhere", "ρ = 0.5, section_start"]
    assert "goal-driven on 70%" in told[0]
    assert told[0].endswith("They agree.")
    assert "goal-driven on 10%" in told[1]
    assert told[1].endswith("They differ.")


def test_default_levels_are_the_first_of_the_test_levels(evaluated, monkeypatch):
    monkeypatch.setattr(run, "MOST_LEVELS", 5)
    job = run._job(evaluated, run.ProbeConfig(run=str(evaluated.path)))
    assert job.levels.ids == IdRange(2_000_000, 2_000_005)
