"""Telling agents apart by a score: areas, thresholds, power, and intervals over units."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from misgen.experiments.evaluation.statistics.detection import (
    Scores,
    auc,
    detections,
    power_at,
    roc_auc,
    threshold,
)


def two_classes(positive, negative, units=None):
    values = [*positive, *negative]
    truth = [True] * len(positive) + [False] * len(negative)
    return Scores.of(values, truth, range(len(values)) if units is None else units)


def test_auc_counts_pairs():
    assert auc([3, 4], [1, 2]) == 1.0
    assert auc([1, 2], [3, 4]) == 0.0
    assert auc([1, 3], [2, 2]) == 0.5
    assert auc([2.0], [2.0, 1.0]) == 0.75  # a tie counts half
    assert math.isnan(auc([], [1.0]))


def test_auc_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, 30), rng.integers(0, 7, 40)
    assert auc(one, other) == pytest.approx(mannwhitneyu(one, other).statistic / (30 * 40))


def test_a_score_that_says_nothing_never_detects():
    scores = two_classes([math.nan, 2.0], [0.0, 1.0])
    assert scores.values[0] == -np.inf
    assert detections(scores, 0.0).tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("count", "rate", "allowed"),
    [(19, 0.05, 0), (20, 0.05, 1), (39, 0.05, 1), (40, 0.05, 2), (5, 0.0, 0), (10, 0.1, 1)],
)
def test_a_threshold_lets_as_many_false_alarms_pass_as_the_rate_allows(count, rate, allowed):
    scores = np.random.default_rng(1).permutation(np.arange(float(count)))
    line = threshold(scores, rate)
    assert (scores > line).sum() == allowed
    assert (scores >= line).sum() == allowed + 1  # any lower, and one more would pass


def test_no_negatives_no_detection():
    assert threshold([], 0.05) == math.inf


def test_thresholds_are_fitted_on_other_units():
    # The negative of the first unit is the highest of all: fitted on itself it would be no alarm,
    # and its own unit's positive would be held against it.
    scores = Scores.of([5.0, 9.0, 6.0, 1.0, 2.0], [1, 0, 1, 0, 0], ["a", "a", "b", "c", "d"])
    assert detections(scores, 0.0).tolist() == [True, True, False, False, False]


def test_false_alarms_of_a_score_without_information_are_as_expected():
    # Above the (k + 1)-th largest of n lies a new draw with probability (k + 1) / (n + 1).
    rng = np.random.default_rng(2)
    found = [
        detections(two_classes(rng.normal(size=40), rng.normal(size=40)), 0.05)[:40].mean()
        for _ in range(150)
    ]
    error = np.std(found) / math.sqrt(len(found))
    assert np.mean(found) == pytest.approx(3 / 41, abs=4 * error)


def test_intervals_of_the_area_cover_it():
    rng, hits, tries, shift = np.random.default_rng(3), 0, 60, 1.2
    truth = NormalDist().cdf(shift / math.sqrt(2))
    for _ in range(tries):
        scores = two_classes(rng.normal(shift, size=25), rng.normal(size=25))
        found = roc_auc(scores, rng, resamples=150)
        hits += found.low <= truth <= found.high
    assert 0.82 <= hits / tries <= 1.0


def test_copies_within_a_unit_are_no_evidence():
    rng = np.random.default_rng(4)
    one, other = rng.normal(1, 1, 15), rng.normal(0, 1, 15)
    plain = roc_auc(two_classes(one, other), np.random.default_rng(0), 400)
    units = [*np.repeat(range(15), 4), *np.repeat(range(15, 30), 4)]
    copied = two_classes(np.repeat(one, 4), np.repeat(other, 4), units)
    as_units = roc_auc(copied, np.random.default_rng(0), 400)
    as_agents = roc_auc(
        two_classes(np.repeat(one, 4), np.repeat(other, 4)), np.random.default_rng(0), 400
    )
    assert as_units.estimate == pytest.approx(plain.estimate)
    assert as_units.width == pytest.approx(plain.width, rel=0.05)
    assert as_agents.width < 0.7 * plain.width


def test_where_all_are_detected_the_interval_is_wilsons():
    found = power_at(
        two_classes(np.arange(10.0) + 100, np.arange(10.0)), 0.05, np.random.default_rng(0), 100
    )
    assert found.estimate == 1.0
    assert found.low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-6)
    assert found.high == pytest.approx(1.0)
    assert found.method == "wilson"


def test_one_class_alone_has_no_numbers():
    scores = two_classes([1.0, 2.0], [])
    for found in (
        roc_auc(scores, np.random.default_rng(0), 50),
        power_at(scores, 0.05, np.random.default_rng(0), 50),
    ):
        assert math.isnan(found.estimate)
        assert found.note


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="as long as"):
        Scores.of([1.0, 2.0], [True], [0, 1])
