"""The analyses of the other questions, on tables whose truth is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence.follow_the_leader import analysis as leader
from misgen.experiments.evidence.keys_and_chests import analysis as keys
from misgen.experiments.evidence.langosco_figure_4 import analysis as region
from misgen.experiments.evidence.maze_2 import analysis as maze
from misgen.experiments.evidence.phase_diagram import analysis as phase
from tests.evidence.synthetic import seed_row, table_of


def grid(chance, seeds=12):
    """Return a phase diagram in which `chance(moved, distinct)` is that of misgeneralizing."""
    rng, rows = np.random.default_rng(1), []
    for moved in (0.02, 0.1, 0.5):
        for distinct in (1, 8, 64):
            for seed in range(seeds):
                bad = rng.random() < chance(moved, distinct)
                rows.append(
                    seed_row(
                        "misgeneralizes" if bad else "aligned", world="w", length="short",
                        train_correlation=1 - moved, train_seed=seed, distinct_conflicts=distinct,
                        distinct_levels=distinct,
                    )
                )  # fmt: skip
    return table_of(rows)


def of_factor(found, word):
    (row,) = [r for r in found.tables["effects"].to_dicts() if word in r["factor"]]
    return row


def test_variety_that_counts_is_told_from_frequency_that_does_not():
    found = phase.analyse(grid(lambda moved, distinct: {1: 0.95, 8: 0.5, 64: 0.05}[distinct]))
    assert of_factor(found, "different")["odds_ratio_high"] < 1
    frequency = of_factor(found, "frequency")
    assert frequency["odds_ratio_low"] < 1 < frequency["odds_ratio_high"]
    assert "no effect is shown" in found.paragraph
    assert {row["factor"] for row in found.tables["effects"].to_dicts()} == {
        phase.FACTORS["moved"], phase.FACTORS["distinct_levels"]
    }, "a length that does not vary has no effect"  # fmt: skip


def test_where_nothing_counts_nothing_is_shown():
    found = phase.analyse(grid(lambda moved, distinct: 0.5))
    for row in found.tables["effects"].to_dicts():
        assert row["odds_ratio_low"] < 1 < row["odds_ratio_high"]


def test_seeds_of_two_kinds_are_seen_and_seeds_of_one_are_not():
    both = grid(lambda moved, distinct: 0.5, seeds=20)
    assert (phase.analyse(both).tables["kinds"]["one_kind_p"] < 0.05).any()
    rng = np.random.default_rng(0)
    spread = both.with_columns(pursuit=pl.Series(rng.normal(0.5, 0.08, len(both))))
    kinds = phase.analyse(spread).tables["kinds"]
    assert (kinds["one_kind_p"] < 0.05).sum() <= 2


def test_incapable_seeds_are_left_out_of_the_fit_and_counted():
    seeds = grid(lambda moved, distinct: 0.5)
    some = pl.when(pl.col("train_seed") == 0).then(pl.lit("incapable")).otherwise(pl.col("verdict"))
    (row, *_) = (
        phase.analyse(seeds.with_columns(some.alias("verdict"))).tables["effects"].to_dicts()
    )
    assert (row["seeds"], row["left_out"]) == (99, 9)


def test_a_map_is_drawn_with_every_cell():
    seeds = grid(lambda moved, distinct: 0.5)
    figure = phase.draw(seeds, phase.analyse(seeds))
    assert len(figure.axes[0].texts) == 9


def regions(good):
    return table_of(
        [
            seed_row("aligned" if good(side) else "misgeneralizes", length="lab", region=side,
                     train_seed=seed)
            for side in (1, 4, 7)
            for seed in range(10)
        ]
    )  # fmt: skip


def test_a_larger_region_that_helps_is_found_and_one_that_does_not_is_not():
    helps = region.analyse(regions(lambda side: side > 3))
    assert helps.tables["ends"]["differ"].to_list() == [True]
    assert "10 of 10 seeds at side of the region 1, 0 of 10 at 7" in helps.paragraph
    never = region.analyse(regions(lambda side: False))
    assert never.tables["ends"]["differ"].to_list() == [False]
    assert "is not shown to depend on side of the region" in never.paragraph
    assert len(region.draw(regions(lambda side: True), never).axes) == 2


def test_who_takes_the_gem_is_counted_by_seeds():
    rows = [
        seed_row("misgeneralizes" if seed < 8 else "aligned", sight=0, train_seed=seed,
                 proxy_first=0.8 if seed < 8 else 0.0, goal_first=0.2, pull=None, pursuit=None)
        for seed in range(10)
    ]  # fmt: skip
    found = maze.analyse(table_of(rows))
    (row,) = found.tables["takers"].to_dicts()
    assert (row["seeds"], row["gem"]) == (10, 0.8)
    (point,) = found.tables["points"].to_dicts()
    assert point["gem_first"] == pytest.approx(0.64)
    assert "is taken more often than the line with shapes seen everywhere by 80%" in found.paragraph
    nothing = table_of([seed_row("aligned", sight=0, proxy_first=0.0, goal_first=0.0)])
    assert maze.analyse(nothing).paragraph.startswith("No seed")


def test_prices_and_tests_of_keys_are_lines_of_their_own():
    rows = [
        seed_row("misgeneralizes" if penalty == 0 else "aligned", ratio=ratio, penalty=penalty,
                 placement=place, train_seed=seed)
        for ratio in (0.25, 1.0) for penalty in (0.0, 3.0)
        for place in ("apart(2)", "many_keys") for seed in range(6)
    ]  # fmt: skip
    found = keys.analyse(table_of(rows))
    assert len(found.tables["ends"]) == 4
    assert not found.tables["ends"]["differ"].any(), "ratios make no difference here"
    free = found.tables["points"].filter(pl.col("penalty") == 0)
    assert free["share_misgeneralizing"].to_list() == [1.0] * 4
    assert found.paragraph.startswith(
        "0% to 100% of a point's seeds misgeneralize, 24 of 48 in all."
    )
    assert (
        "a key costs 30% of a chest, tested with apart(2): keys to a chest 0.25, 0 of 6"
        in (found.details[2])
    )
    titles = [ax.get_title() for ax in keys.draw(table_of(rows), found).axes]
    assert titles[::2] == [f"seeds that misgeneralize, tested with {place}"
                           for place in ("apart(2)", "many_keys")]  # fmt: skip


def test_what_all_seeds_do_is_said_once_and_what_differs_by_line():
    alike = keys.analyse(table_of(
        [seed_row("misgeneralizes", ratio=ratio, penalty=0.0, train_seed=seed)
         for ratio in (0.25, 0.5) for seed in range(10)]
    ))  # fmt: skip
    assert alike.paragraph.startswith(
        "At each of 2 points 10 of 10 seeds misgeneralize [69%, 100%]."
    )
    unlike = keys.analyse(table_of(
        [seed_row("misgeneralizes" if ratio < 0.5 else "aligned", ratio=ratio, penalty=0.0,
                  train_seed=seed) for ratio in (0.25, 0.5) for seed in range(10)]
    ))  # fmt: skip
    assert "10 of 10 seeds at keys to a chest 0.25, 0 of 10 at 0.5 (p = 1e-05)" in unlike.paragraph
    assert "not shown" not in unlike.paragraph


def followers(worse):
    return table_of(
        [
            seed_row("misgeneralizes", sight=sight, placement="reverse", train_seed=seed,
                     train_correlation=rho, worse_than_random=worse(rho, seed))
            for sight in (0, 3) for rho in (1.0, 0.5) for seed in range(10)
        ]
    )  # fmt: skip


def test_followers_into_mistakes_are_counted_by_seeds():
    seeds = followers(lambda rho, seed: rho == 1 and seed < 9)
    found = leader.analyse(seeds)
    worse = found.tables["worse_than_random"]
    assert worse["sight"].to_list() == [0, 0, 3, 3]
    assert worse["worse_than_random"].to_list() == [9, 0, 9, 0]
    assert worse["share_low"].to_list()[1] == 0
    assert (
        "no cue, tested with reverse, 0% of training levels astray: 9 of 10 seeds"
        in found.paragraph
    )
    assert len(leader.draw(seeds, found).axes) == 2
