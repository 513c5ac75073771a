"""The threshold of half of the seeds: known answers, and how often the interval contains it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from misgen.experiments.evidence.threshold import isotonic, threshold

DOSES = np.array([0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2])


def test_between_the_last_dose_without_and_the_first_with():
    found = threshold([0, 0.02, 0.04, 0.06], [0, 0, 10, 10], [10] * 4)
    assert found.estimate == pytest.approx(0.03)
    assert (found.low, found.high, found.beyond) == (0.02, 0.04, 0)


def test_what_lies_beyond_the_doses_is_said_and_not_guessed():
    never = threshold([0, 0.1, 0.2], [0, 0, 0], [10] * 3)
    assert math.isnan(never.estimate)
    assert (never.low, never.beyond) == (0.2, 1)
    assert math.isnan(never.high)
    always = threshold([0, 0.1, 0.2], [10, 10, 10], [10] * 3)
    assert math.isnan(always.estimate)
    assert (always.high, always.beyond) == (0.0, -1)
    assert math.isnan(always.low)


def test_too_few_seeds_give_no_interval():
    found = threshold([0, 0.1], [0, 3], [3, 3])
    assert found.estimate == pytest.approx(0.05)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_doses_without_seeds_do_not_count_and_none_says_nothing():
    with_hole = threshold([0, 0.1, 0.2], [0, 0, 10], [10, 0, 10])
    assert with_hole == threshold([0, 0.2], [0, 10], [10, 10])
    assert math.isnan(threshold([0.1], [0], [0]).estimate)


def test_isotonic_pools_what_falls():
    assert isotonic([0.0, 0.6, 0.2, 1.0], [1, 1, 1, 1]).tolist() == [0.0, 0.4, 0.4, 1.0]
    assert isotonic([0.5, 0.1], [1, 3]).tolist() == [0.2, 0.2]


@pytest.mark.parametrize("steepness", [15, 60, 400, math.inf])
@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_interval_contains_the_truth_as_often_as_it_claims(steepness, seeds):
    """For shallow and steep curves, and where all below do one thing and all above another."""
    truth, rng = 0.07, np.random.default_rng(seeds)
    if steepness == math.inf:
        rate = (truth <= DOSES).astype(float)
    else:
        rate = 1 / (1 + np.exp(-steepness * (DOSES - truth)))
    held = 0
    for _ in range(1000):
        found = threshold(DOSES, rng.binomial(seeds, rate), np.full(len(DOSES), seeds))
        held += not (found.low >= truth or found.high < truth)
    assert held >= 950 - 2 * math.sqrt(1000 * 0.05 * 0.95)


def test_estimate_is_near_the_truth_where_the_curve_is_steep():
    rng = np.random.default_rng(0)
    rate = 1 / (1 + np.exp(-200 * (DOSES - 0.07)))
    found = [threshold(DOSES, rng.binomial(10, rate), np.full(len(DOSES), 10)) for _ in range(300)]
    assert np.mean([one.estimate for one in found]) == pytest.approx(0.07, abs=0.005)


def test_the_interval_is_no_wider_than_the_grid_asks_where_seeds_are_of_one_kind():
    found = threshold(DOSES, np.where(DOSES < 0.05, 0, 20), np.full(len(DOSES), 20))
    assert (found.low, found.high) == (0.04, 0.06)
