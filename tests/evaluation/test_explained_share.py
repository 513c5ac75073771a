"""Shares of explanations with their intervals, and whether probabilities are right."""

import itertools
import math

import numpy as np
import pytest

from misgen.experiments.evaluation.objective.behavioural_objective import ObjectiveConfig, posterior
from misgen.experiments.evaluation.objective.calibration import fit_tempering, reliability
from misgen.experiments.evaluation.objective.explained_share import (
    explained_share_interval,
    sample_explained_shares,
)

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
    drawn = sample_explained_shares(logs, rng, draws=8000)
    assert drawn.sum(axis=-1) == pytest.approx(1.0)
    assert drawn.mean(axis=0) == pytest.approx(exact_shares(likelihood), abs=0.015)


def test_episodes_that_tell_nothing_leave_the_prior():
    drawn = sample_explained_shares(np.zeros((200, 3)), np.random.default_rng(7), draws=20_000)
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
    drawn = sample_explained_shares(strength * seen, rng, draws=400)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    covered = ((low <= shares) & (shares <= high)).mean()
    assert 0.92 < covered < 0.98


def test_share_interval_of_several_seeds():
    spread = np.array([-0.02, 0.02])  # variance 0.0004 over levels
    interval = explained_share_interval([0.5 + spread, 0.7 + spread], n_levels=9)
    half = math.sqrt(12.7062**2 * 0.02 / 2 + 1.95996**2 * 0.0004)
    assert interval.estimate == pytest.approx(0.6)
    assert (interval.low, interval.high) == (0.0, 1.0)  # cut to what a share can be
    narrow = explained_share_interval([0.5 + 0 * spread] * 2, n_levels=9)
    assert (narrow.low, narrow.high) == (0.5, 0.5)
    assert half > 0.6
    assert interval.note == "n small: 2 training seeds"
    many = explained_share_interval([np.array([s]) for s in np.linspace(0.4, 0.6, 12)], n_levels=9)
    assert many.high - 0.5 == pytest.approx(
        2.200985 * np.linspace(0.4, 0.6, 12).std(ddof=1) / math.sqrt(12), rel=1e-4
    )
    assert many.note == ""


# --- calibration -----------------------------------------------------------------------------


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
