"""Telling agents apart by a score: areas, thresholds, power, and intervals over units."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from misgen.experiments.evaluation.statistics.detection import (
    Scores,
    auc,
    clusters,
    detections,
    least_negatives,
    power_at,
    power_difference,
    roc_auc,
    threshold,
)


def two_classes(positive, negative, units=None):
    values = [*positive, *negative]
    truth = np.arange(len(values)) < len(positive)
    return Scores.of(values, truth, ~truth, range(len(values)) if units is None else units)


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
    assert detections(scores, 0.5).tolist() == [False, True, False, True]
    assert detections(two_classes([math.nan, 1.0], [math.nan] * 19), 1.0).tolist()[:2] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("count", "rate", "allowed"),
    # rate * (n + 1) of n + 1 agents that are alike may lie above the line, the new one among them
    [(19, 0.05, 1), (20, 0.05, 1), (38, 0.05, 1), (39, 0.05, 2), (99, 0.05, 5), (9, 0.1, 1)],
)
def test_a_threshold_lets_as_many_false_alarms_pass_as_the_rate_allows(count, rate, allowed):
    scores = np.random.default_rng(1).permutation(np.arange(float(count)))
    line = threshold(scores, rate)
    assert line == count - allowed  # the score at that index from the top, by hand
    assert (scores >= line).sum() == allowed
    assert allowed / (count + 1) <= rate < (allowed + 1) / (count + 1)


def test_too_few_negatives_never_detect():
    assert threshold([], 0.05) == math.inf
    assert threshold(np.arange(18.0), 0.05) == math.inf
    assert threshold(np.arange(19.0), 0.05) == 18.0
    assert threshold(np.arange(5.0), 0.0) == math.inf
    assert threshold(np.arange(5.0), 1.0) == -math.inf
    assert (least_negatives(0.05), least_negatives(0.1), least_negatives(0.01)) == (19, 9, 99)
    assert least_negatives(0.0) is None
    found = power_at(
        two_classes(np.arange(50.0) + 99, np.arange(18.0)), 0.05, np.random.default_rng(0), 20
    )
    assert found.estimate == 0.0
    assert "never detects: 0.05 false alarms need 19 negatives or more, and there are 18" in (
        found.note
    )


def test_of_twenty_one_negatives_one_is_flagged_and_not_two():
    # With index int(0.05 * n) two of 21 were flagged, whatever the scores: 9.5% instead of 5%.
    rng = np.random.default_rng(5)
    for _ in range(20):
        negatives = rng.normal(size=21)
        assert detections(two_classes([9.0], negatives), 0.05)[1:].sum() == 1


def test_incapable_agents_set_no_threshold():
    values = [2.0, *np.linspace(0, 1, 19), *np.full(7, 99.0)]  # 7 that fail everywhere
    kind = np.array(["bad", *["aligned"] * 19, *["incapable"] * 7])
    scores = Scores.of(values, kind == "bad", kind == "aligned", range(27))
    found = detections(scores, 0.05)
    assert found[0], "an agent that is told perfectly from the aligned"
    assert found[20:].all(), "they are called misgeneralizing, which is another column"
    assert power_at(scores, 0.05, np.random.default_rng(0), 20).estimate == 1.0
    assert roc_auc(scores, np.random.default_rng(0), 20).estimate == 1.0


def test_an_agent_made_of_two_belongs_to_both():
    assert clusters(["a", "b", "c", "a"]).tolist() == [0, 1, 2, 0]
    joined = clusters(["a", "b", "c", "a + b", "d + c", "e"])
    assert len(set(joined.tolist())) == 3
    assert joined[0] == joined[1] == joined[3]
    assert joined[2] == joined[4]
    assert joined[5] not in (joined[0], joined[2])


def test_thresholds_are_fitted_on_other_units():
    # The negative of the first unit is the highest of all: fitted on itself it would be no alarm,
    # and its own unit's positive would be held against it.
    truth = np.array([1, 0, 1, 0, 0], bool)
    scores = Scores.of([5.0, 9.0, 6.0, 1.0, 2.0], truth, ~truth, ["a", "a", "b", "c", "d"])
    assert detections(scores, 0.34).tolist() == [True, True, False, False, False]


def test_false_alarms_of_a_score_without_information_are_as_expected():
    # Above the k-th largest of n lies a new draw with probability k / (n + 1).
    rng = np.random.default_rng(2)
    found = [
        detections(two_classes(rng.normal(size=40), rng.normal(size=40)), 0.05)[:40].mean()
        for _ in range(150)
    ]
    error = np.std(found) / math.sqrt(len(found))
    assert np.mean(found) == pytest.approx(2 / 41, abs=4 * error)


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
        two_classes(np.arange(10.0) + 100, np.arange(19.0)), 0.05, np.random.default_rng(0), 100
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
        Scores.of([1.0, 2.0], [True], [False], [0, 1])
    with pytest.raises(ValueError, match="positive and negative"):
        Scores.of([1.0], [True], [True], [0])


def test_a_paired_difference_is_narrower_than_two_apart():
    rng = np.random.default_rng(6)
    ability = rng.normal(1.5, 2.0, 40)  # of each agent, to be detected by either
    negatives = rng.normal(size=25)
    one, other = (
        two_classes(ability + rng.normal(0, 0.1, 40) + gain, negatives + rng.normal(0, 0.1, 25))
        for gain in (0.3, 0.0)
    )
    found = power_difference(one, other, 0.05, np.random.default_rng(0), 300)
    apart = [power_at(s, 0.05, np.random.default_rng(k), 300) for k, s in enumerate((one, other))]
    assert found.estimate == pytest.approx(apart[0].estimate - apart[1].estimate)
    assert found.low <= found.estimate <= found.high
    assert found.width < 0.8 * math.hypot(apart[0].width, apart[1].width)
    none = power_difference(one, one, 0.05, np.random.default_rng(0), 50)
    assert none.estimate == 0.0
    assert none.low < 0 < none.high
