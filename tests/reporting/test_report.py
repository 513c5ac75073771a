"""Reports: what is on disk gets into the page, and the words follow the intervals."""

import dataclasses
import json
import os
import re

import numpy as np
import polars as pl
import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands import report
from misgen.experiments.evaluation.chosen import key_of
from misgen.experiments.evaluation.config import MetricsConfig
from misgen.experiments.evaluation.metrics import summary_table
from misgen.experiments.evaluation.result_folders import EVALUATION, kept, place
from misgen.experiments.reporting.figures import _smooth
from misgen.experiments.reporting.formatting import points, rate, share
from misgen.experiments.reporting.report import render
from misgen.experiments.reporting.results import newest_sweep, read_results
from misgen.experiments.reporting.sentences import findings, headline
from misgen.experiments.training.run_folder import (
    DONE,
    RunFolder,
    file_sha256,
    hash_of_stored,
    write_json,
)

IDS = np.arange(2_000_000, 2_000_060)
PLACEMENTS = ("section_start", "anywhere")
CONFIG = {
    "env": {"name": "coinrun", "mode": "easy", "action_set": "distinct", "action_repeat": 3},
    "agent": {"total_steps": 1000},
    "levels": {"train": "0:1000", "validation": "1000000:1000010", "test": "2000000:2000060"},
    "placement": "section_start",
}


def episodes_of(correlation, seed, goal, *, capability=0.9, passed=0.3, greedy=True):
    """Episodes of an agent that reaches something at a rate, and a moved goal at another.

    Draws depend on the seed alone, so that agents of equal rates behave alike.
    """
    tables = [
        *(_play("ppo", "heldout", p, m, seed, correlation, capability, capability)
          for p in PLACEMENTS[:1] for m in ("sampled", "greedy")[: 1 + greedy]),
        *(_play("ppo", "shifted", p, m, seed, correlation, capability, goal)
          for p in PLACEMENTS for m in ("sampled", "greedy")[: 1 + greedy]),
        *(_play("ppo", "twin", p, m, seed, correlation, capability, capability, passed)
          for p in PLACEMENTS for m in ("sampled", "greedy")[: 1 + greedy]),
        *(_play("random", "shifted", p, "sampled", 99, correlation, 0.1, 0.05) for p in PLACEMENTS),
    ]  # fmt: skip
    table = pl.concat(tables)
    return table.with_columns(
        train_correlation=pl.lit(correlation),
        train_placement=pl.lit("section_start"),
        train_seed=pl.lit(seed, pl.Int64),
        run=pl.lit(f"rho{correlation:g}-seed{seed}"),
    )


def _play(agent, condition, placement, actions, seed, correlation, capability, goal, passed=0.0):
    rng = np.random.default_rng([seed, len(condition), len(placement), len(actions)])
    capable = rng.random(len(IDS)) < capability
    reached = capable & (rng.random(len(IDS)) < goal / capability)
    outcome = np.where(reached, "GOAL", np.where(capable, "PROXY", "DEATH"))
    return pl.DataFrame(
        {
            "agent": agent,
            "condition": condition,
            "placement": placement,
            "test_correlation": {"heldout": correlation, "shifted": 0.0, "twin": 1.0}[condition],
            "actions": actions,
            "level_id": IDS,
            "repeat": 0,
            "aligned": condition == "twin" or (condition == "heldout" and correlation == 1),
            "outcome": pl.Series(outcome, dtype=pl.Enum(["GOAL", "PROXY", "DEATH", "TIMEOUT"])),
            "reached_goal": reached,
            "goal_fraction": np.asarray(reached, np.float32),
            "proxy_fraction": (np.asarray(outcome) == "PROXY").astype(np.float32),
            "touched_conflict_cell": rng.random(len(IDS)) < passed,
        }
    )


def write_run(sweep, correlation, seed, goal, *, done=True, config=None, metrics=None, **rates):
    """Write a run folder as training and evaluation leave it, without a policy."""
    folder = RunFolder(sweep / f"coinrun-rho{correlation:g}-seed{seed}-0123456789")
    folder.path.mkdir(parents=True)
    manifest = {
        "command": f"misgen train correlation={correlation:g} seed={seed}",
        "status": "done" if done else "failed",
        "config": {**CONFIG, **(config or {}), "correlation": correlation, "seed": seed},
        "environment_steps": 1024,
        "wall_seconds": 12.5,
        "finished": "2026-01-02T03:04:05+00:00",
        "git": {"commit": "abc123", "dirty": True},
        "packages": {"numpy": "1.26.4"},
        "hardware": {"cpus": 2, "system": "Linux"},
    }
    manifest["config_hash"] = hash_of_stored(manifest["config"])
    if not done:
        manifest["error"] = "RuntimeError('out of <memory>')"
    write_json(folder.path / "manifest.json", manifest)
    if not done:
        return folder
    steps = np.arange(1, 101) * 1000
    curve = {"steps": steps, "success": goal * steps / steps[-1]}
    pl.DataFrame(curve).write_parquet(folder.path / "learning.parquet")
    training = {"levels": 1000, "realised_correlation": correlation, "conflict_levels": 17,
                "distinct_conflict_levels": 13}  # fmt: skip
    levels = {"training": training, "test": {"terrain_seen_in_training": 0.25}}
    settings = {"metrics": {"accident_rate": 0.1, **(metrics or {})}, "on_proxy": "end"}
    episodes = episodes_of(correlation, seed, goal, **rates)
    write_evaluation(folder, episodes, {"config": settings, "levels": levels})
    folder.mark(DONE, manifest["config_hash"])
    return folder


def write_evaluation(folder, episodes, summary):
    """Write an evaluation as misgen evaluate leaves it; return its folder."""
    key = key_of(summary["config"])
    into = place(folder.path, EVALUATION, key)
    into.path.mkdir(parents=True)
    episodes.write_parquet(into.path / "episodes.parquet")
    made_from = {"episodes_sha256": file_sha256(into.path / "episodes.parquet")}
    write_json(into.path / "summary.json", {**summary, "config_hash": key, **made_from})
    into.mark(DONE, key)
    return into


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Return a sweep in which the goal is lost at ρ = 1 and kept at ρ = 0.5, with its report."""
    folder = tmp_path_factory.mktemp("runs") / "clear"
    for seed in range(4):
        write_run(folder, 1.0, seed, 0.2)
        write_run(folder, 0.5, seed, 0.85)
    write_run(folder, 0.9, 0, 0.5, done=False)
    report.write_report(folder)
    return folder


def small_sweep(folder, goals, seeds=2, **rates):
    for correlation, goal in goals.items():
        for seed in range(seeds):
            write_run(folder, correlation, seed, goal, **rates)
    return read_results(folder)


def test_page_needs_nothing_from_outside(sweep):
    page = (sweep / "report.html").read_text()
    loads = re.findall(r"""(?:src|href|url|@import)\s*[=(]\s*["']?([^"')\s>]+)""", page)
    assert loads
    assert all(target.startswith(("#", "data:")) for target in loads)
    assert "<script" not in page


def test_figure_files_are_written(sweep):
    assert (sweep / "goal_and_capability.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (sweep / "goal_and_capability.svg").read_bytes()


def test_page_has_the_numbers_of_the_table(sweep):
    page = re.sub(r"\s+", " ", (sweep / "report.html").read_text())
    results = read_results(sweep)
    expected = summary_table(results.episodes)
    shown = {"capability_heldout", "goal_heldout", "goal_shifted", "divergence", "goal_informative"}
    rows = expected.filter(pl.col("metric").is_in(list(shown)), pl.col("actions") == "sampled")
    assert len(rows) == len(shown) * len(PLACEMENTS) * 2
    for row in rows.iter_rows(named=True):
        form = "{:+z.0f}" if row["metric"] == "divergence" else "{:z.0f}"
        unit = "" if row["metric"] == "divergence" else "%"
        estimate, low, high = (
            form.format(100 * row[key]).replace("+0", "0") for key in ("estimate", "low", "high")
        )
        cell = f"<b>{estimate}{unit}</b><small>[{low}, {high}]</small>".replace("+", "&#43;")
        assert cell in page.replace("+", "&#43;"), row


def test_page_says_what_was_run(sweep):
    page = (sweep / "report.html").read_text()
    for text in (
        *("abc123, with changes not committed", "training 0:1000, test 2000000:2000060"),
        *("1,024 decisions", "numpy 1.26.4", "does not cover", "<td>13</td>", "<td>25%</td>"),
    ):
        assert text in page, text


def test_unfinished_runs_are_named_and_escaped(sweep):
    page = (sweep / "report.html").read_text()
    assert "coinrun-rho0.9-seed0-0123456789" in page
    assert "failed: RuntimeError(&#39;out of &lt;memory&gt;&#39;)" in page
    assert read_results(sweep).correlations == [1.0, 0.5]


def test_headline_claims_what_the_interval_excludes(sweep):
    results = read_results(sweep)
    assert results.interval("divergence", 1.0, "section_start").low > 0
    assert "the goal generalized worse than the capability" in headline(results)
    assert "exclude 0" in headline(results)
    assert findings(results)[-1].count("a rise: the intervals do not overlap") == 2


def test_headline_claims_nothing_where_intervals_include_0(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.9, 0.5: 0.9})
    text = headline(results)
    assert "no difference between goal and capability generalization is established" in text
    assert "include 0" in text
    assert "worse" not in text
    assert findings(results)[-1].count("no change is established: the intervals overlap") == 2


def test_headline_when_the_capability_falls_further(tmp_path):
    for seed in (0, 1):
        folder = write_run(tmp_path, 1.0, seed, 0.9, greedy=False)
        (one,) = kept(folder.path, EVALUATION)
        path = one.path / "episodes.parquet"
        # Held-out: always the proxy, never the goal. Shifted: the goal, whenever capable.
        lost = pl.when(pl.col("condition") == "heldout")
        pl.read_parquet(path).with_columns(
            reached_goal=lost.then(False).otherwise("reached_goal"),
            goal_fraction=lost.then(0.0).otherwise("goal_fraction"),
            proxy_fraction=lost.then(1.0).otherwise("proxy_fraction"),
            outcome=lost.then(pl.lit("PROXY")).otherwise(pl.col("outcome").cast(pl.String)),
        ).write_parquet(path)
        write_json(one.main, {**one.found, "episodes_sha256": file_sha256(path)})
    results = read_results(tmp_path)
    assert "the capability generalized worse than the goal" in headline(results)


def test_headline_says_where_there_is_no_interval(sweep):
    results = read_results(sweep)
    bare = results.table.with_columns(low=pl.lit(None, pl.Float64), high=pl.lit(None, pl.Float64))
    text = headline(dataclasses.replace(results, table=bare))
    assert "it is not known whether goal and capability generalize alike" in text
    assert "without an interval" in text


def test_numbers_are_made_as_the_evaluation_made_them(tmp_path):
    """Informative levels, whether goal given capability is known, and the intervals' resamples."""
    own = {"accident_rate": 1.0, "min_capability": 0.99, "interval_seed": 5, "resamples": 300}
    usual = small_sweep(tmp_path / "usual", {1.0: 0.5}, passed=0.5)
    other = small_sweep(tmp_path / "own", {1.0: 0.5}, passed=0.5, metrics=own)
    shown = other.episodes
    assert shown.equals(usual.episodes)
    assert other.table.equals(summary_table(shown, MetricsConfig(**own)))
    assert not other.table.equals(usual.table)
    assert other.accident_rate == 1.0


def test_learning_curve_has_no_gaps_after_an_unknown_value():
    success = [float("nan"), 0.2, None, 0.4]
    steps, smooth = _smooth(pl.DataFrame({"steps": [1, 2, 3, 4], "success": success}, strict=False))
    assert steps.tolist() == [1, 2, 3, 4]
    assert smooth[1] == 0.2
    assert smooth[3] == 0.4


def test_one_seed_and_one_correlation_are_enough(tmp_path):
    results = small_sweep(tmp_path / "s", {1.0: 0.3}, seeds=1, greedy=False, passed=1.0)
    assert results.modes == ["sampled"]
    page = render(results)
    assert "1 training seed at each" in page
    assert "not other training seeds" in page
    assert "Sampled and greedy" not in page


def test_runs_with_other_settings_are_pointed_out(tmp_path):
    write_run(tmp_path, 1.0, 0, 0.5)
    write_run(tmp_path, 0.5, 0, 0.5, config={"agent": {"total_steps": 2000}})
    results = read_results(tmp_path)
    assert results.differences == ["agent.total_steps"]
    assert "differ in more than correlation" in render(results)


def test_a_sweep_counts_the_runs_it_planned(tmp_path):
    for correlation in (1.0, 0.5):
        write_run(tmp_path, correlation, 0, 0.5)
    planned = ["coinrun-rho1-seed0-0123456789", "coinrun-rho1-seed1-0123456789"]
    write_json(tmp_path / "sweep.json", {"runs": planned, "command": "misgen sweep seeds=2"})
    results = read_results(tmp_path)
    assert [run.name for run in results.runs] == planned[:1]
    assert results.unfinished == [(planned[1], "not started")]
    assert results.left_out == ["coinrun-rho0.5-seed0-0123456789"]


def test_terminal_shows_a_row_for_each_correlation(sweep, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    assert report.main([str(sweep)]) == 0
    out = capsys.readouterr().out
    results = read_results(sweep)
    for correlation in results.correlations:
        for placement in PLACEMENTS:
            line = next(
                line for line in out.splitlines()
                if placement in line
                and rate(results.interval("goal_shifted", correlation, placement)) in line
            )  # fmt: skip
            assert points(results.interval("divergence", correlation, placement)) in line
    assert max(map(len, out.splitlines())) <= 110
    assert "failed: RuntimeError" in out
    assert out.rstrip().endswith("report.html")


def test_newest_sweep_is_the_default(tmp_path, monkeypatch, capsys):
    old, new = tmp_path / "runs" / "old", tmp_path / "runs" / "new"
    for folder, seconds in ((old, 1000), (new, 2000)):
        manifest = write_run(folder, 1.0, 0, 0.5, greedy=False).path / "manifest.json"
        os.utime(manifest, (seconds, seconds))
    assert newest_sweep(tmp_path / "runs") == new
    monkeypatch.chdir(tmp_path)
    assert report.main([]) == 0
    assert (new / "report.html").exists()
    assert not (old / "report.html").exists()


def test_sweeps_are_set_side_by_side(sweep, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    small_sweep(tmp_path / "other", {1.0: 0.4})
    assert report.main([str(tmp_path / "other"), str(sweep)]) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    table = (tmp_path / "side_by_side.md").read_text().splitlines()
    assert [line.split(" | ")[1] for line in table[2:]] == ["1", "1", "0.5"]
    results = read_results(sweep)
    found = results.interval("divergence", 1.0, results.placements[0])
    assert points(found) in table[3]
    assert points(found).split()[0] in out
    assert (tmp_path / "side_by_side.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "side_by_side.svg").read_bytes()


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["nowhere"], "does not exist: give a sweep's folder, or run misgen sweep first"),
        (["."], "holds no run: give a sweep's folder, or run misgen sweep"),
        ([], "there is no folder runs here: run misgen sweep first"),
        (["a", "b"], "does not exist: give a sweep's folder"),
        (["name=x"], "give folders"),
    ],
)
def test_mistakes_are_explained(argv, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=hint):
        report.main(argv)
    assert list(tmp_path.iterdir()) == []


def test_no_finished_run(tmp_path):
    folder = write_run(tmp_path, 1.0, 0, 0.5, done=False)
    with pytest.raises(UserError, match=r"trained and evaluated \(1 failed\): train one to its"):
        read_results(tmp_path)
    with pytest.raises(UserError, match="is one run: give its sweep's folder"):
        read_results(folder.path)
    folder.mark(DONE, json.loads((folder.path / "manifest.json").read_text())["config_hash"])
    with pytest.raises(UserError, match=r"1 trained, not evaluated.*misgen evaluate run="):
        read_results(tmp_path)


def test_two_settings_in_one_folder_are_refused(tmp_path):
    write_run(tmp_path, 1.0, 0, 0.5).path.rename(tmp_path / "other")
    write_run(tmp_path, 1.0, 0, 0.5)
    with pytest.raises(UserError, match="one correlation and seed but other settings"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0%"), (1.0, "100%"), (0.5, "50%"), (0.004, "0.4%"), (0.9996, "99.96%"), (None, "–")],
)
def test_share_tells_little_from_nothing(value, text):
    assert share(value) == text
