"""Intervals and tests: closed forms, properties, and coverage by simulation.

The expected values are computed here by other means (textbook formulas, SciPy, hand-worked
examples), never by the functions under test.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats

from misgen.experiments.evaluation.statistics import (
    Interval,
    clopper_pearson,
    crossed_bootstrap,
    crossed_bootstrap_statistic,
    crossed_replicates,
    difference,
    divergence,
    holm,
    mcnemar_exact,
    paired_difference,
    ratio,
    seeds_and_levels,
    t_over_seeds,
    wilson,
)

FloatArray = NDArray[np.float64]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def simulate(
    rng: np.random.Generator,
    n_seeds: int,
    n_levels: int,
    *,
    mean: float = 0.7,
    seed_sd: float = 0.10,
    level_sd: float = 0.25,
) -> FloatArray:
    """Zeros and ones [seeds, levels] of agents that differ, on levels that differ."""
    seeds = seed_sd * rng.standard_normal((n_seeds, 1))
    levels = level_sd * rng.standard_normal((1, n_levels))
    chance = np.clip(mean + seeds + levels, 0, 1)
    return (rng.random((n_seeds, n_levels)) < chance).astype(np.float64)


def true_mean(mean: float, sd: float) -> float:
    """Mean of clip(N(mean, sd), 0, 1), by quadrature."""
    grid = np.linspace(-8, 8, 20001)
    density = np.exp(-(grid**2) / 2)
    return float(np.sum(np.clip(mean + sd * grid, 0, 1) * density) / density.sum())


def two_way(values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Seed effects, level effects and residuals of a complete table."""
    centred = values - values.mean()
    seeds, levels = centred.mean(axis=1), centred.mean(axis=0)
    return seeds, levels, centred - seeds[:, None] - levels


def anova_half_width(values: FloatArray) -> float:
    """Half-width by the textbook two-way mean squares of a complete table."""
    n, m = values.shape
    seeds, levels, rest = two_way(values)
    mean_square_seeds = m * np.sum(seeds**2) / (n - 1)
    mean_square_levels = n * np.sum(levels**2) / (m - 1)
    mean_square_rest = np.sum(rest**2) / ((n - 1) * (m - 1))
    var_seeds = mean_square_seeds / (n * m)
    var_levels = max(0.0, mean_square_levels - mean_square_rest) / (n * m)
    t_seeds, t_levels = stats.t.ppf(0.975, n - 1), stats.t.ppf(0.975, m - 1)
    return math.sqrt(t_seeds**2 * var_seeds + t_levels**2 * var_levels)


def score_arrays(n_seeds: int, n_levels: int, seed: int = 0) -> dict[str, FloatArray]:
    """The four arrays of the divergence, goal reached only where capable."""
    rng = generator(seed)
    arrays = {}
    for name, cap, goal in (("before", 0.9, 0.95), ("after", 0.8, 0.3)):
        arrays[f"capable_{name}"] = simulate(rng, n_seeds, n_levels, mean=cap)
        goals = simulate(rng, n_seeds, n_levels, mean=goal)
        arrays[f"goal_{name}"] = arrays[f"capable_{name}"] * goals
    return arrays


def ends(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


# --- Interval ----------------------------------------------------------------------------------


def test_interval_reads_as_estimate_and_bounds() -> None:
    assert str(Interval(0.72, 0.65, 0.794)) == "0.72 [0.65, 0.79]"
    assert str(Interval(-0.001, -0.2, 0.2)) == "0.00 [-0.20, 0.20]"
    assert str(Interval(0.5, math.nan, math.nan)) == "0.50 [n/a]"
    assert str(Interval(math.nan, math.nan, math.nan)) == "n/a"


def test_interval_excludes_only_what_lies_outside() -> None:
    interval = Interval(0.3, 0.1, 0.5)
    assert interval.excludes_zero
    assert interval.excludes(0.51)
    assert not interval.excludes(0.5)
    assert interval.width == pytest.approx(0.4)
    assert not Interval(0.1, 0.0, 0.5).excludes_zero
    assert not Interval(0.3, math.nan, math.nan).excludes_zero


# --- One sample, paired counts, many tests -----------------------------------------------------


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("k", "n"), [(0, 7), (1, 7), (8, 10), (10, 10), (371, 500)])
def test_binomial_intervals_match_scipy(k: int, n: int, level: float) -> None:
    reference = stats.binomtest(k, n)
    for interval, method in (
        (wilson(k, n, level), "wilson"),
        (clopper_pearson(k, n, level), "exact"),
    ):
        expected = reference.proportion_ci(level, method)
        np.testing.assert_allclose(ends(interval), (k / n, expected.low, expected.high), atol=1e-9)


def test_wilson_by_the_formula() -> None:
    z = NormalDist().inv_cdf(0.975)
    centre = (8 + z**2 / 2) / (10 + z**2)
    half = z * math.sqrt(10) / (10 + z**2) * math.sqrt(0.8 * 0.2 + z**2 / 40)
    np.testing.assert_allclose(ends(wilson(8, 10)), (0.8, centre - half, centre + half))
    assert str(wilson(8, 10)) == "0.80 [0.49, 0.94]"
    assert wilson(20, 20).low == pytest.approx(20 / (20 + z**2))


def test_clopper_pearson_without_successes_is_the_rule_of_three() -> None:
    assert clopper_pearson(0, 10).high == pytest.approx(1 - 0.025 ** (1 / 10))


@pytest.mark.parametrize("interval", [wilson(0, 0), clopper_pearson(0, 0)])
def test_no_trials_give_no_interval(interval: Interval) -> None:
    assert str(interval) == "n/a"
    assert interval.note == "no data"


@pytest.mark.parametrize(
    ("b", "c", "expected"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (0, 5, 2 / 2**5),
        (1, 8, 2 * (1 + 9) / 2**9),
        (10, 2, 2 * (1 + 12 + 66) / 2**12),
    ],
)
def test_mcnemar_by_hand(b: int, c: int, expected: float) -> None:
    assert mcnemar_exact(b, c) == pytest.approx(expected)
    assert mcnemar_exact(c, b) == pytest.approx(expected)


def test_holm_worked_example() -> None:
    # Sorted: .005 x 4, .01 x 3, .03 x 2, .04 x 1 = .04, which may not fall below .06.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.01, math.nan, 0.04]), [0.02, math.nan, 0.04])
    assert holm([]).shape == (0,)


def test_t_interval_textbook() -> None:
    # Mean 3, standard deviation sqrt(2.5), t[4] = 2.7764 in any table.
    interval = t_over_seeds([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764 * math.sqrt(2.5 / 5)
    np.testing.assert_allclose(ends(interval), (3, 3 - half, 3 + half), rtol=1e-4)
    assert interval.note == "n small: 5 training seeds"
    assert t_over_seeds([0.9, 0.99], bounds=(0, 1)).high == 1.0
    assert ends(t_over_seeds([1.0, math.nan, 3.0])) == ends(t_over_seeds([1.0, 3.0]))


@pytest.mark.parametrize(
    ("scores", "note"),
    [([], "no data"), ([0.4], "one training seed"), ([0.4, 0.4], "no variation")],
)
def test_t_interval_that_cannot_be_computed(scores: list[float], note: str) -> None:
    interval = t_over_seeds(scores)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert note in interval.note


# --- Crossed bootstrap: closed forms -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["both", "seeds only", "levels only", "cells only"])
def test_bootstrap_variance_by_the_formula(kind: str) -> None:
    """Complete table: sum(seeds^2)/n^2 + sum(levels^2)/m^2 + sum(rest^2)/(n m)^2."""
    rng, n, m = generator(1), 12, 30
    seeds, levels, rest = two_way(rng.standard_normal((n, m)))
    values = {
        "both": 3 * seeds[:, None] + 2 * levels + rest,
        "seeds only": seeds[:, None] + np.zeros((n, m)),
        "levels only": levels + np.zeros((n, m)),
        "cells only": rest,
    }[kind]
    seeds, levels, rest = two_way(values)
    expected = np.sum(seeds**2) / n**2 + np.sum(levels**2) / m**2 + np.sum(rest**2) / (n * m) ** 2
    replicates = crossed_replicates({"v": values}, lambda mean: mean["v"], rng, resamples=20000)
    # The relative standard error of a variance from 20,000 draws is 1% (more with heavy tails).
    assert replicates.var() == pytest.approx(expected, rel=0.06)
    assert replicates.mean() == pytest.approx(values.mean(), abs=4 * math.sqrt(expected / 20000))


def test_arrays_of_a_level_set_share_weights_and_others_do_not() -> None:
    values = generator(2).standard_normal((11, 40))
    arrays = {"a": values, "b": values}
    same = crossed_replicates(arrays, difference("a", "b"), generator(3))
    np.testing.assert_allclose(same, 0, atol=1e-12)
    groups = {"a": "held", "b": "shift"}
    apart = crossed_replicates(
        arrays, difference("a", "b"), generator(3), level_groups=groups, resamples=20000
    )
    # Seeds cancel; what is left is twice the part of the levels and of the cells.
    _, levels, rest = two_way(values)
    expected = 2 * (np.sum(levels**2) / 40**2 + np.sum(rest**2) / 440**2)
    assert apart.var() == pytest.approx(expected, rel=0.06)


def test_missing_cells_are_left_out_of_resamples() -> None:
    values = np.array([[1.0, math.nan], [math.nan, 3.0]])
    replicates = crossed_replicates({"v": values}, lambda mean: mean["v"], generator())
    # The drawn seed and the drawn level miss each other in 1/8; otherwise 1, 3, or both.
    assert set(np.round(replicates[~np.isnan(replicates)], 6)) == {1.0, 2.0, 3.0}
    assert np.isnan(replicates).mean() == pytest.approx(1 / 8, abs=0.03)


def test_calibrated_bootstrap_has_the_width_of_the_mean_squares() -> None:
    values = generator(4).standard_normal((15, 1)) + generator(5).standard_normal((15, 80))
    interval = crossed_bootstrap(values, generator(), resamples=20000)
    assert interval.width == pytest.approx(2 * anova_half_width(values), rel=0.05)
    plain = crossed_bootstrap(values, generator(), resamples=20000, calibrate=False)
    seeds, levels, rest = two_way(values)
    variance = np.sum(seeds**2) / 15**2 + np.sum(levels**2) / 80**2 + np.sum(rest**2) / 1200**2
    assert plain.width == pytest.approx(2 * 1.96 * math.sqrt(variance), rel=0.05)


def test_calibration_keeps_the_bootstrap_from_counting_noise_three_times() -> None:
    values = simulate(generator(6), 20, 300, seed_sd=0.0, level_sd=0.0)
    interval = crossed_bootstrap(values, generator())
    plain = crossed_bootstrap(values, generator(), calibrate=False)
    expected = math.sqrt(3)
    assert plain.width / interval.width == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("n_seeds", [2, 5, 9])
def test_small_rule_by_the_mean_squares(n_seeds: int) -> None:
    values = simulate(generator(7), n_seeds, 60)
    interval = seeds_and_levels(values, None, generator(), bounds=(-99, 99))
    half = anova_half_width(values)
    mean = values.mean()
    np.testing.assert_allclose(ends(interval), (mean, mean - half, mean + half))
    textbook = t_over_seeds(values.mean(axis=1))
    assert textbook.width < interval.width


@pytest.mark.parametrize("n_seeds", [3, 14])
def test_linear_statistic_is_the_mean_of_the_combined_cells(n_seeds: int) -> None:
    arrays = score_arrays(n_seeds, 90)
    cells = (
        arrays["goal_before"]
        - arrays["goal_after"]
        - arrays["capable_before"]
        + arrays["capable_after"]
    )
    combined = seeds_and_levels(cells, None, generator())
    interval = seeds_and_levels(arrays, divergence, generator())
    np.testing.assert_allclose(ends(interval), ends(combined), rtol=1e-6)


def test_ratio_by_the_delta_method() -> None:
    arrays = score_arrays(4, 200)
    goal, cap = arrays["goal_after"], arrays["capable_after"]
    rate = goal.sum() / cap.sum()
    residuals = (goal - rate * cap) / cap.mean()
    interval = seeds_and_levels(
        {"goal": goal, "cap": cap}, ratio("goal", "cap"), generator(), bounds=(-99, 99)
    )
    half = anova_half_width(residuals)
    np.testing.assert_allclose(ends(interval), (rate, rate - half, rate + half), rtol=1e-5)


def test_ratio_is_undefined_at_a_small_denominator() -> None:
    arrays = {"goal": np.zeros((3, 50)), "cap": np.zeros((3, 50))}
    arrays["cap"][:, 0] = 1
    defined = seeds_and_levels(arrays, ratio("goal", "cap"), generator(), bounds=(0, 1))
    assert defined.estimate == 0
    interval = seeds_and_levels(arrays, ratio("goal", "cap", floor=0.1), generator())
    assert math.isnan(interval.estimate)
    assert "undetermined" in interval.note


def test_ratio_with_a_denominator_that_often_vanishes_is_undetermined() -> None:
    cap = np.zeros((12, 30))
    cap[0, :10] = 1
    goal = cap * (np.arange(30) % 2)
    interval = seeds_and_levels({"goal": goal, "cap": cap}, ratio("goal", "cap"), generator())
    assert interval.estimate == 0.5
    assert math.isnan(interval.low)
    assert "undetermined: undefined in" in interval.note


# --- The reporting rule ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_seeds", "method", "note"),
    [
        (1, "wilson over levels", "conditional on this agent"),
        (2, "t over seeds and levels", "n small: 2 training seeds"),
        (9, "t over seeds and levels", "n small: 9 training seeds"),
        (10, "crossed bootstrap", ""),
    ],
)
def test_rule_by_number_of_seeds(n_seeds: int, method: str, note: str) -> None:
    values = simulate(generator(8), n_seeds, 50)
    interval = seeds_and_levels(values, None, generator())
    assert (interval.method, interval.note) == (method, note)
    assert (interval.n_seeds, interval.n_levels) == (n_seeds, 50)
    empty = np.full((4, 50), math.nan)
    padded = seeds_and_levels(np.vstack([empty, values]), None, generator())
    assert padded == interval, "a seed without data is not a seed"


def test_rule_for_one_agent() -> None:
    values = simulate(generator(9), 1, 120)
    binomial = wilson(int(values.sum()), 120)
    assert ends(seeds_and_levels(values, None, generator())) == ends(binomial)
    arrays = score_arrays(1, 400)
    interval = seeds_and_levels(arrays, divergence, generator(), resamples=20000)
    cells = sum(s * arrays[k] for k, s in (("goal_before", 1), ("goal_after", -1)))
    cells = cells - arrays["capable_before"] + arrays["capable_after"]
    assert interval.method == "level bootstrap"
    assert interval.note == "conditional on this agent"
    half = 1.97 * np.std(cells, ddof=1) / 20
    np.testing.assert_allclose(interval.width, 2 * half, rtol=0.05)


@pytest.mark.parametrize("n_seeds", [1, 2, 5, 12])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_variation_gives_the_wilson_interval_over_levels(n_seeds: int, value: float) -> None:
    interval = seeds_and_levels(np.full((n_seeds, 200), value), None, generator())
    expected = wilson(200 * int(value), 200)
    np.testing.assert_allclose(ends(interval), ends(expected))


@pytest.mark.parametrize("n_seeds", [1, 2, 5, 12])
def test_goal_always_with_capability_is_not_certainty(n_seeds: int) -> None:
    cap = simulate(generator(10), n_seeds, 200)
    arrays = {
        "capable_before": cap,
        "goal_before": cap,
        "capable_after": cap[::-1],
        "goal_after": cap[::-1],
    }
    interval = seeds_and_levels(arrays, divergence, generator(), bounds=(-2, 2))
    assert interval.low < interval.estimate == 0 < interval.high
    assert interval.width < 0.15
    assert "no variation" in interval.note
    pair = {"goal": cap, "cap": cap}
    interval = seeds_and_levels(pair, ratio("goal", "cap"), generator(), bounds=(0, 1))
    z2 = NormalDist().inv_cdf(0.975) ** 2
    capable_levels = 200 * cap.mean()
    assert interval.high == interval.estimate == 1
    assert interval.low == pytest.approx(capable_levels / (capable_levels + z2))


def test_seeds_that_agree_by_chance_do_not_shrink_the_interval() -> None:
    values = np.zeros((2, 100))
    values[0, :10] = values[1, 50:60] = 1  # equal means, no level effect to be seen
    interval = seeds_and_levels(values, None, generator())
    assert interval.width >= 2 * 1.96 * math.sqrt(0.1 * 0.9 / 200) * (1 - 1e-4)


@pytest.mark.parametrize("n_seeds", [1, 3, 12])
def test_constant_scores_without_a_range_have_no_interval(n_seeds: int) -> None:
    interval = seeds_and_levels(np.full((n_seeds, 20), 7.0), None, generator())
    assert interval.estimate == 7
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert "no variation" in interval.note
    ranged = seeds_and_levels(np.full((n_seeds, 20), 7.0), None, generator(), bounds=(0, 10))
    assert 0 < ranged.low < 7 < ranged.high < 10


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (3, 0), (3, 5), (12, 5)])
def test_no_data_gives_no_interval(shape: tuple[int, int]) -> None:
    nothing = np.full(shape, math.nan)
    for interval in (
        seeds_and_levels(nothing, None, generator()),
        crossed_bootstrap(nothing, generator()),
    ):
        assert str(interval) == "n/a"
        assert interval.note == "no data"


def test_one_level_says_so() -> None:
    interval = seeds_and_levels(generator().random((5, 1)), None, generator())
    assert "conditional on one level" in interval.note


def test_a_single_row_is_a_fixed_reference() -> None:
    values, reference = simulate(generator(11), 6, 80), simulate(generator(12), 1, 80)
    arrays = {"agent": values, "random": reference}
    repeated = {"agent": values, "random": np.repeat(reference, 6, axis=0)}
    statistic = difference("agent", "random")
    interval = seeds_and_levels(arrays, statistic, generator())
    assert interval == seeds_and_levels(repeated, statistic, generator())
    assert interval.n_seeds == 6
    values[4:] = math.nan
    assert seeds_and_levels(arrays, statistic, generator()).n_seeds == 4


def test_level_sets_of_different_size() -> None:
    arrays = {"held": simulate(generator(13), 12, 70), "shift": simulate(generator(14), 12, 40)}
    groups = {"held": "held", "shift": "shift"}
    interval = crossed_bootstrap_statistic(
        arrays, difference("held", "shift"), generator(), level_groups=groups
    )
    assert interval.estimate == pytest.approx(arrays["held"].mean() - arrays["shift"].mean())
    assert interval.n_levels == 40
    assert interval.low < interval.estimate < interval.high
    with pytest.raises(ValueError, match="level_groups"):
        crossed_bootstrap_statistic(arrays, difference("held", "shift"), generator())


def test_paired_difference_uses_cells_measured_in_both() -> None:
    a, b = simulate(generator(15), 5, 60), simulate(generator(16), 5, 60)
    b[:, ::3] = math.nan
    kept = ~np.isnan(b[0])
    interval = paired_difference(a, b, generator())
    both = paired_difference(a[:, kept], b[:, kept], generator())
    assert interval == both
    assert interval.estimate == pytest.approx((a - b)[:, kept].mean())
    assert ends(paired_difference(b, a, generator())) == pytest.approx(
        (-interval.estimate, -interval.high, -interval.low)
    )


def test_paired_difference_of_the_same_scores_is_not_certainty() -> None:
    values = simulate(generator(17), 12, 100)
    interval = paired_difference(values, values, generator())
    assert interval.low < 0 < interval.high


# --- Determinism and errors --------------------------------------------------------------------


def test_generator_decides_the_interval() -> None:
    values = simulate(generator(18), 12, 100)
    first, again, other = (crossed_bootstrap(values, generator(s)) for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_chunks_do_not_change_what_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    values = simulate(generator(19), 12, 100)
    whole = crossed_bootstrap(values, generator())
    module = sys.modules[crossed_bootstrap.__module__]
    monkeypatch.setattr(module, "CHUNK_CELLS", 700)
    np.testing.assert_allclose(ends(crossed_bootstrap(values, generator())), ends(whole))


def test_import_leaves_scipy_stats_alone() -> None:
    code = (
        "import sys, misgen.experiments.evaluation.statistics as s; import numpy as np;"
        "s.seeds_and_levels(np.eye(12), None, np.random.default_rng(0));"
        "sys.exit('scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: seeds_and_levels(np.zeros(3), None, generator()), "two axes"),
        (lambda: seeds_and_levels(np.array([[np.inf]]), None, generator()), "infinite"),
        (lambda: seeds_and_levels({}, divergence, generator()), "empty"),
        (lambda: seeds_and_levels({"a": np.eye(3)}, None, generator()), "statistic is None"),
        (lambda: seeds_and_levels(np.eye(3), divergence, generator()), "named arrays"),
        (lambda: seeds_and_levels(np.eye(3), None, generator(), level=95), "between 0 and 1"),
        (lambda: crossed_bootstrap(np.eye(3), generator(), resamples=0), "resamples"),
        (
            lambda: seeds_and_levels(
                {"a": np.eye(3), "b": np.ones((2, 3))}, difference("a", "b"), generator()
            ),
            "b has 2 seeds",
        ),
        (
            lambda: crossed_replicates(
                {"a": np.eye(3)}, lambda mean: np.zeros(7), generator(), resamples=5
            ),
            "shape",
        ),
        (
            lambda: crossed_replicates(
                {"a": np.eye(3)}, lambda mean: mean["a"], generator(), level_groups={"b": "x"}
            ),
            "level_groups names",
        ),
        (lambda: paired_difference(np.eye(3), np.eye(4), generator()), "same shape"),
        (lambda: t_over_seeds(np.eye(3)), "one axis"),
        (lambda: wilson(5, 4), "0..n"),
        (lambda: clopper_pearson(-1, 4), "0..n"),
        (lambda: mcnemar_exact(-1, 4), "at least 0"),
        (lambda: holm([0.1, 1.2]), "pvalues"),
    ],
)
def test_wrong_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# --- Properties --------------------------------------------------------------------------------

CELLS = st.sampled_from([0.0, 1.0, math.nan])
TABLES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=CELLS
)


@settings(max_examples=150, deadline=None)
@given(values=TABLES, seed=st.integers(0, 3))
def test_rates_have_intervals_in_range_that_are_never_points(values: FloatArray, seed: int) -> None:
    interval = seeds_and_levels(values, None, generator(seed), resamples=200)
    if np.isnan(values).all():
        assert str(interval) == "n/a"
        return
    assert interval.estimate == pytest.approx(np.nanmean(values))
    if math.isnan(interval.low) or math.isnan(interval.high):
        assert interval.note
        return
    assert 0 <= interval.low <= interval.estimate + 1e-12
    assert interval.estimate - 1e-12 <= interval.high <= 1
    assert interval.width > 0


@settings(max_examples=60, deadline=None)
@given(
    values=hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 9), st.integers(2, 12)),
        elements=st.floats(-5, 5, width=16) | st.just(math.nan),
    ),
    seed=st.integers(0, 99),
)
def test_order_of_seeds_and_levels_is_irrelevant(values: FloatArray, seed: int) -> None:
    rng = generator(seed)
    shuffled = rng.permutation(rng.permutation(values, axis=0), axis=1)
    first = seeds_and_levels(values, None, generator(), resamples=10)
    second = seeds_and_levels(shuffled, None, generator(), resamples=10)
    if first.method.startswith("t "):
        np.testing.assert_allclose(ends(first), ends(second), atol=1e-9)
    assert first.method == second.method


def test_bootstrap_distribution_does_not_depend_on_order() -> None:
    rng = generator(20)
    values = simulate(rng, 14, 60)
    shuffled = rng.permutation(rng.permutation(values, axis=0), axis=1)
    first, second = (
        crossed_replicates({"v": v}, lambda mean: mean["v"], generator(s), resamples=4000)
        for s, v in enumerate((values, shuffled))
    )
    quantiles = np.linspace(0.05, 0.95, 7)
    difference_in_sd = np.quantile(first, quantiles) - np.quantile(second, quantiles)
    np.testing.assert_allclose(difference_in_sd / first.std(), 0, atol=0.15)
    assert not np.array_equal(first, second)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 13), m=st.integers(2, 20), empty=st.integers(1, 3), seed=st.integers(0, 99))
def test_empty_levels_change_nothing(n: int, m: int, empty: int, seed: int) -> None:
    values = simulate(generator(seed), n, m)
    padded = np.hstack([np.full((n, empty), math.nan), values])
    first = seeds_and_levels(values, None, generator(), resamples=50)
    assert seeds_and_levels(padded, None, generator(), resamples=50) == first


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 13),
    shift=st.floats(-10, 10),
    scale=st.floats(0.1, 10),
    seed=st.integers(0, 99),
)
def test_interval_follows_the_unit_of_the_scores(
    n: int, shift: float, scale: float, seed: int
) -> None:
    values = generator(seed).standard_normal((n, 9))
    first = seeds_and_levels(values, None, generator(), resamples=100)
    second = seeds_and_levels(shift + scale * values, None, generator(), resamples=100)
    expected = [shift + scale * end for end in ends(first)]
    np.testing.assert_allclose(ends(second), expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 300), share=st.floats(0, 1), level=st.floats(0.5, 0.999))
def test_binomial_intervals_are_ordered_and_symmetric(n: int, share: float, level: float) -> None:
    k = round(share * n)
    for kind in (wilson, clopper_pearson):
        interval, mirror = kind(k, n, level), kind(n - k, n, level)
        assert 0 <= interval.low <= interval.estimate + 1e-12
        assert interval.estimate - 1e-12 <= interval.high <= 1
        assert interval.low == pytest.approx(1 - mirror.high, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(p=st.lists(st.floats(0, 1), max_size=12), seed=st.integers(0, 99))
def test_holm_keeps_order_and_only_raises(p: list[float], seed: int) -> None:
    values = np.array(p)
    adjusted = holm(values)
    assert np.all(adjusted >= values)
    assert np.all(adjusted <= 1)
    order = np.argsort(values)
    assert np.all(np.diff(adjusted[order]) >= 0)
    shuffle = generator(seed).permutation(values.size)
    np.testing.assert_allclose(holm(values[shuffle]), adjusted[shuffle])


# --- Coverage ----------------------------------------------------------------------------------


def covered(
    n_seeds: int, trials: int, resamples: int, seed: int, model: Mapping[str, float] | None = None
) -> float:
    """Share of simulated studies (200 levels) whose interval holds the true mean."""
    settings_ = {"mean": 0.7, "seed_sd": 0.10, "level_sd": 0.25} | dict(model or {})
    truth = true_mean(settings_["mean"], math.hypot(settings_["seed_sd"], settings_["level_sd"]))
    rng, held = generator(seed), 0
    for _ in range(trials):
        values = simulate(rng, n_seeds, 200, **settings_)
        interval = seeds_and_levels(values, None, rng, resamples=resamples)
        held += interval.low <= truth <= interval.high
    return held / trials


def assert_nominal(share: float, trials: int, below: float, above: float) -> None:
    """95%, at most `below` less or `above` more, and three standard errors of the simulation."""
    error = 3 * math.sqrt(0.95 * 0.05 / trials)
    low, high = 0.95 - below - error, 0.95 + above + error
    assert low <= share <= high, f"coverage {share:.3f}, allowed {low:.3f} to {high:.3f}"


@pytest.mark.parametrize(
    ("n_seeds", "trials"), [(3, 1500), (5, 1500), (10, 800), (20, 800)], ids=lambda v: str(v)
)
def test_coverage(n_seeds: int, trials: int) -> None:
    assert_nominal(covered(n_seeds, trials, 600, seed=n_seeds), trials, 0.01, 0.01)


@pytest.mark.parametrize("n_seeds", [5, 9])
def test_coverage_where_agents_differ_little(n_seeds: int) -> None:
    """Here the levels dominate: a t over seeds alone covers 89% and 82%."""
    share = covered(n_seeds, 1000, 0, seed=n_seeds, model={"seed_sd": 0.03})
    assert_nominal(share, 1000, 0.01, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("model", [{}, {"seed_sd": 0.03}, {"seed_sd": 0.2, "level_sd": 0.1}])
@pytest.mark.parametrize("n_seeds", [2, 3, 5, 10, 20])
def test_coverage_at_length(n_seeds: int, model: dict[str, float]) -> None:
    trials = 3000 if n_seeds < 10 else 1000
    share = covered(n_seeds, trials, 1000, seed=100 + n_seeds, model=model)
    # With two seeds that differ little, the floor of independent cells makes intervals too wide.
    assert_nominal(share, trials, 0.015, 0.035 if n_seeds == 2 else 0.015)
