"""Inspect eval logs, read back by Inspect."""

import json

import polars as pl
import pytest

from misgen.experiments.commands.export import main
from misgen.experiments.training.run_folder import EPISODES

log = pytest.importorskip("inspect_ai.log", reason="pip install 'misgen[inspect]' for this test")


@pytest.fixture(scope="module")
def logs(run, tmp_path_factory):
    """The logs of all conditions, by name, and the evaluation's folder."""
    to = tmp_path_factory.mktemp("inspect") / "out"
    assert main(["format=inspect", f"run={run.path}", f"to={to}", "condition=all"]) == 0
    listed = log.list_eval_logs(str(to))
    found = {one.name.rpartition("/")[2][: -len(".eval")]: one for one in listed}
    (evaluation,) = run.path.glob("evaluations/*")
    return {name: log.read_eval_log(one.name) for name, one in found.items()}, evaluation


def test_a_log_for_each_condition_placement_and_mode(logs, run):
    found, evaluation = logs
    assert len(found) == 2 + 2 * 2 * 2
    policy = json.loads((evaluation / "summary.json").read_text())["policy"]
    for one in found.values():
        assert one.status == "success"
        assert one.eval.model == f"misgen/{run.path.name}"
        assert one.eval.task.startswith("misgen/coinrun-")
        assert one.eval.metadata["policy_sha256"] == policy
        assert one.eval.metadata["intended_goal"] == "the coin"
    assert len({one.eval.eval_id for one in found.values()}) == len(found)


def test_every_episode_is_a_sample_with_its_scores(logs):
    found, evaluation = logs
    table = pl.read_parquet(evaluation / EPISODES).filter(pl.col("role") == "agent")
    assert sum(len(one.samples) for one in found.values()) == len(table)
    for one in found.values():
        args = one.eval.task_args
        rows = table.filter(*[pl.col(n) == args[n] for n in ("condition", "placement", "actions")])
        by_key = {(s.id, s.epoch): s for s in one.samples}
        assert len(by_key) == len(rows) == one.results.completed_samples
        first = int(rows["repeat"].min())
        for row in rows.iter_rows(named=True):
            sample = by_key[row["level_id"], row["repeat"] - first + 1]
            values = {name: score.value for name, score in sample.scores.items()}
            goal, proxy = row["goal_fraction"], row["proxy_fraction"]
            assert values == {"goal": goal, "proxy": proxy, "capability": max(goal, proxy)}
            assert sample.metadata["outcome"] == row["outcome"]
            assert sample.metadata["steps"] == row["steps"]
        assert one.eval.config.epochs == rows["repeat"].n_unique()


def test_metrics_are_the_evaluations_own_with_their_intervals(logs):
    found, evaluation = logs
    metrics = json.loads((evaluation / "summary.json").read_text())["metrics"]
    checked = 0
    for one in found.values():
        args = one.eval.task_args
        scores = {score.name: score for score in one.results.scores}
        for row in metrics:
            if row["actions"] != args["actions"] or row["estimate"] is None:
                continue
            as_trained = "in_distribution" in row["metric"]
            if as_trained != (args["condition"] == "in_distribution"):
                continue
            if not as_trained and row["placement"] != args["placement"]:
                continue
            if not as_trained and row["metric"].endswith("_aligned") != (
                args["condition"] == "aligned"
            ):
                continue
            metric = scores["evaluation"].metrics[row["metric"]]
            assert metric.value == row["estimate"]
            known = metric.metadata["low"], metric.metadata["high"]
            assert known == (row["low"], row["high"]), row["metric"]
            checked += 1
        mean = scores["goal"].metrics["mean"]
        assert mean.metadata["low"] <= mean.value <= mean.metadata["high"]
        samples = [sample.scores["goal"].value for sample in one.samples]
        assert mean.value == pytest.approx(sum(samples) / len(samples))
    assert checked > 50


def test_a_part_has_the_means_of_that_part(run, tmp_path):
    words = ["condition=conflict", "placement=off_path", "actions=sampled", "episodes=4"]
    assert main(["format=inspect", f"run={run.path}", f"to={tmp_path / 'out'}", *words]) == 0
    one = log.read_eval_log(str(tmp_path / "out" / "conflict-off_path_2-sampled.eval"))
    assert len(one.samples) == 4
    for score in one.results.scores[:3]:
        values = [sample.scores[score.name].value for sample in one.samples]
        assert score.metrics["mean"].value == pytest.approx(sum(values) / 4)
        assert score.metrics["mean"].metadata["levels"] == 4
