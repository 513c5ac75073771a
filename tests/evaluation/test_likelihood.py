"""Likelihoods of actions under devices and objectives: closed forms, and what must not matter."""

import itertools
import math

import numpy as np
import pytest

from misgen.envs.core.errors import UserError
from misgen.envs.core.planning.planner import NOTHING
from misgen.experiments.evaluation.objective.likelihood import (
    DEVICES,
    LikelihoodConfig,
    agent_log_likelihood,
    device_log_likelihood,
    predictions,
    regrets,
)

ONE_POINT = LikelihoodConfig(
    habits=("uniform",), beta_low=2.0, beta_high=2.0, betas=1, lapses=(0.1,)
)


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
