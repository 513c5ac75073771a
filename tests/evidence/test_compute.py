"""The question of compute, on agents of which it is known what compute does."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence import ranks as ranks_module
from misgen.experiments.evidence.compute import analysis
from misgen.experiments.evidence.judged_agents import compute_is_a_sign
from misgen.experiments.evidence.ranks import over_recipes, rank_correlation
from tests.evidence.agents import agent, agents


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr(ranks_module, "DRAWS", 100)


def population(pursuit, capability=lambda flops: 0.5 + 0.1 * flops, seeds=6):
    """Agents of six widths at two correlations: flops are 0 to 5 (logarithms)."""
    rng, rows = np.random.default_rng(0), []
    for trained in (1.0, 0.5):
        for flops in range(6):
            for seed in range(seeds):
                goes = pursuit(trained, flops) + rng.normal(0, 0.03)
                verdict = "aligned" if goes > 0.8 else "misgeneralizes" if goes < 0.5 else "mixed"
                rows.append(
                    agent(verdict, kind="dense", size=str(2**flops), train_correlation=trained,
                          train_seed=seed, training_flops=10.0**flops, all_flops=10.0**flops,
                          parameters=2**flops, active_parameters=2**flops, pursuit=goes,
                          capability_aligned=capability(flops) + rng.normal(0, 0.02))
                )  # fmt: skip
    return agents("compute", rows)


def ranks(found, measure, where="within", size="training_flops"):
    (row,) = found.tables["correlations"].filter(
        size=size, measure=measure, train_correlation=where
    ).to_dicts()  # fmt: skip
    return row


def side(found, outcome="misgeneralizes", operations="training_flops"):
    return found.tables["sides"].filter(outcome=outcome, operations=operations).to_dicts()[0]


def test_compute_that_buys_capability_and_no_goal():
    rows = population(lambda trained, flops: 0.05 if trained == 1 else 0.95)
    found = analysis.analyse(rows)
    assert ranks(found, "capability")["ranks_low"] > 0.8
    goal = ranks(found, "goal pursuit")
    assert goal["ranks_low"] < 0 < goal["ranks_high"]
    wrong = side(found)
    assert wrong["area"] == 0.5
    assert wrong["missed"] + wrong["flagged_needlessly"] == 36
    assert "36 of 72 agents" in found.paragraph
    told, verdict = compute_is_a_sign(dict(found.tables))  # pyright: ignore
    assert verdict == "open"
    assert "wrong about 36 of 72 agents" in told
    assert "36 of 36 agents misgeneralize that were trained at correlation 1" in found.paragraph
    assert len(analysis.draw(rows, found).axes) == 3


def test_compute_that_decides_the_goal_is_found():
    rows = population(lambda trained, flops: 0.95 - 0.18 * flops)
    found = analysis.analyse(rows)
    assert ranks(found, "goal pursuit")["ranks_high"] < -0.8
    told = side(found)
    assert told["area_low"] > 0.9
    assert compute_is_a_sign(dict(found.tables))[1] == "agrees"  # pyright: ignore
    assert (told["missed"], told["flagged_needlessly"]) == (0, 0)
    bad = rows.filter(pl.col("verdict") == "misgeneralizes")
    assert told["threshold"] == rows.filter(pl.col("training_flops") < bad["training_flops"].min())[
        "training_flops"
    ].max()  # fmt: skip


def test_where_nothing_counts_nothing_is_found():
    rng = np.random.default_rng(3)
    found = analysis.analyse(
        population(lambda trained, flops: rng.choice([0.05, 0.95]), lambda flops: 0.8)
    )
    for measure in ("capability", "goal pursuit"):
        row = ranks(found, measure)
        assert row["ranks_low"] < 0 < row["ranks_high"]
    assert side(found)["area_low"] < 0.5 < side(found)["area_high"]


def test_what_was_varied_by_design_is_not_taken_for_compute():
    """One of two correlations got a million times the compute: within each it says nothing."""
    rows = population(lambda trained, flops: 0.05 if trained == 1 else 0.95)
    more = pl.when(pl.col("train_correlation") == 0.5).then(1e6).otherwise(1.0)
    rows = rows.with_columns(training_flops=pl.col("training_flops") * more)
    pooled = rank_correlation(rows["training_flops"].to_numpy(), rows["pursuit"].to_numpy())
    assert pooled > 0.7
    assert abs(ranks(analysis.analyse(rows), "goal pursuit")["ranks"]) < 0.3


def test_where_all_agents_are_alike_there_is_nothing_to_tell():
    found = analysis.analyse(population(lambda trained, flops: 0.95, seeds=2))
    assert (side(found)["threshold"], side(found)["are_so"]) == (None, 0)
    assert "there is nothing to tell: 0 of 24 are so" in found.paragraph


def test_thresholds_count_all_agents():
    table = analysis.analyse(population(lambda trained, flops: 0.95)).tables["thresholds"]
    own = table.filter(operations="training_flops")
    assert own["agents_above"].to_list() == [72, 60, 48, 36, 24, 12, 0]
    assert (own["capable"] == 72).all()


def test_a_student_is_counted_with_its_teacher_or_without():
    rows = population(lambda trained, flops: 0.05 if trained == 1 else 0.95, seeds=2)
    students = rows.with_columns(
        kind=pl.lit("distilled"), training_flops=pl.lit(0.5), all_flops=pl.lit(1e6)
    )
    found = analysis.analyse(pl.concat([rows, students]))
    bare, whole = side(found), side(found, operations="all_flops")
    assert bare["area"] == pytest.approx(whole["area"]) == 0.5
    assert bare["agents"] == 48
    cheap = found.tables["recipes"].filter(kind="distilled")
    assert (cheap["all_flops"] > cheap["training_flops"]).all()


def test_ranks_are_scipys():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 40), rng.normal(size=40)
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)  # pyright: ignore
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))
    assert np.isnan(rank_correlation([1], [1]))


def test_many_seeds_of_few_recipes_are_no_many_agents():
    """Recipes differ, and their seeds do not: the interval is as wide as recipes make it."""
    rng = np.random.default_rng(0)
    goal = np.repeat(rng.normal(size=6), 50)
    columns = {"x": np.repeat(np.arange(6.0), 50), "y": goal}
    found = over_recipes(
        columns, np.repeat(np.arange(6), 50), lambda c: rank_correlation(c["x"], c["y"]), rng
    )
    assert found.width > 0.8


@pytest.mark.slow
def test_intervals_cover_a_null():
    """Of rank correlations of 0 the interval holds 0 about as often as it says."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(60):
        kinds = np.repeat(np.arange(10), 5)
        columns = {"x": kinds * 1.0, "y": rng.normal(size=10)[kinds] + rng.normal(size=50)}
        found = over_recipes(columns, kinds, lambda c: rank_correlation(c["x"], c["y"]), rng, 200)
        hits += found.low <= 0 <= found.high
    assert hits >= 51


def test_too_few_recipes_have_no_interval():
    rng = np.random.default_rng(0)
    columns = {"x": np.array([0.0, 0, 1, 1]), "y": np.array([0.0, 1, 2, 3])}
    found = over_recipes(columns, [0, 0, 1, 1], lambda c: rank_correlation(c["x"], c["y"]), rng)
    assert found.estimate > 0
    assert np.isnan(found.low)
