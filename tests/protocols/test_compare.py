"""Comparing protocols: the population, its truth, what is kept, and what the table says."""

import dataclasses
import math

import numpy as np
import polars as pl
import pytest

from misgen.agents.scripted import IdleAgent
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import own_entries
from misgen.envs.make import distribution
from misgen.experiments.protocols.base import Subject
from misgen.experiments.protocols.comparison import jobs
from misgen.experiments.protocols.comparison.config import read_config
from misgen.experiments.protocols.comparison.figure import write_figures
from misgen.experiments.protocols.comparison.jobs import (
    SCORES,
    comparison_table,
    score_all,
    write_tables,
)
from misgen.experiments.protocols.comparison.population import members, missing_runs, sweep_of
from misgen.experiments.protocols.comparison.truth import INCAPABLE, TruthConfig, find_truth
from misgen.experiments.training.settings import compose
from misgen.experiments.training.train import train

TINY = ("num_envs=8", "num_steps=8", "batch_size=64", "hidden=[8]")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A comparison of two hardly trained agents, trained, and four references."""
    runs = tmp_path_factory.mktemp("runs")
    found = read_config(
        compose(
            "compare",
            ["size=smoke", "steps=64", f"runs={runs}", "jobs=1", "population.train=false",
             "population.short_steps=[]", "truth.levels=8", "budgets=[4,8]", "resamples=20"],
        )
    )  # fmt: skip
    words = (*found.population.sweep, *(f"agent.{word}" for word in TINY))
    found = dataclasses.replace(
        found, population=dataclasses.replace(found.population, sweep=words)
    )
    for run in sweep_of(found.population).runs:
        train(run)
    return found


# --- population ------------------------------------------------------------------------------


@pytest.mark.parametrize("world", sorted(own_entries()))
@pytest.mark.parametrize("size", ["smoke", "full"])
def test_every_size_of_comparison_places_goals_in_every_world(size, world):
    config = read_config(compose("compare", [f"size={size}", f"env={world}"]))
    trained = sweep_of(config.population).runs[0].distribution
    assert trained.world.shifts(config.truth.placements)


def test_the_default_population_has_forty_agents():
    plain = read_config(compose("compare", [])).population
    sweep = sweep_of(plain)
    assert {run.correlation for run in sweep.runs} >= {1, 0.999, 0.99, 0.98, 0.95, 0.9, 0.7, 0.5}
    assert len(missing_runs(plain)) >= 0
    short = len(plain.short_steps) * len(plain.short_correlations)
    assert len(sweep.runs) + short + len(plain.references) >= 40


def test_jobs_count_for_trainings_too():
    assert sweep_of(read_config(compose("compare", ["jobs=3"])).population).jobs == 3


def test_members_are_made_of_what_is_trained(config):
    found = {member.name: member for member in members(config.population)}
    assert list(found)[:2] == ["rho1-seed0", "rho0.5-seed0"]
    assert {"random", "idle", "half and half"} < set(found)
    assert "runner" not in found  # no action that is held reaches the proxy in this world
    assert found["half and half"].unit == "rho1-seed0"  # it is no evidence of its own
    assert len({member.key for member in found.values()}) == len(found)
    for member in found.values():
        subject = member.subject()
        assert subject.name == member.name
        assert (subject.critic is not None) == member.name.startswith("rho")
    assert not missing_runs(config.population)


def test_what_is_not_trained_is_missing(config):
    more = dataclasses.replace(
        config.population, sweep=(*config.population.sweep, "correlations=[1.0,0.25]")
    )
    assert [run.correlation for run in missing_runs(more)] == [0.25]
    nobody = dataclasses.replace(config.population, sweep=(*config.population.sweep, "name=none"))
    with pytest.raises(UserError, match="holds no finished run"):
        members(nobody)


def test_an_idle_agent_is_incapable():
    levels = distribution("coinrun", mode="easy", action_repeat=3, max_steps=30)
    settings = TruthConfig(levels=20, twin_runs=1, placements=("anywhere",))
    found = find_truth(Subject("idle", levels, IdleAgent(15)), settings)
    assert found.kind == INCAPABLE
    assert found.episodes <= 60
    assert found.placements["anywhere"]["capability_heldout"] < 0.2


def test_the_truth_keeps_off_the_protocols_levels():
    with pytest.raises(UserError, match="reaches the protocols' own"):
        TruthConfig(first_level=99_999_999)


# --- comparison ------------------------------------------------------------------------------


def test_every_protocol_tests_every_agent_once(config, monkeypatch):
    protocols = config.specified()
    scores = score_all(config, protocols)
    assert scores.schema == SCORES
    count = len(members(config.population))
    assert len(scores) == count * len(protocols) * 2
    table, agents = write_tables(scores, config, protocols)
    assert agents.height == count
    assert table["budget"].to_list() == [4, 8] * 3
    assert (table["episodes"] <= table["budget"]).all()

    def never(*_):
        raise AssertionError("it was done before")

    monkeypatch.setattr(jobs, "_do", never)
    assert score_all(config, protocols).equals(scores)
    with pytest.raises(AssertionError, match="done before"):  # another seed is other work
        score_all(dataclasses.replace(config, seed=1), protocols)


def synthetic(budgets=(10, 100)):
    """Scores whose noise falls with the budget, of 12 agents of each kind, 2 a unit."""
    rng, rows = np.random.default_rng(0), []
    for kind, mean in (("misgeneralizing", 1.0), ("aligned", 0.0), ("incapable", 0.0)):
        for k in range(12):
            for budget in budgets:
                rows.append(
                    {
                        "protocol": "good", "protocol_hash": "h", "agent": f"{kind}{k}",
                        "unit": f"{kind}{k // 2}", "truth": kind, "replicate": 0,
                        "budget": budget, "score": mean + rng.normal() * 10 / budget,
                        "episodes": budget, "seconds": 0.1, "carried": False, "note": "",
                    }
                )  # fmt: skip
    return pl.DataFrame(rows, SCORES)


def test_power_rises_with_the_budget_of_a_good_protocol():
    few, many = comparison_table(synthetic(), resamples=50).iter_rows(named=True)
    assert few["auc"] < many["auc"] == 1.0
    assert few["power"] < many["power"] == 1.0
    assert many["power_low"] == pytest.approx(6 / (6 + 1.959964**2))  # six units, all detected
    assert (many["agents"], many["units"]) == (36, 18)
    assert (many["misgeneralizing"], many["aligned"], many["incapable"]) == (12, 12, 12)
    assert 0 <= many["false_alarms_aligned"] <= 0.25
    assert few["threshold"] > many["threshold"]


def test_undetermined_agents_and_missing_scores():
    plain = synthetic()
    unknown = plain.with_columns(
        truth=pl.when(pl.col("truth") == "incapable")
        .then(pl.lit("undetermined", SCORES["truth"]))
        .otherwise("truth")
    )
    assert comparison_table(unknown, resamples=20)["agents"].to_list() == [24, 24]
    silent = plain.with_columns(score=pl.lit(None, pl.Float64))
    row = comparison_table(silent, resamples=20).row(0, named=True)
    assert row["auc"] is None
    assert row["no_score"] == 36


def test_the_figure_and_a_table_read_back(tmp_path):
    table = comparison_table(synthetic(), resamples=20)
    for path in write_figures(table, 0.05, tmp_path):
        assert path.stat().st_size > 5000
    table.write_csv(tmp_path / "comparison.csv")
    again = pl.read_csv(tmp_path / "comparison.csv")
    assert again["power"].to_list() == pytest.approx(table["power"].to_list())
    assert not any(math.isnan(value) for value in again["auc_low"])
