"""The analyses of the other questions, on tables whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence.follow_the_leader import analysis as leader
from misgen.experiments.evidence.keys_and_chests import analysis as keys
from misgen.experiments.evidence.langosco_figure_4 import analysis as region
from misgen.experiments.evidence.literature import _repeats, _two_kinds, _variety
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


def of_factor(found, word, outcome="misgeneralizes"):
    (row,) = found.tables["effects"].filter(
        pl.col("factor").str.contains(word), outcome=outcome
    ).to_dicts()  # fmt: skip
    return row


def changes(found, word):
    return found.tables["contrasts"].filter(pl.col("factor").str.contains(word))


def test_variety_that_counts_is_told_from_frequency_that_does_not():
    found = phase.analyse(grid(lambda moved, distinct: {1: 0.95, 8: 0.5, 64: 0.05}[distinct]))
    assert of_factor(found, "different")["odds_ratio_high"] < 1
    frequency = of_factor(found, "frequency of")
    assert frequency["odds_ratio_low"] < 1 < frequency["odds_ratio_high"]
    assert "no effect is shown" in " ".join(found.details)
    assert set(found.tables["effects"]["factor"]) == {
        phase.FACTORS["moved"], phase.FACTORS["distinct_levels"], phase.BOTH
    }, "a length that does not vary has no effect"  # fmt: skip
    assert changes(found, "different")["differ"].all()
    assert not changes(found, "frequency")["differ"].any()
    told, verdict = _variety(dict(found.tables))  # pyright: ignore
    assert verdict == "agrees", told


def test_frequency_that_counts_where_there_is_variety_is_seen_as_such():
    """One level teaches nothing however often it comes; of 64 the more the better."""
    rng = np.random.default_rng(3)
    rows = [
        seed_row("mixed", world="w", length="short", train_correlation=1 - moved,
                 distinct_conflicts=n, distinct_levels=n, train_seed=seed,
                 pursuit=0.1 + moved * math.log2(n) / 8 + rng.normal(0, 0.01))
        for moved in (0.02, 0.1, 0.5) for n in (1, 64) for seed in range(12)
    ]  # fmt: skip
    found = phase.analyse(table_of(rows))
    by_number = {row["held"]: row for row in changes(found, "frequency").to_dicts()}
    assert by_number["1"]["difference"] == pytest.approx(0, abs=0.01)
    assert by_number["64"]["difference"] == pytest.approx(0.48 * 6 / 8, abs=0.01)
    assert [row["differ"] for row in by_number.values()] == [False, True]
    assert "from 2% to 50% changes pursuit by" in found.paragraph
    told, verdict = _repeats(dict(found.tables))  # pyright: ignore
    assert verdict == "against", told
    alone = phase.analyse(table_of(rows).filter(distinct_conflicts=1))
    told, verdict = _repeats(dict(alone.tables))  # pyright: ignore
    assert verdict == "agrees", told
    assert _variety(dict(alone.tables)) is None
    elsewhere = table_of(rows).with_columns(world=pl.lit("v"), pursuit=0.1)
    worlds = pl.concat([elsewhere, table_of(rows)])
    for judge, verdict in ((_repeats, "against"), (_variety, "open")):
        told, found = judge(dict(phase.analyse(worlds).tables))  # pyright: ignore
        assert (found, told.count("12 seeds")) == (verdict, 2), told
    few = worlds.filter((pl.col("world") == "w") | (pl.col("train_seed") < 3))
    told, found = _variety(dict(phase.analyse(few).tables))  # pyright: ignore
    assert (found, told.count("seeds")) == ("agrees", 1), "three seeds do not count"


def test_seeds_that_cannot_be_judged_are_not_taken_for_cured():
    """With more conflict levels fewer seeds are capable enough to misgeneralize: no cure."""
    rng = np.random.default_rng(2)
    rows = [
        seed_row("misgeneralizes", world="w", length="short", train_correlation=1 - moved,
                 distinct_conflicts=n, distinct_levels=n, train_seed=seed,
                 pursuit=0.05 + rng.normal(0, 0.01))
        | ({"verdict": "undetermined"} if rng.random() < moved else {})
        for moved in (0.02, 0.3, 0.9) for n in (1, 8, 64) for seed in range(20)
    ]  # fmt: skip
    found = phase.analyse(table_of(rows))
    assert of_factor(found, "frequency of")["odds_ratio_high"] < 1
    cured = of_factor(found, "frequency of", "has a pursuit below 0.5")
    assert cured["odds_ratio_low"] < 1 < cured["odds_ratio_high"]
    assert not found.tables["contrasts"]["differ"].any()
    assert "0 of 180 seeds have one above 0.5" in found.paragraph
    assert _repeats(dict(found.tables))[1] == "agrees"  # pyright: ignore
    assert _variety(dict(found.tables))[1] == "open"  # pyright: ignore


def test_where_nothing_counts_nothing_is_shown():
    found = phase.analyse(grid(lambda moved, distinct: 0.5))
    for row in found.tables["effects"].to_dicts():
        assert row["odds_ratio_low"] < 1 < row["odds_ratio_high"]
    assert not found.tables["contrasts"]["differ"].any()


def test_all_levels_there_are_count_as_the_most():
    """A number of 0 asks for as many as there are: it is the last, and no missing value."""
    rows = [
        seed_row("aligned" if n == 0 else "misgeneralizes", world="w", length=length,
                 decisions=decisions, train_correlation=1 - moved, distinct_conflicts=n,
                 distinct_levels=n or 5000, train_seed=seed)
        for length, decisions in (("short", 10), ("medium", 20))
        for moved in (0.1, 0.5) for n in (0, 1, 8) for seed in range(6)
    ]  # fmt: skip
    found = phase.analyse(table_of(rows))
    variety = changes(found, "different")
    assert variety.select("least", "most").unique().rows() == [("1", "all")]
    assert variety["length"].to_list() == ["short", "short", "medium", "medium"]
    assert (variety["difference"] > 0.8).all()
    assert changes(found, "frequency")["held"].to_list() == ["1", "8", "all"] * 2
    assert set(found.tables["effects"]["length"]) == {"any", "short", "medium"}
    assert found.paragraph.startswith("In w, medium training"), "the longest first"


def test_seeds_of_two_kinds_are_seen_and_seeds_of_one_are_not():
    both = grid(lambda moved, distinct: 0.5, seeds=20)
    tables = phase.analyse(both).tables
    assert (tables["kinds"]["one_kind_p_holm"] < 0.05).any()
    assert _two_kinds(dict(tables))[1] == "agrees"  # pyright: ignore
    rng = np.random.default_rng(0)
    spread = both.with_columns(pursuit=pl.Series(rng.normal(0.5, 0.08, len(both))))
    kinds = phase.analyse(spread).tables["kinds"]
    assert (kinds["one_kind_p"] < 0.05).sum() <= 2


def test_among_many_cells_one_that_looks_like_two_kinds_is_chance():
    """Seeds of every kind alike, in 40 cells: some have both ends, and some of these a small p."""
    rng = np.random.default_rng(5)
    rows = [
        seed_row("mixed", world="w", length=f"length {length}", train_correlation=0.9,
                 decisions=length, distinct_conflicts=1, distinct_levels=1, train_seed=seed,
                 pursuit=rng.uniform())
        for length in range(40) for seed in range(20)
    ]  # fmt: skip
    kinds = phase.kinds(phase.with_moved(table_of(rows)).with_columns(distinct=1))
    mixed = kinds.filter(pl.col("low") > 0, pl.col("high") > 0)
    assert (mixed["one_kind_p"] < 0.05).any(), "by chance, among so many"
    told, verdict = _two_kinds({"kinds": kinds})  # pyright: ignore
    assert verdict == "open", told


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
    assert [len(ax.texts) for ax in figure.axes[:2]] == [9, 9]


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
