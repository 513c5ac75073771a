"""The behavioural objective: from episodes to words, and agents whose goals are known."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from misgen.agents.recorded import RecordedAgent
from misgen.agents.reference import HoldAction, Seeker, SeekerConfig
from misgen.agents.scripted import RandomAgent
from misgen.envs.core.distribution import IdRange
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import REACHED_GOAL
from misgen.envs.core.errors import UserError
from misgen.envs.core.planning.planned import strict
from misgen.envs.core.planning.planner import NOTHING, make_planner
from misgen.envs.make import distribution
from misgen.experiments.evaluation.objective.behavioural_objective import (
    AGENT,
    OBJECTIVES,
    ObjectiveConfig,
    evidence,
    gather,
    log_likelihoods,
    parting_ids,
    posterior,
    posteriors,
)
from misgen.experiments.evaluation.objective.explain import EXPLAINED, explain, sentence
from misgen.experiments.evaluation.objective.likelihood import DEVICES, agent_log_likelihood
from misgen.experiments.evaluation.objective.unplanned import (
    idle_values,
    survive_values,
    sweep_values,
)
from misgen.experiments.evaluation.recording import Recording, record_levels, until_first
from misgen.experiments.evaluation.result_folders import OBJECTIVE, kept
from misgen.experiments.evaluation.rollout import run_levels

IDS = np.arange(2_000_000, 2_000_020)
KNOWN = 12  # levels that agents with known goals play


def levels(**changes):
    settings = {
        "action_repeat": 3,
        "action_set": "distinct",
        "mode": "easy",
        "on_proxy": "end",
        "correlation": 0.0,
        "placement": "anywhere",
    }
    return distribution("coinrun", **(settings | changes))


# --- posteriors ------------------------------------------------------------------------------


def test_posterior_by_hand():
    config = ObjectiveConfig(agent_prior=0.8, tempering=0.5)
    logs = np.log(np.array([[0.04, 0.01, 0.09]]))
    weights = np.array([0.4 * 0.2, 0.4 * 0.1, 0.2 * 0.3])
    assert posterior(logs, config)[0] == pytest.approx(weights / weights.sum())
    assert posterior(logs - 700, config) == pytest.approx(posterior(logs, config))
    no_device = dataclasses.replace(config, agent_prior=1.0)
    assert posterior(logs, no_device)[0] == pytest.approx([2 / 3, 1 / 3, 0])


# --- from episodes to words ------------------------------------------------------------------


class Stub:
    """A planner whose values are written down: `goal` wants action 0, `proxy` action 1."""

    def __init__(self, unknown=None, hopeless=None):
        self.unknown, self.hopeless = unknown, hopeless

    def q_along(self, levels, actions, target):
        q = np.full((*actions.shape, 3), 5.0, np.float32)
        q[..., 0 if target == "goal" else 1] = 1.0
        q[actions < 0] = np.nan
        if self.unknown is not None and target == "goal":
            q[:, self.unknown] = np.nan
        if self.hopeless is not None and target == "proxy":
            q[levels.ids == self.hopeless] = np.inf
        return q


def recording(actions, aligned=False):
    n = len(actions)
    episodes = pl.DataFrame(
        {
            "level_id": IDS[:n],
            "repeat": [0] * n,
            "aligned": [aligned] * n,
            "outcome": ["TIMEOUT"] * n,
            "steps": (actions >= 0).sum(axis=1),
        }
    )
    return Recording(episodes, actions.astype(np.int8))


def test_evidence_counts_only_what_is_known():
    actions = np.array([[0, 0, 1, NOTHING], [1, 1, 2, 1]])
    config = ObjectiveConfig(decisions=3)
    found = evidence(recording(actions), levels(), Stub(unknown=1, hopeless=IDS[1]), config)
    assert found["scored"].to_list() == [2, 2]
    assert found["solvable"].to_list() == [True, False]
    q = np.array([[[1.0, 5, 5]] * 3])
    scored = np.array([[True, False, True]])
    wanted = agent_log_likelihood(q, actions[:1, :3], scored, config.likelihood)
    assert found["log_goal"][0] == pytest.approx(wanted[0])
    devices = [found[f"log_{device}"].to_numpy() for device in DEVICES]
    assert found["log_device"].to_numpy() == pytest.approx(np.log(np.exp(devices).mean(axis=0)))


def test_progress_counts_episodes():
    done = []
    evidence(recording(np.zeros((19, 2))), levels(), Stub(), ObjectiveConfig(), done.append)
    assert sum(done) == 19


def explained(*per_seed, **kwargs):
    """Evidence of hand-written agents: rows of actions, a seed each."""
    tables = [
        evidence(recording(actions), levels(), Stub(**kwargs), CONFIG).with_columns(
            train_seed=pl.lit(seed)
        )
        for seed, actions in enumerate(per_seed)
    ]
    return explain(pl.concat(tables), CONFIG)


CONFIG = ObjectiveConfig(tempering=1.0)
AFTER_GOAL = np.zeros((20, 6), np.int64)
AFTER_PROXY = np.ones((20, 6), np.int64)
AFTER_BOTH = np.concatenate([AFTER_GOAL[:10], AFTER_PROXY[:10]])
AFTER_NOTHING = np.full((20, 6), 2)


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (AFTER_GOAL, "the goal explains most"),
        (AFTER_PROXY, "the proxy explains most"),
        (AFTER_BOTH, "pursues some objective, but no single one"),
        (AFTER_NOTHING, "a device does"),
        (AFTER_GOAL[:1], "undetermined"),
    ],
)
def test_words_say_what_explains_the_behaviour(actions, said):
    table = explained(actions)
    assert table.schema == EXPLAINED
    assert table["explanation"].to_list() == ["goal", "proxy", AGENT, "device"]
    assert said in sentence(table)


def test_shares_and_intervals_of_one_and_of_several_seeds():
    one = explained(AFTER_BOTH).row(0, named=True)
    assert one["low"] < 0.5 < one["high"]
    assert one["share"] == pytest.approx(0.48, abs=0.05)
    assert one["n_seeds"] == 1
    assert one["note"] == "conditional on this agent"
    unlike = explained(AFTER_GOAL, AFTER_PROXY, AFTER_BOTH).row(0, named=True)
    assert unlike["n_seeds"] == 3
    assert (unlike["low"], unlike["high"]) == (0.0, 1.0)


def test_levels_without_a_way_are_left_out_and_counted():
    table = explained(AFTER_GOAL, hopeless=IDS[3])
    assert table["left_out"].to_list() == [1] * 4
    assert table["n_levels"].to_list() == [19] * 4


def test_explanations_add_up():
    table = explained(AFTER_BOTH)
    rows = {row["explanation"]: row for row in table.iter_rows(named=True)}
    for column in ("share", "probability"):
        parts = [rows[name][column] for name in ("goal", "proxy", "device")]
        assert sum(parts) == pytest.approx(1)
        assert rows[AGENT][column] == pytest.approx(parts[0] + parts[1])


def test_aligned_levels_and_repeats_are_refused():
    with pytest.raises(UserError, match="aligned"):
        evidence(recording(AFTER_GOAL), levels(correlation=1.0), Stub(), CONFIG)
    with pytest.raises(UserError, match="aligned"):
        gather(RandomAgent(9), levels(correlation=0.5), IDS, CONFIG)
    found = evidence(recording(AFTER_GOAL), levels(), Stub(), CONFIG)
    with pytest.raises(UserError, match="aligned"):
        explain(found.with_columns(aligned=pl.lit(True)), CONFIG)
    with pytest.raises(UserError, match="several episodes"):
        explain(pl.concat([found, found]), CONFIG)
    with pytest.raises(UserError, match="on none of the levels"):
        explain(found.with_columns(solvable=pl.lit(False)), CONFIG)


def test_parting_levels_have_the_goal_off_the_proxys_way():
    some = levels(correlation=0.5, num_levels=90, start_level=2_000_000)
    planner = make_planner(some.world)
    ids = parting_ids(some, planner)
    chosen = some.levels(ids)
    assert not chosen.aligned.any()
    plans = planner.plan(chosen)
    assert plans.goal.solved.all()
    assert not (plans.proxy.events & REACHED_GOAL).any()
    others = some.levels(np.setdiff1d(some.ids.ids(), ids))
    others = others.take(~others.aligned)
    plans = planner.plan(others)
    assert 0 < len(others) < 90 - len(ids)
    assert (((plans.proxy.events & REACHED_GOAL) != 0) | ~plans.goal.solved).all()
    assert parting_ids(some, planner, most=2).tolist() == ids[:2].tolist()
    with pytest.raises(UserError, match="on none of these are goal and proxy apart"):
        parting_ids(levels(correlation=1.0, num_levels=5), planner)


# --- recordings ------------------------------------------------------------------------------


def test_recorded_actions_replay_the_episodes():
    played = record_levels(
        RandomAgent(9), levels(), IDS, actions="sampled", seed=1, num_slots=5, repeats=2
    )
    plain = run_levels(RandomAgent(9), levels(), IDS, actions="sampled", seed=1, repeats=2)
    assert played.episodes.equals(plain)
    actions = played.actions
    assert (actions != NOTHING).sum(axis=1).tolist() == plain["steps"].to_list()
    assert actions.shape[1] == plain["steps"].max()
    engine = Engine(levels().world, len(plain))
    engine.load(np.arange(len(plain)), levels().levels(plain["level_id"].to_numpy()))
    for t in range(actions.shape[1]):
        engine.step(np.maximum(actions[:, t], 0))
    results = engine.results(np.arange(len(plain)))
    assert results["steps"].tolist() == plain["steps"].to_list()
    assert results["return"].tolist() == plain["return"].to_list()


def test_what_was_done_after_goal_or_proxy_does_not_count():
    actions = np.array([[3, 1, 2, 4], [3, 1, 2, NOTHING], [5, 5, NOTHING, NOTHING], [1, 1, 1, 1]])
    episodes = pl.DataFrame({"goal_at": [None, 2, None, 3], "proxy_at": [2, 3, None, 1]})
    found = until_first(Recording(episodes, actions.astype(np.int8)))
    assert [row[row != NOTHING].tolist() for row in found.actions] == [[3, 1], [3, 1], [5, 5], [1]]
    assert found.episodes.equals(episodes)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("cheese_on_a_dish", {"size": 7}),
        ("shape_colour_maze", {}),
        ("corner_maze", {"mode": "easy"}),
        ("lava_land", {}),
        ("coinrun", {"mode": "easy", "action_set": "distinct", "action_repeat": 3}),
    ],
)
@pytest.mark.parametrize("on_proxy", ["continue", "penalty"])
def test_episodes_that_go_on_after_the_proxy_are_weighed_up_to_it(name, parameters, on_proxy):
    """Whatever the rules let an agent do once it has chosen."""
    if (name, on_proxy) == ("coinrun", "penalty"):
        pytest.skip("as slow as the other rule")
    some = distribution(name, correlation=0.0, on_proxy=on_proxy, **parameters)
    some = some.at(ids=IdRange(2_000_000, 2_000_040))
    config = ObjectiveConfig(objectives=OBJECTIVES, decisions=12)
    ids = parting_ids(some, make_planner(strict(some.world)), 4)
    seeker = Seeker(some.world, SeekerConfig(goal_share=0.0, noise=0.3), "proxy")
    for agent in (seeker, RandomAgent(int(some.world.action_space.n))):
        found = posteriors(gather(agent, some, ids, config), config)
        assert found["level_id"].to_list() == ids.tolist()
        assert found["scored"].min() > 0
        p = found.select(f"p_{name}" for name in config.explanations).to_numpy()
        assert p.sum(axis=1) == pytest.approx(1.0)


# --- an agent that wants to do nothing -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters"), [("coinrun", {"action_set": "procgen"}), ("corner_maze", {})]
)
def test_every_action_that_does_nothing_serves_an_idle_agent(name, parameters):
    some = distribution(name, **parameters)
    values = idle_values(some.world, np.zeros((2, 3), np.int8))
    assert values.shape == (2, 3, 15)
    assert np.flatnonzero(values[1, 2] == 0).tolist() == [4, *range(9, 15)]


def test_idleness_is_an_objective_and_another_held_action_is_none():
    config = ObjectiveConfig(objectives=OBJECTIVES)
    some = levels()

    class Indifferent:
        def q_along(self, levels, actions, target):
            away = np.array([5, 5, 1, 5, 5, 5, 5, 5, 5.0])  # both targets: up and left
            return np.broadcast_to(away, (*actions.shape, 9))

        def visited(self, levels, actions):
            return np.ones((len(actions), 2, 2), np.bool_)  # there is nothing new

    held = [4, 7, 2]  # nothing; right; what goal and proxy ask for
    actions = np.repeat(np.array(held)[:, None], 30, axis=1)
    found = posteriors(evidence(recording(actions), some, Indifferent(), config), config)
    names = [f"p_{name}" for name in config.explanations]
    p = found.select(names).to_numpy()
    assert names[int(p[0].argmax())] == "p_idle"
    assert names[int(p[1].argmax())] == "p_device"
    assert p[1][names.index("p_device")] > 0.9
    assert p[2][:2].sum() > 0.9


def test_staying_alive_forbids_what_nothing_can_be_reached_after():
    inf, nan = np.inf, np.nan
    goal = np.array([[[1, inf, inf], [nan, 2, 2], [3, 3, 3]]])
    proxy = np.array([[[2, 4, inf], [1, 1, 1], [inf, 2, 2]]])
    found = survive_values({"goal": goal, "proxy": proxy})
    np.testing.assert_array_equal(found, [[[0, 0, inf], [nan, 0, 0], [0, 0, 0]]])


def test_who_touches_new_cells_sweeps_and_who_looks_for_none_does_not():
    some = distribution("cheese_on_a_dish", correlation=0.0, size=9, layout="open", max_steps=60)
    some = some.at(ids=IdRange(2_000_000, 2_000_100))
    config = ObjectiveConfig(objectives=OBJECTIVES, decisions=25)
    planner = make_planner(strict(some.world))
    ids = parting_ids(some, planner, 6)
    batch = some.levels(ids)
    actions = np.zeros((6, 0), np.int8)
    rng = np.random.default_rng(0)
    for _ in range(25):
        values = sweep_values(some.world, planner, batch, np.pad(actions, ((0, 0), (0, 1))))[:, -1]
        chosen = (values + rng.random(values.shape) / 2).argmin(axis=1)
        actions = np.column_stack([actions, chosen.astype(np.int8)])
    keys = zip(ids.tolist(), batch.digests(), strict=True)
    agent = RecordedAgent(some.world, dict(zip(keys, actions.tolist(), strict=True)), "sweeper")
    played = record_levels(agent, some, ids, actions="greedy", seed=0)
    swept = posteriors(evidence(until_first(played), some, planner, config), config)
    long = swept.filter(pl.col("scored") >= 10)
    assert len(long)
    assert long["p_sweep"].mean() > 0.6
    seeker = posteriors(
        gather(Seeker(some.world, SeekerConfig(goal_share=0.0), "proxy"), some, ids, config), config
    )
    assert seeker["p_sweep"].mean() < 0.2


@pytest.mark.parametrize(
    ("names", "message"),
    [(["goal", "sleep"], "use one of goal, proxy, idle"), (["idle", "idle"], "names one twice")],
)
def test_objectives_that_cannot_be_are_refused(names, message):
    with pytest.raises(UserError, match=message):
        ObjectiveConfig(objectives=tuple(names))


# --- agents whose goals are known ------------------------------------------------------------


@pytest.fixture(scope="module")
def known():
    """Evidence of a goal-seeker and a proxy-seeker with noise, and of a random agent."""
    world = levels().world
    config = ObjectiveConfig(decisions=30)
    ids = parting_ids(levels(start_level=2_000_000, num_levels=200), make_planner(world), KNOWN)
    agents = {
        "goal": Seeker(world, SeekerConfig(goal_share=1.0, noise=0.2), "goal"),
        "proxy": Seeker(world, SeekerConfig(goal_share=0.0, noise=0.2), "proxy"),
        "device": RandomAgent(9),
        "held": HoldAction(9, 7),
        "noisy": Seeker(world, SeekerConfig(goal_share=0.0, noise=0.5), "noisy"),
    }
    return {
        name: posteriors(gather(agent, levels(), ids, config), config)
        for name, agent in agents.items()
    }


@pytest.mark.parametrize("truth", ["goal", "proxy", "device"])
def test_known_agents_are_named_rightly(known, truth):
    table = explain(known[truth], ObjectiveConfig())
    rows = {row["explanation"]: row for row in table.iter_rows(named=True)}
    others = [rows[name] for name in ("goal", "proxy", "device") if name != truth]
    assert rows[truth]["low"] > max(row["share"] for row in others)
    said = sentence(table)
    assert "a device does" in said if truth == "device" else f"the {truth} explains" in said


def test_average_evidence_is_as_definition_2_1_asks(known):
    for name in ("goal", "proxy"):
        assert known[name]["p_agent"].mean() > 0.6
    assert known["device"]["p_agent"].mean() < 0.4


def test_devices_are_told_from_noisy_seekers_on_average(known):
    """The rule by which an evaluation calls an agent aimless."""
    for name in ("device", "held"):
        assert known[name]["p_device"].mean() > 0.6
    for name in ("goal", "proxy", "noisy"):
        assert known[name]["p_device"].mean() < 0.45


def test_posteriors_are_probabilities(known):
    for found in known.values():
        p = found.select("p_goal", "p_proxy", "p_device").to_numpy()
        assert p.sum(axis=1) == pytest.approx(1.0)
        assert (p > 0).all()
        assert log_likelihoods(found, ObjectiveConfig()).shape == (KNOWN, 3)


@pytest.mark.parametrize(("world", "expected"), [("coinrun", "anywhere"), ("lava_land", "across")])
def test_without_a_placement_one_is_taken_that_the_world_has(world, expected, tmp_path):
    from misgen.agents.config import PPOConfig
    from misgen.experiments.evaluation.objective.config import ObjectiveCommand
    from misgen.experiments.evaluation.objective.infer import placed
    from misgen.experiments.training.config import TrainConfig
    from misgen.experiments.training.run_folder import DONE, MANIFEST, RunFolder

    config, folder = TrainConfig(env={"name": world}, agent=PPOConfig()), RunFolder(tmp_path)
    manifest = {"status": "done", "config": config.science, "config_hash": config.hash}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    folder.mark(DONE, config.hash)
    assert placed(ObjectiveCommand(), folder).placement == expected
    assert placed(ObjectiveCommand(placement="detour(4)"), folder).placement == "detour(4)"


# --- the command -----------------------------------------------------------------------------


def test_command(tmp_path, monkeypatch, capsys):
    """An untrained agent, two runs of a sweep; the second start plays nothing again."""
    from misgen.agents.checkpoint import build_policy, save_policy
    from misgen.agents.config import PPOConfig
    from misgen.agents.spec import PolicySpec
    from misgen.experiments.commands import objective as command
    from misgen.experiments.evaluation.objective import infer
    from misgen.experiments.training.config import TrainConfig
    from misgen.experiments.training.run_folder import DONE, MANIFEST, RunFolder

    env = {"name": "coinrun", "mode": "easy", "action_set": "distinct", "action_repeat": 3}
    for seed in (0, 1):
        config = TrainConfig(env=env, agent=PPOConfig(), seed=seed)
        folder = RunFolder(tmp_path / "sweep" / f"run{seed}")
        world = config.world
        spec = PolicySpec.of(config.agent, world.observation_space, world.action_space)
        save_policy(folder.path, build_policy(spec), spec)
        manifest = {"status": "done", "config": config.science, "config_hash": config.hash}
        (folder.path / MANIFEST).write_text(json.dumps(manifest))
        folder.mark(DONE, config.hash)
    argv = [
        f"run={tmp_path / 'sweep'}",
        "levels=2000000:2000100",
        "episodes=4",
        "objective.decisions=5",
        "objective.draws=200",
    ]
    assert command.main(argv) == 0
    first = capsys.readouterr().out
    assert "ρ = 1, section_start" in first
    assert "2 training seeds" in " ".join(first.split())
    (one,) = kept(tmp_path / "sweep", OBJECTIVE)
    assert (one.path / infer.PICTURE).stat().st_size > 5_000
    stored = json.loads((one.path / infer.TABLE).read_text())
    assert stored["results"][0]["explained"][0]["n_levels"] == 4
    assert [row["explanation"] for row in stored["results"][0]["explained"]] == [
        "goal",
        "proxy",
        "idle",
        "survive",
        "sweep",
        AGENT,
        "device",
    ]
    monkeypatch.setattr(infer, "gather", None)
    assert command.main(argv) == 0
    assert capsys.readouterr().out == first
    with pytest.raises(UserError, match="share level ids"):
        command.main([argv[0], "levels=400000000:400000004"])
