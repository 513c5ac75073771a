"""How many seeds and levels a difference needs."""

import re

import numpy as np
import pytest
from scipy import stats

from misgen.envs.core.errors import UserError
from misgen.experiments.commands.evaluate import main
from misgen.experiments.evaluation.result_folders import EVALUATION, kept
from misgen.experiments.evaluation.statistics import clopper_pearson
from misgen.experiments.evaluation.statistics.sample_size import (
    Spread,
    detectable,
    fewest_seeds,
    variance_components_of,
)
from misgen.experiments.evaluation.statistics.share_size import (
    chance_narrower,
    fewest_against_half,
    fewest_for_width,
    interval_widths,
    power_against_half,
)
from misgen.experiments.evaluation.sweep_divergences import divergences_of_sweep
from misgen.experiments.evaluation.verdict import LEAST_SEEDS
from misgen.experiments.training.run_folder import DONE
from tests.reporting.test_report import write_run


def draw(spread, seeds, levels, rng):
    return (
        rng.normal(0, spread.seed, (seeds, 1))
        + rng.normal(0, spread.level, (1, levels))
        + rng.normal(0, spread.cell, (seeds, levels))
    )


def test_spread_is_recovered():
    true = Spread(0.2, 0.3, 0.5)
    found = variance_components_of(draw(true, 400, 500, np.random.default_rng(0)))
    assert [found.seed, found.level, found.cell] == pytest.approx([0.2, 0.3, 0.5], rel=0.1)


def test_a_difference_is_found_as_often_as_promised():
    """With alike levels the mean over levels is a normal score a seed: a plain t test."""
    spread = Spread(0.1, 0.0, 0.3)
    rng = np.random.default_rng(1)
    effect = detectable(spread, 5, 50, 0.8)
    scores = draw(spread, 5 * 2000, 50, rng).mean(axis=1).reshape(2000, 5) + effect
    found = stats.ttest_1samp(scores, 0.0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_more_levels_do_not_replace_seeds():
    spread = Spread(0.1, 0.25, 0.4)
    assert detectable(spread, 3, 10**9, 0.8) > detectable(spread, 10, 300, 0.8)


def test_fewest_seeds_is_the_least_that_is_enough():
    spread = Spread(0.1, 0.2, 0.3)
    least = fewest_seeds(spread, 1000, 0.1, 0.8)
    assert least is not None
    assert detectable(spread, least, 1000, 0.8) <= 0.1 < detectable(spread, least - 1, 1000, 0.8)
    assert fewest_seeds(Spread(1.0, 0.2, 0.3), 1000, 0.001, 0.8) is None


@pytest.mark.parametrize("n", [1, 2, 5, 17])
def test_widths_are_those_of_the_interval_that_reports_print(n):
    expected = [clopper_pearson(k, n).width for k in range(n + 1)]
    assert interval_widths(n).tolist() == pytest.approx(expected)


def test_power_for_a_share_is_counted_out_exactly():
    """Of 5 seeds all must agree: 1/32 < 5% < 6/32.  Of 8, 7 must: 9/256 < 5% < 37/256."""
    assert power_against_half(5, 0.9) == pytest.approx(0.9**5)
    assert power_against_half(8, 0.9) == pytest.approx(0.9**8 + 8 * 0.9**7 * 0.1)
    assert power_against_half(4, 1.0) == 0
    assert power_against_half(8, 0.1) == power_against_half(8, 0.9)


def test_a_share_of_all_seeds_takes_as_many_as_a_verdict():
    assert fewest_against_half(1.0, 0.8) == fewest_against_half(0.0, 0.999) == LEAST_SEEDS


@pytest.mark.parametrize("share", [0.65, 0.8, 0.9])
def test_a_share_is_told_from_half_as_often_as_promised_and_from_then_on(share):
    least = fewest_against_half(share, 0.8)
    assert least is not None
    draws = np.random.default_rng(0).binomial(least, share, 20_000)
    tail = stats.binom.sf(draws - 1, least, 0.5)
    assert (tail < 0.05).mean() == pytest.approx(power_against_half(least, share), abs=0.01)
    assert power_against_half(least - 1, share) < 0.8
    assert all(power_against_half(n, share) >= 0.8 for n in range(least, least + 40))


def test_seeds_until_an_interval_is_narrow_enough():
    """Of 5 seeds that agree the interval is 1 - 0.025 ** (1 / 5) = 0.522 wide, of 6 0.459."""
    assert fewest_for_width(1.0, 0.53, 0.8) == 5
    assert fewest_for_width(1.0, 0.5, 0.8) == 6
    least = fewest_for_width(0.7, 0.4, 0.8)
    assert least is not None
    draws = np.random.default_rng(0).binomial(least, 0.7, 20_000)
    narrow = (interval_widths(least)[draws] <= 0.4).mean()
    assert narrow == pytest.approx(chance_narrower(least, 0.7, 0.4), abs=0.01)
    assert chance_narrower(least - 1, 0.7, 0.4) < 0.8 <= chance_narrower(least + 1, 0.7, 0.4)


def test_no_number_of_seeds_tells_a_half_from_a_half():
    assert fewest_against_half(0.5, 0.8) is None
    assert fewest_for_width(0.5, 0.01, 0.8) is None


def test_command_tells_seeds_for_a_share(capsys):
    assert main(["power", "share=1", "width=0.5"]) == 0
    told = capsys.readouterr().out
    assert "interval <= 0.5" in told
    (row,) = [line.split() for line in told.splitlines() if re.match(r" *1  ", line)]
    assert row == ["1", "5", "6"]
    assert main(["power", "share=0.5"]) == 0
    assert "more than 1,000" in capsys.readouterr().out


def test_command_prints_and_refuses(capsys):
    assert main(["power", "difference=0.2"]) == 0
    told = capsys.readouterr().out
    assert "10,000 levels" in told
    assert "told from 1/2" in told
    for wrong in (
        ["power", "difference=3"], ["power", "diference=0.1"], ["power", "x"],
        ["power", "share=1.5"], ["power", "share=-0.1"], ["power", "width=0"],
        ["power", "width=nan"], ["power", "share=many"],
    ):  # fmt: skip
        with pytest.raises(UserError):
            main(wrong)


def test_spreads_are_taken_from_the_evaluations_of_a_sweep(tmp_path, capsys):
    runs = [write_run(tmp_path / "sweep", 1.0, seed, 0.3 + 0.2 * seed) for seed in (0, 1, 2)]
    write_run(tmp_path / "sweep", 0.5, 0, 0.9)
    assert main(["power", f"sweep={tmp_path / 'sweep'}"]) == 0
    told = capsys.readouterr().out
    table = divergences_of_sweep(tmp_path / "sweep")  # goal 0.3, 0.5, 0.7 of 0.9: 0.6, 0.4, 0.2
    assert table.shape == (3, 60)
    assert table.mean(axis=1) == pytest.approx([0.6, 0.4, 0.2])
    assert set(table.ravel()) == {0.0, 1.0}
    seeds, levels, cells = map(float, re.findall(r"(?:seeds|levels|cells)\s+(0\.\d{3})", told))
    assert 0.0 < seeds < 0.5
    assert 0.0 <= levels < 0.6
    assert 0.1 < cells < 1.0
    for run in runs:
        (one,) = kept(run.path, EVALUATION)
        (one.path / DONE).unlink()
    with pytest.raises(UserError, match="are too few to estimate the spread: give 2 of each"):
        main(["power", f"sweep={tmp_path / 'sweep'}"])
    with pytest.raises(UserError, match="holds no evaluated run"):
        main(["power", f"sweep={runs[0].path}"])
