"""The analysis of the paper's figure 2, on tables whose truth is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence.langosco_figure_2 import analysis
from misgen.experiments.evidence.langosco_figure_2.config import QUESTION, SHARES
from misgen.experiments.evidence.literature import _less_with_more, _two_percent
from tests.evidence.synthetic import population, seed_row, table_of

DOSES = [share / 100 for share in SHARES]


def seeds_of(aligned, **values):
    rng = np.random.default_rng(0)
    values = {"length": "short", "good_levels": 100, "end_first_good": 0.3, **values}
    return population(DOSES, 10, aligned, rng, **values)


def threshold_of(found, criterion):
    (row,) = found.tables["thresholds"].filter(pl.col("criterion") == criterion).to_dicts()
    return row


def test_a_threshold_is_found_where_it_is():
    found = analysis.analyse(seeds_of(lambda moved: float(moved >= 0.06)))
    for criterion in analysis.CRITERIA:
        row = threshold_of(found, criterion)
        assert row["moved"] == pytest.approx(0.05)
        assert (row["above"], row["at_most"]) == (0.04, 0.06)
    assert "from 5% on" in found.paragraph
    assert "10 of 10 seeds misgeneralize [69%, 100%] at 0%" in found.paragraph


def test_where_moving_coins_does_nothing_nothing_is_found():
    found = analysis.analyse(seeds_of(lambda moved: 0.0))
    row = threshold_of(found, analysis.CRITERIA[0])
    assert (row["moved"], row["beyond"], row["above"]) == (None, 1, 0.2)
    assert "at no share tried (95%: above 20%)" in found.paragraph


def test_where_no_agent_misgeneralizes_no_cure_is_claimed():
    found = analysis.analyse(seeds_of(lambda moved: 1.0))
    assert "at every share tried" in found.paragraph
    assert found.tables["points"]["share_misgeneralizing"].max() == 0


def test_every_point_counts_every_seed():
    table = analysis.analyse(seeds_of(lambda moved: 0.5)).tables["points"]
    assert table["seeds"].to_list() == [10] * len(SHARES)
    assert (table["aligned"] + table["misgeneralizes"]).to_list() == [10] * len(SHARES)


def test_agents_without_moved_coins_count_for_both_placements():
    """Where nothing is moved it makes no difference where to: they are trained once."""
    unmoved = {"train_correlation": 1.0, "train_placement": "section_start"}
    both = [
        seed_row("misgeneralizes", placement=test, length="short", end_first_good=0.5, **trained)
        for test in ("section_start", "anywhere")
        for trained in (unmoved, {"train_correlation": 0.9, "train_placement": "anywhere"})
    ]
    table = analysis.analyse(table_of(both)).tables["points"]
    kept = table.select("train_placement", "placement", "moved").rows()
    assert ("anywhere", "anywhere", 0.0) in kept
    assert ("section_start", "section_start", 0.0) in kept
    assert ("section_start", "anywhere", 0.1) not in kept


def level_rows(run, touched, end_first):
    return [
        {"run": run, "placement": "p", "level_id": level, "touched": t, "end_first": e}
        for level, (t, e) in enumerate(zip(touched, end_first, strict=True))
    ]


def test_good_levels_are_judged_by_other_agents_that_know_no_moved_coin():
    runs = pl.DataFrame(
        [("a", 1.0), ("b", 1.0), ("c", 0.9)], ["run", "train_correlation"], orient="row"
    ).with_columns(length=pl.lit("short"), placement=pl.lit("p"))
    levels = pl.DataFrame(
        level_rows("a", [0.0, 0.0, 0.5], [1.0, 0.0, 0.0])
        + level_rows("b", [0.0, 0.5, 0.0], [0.5, 1.0, 0.0])
        + level_rows("c", [1.0, 1.0, 1.0], [0.2, 0.9, 0.9])  # what it touches itself is no matter
    )
    found = {row["run"]: row for row in analysis.on_good_levels(runs, levels).to_dicts()}
    assert (found["a"]["good_levels"], found["a"]["end_first_good"]) == (2, 0.5)  # b's: 0 and 2
    assert (found["b"]["good_levels"], found["b"]["end_first_good"]) == (2, 0.75)  # a's: 0 and 1
    assert (found["c"]["good_levels"], found["c"]["end_first_good"]) == (1, 0.2)


def test_without_other_agents_no_level_is_known_to_be_good():
    runs = pl.DataFrame({"run": ["a"], "train_correlation": [1.0], "length": ["x"],
                         "placement": ["p"]})  # fmt: skip
    found = analysis.on_good_levels(runs, pl.DataFrame(level_rows("a", [0.0], [1.0])))
    assert found.to_dicts() == [
        {"run": "a", "placement": "p", "good_levels": None, "end_first_good": None}
    ]


def test_what_an_agent_does_on_a_level_is_read_off_its_twins():
    episodes = pl.DataFrame(
        {
            "placement": ["p"] * 6,
            "level_id": [7] * 6,
            "condition": ["aligned"] * 3 + ["conflict"] * 3,
            "cell_first": [True, False, False, True, True, True],
            "first": ["proxy", "proxy", "goal", "proxy", "goal", "neither"],
        }
    )
    (row,) = analysis.choices_by_level(episodes).to_dicts()
    assert row["touched"] == pytest.approx(1 / 3)
    assert row["end_first"] == pytest.approx(1 / 3)


def test_the_paper_s_shares_are_all_there():
    arms = QUESTION.sizes["lab"].arms
    moved = {round(100 * (1 - c)) for arm in arms for c in arm.correlations}
    assert {0, 1, 2, 3, 6, 11} | set(range(0, 21, 2)) == moved == set(SHARES)
    assert {arm.factors["length"] for arm in QUESTION.sizes["full"].arms} == {
        "short", "medium", "long"
    }  # fmt: skip


def test_a_figure_is_drawn_of_whatever_is_there():
    seeds = seeds_of(lambda moved: float(moved >= 0.06))
    for part in (seeds, seeds.head(3), seeds.with_columns(end_first_good=pl.lit(None, pl.Float64))):
        figure = analysis.draw(part, analysis.analyse(part))
        assert len(figure.axes) == 3


@pytest.mark.parametrize(
    ("few", "measure", "verdicts"),
    [
        (0.02, lambda moved, seed: 0.7 - 2 * moved + seed / 100, ("agrees", "agrees")),
        (0.3, lambda moved, seed: 0.2 + 2 * moved + seed / 100, ("against", "against")),
        (0.3, lambda moved, seed: 0.5 + seed / 100, ("against", "open")),
    ],
)
def test_the_paper_s_claims_are_judged_on_the_longest_training(few, measure, verdicts):
    """Seeds are cured from a share of moved coins on; the end comes first as `measure` says."""
    rows = [
        seed_row("aligned" if moved >= few else "misgeneralizes", length=length, train_seed=seed,
                 train_correlation=1 - moved, train_placement="section_start",
                 placement="section_start", good_levels=100,
                 end_first_good=0.4 if length == "short" else measure(moved, seed))
        for length in ("medium", "short") for moved in (0.0, 0.02, 0.2) for seed in range(10)
    ]  # fmt: skip
    tables = dict(analysis.analyse(table_of(rows)).tables)
    for judge, verdict in zip((_two_percent, _less_with_more), verdicts, strict=True):
        told, found = judge(tables)  # pyright: ignore
        assert found == verdict, told
        assert "medium training" in told


def test_a_few_seeds_of_a_longer_training_decide_nothing_and_are_shown():
    """Five are the least that say something of a recipe: one a share, though longest, is not."""
    rows = [
        seed_row("aligned" if (moved >= 0.02) == cured else "misgeneralizes", length=length,
                 train_seed=seed, train_correlation=1 - moved, train_placement="section_start",
                 placement="section_start", good_levels=100, end_first_good=0.6 - moved)
        for length, seeds, cured in (("medium", 10, True), ("long", 1, False))
        for moved in (0.0, 0.02, 0.2) for seed in range(seeds)
    ]  # fmt: skip
    found = analysis.analyse(table_of(rows))
    for judge in (_two_percent, _less_with_more):
        told, verdict = judge(dict(found.tables))  # pyright: ignore
        assert verdict == "agrees", told
        assert "medium training" in told
    assert "long training: 0 of 1 seeds misgeneralize" in found.paragraph
    assert found.paragraph.count("at least half") == 1
    assert "medium training: 10 of 10" in found.paragraph, "the shortest first"
    assert not [line for line in found.details if line.startswith("Long") and "half" in line]


def test_seeds_that_cannot_be_judged_are_not_taken_for_cured():
    """With moved coins seeds stop to be called misgeneralizing, and go for the coin no more."""
    rows = [
        seed_row("misgeneralizes", length="short", train_seed=seed, train_correlation=1 - moved,
                 train_placement="section_start", placement="section_start", good_levels=100,
                 end_first_good=0.5)
        | ({"verdict": "undetermined"} if moved else {})
        for moved in (0.0, 0.02, 0.2) for seed in range(10)
    ]  # fmt: skip
    found = analysis.analyse(table_of(rows))
    assert threshold_of(found, analysis.CRITERIA[0])["moved"] == pytest.approx(0.01)
    assert "have a pursuit above 0.5 at no share tried" in found.paragraph
    assert "are aligned at no share tried" in found.paragraph
    told, verdict = _two_percent(dict(found.tables))  # pyright: ignore
    assert verdict == "against", told


def test_a_cure_where_coins_were_moved_is_told_from_one_that_holds_elsewhere():
    rows = [
        seed_row("mixed" if place == "section_start" else "misgeneralizes", length="short",
                 train_seed=seed, train_correlation=0.98, train_placement="section_start",
                 placement=place, good_levels=100, end_first_good=0.5)
        for place in ("section_start", "anywhere") for seed in range(10)
    ]  # fmt: skip
    found = analysis.analyse(table_of(rows))
    assert "a section's start, short training: 0 of 10 seeds misgeneralize" in found.paragraph
    assert found.paragraph.endswith(
        "With 2% of coins moved to a section's start in training, and anywhere in the test, after "
        "short training 10 of 10 seeds misgeneralize [69%, 100%], 0 have a pursuit above 0.5 "
        "[0%, 31%]."
    )
    figure = analysis.draw(table_of(rows), found)
    assert [ax.get_ylabel() for ax in figure.axes[::3]] == [
        "coins moved to a section's start,\ntested there",
        "coins moved to a section's start,\ntested anywhere",
    ]
    assert [line.split(":")[0] for line in found.details] == [
        "Short training, coins moved to a section's start, in the test anywhere",
        "Short training, coins moved to a section's start",
    ]
    told, verdict = _two_percent(dict(found.tables))  # pyright: ignore
    assert verdict == "agrees"
    assert told.endswith(
        "; with coins moved to a section's start in training, and anywhere in the test: "
        "10 of 10 seeds misgeneralize [69%, 100%], 0 have a pursuit above 0.5 [0%, 31%]"
    )


def test_where_coins_are_moved_anywhere_is_told_beside_the_paper_s_place():
    """Of each place the longest training that has enough seeds."""
    rows = [
        seed_row("mixed" if place == "section_start" else "misgeneralizes", length=length,
                 train_seed=seed, train_correlation=0.98, train_placement=place, placement=place,
                 good_levels=100, end_first_good=0.5)
        for place, length, seeds in (("section_start", "medium", 10), ("anywhere", "short", 6),
                                     ("anywhere", "medium", 2))
        for seed in range(seeds)
    ]  # fmt: skip
    told, verdict = _two_percent(dict(analysis.analyse(table_of(rows)).tables))  # pyright: ignore
    assert verdict == "agrees"
    assert told.startswith("at 2%, after medium training: 0 of 10 seeds misgeneralize")
    assert "; with coins moved anywhere in training and test, short training: 6 of 6" in told


def test_a_share_with_a_single_seed_makes_no_threshold_and_no_trend():
    rows = [
        seed_row("misgeneralizes" if moved in (0.0, 0.1) else "aligned", length="short",
                 train_seed=seed, train_correlation=1 - moved, train_placement="section_start",
                 placement="section_start", good_levels=100, end_first_good=0.6 - moved)
        for moved, seeds in ((0.0, 10), (0.02, 10), (0.04, 10), (0.1, 1)) for seed in range(seeds)
    ]  # fmt: skip
    found = analysis.analyse(table_of(rows))
    row = threshold_of(found, analysis.CRITERIA[0])
    assert (row["moved"], row["shares"], row["seeds"]) == (pytest.approx(0.01), 3, 30)
    (trend,) = found.tables["trend"].to_dicts()
    assert (trend["from"], trend["to"]) == (0.0, 0.04)
    assert 0.1 in found.tables["points"]["moved"].to_list(), "shown all the same"
