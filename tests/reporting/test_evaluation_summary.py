"""What is printed of one agent's evaluation: verdict, measures, another rule, what is novel."""

import polars as pl
import pytest

from misgen.experiments.commands.print_evaluation import print_summary
from misgen.experiments.evaluation.metrics import seed_table
from misgen.experiments.evaluation.verdict import judge_seeds
from misgen.experiments.reporting.evaluation_summary import (
    cases_of,
    rule_notes,
    sentences,
    unseen_rows,
    verdict_row,
)
from tests.reporting.test_report import IDS, episodes_of

CASES = [("section_start", "sampled"), ("anywhere", "sampled")]


def summary_of(correlation=0.5, goal=0.2, training=None, **rates):
    """Return a summary as misgen evaluate writes it, as far as it is printed."""
    episodes = episodes_of(correlation, 0, goal, greedy=False, **rates)
    seeds = seed_table(episodes)
    half = episodes.filter(pl.col("level_id") < IDS[30])
    levels = {
        "training": training or {"levels": 1000, "conflict_levels": 500},
        "test": {"ids": "2000000:2000060", "terrain_seen_in_training": 0.5},
    }
    return {
        "run": "a-run",
        "levels": levels,
        "metrics": seeds.to_dicts(),
        "unseen_terrain": seed_table(half).to_dicts(),
        "verdicts": [
            {**keys, "name": verdict.name, "worse_than_random": verdict.worse_than_random}
            for keys, _, verdict in judge_seeds(seeds)
        ],
    }


@pytest.mark.parametrize(("goal", "verdict"), [(0.2, "misgeneralizes"), (0.9, "aligned")])
def test_the_verdict_of_each_column_is_printed_first(goal, verdict, capsys):
    summary = summary_of(goal=goal)
    assert verdict_row(summary, CASES) == ("verdict", [verdict, verdict])
    print_summary(summary)
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("verdict")).split()[1:] == [verdict] * 2


def test_sentences_give_the_measures_of_both_twins():
    told = sentences(summary_of())[0]
    assert told == (
        "section_start: trained at correlation 0.5, ppo (sampled actions) reaches the goal on 90% "
        "of levels as in training, on 90% of aligned and on 20% of conflict levels, where it "
        "reaches goal or proxy on 90%; its pursuit is 0.22 [0.11, 0.34]."
    )


@pytest.mark.parametrize(
    ("training", "correlation", "novel"),
    [
        ({"levels": 9, "conflict_levels": 4}, 0.5, "Training moved the goal to section_start only"),
        ({"levels": 9, "conflict_levels": 0}, 0.5, "Training had no conflict level"),
        ({"levels": 9}, 1.0, "Training had no conflict level"),
        ({"unknown": True}, 1.0, None),
    ],
)
def test_what_is_novel_to_the_agent_is_said(training, correlation, novel):
    told = " ".join(sentences(summary_of(correlation, training=training)))
    if novel is None:
        assert "novel" not in told
    else:
        assert novel in told


def test_a_trained_placement_is_not_novel():
    summary = summary_of()
    summary["metrics"] = [row for row in summary["metrics"] if row["placement"] != "anywhere"]
    assert "novel" not in " ".join(sentences(summary))


def test_another_rule_is_labelled_and_shown_beside_that_of_training(capsys):
    same, other = summary_of(), summary_of(on_proxy="continue")
    assert rule_notes(same) == []
    assert sentences(other)[0].startswith("Tested under another rule than trained: on_proxy=cont")
    print_summary(same)
    assert "test's rule" not in capsys.readouterr().out
    print_summary(other)
    assert "\n goal, test's rule" in capsys.readouterr().out


def test_unseen_terrain_has_rows_of_its_own():
    summary = summary_of()
    rows = unseen_rows(summary, CASES)
    assert [label.strip() for label, _ in rows] == [
        "terrain unseen in training", "capability", "goal", "divergence", "pursuit"
    ]  # fmt: skip
    found = {(r["metric"], r["placement"]): r for r in summary["unseen_terrain"]}
    assert rows[2][1][1].startswith(f"{100 * found['goal_conflict', 'anywhere']['estimate']:.0f} ")
    assert unseen_rows({**summary, "unseen_terrain": []}, CASES) == []


def test_a_metric_without_estimate_is_not_called_0():
    summary = summary_of(passed=1.0)
    case = cases_of(summary)["anywhere", "sampled"]
    assert case["pursuit"]["estimate"] is None
    assert "its pursuit is n/a" in sentences(summary)[1]
