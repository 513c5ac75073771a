"""The behavioural objective: likelihoods with known answers, and agents whose goals are known."""

import dataclasses
import itertools
import json
import math

import numpy as np
import polars as pl
import pytest

from misgen.agents.reference import Seeker, SeekerConfig
from misgen.agents.scripted import RandomAgent
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import REACHED_GOAL
from misgen.envs.core.errors import UserError
from misgen.envs.core.planner import NOTHING, make_planner
from misgen.envs.make import distribution
from misgen.experiments.evaluation.calibration import fit_tempering, reliability
from misgen.experiments.evaluation.explain import EXPLAINED, explain, words
from misgen.experiments.evaluation.likelihood import (
    DEVICES,
    LikelihoodConfig,
    agent_log_likelihood,
    device_log_likelihood,
    predictions,
    regrets,
)
from misgen.experiments.evaluation.objective import (
    AGENT,
    ObjectiveConfig,
    evidence,
    gather,
    log_likelihoods,
    parting_ids,
    posterior,
    posteriors,
)
from misgen.experiments.evaluation.record import Recording, record_levels
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.evaluation.shares import sample_shares, share_interval

ONE_POINT = LikelihoodConfig(
    habits=("uniform",), beta_low=2.0, beta_high=2.0, betas=1, lapses=(0.1,)
)
IDS = np.arange(2_000_000, 2_000_020)


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


def everything(num_actions, decisions):
    """All action sequences, int64 [A ** T, T]."""
    return np.array(list(itertools.product(range(num_actions), repeat=decisions)))


def values_by_history(actions, num_actions):
    """Q values that depend on the actions before, with some inf: float64 [n, T, A]."""
    q = np.empty((*actions.shape, num_actions))
    for i, row in enumerate(actions.tolist()):
        for t in range(len(row)):
            rng = np.random.default_rng([7, *row[:t]])
            q[i, t] = rng.integers(1, 6, num_actions)
            q[i, t, rng.random(num_actions) < 0.2] = np.inf
    return q


def all_scored(actions):
    return np.ones(actions.shape, np.bool_)


# --- devices ---------------------------------------------------------------------------------


def dirichlet_multinomial(counts, alpha):
    """Log probability of one sequence with these counts, in closed form."""
    total = math.lgamma(alpha * len(counts)) - math.lgamma(alpha * len(counts) + sum(counts))
    return total + sum(math.lgamma(alpha + c) - math.lgamma(alpha) for c in counts)


def test_devices_have_their_closed_forms():
    actions = np.random.default_rng(0).integers(0, 4, (5, 12))
    config = LikelihoodConfig(concentration=0.7)
    found = {
        device: device_log_likelihood(device, actions, all_scored(actions), 4, config)
        for device in DEVICES
    }
    for i, row in enumerate(actions):
        fixed = dirichlet_multinomial(np.bincount(row, minlength=4), 0.7)
        chain = -math.log(4)  # the first action
        for last in range(4):
            after = row[1:][row[:-1] == last]
            chain += dirichlet_multinomial(np.bincount(after, minlength=4), 0.7)
        assert found["uniform"][i] == pytest.approx(-12 * math.log(4))
        assert found["fixed"][i] == pytest.approx(fixed)
        assert found["markov"][i] == pytest.approx(chain)


def test_a_device_expects_nothing_from_the_future():
    first = np.array([[0, 1, 1, 2, 0]])
    second = np.array([[0, 1, 1, 0, NOTHING]])
    for device in DEVICES:
        one, other = (predictions(device, a, 3, 0.5)[0] for a in (first, second))
        assert np.array_equal(one[:4], other[:4])


@pytest.mark.parametrize("device", DEVICES)
def test_a_devices_probabilities_of_all_sequences_add_up_to_1(device):
    actions = everything(3, 4)
    logs = device_log_likelihood(device, actions, all_scored(actions), 3, LikelihoodConfig())
    assert np.exp(logs).sum() == pytest.approx(1.0)


# --- agents ----------------------------------------------------------------------------------


@pytest.mark.parametrize("habit", DEVICES)
def test_an_agents_probabilities_of_all_sequences_add_up_to_1(habit):
    actions = everything(3, 4)
    q = values_by_history(actions, 3)
    config = LikelihoodConfig(habits=(habit,), betas=3)
    logs = agent_log_likelihood(q, actions, all_scored(actions), config)
    assert np.exp(logs).sum() == pytest.approx(1.0)


def test_one_decision_by_hand():
    q = np.array([[[3.0, 4.0, np.inf]]])  # regrets 0, 1, and 1 + the penalty of 10
    weights = np.array([1.0, math.exp(-2), math.exp(-22)])
    for action in range(3):
        actions = np.array([[action]])
        found = agent_log_likelihood(q, actions, all_scored(actions), ONE_POINT)
        assert np.exp(found[0]) == pytest.approx(
            0.9 * weights[action] / weights.sum() + 0.1 / 3, rel=1e-9
        )


def test_grids_are_averaged():
    q = np.array([[[1.0, 2.0]]])
    actions = np.array([[1]])
    config = LikelihoodConfig(
        habits=("uniform",), beta_low=1, beta_high=4, betas=2, lapses=(0.1, 0.3)
    )
    wanted = np.mean(
        [
            (1 - lapse) * math.exp(-beta) / (1 + math.exp(-beta)) + lapse / 2
            for beta in (1, 4)
            for lapse in (0.1, 0.3)
        ]
    )
    found = agent_log_likelihood(q, actions, all_scored(actions), config)
    assert np.exp(found[0]) == pytest.approx(wanted)


@pytest.mark.parametrize("habit", DEVICES)
def test_an_agent_with_nothing_to_choose_is_its_habit(habit):
    actions = np.random.default_rng(1).integers(0, 5, (3, 9))
    for q in (np.full((3, 9, 5), 4.0), np.full((3, 9, 5), np.inf)):
        config = LikelihoodConfig(habits=(habit,), lapses=(1e-6,))
        found = agent_log_likelihood(q, actions, all_scored(actions), config)
        device = device_log_likelihood(habit, actions, all_scored(actions), 5, config)
        assert found == pytest.approx(device, abs=1e-4)


def test_what_does_not_matter_to_an_agent():
    """Q up to a constant a decision, names of actions, what is not scored, padding."""
    rng = np.random.default_rng(2)
    actions = rng.integers(0, 4, (3, 8))
    q = rng.integers(1, 9, (3, 8, 4)).astype(float)
    q[0, 2, 1] = np.inf
    scored = rng.random((3, 8)) < 0.7
    config = LikelihoodConfig(betas=3)
    wanted = agent_log_likelihood(q, actions, scored, config)

    shifted = q + rng.integers(0, 50, (3, 8, 1))
    assert agent_log_likelihood(shifted, actions, scored, config) == pytest.approx(wanted)
    new_name = np.array([2, 0, 3, 1])
    renamed = agent_log_likelihood(q[..., np.argsort(new_name)], new_name[actions], scored, config)
    assert renamed == pytest.approx(wanted)
    unknown = np.where(scored[..., None], q, np.nan)
    assert agent_log_likelihood(unknown, actions, scored, config) == pytest.approx(wanted)
    longer = np.concatenate([actions, np.full((3, 2), NOTHING)], axis=1)
    padded = agent_log_likelihood(
        np.concatenate([q, np.full((3, 2, 4), np.nan)], axis=1),
        longer,
        np.concatenate([scored, np.zeros((3, 2), np.bool_)], axis=1),
        config,
    )
    assert padded == pytest.approx(wanted)


def test_regrets():
    q = np.array([[2, 5, np.inf], [np.inf, np.inf, np.inf], [1, 1, 1]])
    assert regrets(q, 10).tolist() == [[0, 3, 13], [0, 0, 0], [0, 0, 0]]


def test_pursuit_is_told_from_its_opposite():
    """Actions that are best for one objective and worst for the other."""
    rng = np.random.default_rng(3)
    q = rng.permuted(np.tile(np.arange(1.0, 6.0), (1, 20, 1)), axis=2)
    other = 6 - q
    actions = q.argmin(axis=2)
    config = LikelihoodConfig()
    mine, its = (agent_log_likelihood(v, actions, all_scored(actions), config) for v in (q, other))
    device = max(
        device_log_likelihood(d, actions, all_scored(actions), 5, config)[0] for d in DEVICES
    )
    assert mine[0] > device + 10 > its[0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lapses": (0.0,)}, "lapses"),
        ({"lapses": ()}, "lapses"),
        ({"devices": ("clever",)}, "devices"),
        ({"habits": ()}, "habits"),
        ({"beta_low": 3.0, "beta_high": 1.0}, "beta_high"),
    ],
)
def test_impossible_priors_are_refused(change, field):
    with pytest.raises(UserError, match=field):
        LikelihoodConfig(**change)


# --- posteriors ------------------------------------------------------------------------------


def test_posterior_by_hand():
    config = ObjectiveConfig(agent_prior=0.8, tempering=0.5)
    logs = np.log(np.array([[0.04, 0.01, 0.09]]))
    weights = np.array([0.4 * 0.2, 0.4 * 0.1, 0.2 * 0.3])
    assert posterior(logs, config)[0] == pytest.approx(weights / weights.sum())
    assert posterior(logs - 700, config) == pytest.approx(posterior(logs, config))
    no_device = dataclasses.replace(config, agent_prior=1.0)
    assert posterior(logs, no_device)[0] == pytest.approx([2 / 3, 1 / 3, 0])


def simulated(rng, episodes, right):
    """Log likelihoods of calibrated evidence, and the truth: each favours the truth by `right`."""
    truth = rng.choice(3, size=episodes, p=[0.25, 0.25, 0.5])
    means = np.full((episodes, 3), 0.0)
    means[np.arange(episodes), truth] = right
    seen = rng.normal(means, 1.0)  # of a unit normal: the log likelihood ratio is right * seen
    return right * seen, truth


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_tempering_finds_by_how_much_evidence_is_overstated(power):
    logs, truth = simulated(np.random.default_rng(4), 4000, 1.5)
    found = fit_tempering(logs / power, truth, ObjectiveConfig())
    assert found == pytest.approx(power, rel=0.25)


def test_reliability_tells_calibrated_from_overconfident():
    logs, truth = simulated(np.random.default_rng(5), 8000, 1.5)
    gap = {}
    for power in (1.0, 4.0):
        p = posterior(power * logs, ObjectiveConfig(tempering=1.0))[:, 0]
        table = reliability(p, truth == 0)
        assert table["count"].sum() == 8000
        gap[power] = np.abs(table["predicted"].to_numpy() - table["observed"].to_numpy()).max()
    assert gap[1.0] < 0.05 < 0.15 < gap[4.0]


# --- shares ----------------------------------------------------------------------------------


def exact_shares(likelihood):
    """Mean shares under a flat prior, by going through all assignments of episodes."""
    episodes, kinds = likelihood.shape
    total, mean = 0.0, np.zeros(kinds)
    for kind in itertools.product(range(kinds), repeat=episodes):
        counts = np.bincount(kind, minlength=kinds)
        weight = np.prod(likelihood[np.arange(episodes), kind])
        weight *= math.exp(sum(math.lgamma(1 + c) for c in counts))
        total += weight
        mean += weight * (1 + counts) / (episodes + kinds)
    return mean / total


def test_shares_agree_with_enumeration():
    rng = np.random.default_rng(6)
    likelihood = rng.dirichlet([0.5] * 3, size=6)
    logs = np.asarray(np.log(likelihood) - 300, np.float64)
    drawn = sample_shares(logs, rng, draws=8000)
    assert drawn.sum(axis=-1) == pytest.approx(1.0)
    assert drawn.mean(axis=0) == pytest.approx(exact_shares(likelihood), abs=0.015)


def test_episodes_that_tell_nothing_leave_the_prior():
    drawn = sample_shares(np.zeros((200, 3)), np.random.default_rng(7), draws=20_000)
    assert drawn.mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.08)
    low, high = np.quantile(drawn[:, 0], [0.025, 0.975])
    assert low < 0.1
    assert high > 0.7


def test_share_intervals_cover():
    """Shares drawn from the prior, episodes from the shares: 95% of intervals hold the truth."""
    rng = np.random.default_rng(8)
    studies, episodes = 300, 40
    shares = rng.dirichlet([1, 1, 1], size=studies)
    kind = (rng.random((studies, episodes, 1)) > np.cumsum(shares, axis=1)[:, None, :2]).sum(axis=2)
    strength = rng.choice([0.0, 1.5, 4.0], size=(studies, episodes, 1))
    seen = rng.normal(strength * np.eye(3)[kind], 1.0)
    drawn = sample_shares(strength * seen, rng, draws=400)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    covered = ((low <= shares) & (shares <= high)).mean()
    assert 0.92 < covered < 0.98


def test_share_interval_of_several_seeds():
    spread = np.array([-0.02, 0.02])  # variance 0.0004 over levels
    interval = share_interval([0.5 + spread, 0.7 + spread], n_levels=9)
    half = math.sqrt(12.7062**2 * 0.02 / 2 + 1.95996**2 * 0.0004)
    assert interval.estimate == pytest.approx(0.6)
    assert (interval.low, interval.high) == (0.0, 1.0)  # cut to what a share can be
    narrow = share_interval([0.5 + 0 * spread] * 2, n_levels=9)
    assert (narrow.low, narrow.high) == (0.5, 0.5)
    assert half > 0.6
    assert interval.note == "n small: 2 training seeds"
    many = share_interval([np.array([s]) for s in np.linspace(0.4, 0.6, 12)], n_levels=9)
    assert many.high - 0.5 == pytest.approx(
        2.200985 * np.linspace(0.4, 0.6, 12).std(ddof=1) / math.sqrt(12), rel=1e-4
    )
    assert many.note == ""


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
        (AFTER_BOTH, "after something, but no one objective"),
        (AFTER_NOTHING, "that of a mindless device"),
        (AFTER_GOAL[:1], "undetermined"),
    ],
)
def test_words_say_what_explains_the_behaviour(actions, said):
    table = explained(actions)
    assert table.schema == EXPLAINED
    assert table["explanation"].to_list() == ["goal", "proxy", AGENT, "device"]
    assert said in words(table)


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
    with pytest.raises(UserError, match="on none of them do goal and proxy part"):
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


# --- agents whose goals are known ------------------------------------------------------------


@pytest.fixture(scope="module")
def known():
    """Evidence of a goal-seeker and a proxy-seeker with noise, and of a random agent."""
    world = levels().world
    config = ObjectiveConfig(decisions=30)
    agents = {
        "goal": Seeker(world, SeekerConfig(goal_share=1.0, noise=0.2), "goal"),
        "proxy": Seeker(world, SeekerConfig(goal_share=0.0, noise=0.2), "proxy"),
        "device": RandomAgent(9),
    }
    return {
        name: posteriors(gather(agent, levels(), IDS, config), config)
        for name, agent in agents.items()
    }


@pytest.mark.parametrize("truth", ["goal", "proxy", "device"])
def test_known_agents_are_named_rightly(known, truth):
    table = explain(known[truth], ObjectiveConfig())
    rows = {row["explanation"]: row for row in table.iter_rows(named=True)}
    others = [rows[name] for name in ("goal", "proxy", "device") if name != truth]
    assert rows[truth]["low"] > max(row["share"] for row in others)
    said = words(table)
    assert "mindless device" in said if truth == "device" else f"the {truth} explains" in said


def test_average_evidence_is_as_definition_2_1_asks(known):
    for name in ("goal", "proxy"):
        assert known[name]["p_agent"].mean() > 0.6
    assert known["device"]["p_agent"].mean() < 0.4


def test_posteriors_are_probabilities(known):
    for found in known.values():
        p = found.select("p_goal", "p_proxy", "p_device").to_numpy()
        assert p.sum(axis=1) == pytest.approx(1.0)
        assert (p > 0).all()
        assert log_likelihoods(found, ObjectiveConfig()).shape == (len(IDS), 3)


# --- the command -----------------------------------------------------------------------------


def test_command(tmp_path, monkeypatch, capsys):
    """An untrained agent, two runs of a sweep; the second start plays nothing again."""
    import misgen.experiments.objective as command
    from misgen.agents.checkpoint import build_policy, save_policy
    from misgen.agents.config import PPOConfig
    from misgen.agents.spec import PolicySpec
    from misgen.experiments.config import TrainConfig
    from misgen.experiments.runs import DONE, MANIFEST, RunFolder

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
    assert (tmp_path / "sweep" / command.PICTURE).stat().st_size > 5_000
    stored = json.loads((tmp_path / "sweep" / command.TABLE).read_text())
    assert stored["results"][0]["explained"][0]["n_levels"] == 4
    assert [row["explanation"] for row in stored["results"][0]["explained"]] == [
        "goal",
        "proxy",
        AGENT,
        "device",
    ]
    monkeypatch.setattr(command, "gather", None)
    assert command.main(argv) == 0
    assert capsys.readouterr().out == first
    with pytest.raises(UserError, match="share level ids"):
        command.main([argv[0], "levels=0:4"])
