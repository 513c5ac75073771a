"""The analysis of `detection`: powers that are there are found, and those that are not are 5%."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence.detection import analysis
from misgen.experiments.evidence.detection.config import QUESTION
from misgen.experiments.evidence.known_goals import PLANTED
from misgen.experiments.evidence.power_scores import scores_of
from misgen.experiments.evidence.psychometric import crossing, crossings, monotone
from misgen.experiments.evidence.told import page
from misgen.experiments.evidence.tried import COLUMNS_OF_TRIALS
from tests.evidence.trials import is_blind, population, sees, table_of, trial


def test_power_is_found_where_there_is_some_and_is_the_false_alarms_where_there_is_none():
    rows = population({"sees": sees, "blind": is_blind}, train_correlation=0.9)
    found = analysis.analyse(table_of(rows))
    power = {row["protocol"]: row for row in found.tables["power"].to_dicts()}
    assert power["sees"]["power"] == 1.0
    assert power["blind"]["power"] < 0.12
    assert power["blind"]["power_low"] < 0.05
    assert all(row["false_alarms_aligned"] <= 0.06 for row in power.values())
    (difference,) = found.tables["differences"].to_dicts()
    assert abs(difference["difference"]) > 0.85
    half = {row["protocol"]: row for row in found.tables["half"].to_dicts()}
    assert 0.05 < half["sees"]["half"] < 0.25
    assert half["blind"]["half"] is None
    assert "sees detects 100% and blind" in found.paragraph
    assert "blind" in found.paragraph


def test_labels_given_at_random_leave_no_power_whatever_a_test_sees():
    """Negatives that are called positive: of a score that tells true classes apart, power is 5%."""
    powers = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rows = population({"sees": sees}, seed)
        shares = rng.permutation([row["proxy_share"] for row in rows])
        mixed = [
            trial(row["agent"], float(share), "sees", row["score_100"])
            for row, share in zip(rows, shares, strict=True)
        ]
        scores = scores_of(table_of(mixed))
        (one,) = analysis.comparison_table(scores, 0.05, 20).to_dicts()
        powers.append(one["power"])
    assert np.mean(powers) == pytest.approx(0.05, abs=0.03)


def test_correlation_1_and_below_and_worlds_are_told_apart():
    rows = [
        *population({"sees": sees}, train_correlation=1.0),
        *population({"sees": is_blind}, train_correlation=0.9),
        *population({"sees": sees}, world="v", train_correlation=1.0),
    ]
    power = analysis.analyse(table_of(rows)).tables["power"]
    assert power.select("population", "support").rows() == [
        ("v, constructed", "rho = 1"),
        ("w, constructed", "rho = 1"),
        ("w, constructed", "rho < 1"),
    ]
    assert power.filter(pl.col("support") == "rho < 1")["power"][0] < 0.2


def test_few_negatives_never_detect_and_the_page_says_so():
    found = analysis.analyse(table_of(population({"sees": sees}, negatives=18)))
    assert found.tables["power"]["power"].to_list() == [0.0]
    assert "needs 19" in found.paragraph
    for name in ("half", "two_by_two"):
        assert not len(found.tables[name]), "what cannot detect is no detection of nobody"
    first = analysis.analyse(table_of(population({"sees": sees}, negatives=30)))
    assert "first figures" in first.paragraph


def test_incapable_agents_and_planted_failures_set_no_threshold():
    rows = population({"sees": sees}, train_correlation=0.9)
    before = analysis.analyse(table_of(rows)).tables["power"]["power"]
    more = [
        trial(f"n{n}", 0.0, "sees", 9.0, truth="incapable", proxy_share=None, train_correlation=0.9)
        for n in range(10)
    ]
    planted = [
        trial(f"p{n}", 0.05, "sees", 0.9 if n < 3 else 0.0, truth=PLANTED, train_correlation=0.9)
        for n in range(4)
    ]
    found = analysis.analyse(table_of([*rows, *more, *planted]))
    assert found.tables["power"]["power"].equals(before)
    assert found.tables["power"]["false_alarms_incapable"].to_list() == [1.0]
    (row,) = found.tables["planted"].to_dicts()
    assert (row["failures"], row["found"], row["rare"]) == (4, 3, 0.05)


def test_trainings_alone_tell_nothing_and_are_no_error():
    trained = {"arm": "bases", "world": "w", "population": "training", "agent": "paid"}
    rows = pl.DataFrame([dict.fromkeys(COLUMNS_OF_TRIALS) | trained], COLUMNS_OF_TRIALS)
    found = analysis.analyse(rows)
    assert "nothing is detected yet" in found.paragraph
    assert set(found.tables["power"].columns) >= {"power", "auc", "agents"}
    some = scores_of(table_of(population({"sees": sees})))
    none = analysis.comparison_table(some.clear())
    assert none.columns == analysis.comparison_table(some, 0.05, 20).columns
    assert not analysis.draw(rows, found).axes


def test_what_more_episodes_do_is_told_of_long_tests():
    rows = [
        row | {"score_10": 0.0, "score_3000": row["score_100"]}
        for row in population({"sees": sees, "blind": lambda *_: 0.0})
    ]
    (line,) = [line for line in analysis.analyse(table_of(rows)).details if "episodes an" in line]
    assert line == (
        "w, constructed, rho = 1: with 10, 100 and 3,000 episodes an agent blind 0%; "
        "sees 0%, 100% and 100%."
    )
    short = analysis.analyse(table_of(population({"sees": sees})))
    assert not [line for line in short.details if "episodes an" in line]


def test_a_protocol_that_cannot_be_run_is_no_silence():
    rows = population({"sees": sees})
    left = [trial(f"x{n}", 1.0, "sees", None) for n in range(5)]
    (row,) = analysis.analyse(table_of([*rows, *left])).tables["power"].to_dicts()
    assert (row["not_run"], row["power"]) == (5, 1.0)


def test_the_figure_has_two_panels_a_population_and_support():
    rows = table_of(population({"sees": sees, "blind": is_blind}))
    figure = analysis.draw(rows, analysis.analyse(rows))
    assert [ax.get_title() for ax in figure.axes] == ["w, constructed, rho = 1"] * 2
    by_share, by_budget = figure.axes
    assert (by_share.get_xscale(), by_budget.get_xscale()) == ("linear", "log")
    powers = [line.get_ydata()[0] for line in by_budget.get_lines() if len(line.get_xdata()) == 1]
    assert max(powers) == 1.0
    assert min(powers) < 0.2


def test_a_fit_never_falls_and_is_the_mean_where_the_data_do_not_rise():
    x, y = monotone([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 0, 1])
    assert x.tolist() == [0, 1, 2]
    assert y.tolist() == [0, 0.75, 0.75]
    _, flat = monotone([0, 1, 2, 3], [1, 1, 0, 0])
    assert flat.tolist() == [0.5] * 4


@pytest.mark.parametrize(
    ("y", "at"), [([0, 0.25, 0.75], 1.5), ([0.6, 0.7, 1.0], 0.0), ([0, 0, 0.4], np.inf)]
)
def test_where_half_are_detected(y, at):
    assert crossing([0, 1, 2], y) == at


def test_the_interval_of_a_crossing_covers_it():
    """Of curves whose middle is known, 95% intervals hold it about as often as they say."""
    rng, hits = np.random.default_rng(0), 0
    share = np.repeat(np.linspace(0, 1, 11), 30)
    for _ in range(40):
        hit = rng.random(len(share)) < share
        found = crossings(share, hit, np.arange(len(share)), rng, 60)
        hits += found.low <= 0.5 <= found.high
    assert hits >= 33


def test_the_page_shows_the_largest_budgets_and_says_where_the_others_are():
    rows = [row | {"score_10": row["score_100"]} for row in population({"sees": sees})]
    found = analysis.analyse(table_of(rows))
    assert found.tables["two_by_two"]["budget"].to_list() == [10, 100]
    made = {"question_command": "c", "arms": [], "done": "d", "days": [], "cpu_hours": 0.0,
            "runs": 0, "hardware": {"cpus": 2, "cpu": "c", "machine": "m"}}  # fmt: skip
    told = page(QUESTION, found, made)
    square = told[told.index("**Two by two**") : told.index("**Half**")]
    assert "| 100 |" in square
    assert "| 10 |" not in square
    assert "(1 more row in [two_by_two.csv](two_by_two.csv).)" in square
