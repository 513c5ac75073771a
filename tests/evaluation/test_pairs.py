"""Counterfactual pairs: every number of hand-made episodes is known."""

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evaluation import conditions
from misgen.experiments.evaluation.metrics import SUMMARY
from misgen.experiments.evaluation.probes import pairs
from misgen.experiments.evaluation.rollout import SCHEMA

NAMES = {"G": "GOAL", "P": "PROXY", "D": "DEATH", "T": "TIMEOUT"}


def episodes(outcomes, condition="shifted", *, touched=None, repeat=0, **labels):
    """Return episodes on levels 0, 1, ... from strings of outcomes and of touches."""
    values = {
        "agent": "ppo",
        "condition": condition,
        "placement": "anywhere",
        "test_correlation": 0.0 if condition == "shifted" else 1.0,
        "actions": "sampled",
        "train_correlation": 1.0,
        "train_placement": "section_start",
        "train_seed": 0,
        **labels,
    }
    values["run"] = labels.get("run", f"run-{values['train_seed']}")
    frame = pl.DataFrame(
        {
            "level_id": np.arange(len(outcomes)),
            "repeat": repeat,
            "aligned": condition != "shifted",
            "outcome": [NAMES[letter] for letter in outcomes],
            "reached_goal": [letter == "G" for letter in outcomes],
            "reached_proxy": [letter == "P" for letter in outcomes],
            "goal_fraction": [float(letter == "G") for letter in outcomes],
            "proxy_fraction": [float(letter == "P") for letter in outcomes],
            "proxies": [int(letter == "P") for letter in outcomes],
            "died": [letter == "D" for letter in outcomes],
            "touched_conflict_cell": [t == "1" for t in touched or "0" * len(outcomes)],
            "steps": 10,
            "return": 0.0,
            "progress": 0.5,
        },
        SCHEMA,
    )
    labelled = [pl.lit(v, conditions.LABELS[name]).alias(name) for name, v in values.items()]
    return frame.with_columns(labelled).select(*conditions.LABELS, *SCHEMA)


def twin(outcomes, touched, repeat=1, **labels):
    return episodes(outcomes, "twin", touched=touched, repeat=repeat, **labels)


def classes(*frames, **settings):
    return pairs.attribution(pl.concat(frames), **settings)["attribution"].to_list()


def numbers(*frames):
    table = pairs.pairs_table(pl.concat(frames))
    assert table.schema == SUMMARY
    return {row["metric"]: row for row in table.iter_rows(named=True)}


def test_attribution_is_by_what_was_touched():
    found = classes(episodes("GGPPDT"), twin("GGGGDG", "010100"))
    assert found == [
        "goal-driven", "both", "proxy-driven", "proxy-driven", "neither", "neither",
    ]  # fmt: skip


def test_metrics_of_hand_made_pairs():
    found = numbers(episodes("GGPPDT"), twin("GGGGDG", "010100"))
    assert list(found) == list(pairs.METRICS)
    estimates = {metric: row["estimate"] for metric, row in found.items()}
    assert estimates == pytest.approx(
        {
            "goal_aligned": 5 / 6,
            "goal_conflict": 2 / 6,
            "goal_risk_difference": 3 / 6,
            "capability_risk_difference": 1 / 6,
            "goal_pull": 0,
            "goal_driven": 1 / 6,
            "proxy_driven": 2 / 6,
            "both": 1 / 6,
            "neither": 2 / 6,
            "goal_minus_proxy_driven": -1 / 6,
            "goal_mcnemar_p": 0.25,  # 3 against 0
            "capability_mcnemar_p": 1.0,  # 1 against 0
            "pull_mcnemar_p": 1.0,  # 1 against 1
        }
    )
    for metric, row in found.items():
        if not metric.endswith("_p"):
            assert row["low"] <= row["estimate"] <= row["high"]
            assert row["n_levels"] == 6
    assert "conditional on this agent" in found["goal_driven"]["note"]
    shares = [estimates[name] for name in ("goal_driven", "proxy_driven", "both", "neither")]
    assert sum(shares) == pytest.approx(1)


def test_mcnemar_is_exact_and_corrected_for_the_number_of_seeds():
    frames = []
    for seed, shifted in ((1, "PPPPPPGGGG"), (2, "PPPPPPPPGG"), (3, "GGGGGGGGGG")):
        frames += [
            episodes(shifted, train_seed=seed),
            twin("GGGGGGGGGG", "0" * 10, train_seed=seed),
        ]
    table = pairs.mcnemar_table(pl.concat(frames)).filter(pl.col("test") == "goal")
    assert table["train_seed"].to_list() == [1, 2, 3]
    assert table["only_first"].to_list() == [6, 8, 0]
    assert table["only_second"].to_list() == [0, 0, 0]
    assert table["p"].to_list() == pytest.approx([2 / 2**6, 2 / 2**8, 1.0])
    assert table["p_holm"].to_list() == pytest.approx([2 * 2 / 2**6, 3 * 2 / 2**8, 1.0])
    row = numbers(*frames)["goal_mcnemar_p"]
    assert row["estimate"] == pytest.approx(3 * 2 / 2**8)
    assert row["note"] == "1 of 3 training seeds at 0.05"
    assert (row["n_seeds"], row["n_levels"]) == (3, 10)


def test_pull_counts_the_same_cell_with_and_without_the_goal():
    row = numbers(episodes("GGGGGGGGPP"), twin("G" * 10, "1100000001"))["goal_pull"]
    assert row["estimate"] == pytest.approx(0.8 - 0.3)
    tests = pairs.mcnemar_table(pl.concat([episodes("GGP"), twin("GGG", "101")]))
    only = tests.filter(pl.col("test") == "pull").select("only_first", "only_second").row(0)
    assert only == (1, 1)


def test_the_lowest_repeat_is_the_pairs_and_all_repeats_say_whether_it_is_touched():
    later = [twin("D", "1", repeat=r) for r in (3, 2)]
    first = twin("G", "0", repeat=1)
    row = pairs.attribution(pl.concat([episodes("G"), *later, first])).row(0, named=True)
    assert row["goal_aligned"]
    assert not row["touched_aligned"]
    assert row["twin_runs"] == 3
    assert row["touched_aligned_rate"] == pytest.approx(2 / 3)
    assert row["goal_aligned_rate"] == pytest.approx(1 / 3)
    assert row["attribution"] == "both"


@pytest.mark.parametrize(("rate", "word"), [(0.1, "both"), (0.26, "goal-driven")])
def test_accident_rate_says_when_a_twin_is_touched(rate, word):
    runs = [twin("G", "01"[r == 1], repeat=r) for r in (1, 2, 3, 4)]
    assert classes(episodes("G"), *runs, accident_rate=rate) == [word]


def test_only_conflict_levels_with_a_twin_make_pairs():
    mixed = episodes("GPG").with_columns(aligned=pl.Series([True, False, False]))
    found = pairs.attribution(pl.concat([mixed, twin("GG", "00")]))
    assert found["level_id"].to_list() == [1]
    alone = pairs.pairs_table(episodes("GPG"))
    assert alone.schema == SUMMARY
    assert len(alone) == 0


def test_agents_and_shifts_are_kept_apart():
    frames = [
        frame
        for actions, placement, shifted in (
            ("sampled", "anywhere", "GG"),
            ("greedy", "anywhere", "PP"),
            ("greedy", "section_start", "DD"),
        )
        for frame in (
            episodes(shifted, actions=actions, placement=placement),
            twin("GG", "00", actions=actions, placement=placement),
        )
    ]
    random = episodes("GG", agent="random")
    table = pairs.pairs_table(pl.concat([*frames, random]))
    assert len(table) == 3 * len(pairs.METRICS)
    for actions, placement, metric in (
        ("sampled", "anywhere", "goal_driven"),
        ("greedy", "anywhere", "proxy_driven"),
        ("greedy", "section_start", "neither"),
    ):
        row = table.filter(actions=actions, placement=placement, metric=metric).row(0, named=True)
        assert row["estimate"] == 1


def test_two_runs_of_one_seed_are_refused():
    frames = [episodes("G", run="a"), twin("G", "0", run="a"), episodes("G", run="b")]
    with pytest.raises(ValueError, match=r"runs a and b .* seed 0"):
        pairs.pairs_table(pl.concat(frames))


def test_a_blind_agent_shows_no_pull_and_is_hardly_called_goal_driven():
    """It touches a level's cell at that level's own rate, whether the goal is there or not."""
    rng = np.random.default_rng(0)
    n, runs = 3000, 10
    rate = rng.beta(0.3, 0.3, n)

    def touches():
        return rng.random(n) < rate

    shifted = episodes("".join("PG"[t] for t in touches().astype(int)))
    twins = [
        twin("G" * n, "".join("01"[t] for t in touches().astype(int)), repeat=r)
        for r in range(1, runs + 1)
    ]
    found = numbers(shifted, *twins)
    assert found["goal_pull"]["low"] < 0 < found["goal_pull"]["high"]
    assert found["goal_pull"]["high"] - found["goal_pull"]["low"] < 0.05
    assert found["pull_mcnemar_p"]["estimate"] > 0.01
    expected = float(np.mean(rate * (1 - rate) ** runs))
    assert found["goal_driven"]["estimate"] == pytest.approx(expected, abs=0.01)
    assert found["goal_driven"]["estimate"] < 0.04
    once = numbers(shifted, twins[0])["goal_driven"]["estimate"]
    assert once == pytest.approx(float(np.mean(rate * (1 - rate))), abs=0.02)
