"""Each exercise of the lab passes the right answer, and says what is wrong with each wrong one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from misgen.agents import zoo
from misgen.experiments import lab, stored_evaluation
from misgen.experiments.lab import task_measures, task_play, task_protocols, task_threshold
from misgen.experiments.lab.exercises import EXERCISES, NotYet

ROOT = Path(__file__).resolve().parents[2]
MEASURES = ("goal_share", "divergence", "pull", "over_seeds")


def refused(check, *given) -> str:
    with pytest.raises(NotYet) as found:
        check(*given)
    text = str(found.value)
    assert text
    return text


def own(played: pl.DataFrame, condition: str) -> pl.DataFrame:
    return played.filter(role="agent", condition=condition)


# The right answers are the library's.


@pytest.mark.parametrize("agent", [n for n in zoo.names() if n.startswith("coinrun")])
def test_the_measures_of_the_lab_are_those_of_misgen(agent):
    found = stored_evaluation(f"zoo:{agent}").metrics
    for where in ("off_path(2)", "anywhere", "section_start"):
        played = lab.episodes(f"zoo:{agent}", where)
        wanted = {
            row["metric"]: row["estimate"]
            for row in found.filter(placement=where, actions="sampled").to_dicts()
        }
        assert task_measures.divergence(played) == pytest.approx(wanted["divergence"])
        assert task_measures.pull(played) == pytest.approx(wanted["pull"])
        for condition, metric in (
            ("in_distribution", "goal_in_distribution"),
            ("aligned", "goal_aligned"),
            ("conflict", "goal_conflict"),
        ):
            assert task_measures.goal_share(played, condition) == pytest.approx(wanted[metric])


def test_the_verdicts_of_the_lab_are_those_of_the_documentation():
    columns = ["placement", "train_correlation", "train_seed"]
    table = pl.read_csv(ROOT / "docs" / "default_sweep_ten_seeds.csv").sort(columns)
    stored = json.loads((ROOT / "experiments" / "lab" / "ten_seeds.json").read_text())
    table = table.filter(pl.col("train_correlation").is_in(set(stored["train_correlation"])))
    assert stored == {name: table[name].to_list() for name in stored}
    assert set(lab.verdicts()["placement"]) == {lab.WHERE}


def test_right_answers_pass():
    for name in MEASURES:
        check = getattr(lab, f"check_{name}")
        assert "right" in repr(check(getattr(task_measures, name)))
    assert lab.check_threshold(task_threshold.threshold_interval)
    rows = [task_measures._row(agent, lab.WHERE) for agent in lab.agents()]
    assert lab.check_table(pl.DataFrame(rows[::-1]), lab.WHERE)
    assert lab.check_fewest_seeds(np.int64(6))
    assert lab.check_blind_spots(
        {"iid": "b", "support_conflicts": "A", "counterfactual_pairs": " C"}
    )
    done = lab.results().done
    assert {"3.1", "4.1", "4.2", "4.3", "5.1", "6.1", "6.2", "7.2"} <= done
    assert "of 25 points" in lab.results()._repr_markdown_()


# What students get wrong.

GOAL, CAPABLE = pl.col("reached_goal"), pl.col("reached_goal") | pl.col("reached_proxy")


def fell(played, what, before="aligned"):
    means = [own(played, c).select(what.cast(float).mean()).item() for c in (before, "conflict")]
    return means[0] - means[1]


SHARES = {
    "all roles": (
        lambda t, c: t.filter(condition=c)["reached_goal"].mean(),
        "keep only the rows of the agent itself",
    ),
    "the reward": (lambda t, c: (own(t, c)["return"] > 0).mean(), "what the agent was paid"),
    "no condition": (
        lambda t, c: t.filter(role="agent")["reached_goal"].mean(),
        "the condition makes no difference",
    ),
    "capability": (lambda t, c: own(t, c).select(CAPABLE.mean()).item(), "counts the end"),
    "first": (lambda t, c: (own(t, c)["first"] == "goal").mean(), "leaves out coins"),
    "a count": (lambda t, c: own(t, c)["reached_goal"].sum(), "a mean, not a sum"),
    "of all": (lambda t, c: own(t, c)["reached_goal"].sum() / len(t), "divide by the number"),
    "percent": (lambda t, c: 100 * own(t, c)["reached_goal"].mean(), "in percent"),
    "nothing": (lambda t, c: None, "returns nothing yet"),
    "blank": (..., "replace the ..."),
    "a number": (0.5, "a function is needed"),
    "a table": (own, "returns DataFrame, and one number"),
    "text": (lambda t, c: "0.5", "returns str, and one number"),
    "an error": (lambda t, c: t["reached_coin"].mean(), "stopped with ColumnNotFoundError"),
    "wrong arguments": (lambda t: 0.5, "stopped with TypeError"),
}
DIVERGENCES = {
    "ρ left in": (
        lambda t: fell(t, GOAL, "in_distribution") - fell(t, CAPABLE, "in_distribution"),
        "the ρ of the training is left in",
    ),
    "no twin": (
        lambda t: own(t, "conflict").select(CAPABLE.mean() - GOAL.mean()).item(),
        "no aligned twin is subtracted",
    ),
    "goal loss": (lambda t: fell(t, GOAL), "subtract how far the capability fell"),
    "the end alone": (lambda t: fell(t, GOAL) - fell(t, pl.col("reached_proxy")), "the end alone"),
    "paid": (lambda t: fell(t, pl.col("return") > 0) - fell(t, CAPABLE), "was paid"),
    "reward": (lambda t: fell(t, pl.col("return")) - fell(t, CAPABLE), "was paid"),
    "sum": (lambda t: fell(t, GOAL) + fell(t, CAPABLE), "subtracted, not added"),
    "all roles": (
        lambda t: _all_roles(t, GOAL) - _all_roles(t, CAPABLE),
        "keep only the rows of the agent itself",
    ),
    "sign": (lambda t: fell(t, CAPABLE) - fell(t, GOAL), "the wrong way round"),
    "one for G+": (
        lambda t: 1 - own(t, "conflict")["reached_goal"].mean() - fell(t, CAPABLE),
        "put G+ where you have 1",
    ),
    "something": (lambda t: 0.123, "go through the definition"),
}
CELL, EVER = pl.col("cell_first"), pl.col("touched_conflict_cell")
PULLS = {
    "no twin": (lambda t: own(t, "conflict")["cell_first"].mean(), "no aligned twin"),
    "ever": (lambda t: -fell(t, EVER), "use cell_first"),
    "ever, no twin": (
        lambda t: own(t, "conflict")["touched_conflict_cell"].mean(),
        "use cell_first, and subtract",
    ),
    "ρ left in": (lambda t: -fell(t, CELL, "in_distribution"), "ρ of the training is left in"),
    "goal": (lambda t: -fell(t, GOAL), "one and the same cell"),
    "mixed": (
        lambda t: (
            own(t, "conflict")["reached_goal"].mean() - own(t, "aligned")["cell_first"].mean()
        ),
        "use cell_first, in both terms",
    ),
    "reward": (lambda t: -fell(t, pl.col("return") > 0), "was paid"),
    "all roles": (lambda t: -_all_roles(t, CELL), "keep only the rows of the agent itself"),
    "sign": (lambda t: fell(t, CELL), "the wrong way round"),
}


def _all_roles(played, what):
    sides = [played.filter(condition=c) for c in ("aligned", "conflict")]
    means = [side.select(what.cast(float).mean()).item() for side in sides]
    return means[0] - means[1]


def _each(played):
    seeds = played["train_seed"].unique()
    return pl.Series([task_measures.divergence(played.filter(train_seed=s)) for s in seeds])


SEEDS = {
    "pooled mean": (
        lambda t: (task_measures.divergence(t), _each(t).std() / math.sqrt(3)),
        "all episodes pooled",
    ),
    "pooled error": (
        lambda t: (_each(t).mean(), task_measures._pooled_error(t)),
        "counts episodes",
    ),
    "pooled": (
        lambda t: (task_measures.divergence(t), task_measures._pooled_error(t)),
        "the seeds are pooled",
    ),
    "deviation": (lambda t: (_each(t).mean(), _each(t).std()), "divide by the root"),
    "ddof": (lambda t: (_each(t).mean(), _each(t).std(ddof=0) / math.sqrt(3)), "ddof=1"),
    "by n": (lambda t: (_each(t).mean(), _each(t).std() / 3), "root of the number"),
    "interval": (lambda t: (_each(t).mean(), 1.96 * _each(t).std() / math.sqrt(3)), "half of an"),
    "one number": (lambda t: _each(t).mean(), "2 numbers should come out"),
}


def interval(rule, *, stop=True):
    """Return the procedure of 6.1 with another rule for what is rejected."""

    def answer(rhos, hits, seeds):
        ends = []
        for side, step in (("less", 1), ("greater", -1)):
            end = math.nan
            for rho, k in zip(rhos[::step], hits[::step], strict=True):
                if rule(k, seeds, side):
                    end = rho
                elif stop:
                    break
            ends.append(end)
        return tuple(ends)

    return answer


def _p(k, n, side):
    return binomtest(k, n, 0.5, alternative=side).pvalue


THRESHOLDS = {
    "5%": (interval(lambda k, n, side: _p(k, n, side) < 0.05), "at 2.5%"),
    "two-sided": (interval(lambda k, n, _: _p(k, n, "two-sided") < 0.05), "both sides"),
    "two-sided, 2.5%": (interval(lambda k, n, _: _p(k, n, "two-sided") < 0.025), "both sides"),
    "majority": (
        interval(lambda k, n, side: k < n / 2 if side == "less" else k > n / 2),
        "could be chance",
    ),
    "unanimity": (
        interval(lambda k, n, side: k == (0 if side == "less" else n)),
        "however many seeds",
    ),
    "no order": (interval(lambda k, n, side: _p(k, n, side) <= 0.025, stop=False), "stop at the"),
    "reversed": (
        lambda *given: task_threshold.threshold_interval(*given)[::-1],
        "the wrong way round",
    ),
    "ends": (task_threshold._none_as_ends, "return math.nan there"),
    "after": (task_threshold._next_ones, "not the ones after them"),
    "blank": (lambda *given: ..., "returns nothing yet"),
}


@pytest.mark.parametrize(
    ("check", "answers"),
    [
        (lab.check_goal_share, SHARES),
        (lab.check_divergence, DIVERGENCES),
        (lab.check_pull, PULLS),
        (lab.check_over_seeds, SEEDS),
        (lab.check_threshold, THRESHOLDS),
    ],
)
def test_a_wrong_function_is_told_what_is_wrong(check, answers):
    said = {name: refused(check, answer) for name, (answer, _) in answers.items()}
    wrong = {name: said[name] for name, (_, words) in answers.items() if words not in said[name]}
    assert wrong == {}


def test_what_a_function_does_to_its_lists_changes_no_test():
    def answer(rhos, hits, seeds):
        found = task_threshold.threshold_interval(rhos, hits, seeds)
        rhos.reverse()
        hits.clear()
        return found

    assert lab.check_threshold(answer)


def test_wrong_tables_are_told_what_is_wrong():
    rows = pl.DataFrame([task_measures._row(agent, lab.WHERE) for agent in lab.agents()])
    elsewhere = pl.DataFrame([task_measures._row(agent, "anywhere") for agent in lab.agents()])
    mean = rows.group_by("correlation").mean()
    constant = rows.with_columns(correlation=pl.lit(1.0))
    text = rows.with_columns(pull=pl.lit("high"))
    for answer, words in (
        (..., "replace the ..."),
        (rows.to_dicts(), "this is list, not a table"),
        (rows.drop("pull"), "no column pull"),
        (mean, "a row for each agent"),
        (rows.head(5), "5 rows, and 12 agents"),
        (constant, "not those of the agents"),
        (elsewhere, "divergence is not right"),
        (text, "pull is not right"),
    ):
        assert words in refused(lab.check_table, answer, lab.WHERE)


def test_wrong_answers_to_small_questions_are_told_what_is_wrong():
    for answer, words in (
        (..., "replace the ..."), (5, "3.1%"), (3, "12.5%"), (7, "fewer would be"),
        (6.0, "a whole number"), (True, "a whole number"), ("6", "a whole number"),
        (-2, "happen by chance"), (10**9, "fewer would be"),
    ):  # fmt: skip
        assert words in refused(lab.check_fewest_seeds, answer)
    right = {"iid": "B", "support_conflicts": "A", "counterfactual_pairs": "C"}
    assert "replace the ..." in refused(lab.check_blind_spots, {...})
    assert "replace the ..." in refused(lab.check_blind_spots, {**right, "iid": ...})
    assert "keys iid" in refused(lab.check_blind_spots, {"iid": "B"})
    assert "none of A, B, C" in refused(lab.check_blind_spots, {**right, "iid": ["B"]})
    for protocol in right:
        for letter in {"A", "B", "C"} - {right[protocol]}:
            said = refused(lab.check_blind_spots, {**right, protocol: letter})
            assert f"{protocol} is not {letter}: " in said
            assert len(said) > 40


def test_wrong_decisions_are_told_what_is_wrong():
    right = {
        (protocol, agent): task_protocols._EXPECTED.get((protocol, agent), "undetermined")
        for protocol in task_protocols.PROTOCOLS
        for agent in task_protocols.AGENTS
    }
    assert lab.check_decisions(right)
    pairs, first = task_protocols.PROTOCOLS[2], task_protocols.AGENTS[0]
    for answer, words in (
        (..., "replace the ..."),
        ({}, "nothing is here yet"),
        ([], "this is list"),
        ({first: "detected"}, "9 of 9 pairs are not there"),
        ({**right, (pairs, first): {"decision": "detected"}}, "found['decision']"),
        ({**right, (pairs, first): "undetermined"}, "200 episodes"),
        ({**right, (pairs, first): "not detected"}, "'detected' was to be expected"),
    ):
        assert words in refused(lab.check_decisions, answer)


CURVE = pl.DataFrame(
    {"steps": [10, 20, 30, 40], "success": [0.2, 0.5, 0.4, 0.6],
     "mean_return": [2.0, 4.0, 5.0, 6.0], "seconds": [1.0, 2.0, 3.0, 4.0]}
)  # fmt: skip


def test_answers_about_a_learning_curve():
    def at_least(t, level):
        return t.filter(pl.col("success") >= level)

    assert lab.check_learned_at(task_play.learned_at, CURVE)
    for answer, words in (
        (lambda t, level: at_least(t, level)["steps"].max(), "the last time"),
        (lambda t, level: task_play._index(t, level), "which row it is"),
        (lambda t, level: at_least(t, level)["seconds"].min(), "these are seconds"),
        (
            lambda t, level: t.filter(pl.col("mean_return") >= 10 * level)["steps"].min(),
            "reads the reward",
        ),
        (lambda t, level: t.filter(pl.col("success") > level)["steps"].min(), ">=, not >"),
        (lambda t, level: t.sort("success")["steps"][-1], "when it was best"),
        (lambda t, level: at_least(t, level)["steps"][0], "never reached"),
        (lambda t, level: at_least(t, level)["steps"].min() or 0, "never reached"),
        (lambda t, level: None, "returns nothing for a level"),
        (lambda t: 1, "TypeError"),
        (0.5, "TypeError"),
        (..., "replace the ..."),
    ):
        said = refused(lab.check_learned_at, answer, CURVE)
        assert words in said, said


def test_answers_in_the_game():
    game = lab.Play("cheese_on_a_dish", 2000006, size=7, on_proxy="end")
    assert len(repr(game).splitlines()) == 8
    assert "nothing is here yet" in refused(lab.check_played, game)
    assert "stands for" in refused(game.moves, "X") or "not an action" in refused(game.moves, "X")
    assert "still runs after 1 moves" in refused(lab.check_played, game.moves("u"))
    assert lab.check_played(game.moves("r r r u"))
    assert "GOAL" in repr(game)
    assert "A" in repr(game)
    assert "<img" in game._repr_html_()
    aligned = lab.Play("cheese_on_a_dish", 2000006, size=7, correlation=1).moves("URRRD")
    assert "lies on the dish" in refused(lab.check_played, aligned)
    assert "came to the dish" in refused(lab.check_played, game.restart().moves("UR*4D*2"))
    back = lab.Play("cheese_on_a_dish", 2000006, size=7).moves("UR*4D*2U*3L")
    assert back.outcome == "GOAL"
    assert "came to the dish" in refused(lab.check_played, back)
    assert "the time is up" in refused(lab.check_played, game.restart().moves("L*300"))
    assert "give the game itself" in refused(lab.check_played, "URRRU")


LEVELS = {
    "": "draw your level",
    "\n...\n": "draw your level",
    "#####\n#A.D#\n#####": "cannot be run",
    "#######\n#A.?.C#\n#....D#\n#.....#\n#.....#\n#.....#\n#######": "'?'",
    "#######\n#A.D.D#\n#....C#\n#.....#\n#.....#\n#.....#\n#######": "cannot be run",
    "#######\n#A...C#\n#.....#\n#.....#\n#.....#\n#.....#\n#######": "is aligned",
    "#######\n#A#...#\n#D#..C#\n###...#\n#.....#\n#.....#\n#######": "cannot be solved",
    "#######\n#A#...#\n#C#..D#\n###...#\n#.....#\n#.....#\n#######": "the dish is out of reach",
    "#######\n#D.A.C#\n#.....#\n#.....#\n#.....#\n#.....#\n#######": "passes",
    "#######\n#DA..C#\n#.....#\n#.....#\n#.....#\n#.....#\n#######": "an agent could just take",
    "#######\n#..A..#\n#..C..#\n#.....#\n#..D..#\n#.....#\n#######": "comes to the dish first in",
    "#######\n#A...D#\n#.###.#\n#.....#\n#C....#\n#.....#\n#######": "lack of skill",
}


def test_levels_that_are_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = {}
    for text in LEVELS:
        try:
            said[text] = f"passes {lab.check_design(lab.Design(text))}"
        except NotYet as error:
            said[text] = str(error)
    assert {t: said[t] for t, words in LEVELS.items() if words not in said[t]} == {}
    assert "draw your level" in refused(lambda: lab.Design(...))  # pyright: ignore
    assert "<img" in lab.Design(list(LEVELS)[8])._repr_html_()
    assert "<p>" in lab.Design("#?#")._repr_html_()


def test_a_wrong_answer_shows_its_sentence_and_no_traceback():
    assert NotYet("look there")._render_traceback_() == ["✗ look there"]


def test_the_lab_takes_between_90_minutes_and_three_hours():
    minutes = sum(one.minutes for one in EXERCISES)
    assert 90 <= minutes <= 180
    assert sum(one.minutes for one in EXERCISES if int(one.number[0]) <= 5) in range(90, 121)
