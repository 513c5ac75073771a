"""Reports: what is on disk gets into the page, and the words follow the intervals."""

import base64
import dataclasses
import hashlib
import html
import json
import math
import os
import re

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from misgen.envs.core.errors import UserError
from misgen.experiments.commands import report
from misgen.experiments.evaluation.conditions import EPISODES
from misgen.experiments.evaluation.config import VerdictConfig
from misgen.experiments.evaluation.metrics import seed_table, summary_table
from misgen.experiments.evaluation.result_folders import EVALUATION, kept
from misgen.experiments.evaluation.statistics import Interval
from misgen.experiments.evaluation.verdict import _recipe
from misgen.experiments.reporting.figures import goal_and_capability
from misgen.experiments.reporting.formatting import part, points, rate, share
from misgen.experiments.reporting.plain_words import (
    evidence_sentences,
    share_of_all,
    verdict_sentence,
)
from misgen.experiments.reporting.plots import panels, smooth
from misgen.experiments.reporting.report import columns_of, render
from misgen.experiments.reporting.results import newest_sweep, read_results
from misgen.experiments.reporting.sentences import findings, headline, novelties, verdict_lines
from misgen.experiments.reporting.side_by_side import markdown
from misgen.experiments.training.run_folder import (
    DONE,
    RunFolder,
    hash_of_stored,
    write_json,
)
from tests.stored import write_evaluation

IDS = np.arange(2_000_000, 2_000_060)
PLACEMENTS = ("section_start", "anywhere")
CONFIG = {
    "env": {"name": "coinrun", "mode": "easy", "action_set": "distinct", "action_repeat": 3},
    "agent": {"total_steps": 1000},
    "levels": {"train": "0:1000", "validation": "1000000:1000010", "test": "2000000:2000060"},
    "placement": "section_start",
}


def episodes_of(
    correlation, seed, goal, *, capability=0.9, passed=0.0, greedy=True, random=0.1, on_proxy="end"
):
    """Episodes of an agent that reaches something at a rate, and a moved goal at another.

    Draws depend on seed and placement alone: on the same levels it is capable in all conditions.
    Beside it play random, which reaches the goal at the rate `random`, and perfect seekers.
    """
    tables = []
    modes = ("sampled", "greedy")[: 1 + greedy]
    agent, floor = ("agent", "ppo"), ("floor", "random")
    for mode in modes:
        for who, reached in ((agent, capability), (floor, random)):
            rates = (correlation, reached, reached)
            tables.append(_play(who, "in_distribution", "section_start", mode, seed, *rates, 0.0))
            for spot in PLACEMENTS:
                moved = min(reached, goal) if who is agent else random
                aligned = (1.0, reached, reached, passed)
                conflict = (0.0, reached, moved, max(passed, moved))
                tables.append(_play(who, "aligned", spot, mode, seed, *aligned))
                tables.append(_play(who, "conflict", spot, mode, seed, *conflict))
    for name, moved in (("goal_seeker", 1.0), ("proxy_seeker", 0.0)):
        for spot in PLACEMENTS:
            who = ("reference", name)
            tables.append(_play(who, "aligned", spot, "greedy", seed, 1.0, 1.0, 1.0, 0.0))
            tables.append(_play(who, "conflict", spot, "greedy", seed, 0.0, 1.0, moved, moved))
    labels = {
        "noise": 0.0,
        "on_proxy": on_proxy,
        "train_correlation": correlation,
        "train_placement": "section_start",
        "train_on_proxy": "end",
        "train_seed": seed,
        "run": f"rho{correlation:g}-seed{seed}",
    }
    table = pl.concat(tables).with_columns(pl.lit(v).alias(k) for k, v in labels.items())
    known = [pl.col(k).cast(v) if k in table.columns else pl.lit(None, v).alias(k)
             for k, v in EPISODES.items()]  # fmt: skip
    return table.select(known)


def _play(who, condition, placement, actions, seed, correlation, capability, goal, touched):
    """Episodes on all levels; of the capable ones, the first in a random order reach the goal."""
    order = np.random.default_rng([seed, len(placement)]).permutation(len(IDS)) / len(IDS)
    capable, reached = order < capability, order < goal
    outcome = np.where(reached, "GOAL", np.where(capable, "PROXY", "DEATH"))
    first = np.where(reached, "goal", np.where(capable, "proxy", "neither"))
    return pl.DataFrame(
        {
            "role": who[0],
            "agent": who[1],
            "condition": condition,
            "placement": placement,
            "test_correlation": correlation,
            "actions": actions,
            "level_id": IDS,
            "repeat": 0,
            "aligned": condition != "conflict",
            "outcome": pl.Series(outcome, dtype=EPISODES["outcome"]),
            "reached_goal": reached,
            "reached_proxy": capable & ~reached,
            "goal_fraction": reached.astype(np.float32),
            "proxy_fraction": (capable & ~reached).astype(np.float32),
            "proxies": (capable & ~reached).astype(np.uint8),
            "first": pl.Series(first, dtype=EPISODES["first"]),
            "first_proxies": (capable & ~reached).astype(np.uint8),
            "cell_first": order < touched,
            "died": ~capable,
            "touched_conflict_cell": order < touched,
            "steps": 9,
        }
    )


def write_run(sweep, correlation, seed, goal, *, done=True, config=None, verdict=None, **rates):
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
    conflicts = {} if correlation == 1 else {"conflict_levels": 17, "distinct_conflict_levels": 13}
    training = {"levels": 1000, "realised_correlation": correlation, **conflicts}
    levels = {"training": training, "test": {"terrain_seen_in_training": 0.25}}
    settings = {"on_proxy": rates.get("on_proxy"), "actions": ["sampled", "greedy"], "repeats": 1,
                "verdict": verdict or {}}  # fmt: skip
    episodes = episodes_of(correlation, seed, goal, **rates)
    write_evaluation(folder, episodes, {"config": settings, "levels": levels})
    folder.mark(DONE, manifest["config_hash"])
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Return a sweep in which the goal is lost at ρ = 1 and kept at ρ = 0.5, with its report."""
    folder = tmp_path_factory.mktemp("runs") / "clear"
    for seed in range(5):
        write_run(folder, 1.0, seed, 0.2)
        write_run(folder, 0.5, seed, 0.9)
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
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[0]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src &#39;none&#39;; script-src &#39;sha256-{digest}&#39;;" in policy


def text_of(page):
    """Return what a page shows, without its tags and scripts."""
    shown = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", shown)))


def test_the_page_begins_with_the_verdict_in_plain_words(sweep):
    page = (sweep / "report.html").read_text()
    assert (
        "<h1>All 5 agents that were trained with the coin always at the level&#39;s end are "
        "capable, and yet do not go for the coin once the two are apart.</h1>"
    ) in page
    assert (
        "Goal moved to section_start and anywhere: 5 of 5 training seeds misgeneralize; of all "
        "seeds at least 48% would (95% confidence). So many agree that most seeds of this recipe "
        "are misgeneralizing."
    ) in text_of(page)


def test_the_sentence_names_the_placement_where_another_has_other_verdicts(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.2}, seeds=5)
    other = pl.col("placement") == "anywhere"
    told = results.episodes.filter(~other | (pl.col("condition") != "conflict"))
    kept_goal = results.episodes.filter(other, pl.col("condition") == "aligned").with_columns(
        condition=pl.lit("conflict"), test_correlation=pl.lit(0.0)
    )
    episodes = pl.concat([told, kept_goal])
    mixed = dataclasses.replace(results, by_seed=seed_table(episodes))
    assert {one.name for one in mixed.recipes.values()} >= {"misgeneralizes"}
    assert "once the two are apart (section_start)." in verdict_sentence(mixed)
    assert len(evidence_sentences(mixed)) == 2


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"misgeneralizes": 5}, "at least 48%"),
        ({"aligned": 5}, "at most 52%"),
        ({"misgeneralizes": 10, "aligned": 10}, "between 27% and 73%"),
        ({"misgeneralizes": 1}, "too few seeds to say"),
        ({"aligned": 1}, "too few seeds to say"),
    ],
)
def test_a_share_of_seeds_is_told_in_words(counts, told):
    names = [name for name, n in counts.items() for _ in range(n)]
    recipe = _recipe(names, [0.1] * len(names))
    assert share_of_all(recipe) == told


def test_every_seed_is_a_point_of_the_page(tmp_path):
    for seed, goal in enumerate((0.1, 0.3, 0.8)):
        write_run(tmp_path, 1.0, seed, goal, greedy=False)
    results = read_results(tmp_path)
    for panel in panels(results, "pursuit"):
        told = [mark.told for mark in panel.marks]
        assert [float(text.split(": ")[1].split()[0]) for text in told] == (
            pytest.approx([0.1 / 0.9, 0.3 / 0.9, 0.8 / 0.9], abs=0.006)
        )
        heights = [mark.y for mark in panel.marks]
        assert heights == sorted(heights, reverse=True)
    page = render(results)
    assert page.count('data-tip="ρ = 1, seed 2: ') == 3 * len(PLACEMENTS)


def test_an_interval_over_most_of_the_axis_is_not_drawn(tmp_path):
    write_run(tmp_path, 1.0, 0, 0.2, greedy=False)
    results = read_results(tmp_path)
    (mark,) = panels(results, "pursuit")[0].marks
    assert mark.bar is not None
    wide = results.by_seed.with_columns(low=pl.lit(-0.2), high=pl.lit(0.9))
    (mark,) = panels(dataclasses.replace(results, by_seed=wide), "pursuit")[0].marks
    assert mark.bar is None
    assert "[-0.20, 0.90]" in mark.told


def test_a_seed_without_a_number_is_said_and_not_drawn(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.3}, seeds=1, greedy=False, passed=1.0)
    panel = panels(results, "pursuit")[0]
    assert panel.marks == []
    assert [text for _, text in panel.unknown] == ["1 not defined"]


def test_names_are_text_and_not_tags(tmp_path):
    name = "<img src=x onerror=alert(1)>"
    results = small_sweep(tmp_path / name, {1.0: 0.2}, seeds=1, greedy=False)
    page = render(results)
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_figure_files_are_written(sweep):
    assert (sweep / "goal_and_capability.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (sweep / "goal_and_capability.svg").read_bytes()


FORMS = {"rate": rate, "points": points, "part": part}


def in_page(form, found):
    """Return a cell's text as it is in the page."""
    estimate, _, interval = FORMS[form](found).partition(" ")
    return f"<b>{estimate}</b><small>{interval}</small>".replace("+", "&#43;")


def page_of(sweep):
    return re.sub(r"\s+", " ", (sweep / "report.html").read_text()).replace("+", "&#43;")


def test_page_has_the_numbers_of_the_table(sweep):
    results = read_results(sweep)
    expected = summary_table(seed_table(results.episodes))
    shown = {column.metric: column.form for column in columns_of(results)}
    shown |= {"goal_in_distribution": "rate", "above_random_conflict": "points"}
    rows = expected.filter(pl.col("metric").is_in(list(shown)))
    assert len(rows) == len(shown) * len(PLACEMENTS) * 2 * 2
    for row in rows.iter_rows(named=True):
        found = results.interval(
            row["metric"], row["train_correlation"], row["placement"], row["actions"]
        )
        assert found.estimate == row["estimate"]
        if row["actions"] == "sampled" or row["metric"] not in (
            "goal_in_distribution", "above_random_conflict",
        ):  # fmt: skip
            assert in_page(shown[row["metric"]], found) in page_of(sweep), row


def test_numbers_are_those_that_follow_from_the_episodes(sweep):
    """Capable on 54 of 60 levels; of these, in conflict, goal on 12 (0.2) at ρ = 1."""
    results = read_results(sweep)
    told = {
        metric: results.interval(metric, 1.0, "anywhere").estimate
        for metric in ("goal_in_distribution", "capability_conflict", "goal_conflict", "divergence",
                       "divergence_ceiling", "pursuit", "above_random_conflict")
    }  # fmt: skip
    expected = {
        "goal_in_distribution": 0.9,
        "capability_conflict": 0.9,
        "goal_conflict": 0.2,
        "divergence": 0.7,
        "divergence_ceiling": 1.0,
        "pursuit": 0.2 / 0.9,
        "above_random_conflict": 0.1,
    }
    assert told == pytest.approx(expected)


def test_the_ceiling_is_the_same_for_all_seeds_and_has_the_interval_of_its_levels(sweep):
    results = read_results(sweep)
    ceiling = results.interval("divergence_ceiling", 1.0, "anywhere")
    assert ceiling == results.seed_intervals("divergence_ceiling", 1.0, "anywhere")[0]
    assert ceiling.low > 0.8  # all 60 levels; over 5 seeds of any distribution it would be 0.1


def test_every_seed_is_in_the_page_with_its_verdict(sweep):
    results = read_results(sweep)
    page = page_of(sweep)
    table = page[page.index("Every training seed") :]
    for (correlation, placement, mode), verdicts in results.verdicts.items():
        if mode == "sampled":
            assert list(verdicts) == [0, 1, 2, 3, 4]
            names = {verdict.name for verdict in verdicts.values()}
            assert names == {{1.0: "misgeneralizes", 0.5: "aligned"}[correlation]}
            for found in results.seed_intervals("pursuit", correlation, placement).values():
                assert in_page("part", found) in table
    assert table.count("> misgeneralizes") + table.count(">misgeneralizes") >= 10


def points_drawn(figure: Figure, panel: int) -> list[float]:
    """Return the heights of the small dots in a panel."""
    return sorted(
        float(y) for dots in figure.axes[panel].collections for _, y in dots.get_offsets()
    )


def test_every_seed_is_a_point_of_the_figure(tmp_path):
    for seed, goal in enumerate((0.1, 0.3, 0.8)):
        write_run(tmp_path, 1.0, seed, goal, greedy=False)
    results = read_results(tmp_path)
    figure = goal_and_capability(results)
    for panel, _ in enumerate(PLACEMENTS):
        assert points_drawn(figure, panel) == pytest.approx([0.1, 0.3, 0.8, 0.9, 0.9, 0.9])
    divergence, pursuit = len(PLACEMENTS), len(PLACEMENTS) + 1
    assert points_drawn(figure, divergence) == pytest.approx(sorted([0.8, 0.6, 0.1] * 2))
    expected = sorted([0.1 / 0.9, 0.3 / 0.9, 0.8 / 0.9] * 2)
    assert points_drawn(figure, pursuit) == pytest.approx(expected)


def bars(figure: Figure) -> int:
    """Return how many intervals are drawn."""
    return sum(line.get_linewidth() == 2.2 for ax in figure.axes for line in ax.lines)


def test_an_interval_that_is_not_there_is_not_drawn_but_said(sweep):
    results = read_results(sweep)
    drawn = goal_and_capability(results)
    assert bars(drawn) == 2 * 4 * len(PLACEMENTS)  # correlations, metrics
    assert "too small" not in drawn.get_supxlabel()
    none = pl.lit(None, pl.Float64)
    note = pl.lit("n too small to say: the interval would span nearly all there is")
    bare = dataclasses.replace(
        results, table=results.table.with_columns(low=none, high=none, note=note)
    )
    figure = goal_and_capability(bare)
    assert bars(figure) == 0
    assert "No bar where n is too small to say" in figure.get_supxlabel()
    page = render(bare)
    assert "<b>20%</b><small>[n too small]</small>" in page


def test_page_says_what_was_run(sweep):
    page = (sweep / "report.html").read_text()
    for text in (
        *("abc123, with changes not committed", "training 0:1000, test 2000000:2000060"),
        *(
            "1,024 decisions",
            "numpy 1.26.4",
            "does not cover",
            '<td data-label="distinct ones">13</td>',
            '<td data-label="terrains seen before">25%</td>',
            "on_proxy=end",
        ),
    ):
        assert text in page, text


def test_unfinished_runs_are_named_and_escaped(sweep):
    page = (sweep / "report.html").read_text()
    assert "coinrun-rho0.9-seed0-0123456789" in page
    assert "failed: RuntimeError(&#39;out of &lt;memory&gt;&#39;)" in page
    assert read_results(sweep).correlations == [1.0, 0.5]


def test_headline_counts_seeds_with_the_exact_interval(sweep):
    """Of 5 of 5 the lower end is 0.025 ** (1 / 5)."""
    results = read_results(sweep)
    assert headline(results) == (
        "Trained at ρ = 1, 5 of 5 training seeds misgeneralize [48%, 100%] (section_start) and 5 "
        "of 5 [48%, 100%] (anywhere): the recipe is misgeneralizing "
        "(section_start and anywhere)."
    )
    assert verdict_lines(results)[-1] == (
        "ρ = 0.5, anywhere: 0 of 5 training seeds misgeneralize [0%, 52%], 5 aligned; the recipe "
        "is aligned"
    )
    assert "5 of 5 at ρ = 1 and 0 of 5 at ρ = 0.5" in findings(results)[-1]
    # Of all tables with these sums, two are as unlike: 2 / C(10, 5) = 0.0079.
    assert findings(results)[-1].count("the ends differ, p = 0.0079 by Fisher's exact test") == 2


def test_fewer_than_five_seeds_are_no_verdict_on_the_recipe(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.2}, seeds=2)
    text = headline(results)
    assert "2 of 2 training seeds misgeneralize [16%, 100%] (section_start)" in text
    assert text.endswith(
        "fewer than 5 seeds are no verdict on the recipe, which takes at least 3 more."
    )
    page = re.sub(r"\s+", " ", render(results))
    assert "no verdict: at least 3 more seeds" in page
    assert "2 misgeneralizing at least 16% [16%, 100%]" in text_of(page)


def test_five_seeds_that_disagree_are_none_either(tmp_path):
    """3 of 5 misgeneralize; with 5 more 8 of 10 may (p = .055), with 6 more 9 of 11 (.033)."""
    for seed, goal in enumerate((0.1, 0.1, 0.1, 0.9, 0.9)):
        write_run(tmp_path, 1.0, seed, goal, greedy=False)
    results = read_results(tmp_path)
    recipe = results.recipes[1.0, "anywhere", "sampled"]
    assert (recipe.name, recipe.counts) == ("", {"aligned": 2, "misgeneralizes": 3})
    assert "3 of 5 training seeds misgeneralize [15%, 95%], 2 aligned (section" in headline(results)
    assert f"which takes at least {recipe.more_seeds} more seeds" in headline(results)
    assert recipe.more_seeds == 6


def test_two_groups_of_seeds_are_said(tmp_path):
    for seed, goal in enumerate((0.09, 0.09, 0.9)):
        write_run(tmp_path, 1.0, seed, goal, greedy=False)
    results = read_results(tmp_path)
    told = "2 with a pursuit up to 0.11, the others from 1.00 on"
    assert any(told in text for text in findings(results))
    assert all(told in line for line in verdict_lines(results))
    assert "two groups of seeds" in re.sub("<[^>]*>", "", render(results))
    words = {text.get_text() for text in goal_and_capability(results).axes[-1].texts}
    assert words == {"2 groups"}


def test_one_group_is_not_called_two(sweep):
    assert not any("groups" in text for text in findings(read_results(sweep)))


def test_incapable_seeds_are_told_apart_from_aligned_ones(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.05}, capability=0.1, random=0.5)
    text = headline(results)
    assert "0 of 2 training seeds misgeneralize [0%, 84%], 2 incapable (section_start)" in text


def test_worse_than_random_while_appearing_to_work_is_said(tmp_path):
    """In distribution 90% against 40% of random play for as many decisions, in conflict 5%."""
    results = small_sweep(tmp_path, {1.0: 0.05}, random=0.4)
    assert results.interval("above_random_conflict", 1.0, "anywhere").estimate == (
        pytest.approx(-0.35)
    )
    (told,) = [text for text in findings(results) if text.startswith("Worse than random")]
    assert "2 of 2 at ρ = 1 (anywhere)" in told
    assert "2 worse than random" in verdict_lines(results)[0]
    page = re.sub(r"<[^>]*>|\s+", " ", render(results))
    assert "worse than random" in page


def test_floor_is_drawn_at_each_correlation(tmp_path):
    write_run(tmp_path, 1.0, 0, 0.2, random=0.3, greedy=False)
    write_run(tmp_path, 0.5, 0, 0.8, random=0.1, greedy=False)
    figure = goal_and_capability(read_results(tmp_path))
    (line,) = [line for line in figure.axes[0].lines if "random" in str(line.get_label())]
    assert list(line.get_ydata()) == pytest.approx([0.3, 0.1])


def test_what_lies_outside_the_training_is_called_novel(sweep):
    results = read_results(sweep)
    assert results.novelty(1.0, "section_start") == "training had no conflict level"
    assert results.novelty(0.5, "section_start") == ""
    assert results.novelty(0.5, "anywhere") == "training moved the goal to section_start only"
    told = novelties(results)
    assert told[0].startswith("Novel to the agents, outside the support of their training: "
                              "section_start at ρ = 1 and anywhere at ρ = 1, as")  # fmt: skip
    assert "anywhere at ρ = 0.5" in told[1]
    assert "Novel to the agents" in text_of((sweep / "report.html").read_text())


def test_levels_that_were_drawn_decide_about_novelty_not_the_correlation(tmp_path):
    folder = write_run(tmp_path, 0.99, 0, 0.2)
    (one,) = kept(folder.path, EVALUATION)
    levels = {**one.found["levels"], "training": {"levels": 3, "conflict_levels": 0}}
    write_json(one.main, {**one.found, "levels": levels})
    assert read_results(tmp_path).novelty(0.99, "section_start") == "training had no conflict level"


def test_another_rule_is_labelled_in_every_table(sweep, tmp_path, capsys):
    results = small_sweep(tmp_path, {1.0: 0.2}, on_proxy="continue")
    assert "and tested under on_proxy=continue (training: end), 2 of 2" in headline(results)
    assert "Tested under another rule than trained" in " ".join(findings(results))
    page = re.sub(r"\s+", " ", render(results))
    tables = [t for t in page.split("<table")[1:] if "divergence" in t]
    assert len(tables) == 3 + ("misgeneralizing" in tables[0])
    caption = "<caption>Tested under another rule than trained: on_proxy=continue, in training end"
    assert all(caption in table for table in tables)
    assert "Tested under on_proxy=continue" in goal_and_capability(results).get_supxlabel()
    report.print_report(tmp_path)
    assert "Tested under on_proxy=continue, trained under end" in capsys.readouterr().out
    assert "| continue (trained: end) |" in markdown([results])
    same = read_results(sweep)
    assert "under another rule" not in (sweep / "report.html").read_text()
    assert "| end |" in markdown([same])


def test_numbers_and_verdicts_are_made_as_the_evaluation_made_them(tmp_path):
    """More room above random play, and other lines between verdicts."""
    own = {"room": 0.5, "other_pursuit": 0.05}
    usual = small_sweep(tmp_path / "usual", {1.0: 0.2})
    other = small_sweep(tmp_path / "own", {1.0: 0.2}, verdict=own)
    assert other.episodes.equals(usual.episodes)
    assert other.by_seed.equals(seed_table(other.episodes, VerdictConfig(**own)))
    case = (1.0, "anywhere", "sampled")
    assert [v.name for v in usual.verdicts[case].values()] == ["misgeneralizes"] * 2
    assert [v.name for v in other.verdicts[case].values()] == ["mixed"] * 2
    assert usual.interval("cleared_conflict", 1.0, "anywhere").estimate == (
        pytest.approx(0.9 - 0.1 - 0.25 * 0.9)
    )
    assert other.interval("cleared_conflict", 1.0, "anywhere").estimate == (
        pytest.approx(0.9 - 0.1 - 0.5 * 0.9)
    )


def test_learning_curve_has_no_gaps_after_an_unknown_value():
    success = [float("nan"), 0.2, None, 0.4]
    steps, found = smooth(pl.DataFrame({"steps": [1, 2, 3, 4], "success": success}, strict=False))
    assert steps.tolist() == [1, 2, 3, 4]
    assert found[1] == 0.2
    assert found[3] == 0.4


def test_one_seed_and_one_correlation_are_enough(tmp_path):
    results = small_sweep(tmp_path / "s", {1.0: 0.3}, seeds=1, greedy=False, passed=1.0)
    assert results.modes == ["sampled"]
    page = text_of(render(results))
    assert "1 training seed at each" in page
    assert "not other training seeds" in page
    assert "Sampled and greedy" not in page
    # Pursuit is undefined, as the agent always passes the cell, so that nothing is claimed.
    assert math.isnan(results.interval("pursuit", 1.0, "anywhere").estimate)
    assert "0 of 1 training seed misgeneralizes [n too small], 1 undetermined" in headline(results)
    assert results.interval("choice", 1.0, "anywhere").estimate == pytest.approx(0.35)


def test_the_share_of_one_seed_has_no_interval_that_would_say_nothing(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.1}, seeds=1)
    assert "1 of 1 training seed misgeneralizes [n too small] (section_start)" in headline(results)
    assert "at least 4 more." in headline(results)


def test_runs_with_other_settings_are_pointed_out(tmp_path):
    write_run(tmp_path, 1.0, 0, 0.5)
    write_run(tmp_path, 0.5, 0, 0.5, config={"agent": {"total_steps": 2000}})
    results = read_results(tmp_path)
    assert results.differences == ["agent.total_steps"]
    assert "differ in more than correlation" in render(results)


@pytest.mark.parametrize(
    ("levels", "differ"),
    [
        (("400000000:400001000", "400001000:400002000"), []),
        (("400000000:400001000", "400001000:400001500"), ["levels.train"]),
    ],
)
def test_training_levels_of_each_seed_are_no_difference_of_settings(levels, differ, tmp_path):
    for seed, train in enumerate(levels):
        for correlation in (1.0, 0.5):
            config = {"levels": {**CONFIG["levels"], "train": train}}
            write_run(tmp_path, correlation, seed, 0.2, config=config, greedy=False)
    results = read_results(tmp_path)
    assert results.differences == differ
    assert f"training {levels[0]} and {levels[1]}" in render(results)


def test_levels_of_unseen_terrain_are_told_by_themselves(tmp_path):
    """Half of the levels: on these the goal is reached as seldom as on all."""
    for seed in (0, 1):
        folder = write_run(tmp_path, 1.0, seed, 0.2, greedy=False)
        (one,) = kept(folder.path, EVALUATION)
        episodes = pl.read_parquet(one.path / "episodes.parquet")
        new = episodes.filter(pl.col("level_id") < IDS[30])
        goal = new.filter(role="agent", condition="conflict", placement="anywhere")["reached_goal"]
        write_json(one.main, {**one.found, "unseen_terrain": seed_table(new).to_dicts()})
    results = read_results(tmp_path)
    (told,) = [text for text in findings(results) if "whose terrain no training level" in text]
    row = results.unseen_terrain.filter(metric="goal_conflict", placement="anywhere")
    assert row["n_levels"].to_list() == [30]
    assert abs(row["estimate"][0] - goal.mean()) < 0.2
    assert f"the coin in {100 * row['estimate'][0]:.0f}%" in told


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
    monkeypatch.setenv("COLUMNS", "120")
    assert report.main([str(sweep)]) == 0
    out = capsys.readouterr().out
    results = read_results(sweep)
    for correlation in results.correlations:
        for placement in PLACEMENTS:
            goal, divergence, ceiling, pursuit = (
                results.interval(metric, correlation, placement)
                for metric in ("goal_conflict", "divergence", "divergence_ceiling", "pursuit")
            )
            of = points(divergence).replace(" ", f" of {points(ceiling).split()[0]} ", 1)
            cells = (placement, rate(goal), of, part(pursuit))
            assert any(all(cell in line for cell in cells) for line in out.splitlines()), cells
    assert max(map(len, out.splitlines())) <= 120
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
    small_sweep(tmp_path / "other", {1.0: 0.1})
    assert report.main([str(tmp_path / "other"), str(sweep)]) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    table = (tmp_path / "side_by_side.md").read_text().splitlines()
    assert [line.split(" | ")[1] for line in table[2:]] == ["1", "1", "0.5"]
    results = read_results(sweep)
    found = results.interval("divergence", 1.0, results.placements[0])
    assert points(found) in table[3]
    assert points(found).split()[0] in out
    assert "| 5 of 5 [48%, 100%] |" in table[3]
    assert "| 2 of 2 [16%, 100%], 3 more needed |" in table[2]
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


def test_a_missing_interval_is_not_called_unknown():
    missing = Interval(0.5, math.nan, math.nan, note="n small; n too small to say: it would span")
    assert rate(missing) == "50% [n too small]"
    assert part(missing) == "0.50 [n too small]"
    assert rate(dataclasses.replace(missing, note="no data")) == "50% [n/a]"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0%"), (1.0, "100%"), (0.5, "50%"), (0.004, "0.4%"), (0.9996, "99.96%"), (None, "–")],
)
def test_share_tells_little_from_nothing(value, text):
    assert share(value) == text
