"""The question of levels chosen by regret, on seeds whose truth is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence.judged_agents import regret_mends
from misgen.experiments.evidence.level_replay import analysis
from misgen.experiments.evidence.paired import paired
from tests.evidence.synthetic import seed_row, table_of


def seeds(change, count=10, shares=(0.0, 0.5), worlds=("cheese_on_a_dish", "corner_maze")):
    """Seeds of very different pursuit, each with and without replay, which changes it."""
    rows = [
        seed_row("mixed", world=world, length="lab", replay=share, train_correlation=1 - moved,
                 train_seed=seed, pursuit=0.1 + 0.05 * seed + (change(moved, seed) if share else 0),
                 conflict_share=3 * moved if share else None)
        for world in worlds for moved in (0.001, 0.01) for share in shares for seed in range(count)
    ]  # fmt: skip
    return table_of(rows)


def test_a_small_change_of_very_different_seeds_is_seen_pair_by_pair():
    found = analysis.analyse(seeds(lambda moved, seed: 5 * moved + 0.001 * seed))
    pairs = found.tables["pairs"]
    assert pairs["differ"].all()
    assert (pairs["higher"] >= 9).all()
    rare = pairs.filter(moved=0.01, world="corner_maze").to_dicts()[0]
    assert rare["difference"] == pytest.approx(0.0545)
    assert regret_mends(dict(found.tables))[1] == "agrees"  # pyright: ignore
    assert "corner maze, lab, 1%: by +0.05 [+0.05, +0.06], in 10 of 10 pairs more, p = 0.0019." in (
        found.details
    )
    assert "(shown at 0.1% and 1%)" in found.paragraph
    points = found.tables["points"].filter(pl.col("replay") > 0, pl.col("moved") == 0.01)
    assert points["conflict_share"].to_list() == [0.03, 0.03]
    assert len(analysis.draw(seeds(lambda moved, seed: 0.0), found).axes) == 2


def test_a_change_that_is_none_is_not_shown():
    rng = np.random.default_rng(5)
    found = analysis.analyse(seeds(lambda moved, seed: rng.normal(0, 0.05)))
    assert not found.tables["pairs"]["differ"].any()
    assert "(not shown to differ)" in found.paragraph
    assert regret_mends(dict(found.tables))[1] == "open"  # pyright: ignore
    worse = analysis.analyse(seeds(lambda moved, seed: -0.08 + 0.001 * seed))
    assert regret_mends(dict(worse.tables))[1] == "against"  # pyright: ignore


def test_few_seeds_and_single_arms_settle_nothing():
    few = analysis.analyse(seeds(lambda moved, seed: 0.2 + 0.01 * seed, count=3))
    assert regret_mends(dict(few.tables))[1] == "open"  # pyright: ignore
    alone = analysis.analyse(seeds(lambda moved, seed: 0.0, shares=(0.0,)))
    assert alone.paragraph.startswith("No seed is done with both")
    assert regret_mends(dict(alone.tables)) is None
    analysis.draw(seeds(lambda moved, seed: 0.0, shares=(0.0,)), alone)


def test_pairs_that_do_not_differ_are_called_so_five_times_in_a_hundred_at_most():
    rng = np.random.default_rng(0)
    false = sum(
        paired([({"a": "x"}, "pursuit", rng.normal(0, 0.1, 10).tolist())], "a")["differ"][0]
        for _ in range(400)
    )
    assert false <= 20
