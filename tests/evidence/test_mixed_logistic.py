"""The hierarchical fit and the test of two kinds, on populations whose truth is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from misgen.experiments.evidence.mixed_logistic import fit
from misgen.experiments.evidence.two_kinds import one_kind_p


def cells(rng, slopes, between_cells=0.0, between_seeds=0.0, seeds=10):
    """Return x, y, cell and seed of a grid of 5 x 4 cells."""
    grid = list(itertools.product(np.linspace(-2, 2, 5), np.linspace(-1.5, 1.5, 4)))
    of_cell = rng.normal(0, between_cells, len(grid))
    of_seed = rng.normal(0, between_seeds, seeds)
    rows = [(1.0, a, b, i, s) for i, (a, b) in enumerate(grid) for s in range(seeds)]
    table = np.array(rows)
    cell, seed = table[:, 3].astype(int), table[:, 4].astype(int)
    score = table[:, :3] @ np.array(slopes) + of_cell[cell] + of_seed[seed]
    y = rng.random(len(rows)) < 1 / (1 + np.exp(-score))
    return table[:, :3], y, cell, seed


def test_slopes_are_recovered():
    x, y, cell, seed = cells(np.random.default_rng(0), (0.3, -1.0, 0.0), 0.7, 0.4, seeds=30)
    found = fit(x, y, (cell, seed))
    assert found.estimate == pytest.approx([0.3, -1.0, 0.0], abs=0.5)
    assert found.deviations == pytest.approx([0.7, 0.4], abs=0.35)


def test_intervals_contain_the_truth_where_cells_differ_for_reasons_of_their_own():
    """An effect that is not there is found in about one study of twenty, and no more."""
    held = np.zeros(2)
    for number in range(40):
        x, y, cell, seed = cells(np.random.default_rng(number), (0.0, -0.8, 0.0), 0.8, 0.3)
        found = fit(x, y, (cell, seed))
        truth = np.array([-0.8, 0.0])
        held += (found.low[1:] <= truth) & (truth <= found.high[1:])
    assert (held >= 40 * 0.95 - 2.6 * math.sqrt(40 * 0.95 * 0.05)).all()


def test_without_groups_it_is_a_logistic_regression():
    x, y, *_ = cells(np.random.default_rng(1), (0.0, 1.0, 0.5), seeds=100)
    found = fit(x, y, ())
    assert found.estimate == pytest.approx([0.0, 1.0, 0.5], abs=0.2)
    assert not len(found.deviations)


def test_what_separates_the_seeds_stays_finite():
    x = np.column_stack([np.ones(20), np.repeat([-1.0, 1.0], 10)])
    found = fit(x, x[:, 1] > 0, (np.arange(20) // 5,))
    assert np.isfinite(found.estimate).all()
    assert found.low[1] > 0
    none = fit(x, np.zeros(20), (np.arange(20) // 5,))
    assert none.low[1] < 0 < none.high[1]


def test_two_kinds_are_told_from_one():
    rng = np.random.default_rng(0)
    two = np.r_[rng.normal(0.05, 0.03, 10), rng.normal(0.9, 0.03, 10)]
    assert one_kind_p(two, rng) < 0.05
    assert one_kind_p(rng.normal(0.5, 0.1, 20), rng) > 0.05
    assert math.isnan(one_kind_p([0.1, 0.9], rng))
    assert one_kind_p([0.5] * 10, rng) == 1.0


def test_one_kind_is_seldom_taken_for_two():
    rng = np.random.default_rng(3)
    false = sum(one_kind_p(rng.normal(0, 1, 20), rng, draws=60) < 0.05 for _ in range(40))
    assert false <= 40 * 0.05 + 2.6 * math.sqrt(40 * 0.05 * 0.95)
