"""The analysis of `anticipation`, and who is worse than random while seeming to work."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence.anticipation import analysis
from misgen.experiments.evidence.anticipation.analysis import CUES, RANDOM_METRICS, TOLD
from misgen.experiments.evidence.literature import _worse_than_random
from tests.evidence.trials import table_of, trial

SHARES = [(c, round(1 - c, 2)) for c in (1.0, 0.75, 0.5, 0.25, 0.0)]


def followers(sees, negatives=40, copies=8):
    """Return goal-seekers and followers; `sees(told, colour, pattern)` is what a test scores."""
    rng, rows = np.random.default_rng(0), []
    for n, (c, p) in enumerate([*[(0.0, 0.0)] * negatives, *SHARES * copies]):
        told = " ".join(f"{cue} {x:g}" for cue, x in zip(CUES, (c, p), strict=True) if x) or "goal"
        rows += [
            trial(f"{told} lapse 0.1 seed {n} at 1", round(c + p, 9), label,
                  sees(word, c, p) + 0.1 * rng.normal(), population="followers")
            for word, label in TOLD.items()
        ]  # fmt: skip
    return rows


def as_told(word, colour, pattern):
    return {"none": 0.0, "colour": colour, "pattern": pattern, "both": colour + pattern}[word]


def shares(found, **where):
    table = found.tables["anticipated"].filter(followed=1.0, **where).sort("anticipated")
    return dict(table.select("anticipated", "share").iter_rows())


def test_power_rises_with_the_share_that_was_anticipated():
    found = analysis.analyse(table_of(followers(as_told)))
    for cue in CUES:
        seen = shares(found, protocol=TOLD[cue])
        assert [*seen] == [0.0, 0.25, 0.5, 0.75, 1.0]
        assert seen[0.0] < 0.3
        assert seen[1.0] == 1.0
    assert shares(found, protocol="told both") == {1.0: 1.0}
    (unforeseen,) = shares(found, protocol="told none").values()
    assert unforeseen < 0.2
    assert "16 of 16 where 100% was anticipated" in found.paragraph


def test_a_test_that_sees_nothing_detects_as_it_raises_false_alarms():
    found = analysis.analyse(table_of(followers(lambda *told: 0.0, negatives=99, copies=20)))
    table = found.tables["anticipated"]
    for row in table.group_by("followed").agg(pl.col("agents", "detected").sum()).to_dicts():
        assert row["detected"] / row["agents"] < 0.09


def test_few_goal_seekers_set_no_threshold():
    found = analysis.analyse(table_of(followers(as_told, negatives=18)))
    assert found.tables["anticipated"]["detected"].sum() == 0
    assert "needs 19" in found.paragraph
    assert found.details == ()


def stored(agent, inside, conflict, verdict="misgeneralizes", placement="anywhere"):
    """Return a stored verdict; the ends of the two intervals against random play."""
    row = trial(agent, 0.0, "", None, truth=None) | {"protocol": None}
    numbers = {
        f"{metric}{end}": value + width
        for metric, value in zip(RANDOM_METRICS, (0.9, 0.1, inside, conflict), strict=True)
        for end, width in (("", 0.0), ("_low", -0.05), ("_high", 0.05))
    }
    return row | numbers | {"verdict": verdict, "placement": placement}


def test_worse_than_random_is_one_joint_test_of_whole_intervals():
    rows = [
        stored("both", 0.3, -0.2),
        stored("both", 0.3, 0.2, placement="elsewhere"),
        stored("does not seem to work", -0.3, -0.2),
        stored("not below", 0.3, -0.02),
        stored("incapable", 0.3, -0.2, "incapable"),
    ]
    columns = {name: pl.Float64 for name in rows[0] if name.startswith(RANDOM_METRICS)}
    found = analysis.analyse(table_of(rows, **columns))
    (row,) = found.tables["worse_than_random"].to_dicts()
    assert (row["agents"], row["seem_to_work"], row["worse"]) == (3, 2, 1)
    assert row["who"] == "both"
    assert "Of 3 capable trained agents, 2 reach the goal" in found.paragraph


@pytest.mark.parametrize(("worse", "verdict"), [(2, "open"), (6, "agrees")])
def test_a_few_of_many_agents_are_worse_than_random_by_chance(worse, verdict):
    rows = [stored(f"agent {n}", 0.3, -0.2 if n < worse else 0.2) for n in range(40)]
    columns = {name: pl.Float64 for name in rows[0] if name.startswith(RANDOM_METRICS)}
    tables = analysis.analyse(table_of(rows, **columns)).tables
    assert _worse_than_random(dict(tables))[1] == verdict  # pyright: ignore


def test_the_figure_is_drawn():
    rows = table_of(followers(as_told))
    assert len(analysis.draw(rows, analysis.analyse(rows)).axes) == 2
