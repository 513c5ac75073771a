"""How many seeds and levels a difference needs."""

import re

import numpy as np
import pytest
from scipy import stats

from misgen.envs.core.errors import UserError
from misgen.experiments.commands.evaluate import main
from misgen.experiments.evaluation.result_folders import EVALUATION, kept
from misgen.experiments.evaluation.statistics.sample_size import (
    Spread,
    detectable,
    fewest_seeds,
    variance_components_of,
)
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


def test_command_prints_and_refuses(capsys):
    assert main(["power", "difference=0.2"]) == 0
    assert "10,000 levels" in capsys.readouterr().out
    for wrong in (["power", "difference=3"], ["power", "diference=0.1"], ["power", "x"]):
        with pytest.raises(UserError):
            main(wrong)


def test_spreads_are_taken_from_the_evaluations_of_a_sweep(tmp_path, capsys):
    runs = [write_run(tmp_path / "sweep", 1.0, seed, 0.3 + 0.2 * seed) for seed in (0, 1, 2)]
    write_run(tmp_path / "sweep", 0.5, 0, 0.9)
    assert main(["power", f"sweep={tmp_path / 'sweep'}"]) == 0
    told = capsys.readouterr().out
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
