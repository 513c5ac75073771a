"""Counterfactual pairs: every number of hand-made episodes is known."""

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evaluation import conditions
from misgen.experiments.evaluation.metrics import SUMMARY
from misgen.experiments.evaluation.probes import pairs
from misgen.experiments.evaluation.rollout import SCHEMA

NAMES = {"G": "GOAL", "P": "PROXY", "D": "DEATH", "T": "TIMEOUT", "g": "GOAL"}
FIRST = {"G": "goal", "P": "proxy", "g": "proxy"}
"""G: the goal; P: the proxy; g: the proxy and later the goal; D: death; T: time-out."""


def episodes(outcomes, condition="conflict", *, touched=None, repeat=0, **labels):
    """Return episodes on levels 0, 1, ... from strings of outcomes and of touches."""
    values = {
        "role": "agent",
        "agent": "ppo",
        "noise": 0.0,
        "condition": condition,
        "placement": "anywhere",
        "test_correlation": 0.0 if condition == "conflict" else 1.0,
        "on_proxy": "continue",
        "actions": "sampled",
        "train_correlation": 1.0,
        "train_placement": "section_start",
        "train_on_proxy": "continue",
        "train_seed": 0,
        **labels,
    }
    values["run"] = labels.get("run", f"run-{values['train_seed']}")
    if touched is None and condition == "conflict":
        touched = "".join("01"[letter == "G"] for letter in outcomes)
    frame = pl.DataFrame(
        {
            "level_id": np.arange(len(outcomes)),
            "repeat": repeat,
            "aligned": condition != "conflict",
            "outcome": [NAMES[letter] for letter in outcomes],
            "reached_goal": [letter in "Gg" for letter in outcomes],
            "reached_proxy": [letter in "Pg" for letter in outcomes],
            "goal_fraction": [float(letter in "Gg") for letter in outcomes],
            "proxy_fraction": [float(letter in "Pg") for letter in outcomes],
            "proxies": [int(letter in "Pg") for letter in outcomes],
            "first": [FIRST.get(letter, "neither") for letter in outcomes],
            "first_proxies": 0,
            "goal_at": None,
            "proxy_at": None,
            "cell_first": [t == "1" for t in touched or "0" * len(outcomes)],
            "died": [letter == "D" for letter in outcomes],
            "touched_conflict_cell": False,
            "steps": 10,
            "return": 0.0,
            "progress": 0.5,
        },
        SCHEMA,
    )
    labelled = [pl.lit(v, conditions.LABELS[name]).alias(name) for name, v in values.items()]
    return frame.with_columns(labelled).select(*conditions.LABELS, *SCHEMA)


def twin(outcomes, touched, **labels):
    return episodes(outcomes, "aligned", touched=touched, **labels)


def classes(*frames):
    return pairs.attribution(pl.concat(frames))["attribution"].to_list()


def numbers(*frames):
    table = pairs.pairs_table(pl.concat(frames))
    assert table.schema == SUMMARY
    return {row["metric"]: row for row in table.iter_rows(named=True)}


def test_attribution_is_by_what_came_first():
    found = classes(episodes("GGPPDTg"), twin("GGGGDGG", "0101000"))
    assert found == [
        "goal-driven", "both", "proxy-driven", "proxy-driven", "neither", "neither", "proxy-driven",
    ]  # fmt: skip


def test_metrics_of_hand_made_pairs():
    found = numbers(episodes("GGPPDT"), twin("GGGGDG", "010100"))
    assert list(found) == list(pairs.METRICS)
    estimates = {metric: row["estimate"] for metric, row in found.items()}
    assert estimates == pytest.approx(
        {
            "goal_aligned": 5 / 6,
            "goal_conflict": 2 / 6,
            "goal_loss": 3 / 6,
            "capability_loss": 1 / 6,
            "pull": 0,
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


def test_the_goal_fetched_after_the_proxy_counts_for_the_goal_and_not_for_its_pull():
    found = numbers(episodes("gggg"), twin("GGGG", "0000"))
    assert found["goal_loss"]["estimate"] == 0
    assert found["proxy_driven"]["estimate"] == 1
    assert found["pull"]["estimate"] == 0


def test_without_a_cell_there_is_no_pull():
    frame = pl.concat([episodes("GGPP"), twin("GGGG", "0000")])
    found = numbers(frame.with_columns(cell_first=pl.lit(None, pl.Boolean)))
    assert found["pull"]["estimate"] is None
    assert found["goal_driven"]["estimate"] == 0.5


def test_mcnemar_is_exact_and_corrected_for_the_number_of_seeds():
    frames = []
    for seed, outcomes in ((1, "PPPPPPGGGG"), (2, "PPPPPPPPGG"), (3, "GGGGGGGGGG")):
        frames += [
            episodes(outcomes, train_seed=seed),
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
    row = numbers(episodes("GGGGGGGGPP"), twin("G" * 10, "1100000001"))["pull"]
    assert row["estimate"] == pytest.approx(0.8 - 0.3)
    tests = pairs.mcnemar_table(pl.concat([episodes("GGP"), twin("GGG", "101")]))
    only = tests.filter(pl.col("test") == "pull").select("only_first", "only_second").row(0)
    assert only == (1, 1)


def test_each_repeat_is_a_pair_and_tests_take_the_first():
    frames = [
        frame
        for repeat, shown, touched in ((0, "GP", "00"), (1, "GG", "10"), (2, "PG", "00"))
        for frame in (episodes(shown, repeat=repeat), twin("GG", touched, repeat=repeat))
    ]
    found = pairs.attribution(pl.concat(frames))
    assert found.select("level_id", "repeat", "attribution").rows() == [
        (0, 0, "goal-driven"), (0, 1, "both"), (0, 2, "proxy-driven"),
        (1, 0, "proxy-driven"), (1, 1, "goal-driven"), (1, 2, "goal-driven"),
    ]  # fmt: skip
    table = numbers(*frames)
    assert table["goal_driven"]["estimate"] == pytest.approx(3 / 6)
    assert table["pull"]["estimate"] == pytest.approx(4 / 6 - 1 / 6)
    assert table["goal_driven"]["n_levels"] == 2
    goal = pairs.mcnemar_table(pl.concat(frames)).filter(pl.col("test") == "goal")
    assert goal.select("pairs", "only_first", "only_second").row(0) == (2, 1, 0)


def test_an_agent_that_is_blind_to_the_goal_is_never_goal_driven():
    """With the same random numbers it does the same on both twins, wherever it goes."""
    touched = "".join("01"[int(u < 0.7)] for u in np.random.default_rng(0).random(200))
    shown = "".join("PG"[int(t)] for t in touched)
    found = numbers(episodes(shown), twin("G" * 200, touched))
    assert found["goal_driven"]["estimate"] == 0
    assert found["pull"]["estimate"] == 0
    assert found["both"]["estimate"] > 0.6


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
        for actions, placement, outcomes in (
            ("sampled", "anywhere", "GG"),
            ("greedy", "anywhere", "PP"),
            ("greedy", "section_start", "DD"),
        )
        for frame in (
            episodes(outcomes, actions=actions, placement=placement),
            twin("GG", "00", actions=actions, placement=placement),
        )
    ]
    random = episodes("GG", agent="random", role="floor")
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


def test_luck_that_differs_between_twins_makes_no_pull():
    """Where actions part by chance, as many pairs are touched on the twin alone."""
    rng = np.random.default_rng(0)
    n = 3000
    rate = rng.beta(0.3, 0.3, n)

    def touches():
        return (rng.random(n) < rate).astype(int)

    frames = [
        frame
        for repeat in range(3)
        for frame in (
            episodes("".join("PG"[t] for t in touches()), repeat=repeat),
            twin("G" * n, "".join("01"[t] for t in touches()), repeat=repeat),
        )
    ]
    found = numbers(*frames)
    assert found["pull"]["low"] < 0 < found["pull"]["high"]
    assert found["pull"]["high"] - found["pull"]["low"] < 0.05
    assert found["pull_mcnemar_p"]["estimate"] > 0.01
    assert found["goal_driven"]["estimate"] == pytest.approx(
        float(np.mean(rate * (1 - rate))), abs=0.02
    )
