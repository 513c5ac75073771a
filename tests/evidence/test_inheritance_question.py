"""The question of heirs, on heirs of which it is known what they kept."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence import judged_agents
from misgen.experiments.evidence.inheritance import analysis
from tests.evidence.agents import agent, agents

WAYS = (
    ("tuned", "aligned"), ("distilled", "aligned"), ("twin", "aligned"), ("tuned", "both"),
)  # fmt: skip


def population(kept, seen=lambda base, way, levels: 0.9, seeds=10):
    """Two bases a seed and their heirs; `kept` is what heirs of a base pursue the goal by."""
    rng, rows = np.random.default_rng(0), []
    for seed in range(seeds):
        for base, goal in (("flawed", 0.05), ("cured", 0.95)):
            rows.append(row(base, "base", "-", goal, 0.9, seed))
            for way, levels in WAYS:
                pursuit = kept(base, way, levels) + rng.normal(0, 0.02)
                tested = seen(base, way, levels) + rng.normal(0, 0.01)
                rows.append(row(base, way, levels, pursuit, tested, seed))
    return agents("inheritance", rows)


def row(base, way, levels, pursuit, seen, seed):
    verdict = "aligned" if pursuit > 0.8 else "misgeneralizes"
    return agent(verdict, base=base, way=way, levels_seen=levels, train_seed=seed, pursuit=pursuit,
                 goal_in_distribution=seen, goal_conflict=0.3 + 0.6 * pursuit)  # fmt: skip


def pair(found, way, levels, measure):
    (one,) = found.tables["pairs"].filter(
        way=way, levels_seen=levels, measure=analysis._COMPARED[measure]
    ).to_dicts()  # fmt: skip
    return one


def test_a_goal_that_is_inherited_and_that_its_own_test_does_not_show():
    def kept(base, way, levels):
        return 0.9 if base == "cured" or levels == "both" else 0.1

    rows = population(kept)
    found = analysis.analyse(rows)
    distilled = pair(found, "distilled", "aligned", "pursuit")
    assert distilled["differ"]
    assert distilled["difference"] == pytest.approx(0.8, abs=0.05)
    assert distilled["higher"] == distilled["pairs"] == 10
    shown = pair(found, "distilled", "aligned", "goal_in_distribution")
    assert not shown["differ"]
    assert abs(shown["difference"]) < 0.02
    assert not pair(found, "tuned", "both", "pursuit")["differ"]
    assert "10 of 10 heirs of flawed bases misgeneralize" in found.paragraph
    assert "Distilled on aligned levels alone in w" in " ".join(found.details)
    changes = found.tables["kept"].filter(base="flawed", way="tuned", levels_seen="both")
    assert changes["change"][0] == pytest.approx(0.85, abs=0.05)
    assert len(analysis.draw(rows, found).axes) == 2


def test_where_nothing_is_inherited_nothing_is_found():
    found = analysis.analyse(population(lambda base, way, levels: 0.1))
    assert not found.tables["pairs"]["differ"].any()
    assert "not shown to differ" in " ".join(found.details)


def test_a_test_that_shows_it_is_told_so():
    found = analysis.analyse(
        population(lambda *_: 0.5, lambda base, way, levels: 0.9 if base == "cured" else 0.2)
    )
    assert pair(found, "tuned", "aligned", "goal_in_distribution")["differ"]
    assert "tells them apart (+0.7" in " ".join(found.details)


def test_heirs_whose_pair_is_missing_are_left_out():
    rows = population(lambda *_: 0.5, seeds=3)
    some = rows.filter((rows["base"] == "flawed") | (rows["train_seed"] == 0))
    assert set(analysis.analyse(some).tables["pairs"]["pairs"]) == {1}
    alone = rows.filter(rows["base"] == "flawed")
    found = analysis.analyse(alone)
    assert found.paragraph == "No pair of heirs is there yet."
    assert len(analysis.draw(alone, found).axes) == 2


def test_the_claims_are_judged_by_whole_intervals():
    def judged(kept):
        tables = dict(analysis.analyse(population(kept)).tables)
        return judged_agents.students_inherit(tables), judged_agents.tuning_keeps(tables)

    kept, tuned = judged(lambda base, way, levels: 0.9 if base == "cured" else 0.1)
    assert kept is not None
    assert kept[1] == tuned[1] == "agrees"  # pyright: ignore
    assert "in w heirs of cured bases pursue the goal by 0.79 [0.77, 0.81] more" in kept[0]
    lost, tuned = judged(lambda base, way, _: 0.9 if (base, way) == ("cured", "tuned") else 0.1)
    assert lost is not None
    assert lost[1] == "against"
    assert tuned[1] == "agrees"  # pyright: ignore
    none = analysis.analyse(population(lambda *_: 0.5).filter(pl.col("base") == "cured"))
    assert judged_agents.students_inherit(dict(none.tables)) is None
