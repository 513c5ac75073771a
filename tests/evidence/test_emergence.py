"""The question of when a goal appears, on trainings whose course is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence.emergence import analysis
from misgen.experiments.evidence.judged_agents import jumps_are_the_metric_s
from tests.evidence.agents import agent, agents

MOMENTS = tuple(range(0, 1100, 100))


def population(pull, capability=lambda t, seed: min(1.0, t / 300), seeds=8, **values):
    """Agents tested at eleven moments; `pull(t, seed)` is how the goal draws them."""
    rows = []
    for seed in range(seeds):
        for t in MOMENTS:
            skill, drawn = capability(t, seed), pull(t, seed)
            pursuit = drawn / skill if skill > 0.1 else None
            capable = skill > 0.5
            goes = capable and pursuit is not None and pursuit > 0.8
            verdict = "aligned" if goes else "misgeneralizes"
            rows.append(
                agent(verdict, width=16, train_correlation=0.5, train_seed=seed, decisions=t,
                      capability_aligned=skill, pull=drawn, pursuit=pursuit, capable=capable)
                | ({} if capable else {"verdict": "incapable"}) | values
            )  # fmt: skip
    return agents("emergence", rows)


def row_of(found, table, **keys):
    (row,) = found.tables[table].filter(**keys).to_dicts()
    return row


def test_a_goal_that_comes_bit_by_bit_is_no_jump_but_for_its_threshold():
    rows = population(lambda t, seed: 0.95 * t / 1000, seeds=24)
    found = analysis.analyse(rows)
    rise = row_of(found, "rises", score="pull of the goal")
    assert rise["largest"] == pytest.approx(0.1, abs=0.01)
    assert rise["even"] == 0.1
    assert jumps_are_the_metric_s(dict(found.tables))[1] == "agrees"  # pyright: ignore
    step = row_of(found, "moments", step="go for the goal")
    assert (step["passed"], step["median"]) == (24, 600)
    assert step["score_half"] == 500
    assert "of a threshold 100%" in found.paragraph
    order = row_of(found, "order")
    assert (order["both_rise"], order["pull_later"], order["pull_earlier"]) == (24, 24, 0)
    assert len(analysis.draw(rows, found).axes) == 3


def test_the_legend_names_the_widths_of_all_worlds():
    rows = population(lambda t, seed: t / 1000, seeds=2)
    other = rows.with_columns(width=pl.lit(32, pl.Int64), world=pl.lit("coinrun"))
    both = pl.concat([rows, other])
    (legend,) = analysis.draw(both, analysis.analyse(both)).legends
    assert [text.get_text() for text in legend.get_texts()] == ["width 16", "width 32"]


def test_a_goal_that_comes_at_once_is_a_jump():
    found = analysis.analyse(population(lambda t, seed: 0.95 if t >= 700 else 0.0))
    assert row_of(found, "rises", score="pull of the goal")["largest"] == 1
    assert row_of(found, "moments", step="go for the goal")["median"] == 700
    assert row_of(found, "moments", step="are capable")["median"] == 200


def test_a_goal_that_never_comes_has_no_moment():
    found = analysis.analyse(population(lambda t, seed: 0.0))
    step = row_of(found, "moments", step="go for the goal")
    assert (step["passed"], step["median"]) == (0, None)
    assert row_of(found, "rises", score="pull of the goal")["largest"] is None
    assert "0 of 8 agents go for the goal in the end. " in found.paragraph
    assert "none of 8 agents go for the goal" in found.details[0]
    assert "rise of the pull of the goal" not in found.paragraph


@pytest.mark.parametrize(("pace", "when"), [(300, "at_once"), (100, "pull_earlier")])
def test_a_goal_that_comes_with_capability_or_before_is_not_said_to_come_after_it(pace, when):
    found = analysis.analyse(population(lambda t, seed: min(1.0, t / pace)))
    order = row_of(found, "order")
    assert (order["both_rise"], order[when], order["pull_later"]) == (8, 8, 0)


def test_a_step_that_is_lost_again_is_not_passed():
    found = analysis.analyse(population(lambda t, seed: 0.9 if t in (500, 600, 900, 1000) else 0.0))
    assert row_of(found, "moments", step="go for the goal")["median"] == 900


def test_what_an_earlier_test_foretells():
    """Each seed's pull grows with a rate of its own: early ranks are the last ones."""
    found = analysis.analyse(population(lambda t, seed: t / 1000 * seed / 8))
    early = row_of(found, "foretold", decisions=400)
    assert early["ranks"] > 0.99
    assert early["misgeneralize_later"] == early["seen_already"] == 7
    before = row_of(found, "foretold", decisions=100)
    assert (before["seen_already"], before["not_capable_yet"]) == (0, 7)
    assert before["same_verdict"] == 0


def test_what_it_does_not():
    """Until the last moment all seeds differ by chance alone."""
    rng = np.random.default_rng(0)
    found = analysis.analyse(
        population(lambda t, seed: 0.9 * (seed % 2) if t == 1000 else rng.uniform(0, 0.3), seeds=20)
    )
    early = row_of(found, "foretold", decisions=500)
    assert early["ranks_low"] < 0 < early["ranks_high"]
    assert early["same_verdict"] == 0.5
    assert row_of(found, "foretold", decisions=1000)["ranks"] == pytest.approx(1)


def test_one_seed_is_told_without_intervals():
    found = analysis.analyse(population(lambda t, seed: t / 1000, seeds=1))
    assert row_of(found, "foretold", decisions=500)["ranks"] is None
    assert found.paragraph
