"""Intervals over levels and over seeds of any distribution."""

import math

import numpy as np
import pytest

from misgen.experiments.evaluation.statistics import (
    Interval,
    bounded_mean,
    clopper_pearson,
    difference,
    over_levels,
    over_seeds,
    two_groups,
    wilson,
)


@pytest.mark.parametrize(("bad", "n"), [(0, 5), (5, 5), (2, 5), (1, 10), (7, 10)])
def test_of_zeros_and_ones_it_is_clopper_and_pearsons(bad, n):
    low, high = bounded_mean([1.0] * bad + [0.0] * (n - bad), (0, 1))
    right = clopper_pearson(bad, n)
    assert low == pytest.approx(right.low, abs=0.01)
    assert high == pytest.approx(right.high, abs=0.01)


def test_the_range_is_scaled_and_what_lies_beyond_is_its_end():
    low, high = bounded_mean([0.2, 0.4, 0.9], (0, 1))
    assert bounded_mean([-0.6, -0.2, 0.8], (-1, 1)) == pytest.approx((2 * low - 1, 2 * high - 1))
    assert bounded_mean([-7.0, 0.5], (0, 1)) == pytest.approx(bounded_mean([0.0, 0.5], (0, 1)))


def seeds(values, half=0.0):
    return [Interval(v, v - half, v + half, n_seeds=1, n_levels=100) for v in values]


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("kind", ["alike", "two kinds", "a rare kind"])
def test_it_covers_whatever_seeds_are_like(n, kind):
    """A t-interval covers the mean of a rare kind in 40% of draws of five."""
    rng = np.random.default_rng(n)
    rare = {"alike": 0.0, "two kinds": 0.5, "a rare kind": 0.1}[kind]
    covered = 0
    for _ in range(400):
        other = rng.random(n) < rare
        values = np.clip(rng.normal(np.where(other, 0.9, 0.05), 0.04), 0, 1)
        found = over_seeds(seeds(values.tolist()), (0.0, 1.0))
        truth = rare * 0.9 + (1 - rare) * 0.05
        covered += math.isnan(found.low) or found.low <= truth <= found.high
    assert covered >= 0.93 * 400


def test_other_levels_widen_it():
    sure, unsure = (over_seeds(seeds([0.4] * 10, half), (0.0, 1.0)) for half in (0.0, 0.2))
    assert unsure.low == pytest.approx(0.4 - math.hypot(0.4 - sure.low, 0.2))
    assert unsure.estimate == pytest.approx(0.4)


def test_an_interval_that_spans_all_is_none():
    found = over_seeds(seeds([0.1, 0.9]), (0.0, 1.0))
    assert math.isnan(found.low)
    assert "n too small to say" in found.note
    assert over_seeds(seeds([0.5]), (0.0, 1.0)).estimate == 0.5
    nothing = [Interval(math.nan, math.nan, math.nan, note="why")] * 2
    assert over_seeds(nothing, (0.0, 1.0)).note == "why"


def test_one_agents_rate_has_wilsons_interval():
    values = np.array([1.0] * 7 + [0.0] * 13)
    found, right = over_levels(values), wilson(7, 20)
    # The levels' spread has one degree of freedom less, and t for z.
    assert found.low == pytest.approx(right.low, abs=0.03)
    assert found.high == pytest.approx(right.high, abs=0.03)
    assert over_levels(np.ones(20)).low == pytest.approx(wilson(20, 20).low)


def test_a_difference_on_the_same_levels_is_paired():
    hard = np.tile([0.0, 1.0], 30)
    found = over_levels({"a": hard, "b": hard}, difference("a", "b"), bounds=(-1, 1))
    assert found.estimate == 0
    assert found.high < 0.1
    shuffled = np.random.default_rng(0).permutation(hard)
    apart = over_levels({"a": hard, "b": shuffled}, difference("a", "b"), bounds=(-1, 1))
    assert apart.high > 0.1


def test_means_of_repeats_are_covered():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        rates = rng.beta(0.3, 3.0, 150)
        found = over_levels(rng.binomial(3, rates) / 3)
        covered += found.low <= 0.3 / 3.3 <= found.high
    assert covered >= 0.92 * 400


def test_a_wide_gap_makes_two_groups():
    assert two_groups([0.9, 0.0, 0.1, 0.8], (0.0, 1.0)) == (2, 0.1, 0.8)
    assert two_groups([0.1, 0.3, 0.5, 0.7], (0.0, 1.0)) is None
    assert two_groups([0.4], (0.0, 1.0)) is None
    assert two_groups([math.nan, 0.1, 0.9], (0.0, 1.0)) == (1, 0.1, 0.9)
