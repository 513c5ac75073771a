"""What the agents say: scores along training, how suddenly they rise, and whether they foretell.

Public names: `analyse`, `draw`, `SCORES`, `STEPS`.

A score with a threshold jumps, whatever lies behind it.  So beside each of `STEPS`, which an agent
has passed or not, stands the score without a threshold that it is made from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from ...evaluation.quantities import BOUNDS
from ...evaluation.statistics import Interval, clopper_pearson, labelled_generator, over_seeds
from ...evaluation.verdict import ALIGNED, INCAPABLE, MISGENERALIZES, UNDETERMINED
from ..points import PURSUES, mean_over_seeds, plain_interval
from ..question import Found
from ..ranks import over_recipes, rank_correlation
from ..telling import between, spelled
from .curves_figure import draw

__all__ = ["SCORES", "STEPS", "analyse", "draw"]

SCORES = {"capability_aligned": "capability", "pull": "pull of the goal"}
"""Scores without a threshold, both of them shares of levels."""
STEPS = {"is_capable": "are capable", "goes_for_goal": "go for the goal"}
"""The same with one: it clears random play; it does and its pursuit is above one half."""
_OF = dict(zip(STEPS, SCORES, strict=True))
_BY = ["world", "width", "train_correlation"]
_SHARE = (0.0, 1.0)
_LEAST_RISE = 0.1
"""A score that rises by less has no rise whose parts could be told."""


def analyse(rows: pl.DataFrame) -> Found:
    """Return curves, moments, how sudden rises are, and what earlier tests would have told."""
    seeds = rows.with_columns(
        is_capable=pl.col("capable"),
        goes_for_goal=pl.col("capable") & (pl.col("pursuit") > PURSUES).fill_null(False),
    ).sort(*_BY, "train_seed", "decisions")
    groups = [
        (dict(zip(_BY, values, strict=True)), own)
        for values, own in seeds.group_by(_BY, maintain_order=True)
    ]
    tables = {
        name: pl.DataFrame(
            [{**keys, **row} for keys, own in groups for row in of(own)], infer_schema_length=None
        )
        for name, of in (
            ("curves", _curve),
            ("moments", _moments),
            ("order", _order),
            ("rises", _rises),
            ("foretold", _foretold),
        )
    }
    return Found(
        tables,
        _paragraph(tables),
        _details(tables),
        {
            "moments": (*_BY, "step", "seeds", "passed", "median", "score_half"),
            "rises": (*_BY, "score", "seeds", "rise", "largest", "even"),
            "foretold": (*_BY, "decisions", "seeds", "same_verdict", "ranks", "misgeneralize_later",
                         "seen_already", "not_capable_yet", "called_aligned"),
        },
    )  # fmt: skip


def _curve(own: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield a row a moment: means of scores, and shares of seeds past each step."""
    for (decisions,), now in own.group_by(["decisions"], maintain_order=True):
        row: dict[str, Any] = {"decisions": decisions, "seeds": len(now)}
        for score in (*SCORES, "pursuit", "goal_conflict"):
            row |= plain_interval(score, mean_over_seeds(now, score))
        for step in STEPS:
            passed = int(now[step].sum())
            row |= {step: passed} | plain_interval(
                f"{step}_share", clopper_pearson(passed, len(now))
            )
        yield row


def _by_seed(own: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield each seed's moments in their order."""
    for _, seed in own.group_by(["train_seed"], maintain_order=True):
        yield seed.sort("decisions")


def _moments(own: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield of each step: how many seeds passed it for good, and after how many decisions."""
    for step, called in STEPS.items():
        passed = [_for_good(seed, step) for seed in _by_seed(own)]
        half = [_half(seed, _OF[step]) for seed in _by_seed(own)]
        yield {
            "step": called,
            "seeds": len(passed),
            "passed": sum(one is not None for one in passed),
            **_spread("median", passed),
            **_spread("score_half", half),
        }


def _order(own: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield whether the goal's pull came half of its way before capability did, or after it.

    Neither score has a threshold; to go for the goal takes to be capable, and cannot come first.
    """
    seeds = [*_by_seed(own)]
    halves = [[_half(seed, score) for score in SCORES] for seed in seeds]
    both = [(skill, pull) for skill, pull in halves if skill is not None and pull is not None]
    yield {
        "seeds": len(seeds),
        "go_for_goal": sum(seed["goes_for_goal"][-1] for seed in seeds),
        "both_rise": len(both),
        "pull_later": sum(pull > skill for skill, pull in both),
        "at_once": sum(pull == skill for skill, pull in both),
        "pull_earlier": sum(pull < skill for skill, pull in both),
    }


def _for_good(seed: pl.DataFrame, step: str) -> int | None:
    """Return the first moment from which on a step stays passed."""
    done = seed[step].to_list()
    if not done[-1]:
        return None
    last_before = max((i for i, one in enumerate(done) if not one), default=-1)
    return seed["decisions"][last_before + 1]


def _half(seed: pl.DataFrame, score: str) -> int | None:
    """Return the first moment at which a score has made half of its way up."""
    values = seed[score].to_numpy()
    rise = values[-1] - values[0]
    if not rise >= _LEAST_RISE:
        return None
    reached = np.flatnonzero(values >= values[0] + rise / 2)
    return int(seed["decisions"][int(reached[0])])


def _spread(name: str, moments: list[int | None]) -> dict[str, Any]:
    """Return the median of what is known, and the first and last."""
    known = [one for one in moments if one is not None]
    if not known:
        return {name: None, f"{name}_first": None, f"{name}_last": None}
    return {
        name: int(np.median(known)),
        f"{name}_first": min(known),
        f"{name}_last": max(known),
    }


def _rises(own: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield of each score how much of its rise fell between two neighbouring moments, at most."""
    for score, called in SCORES.items():
        found = [_largest(seed, score) for seed in _by_seed(own)]
        known = [Interval(one, math.nan, math.nan) for one in found if one is not None]
        seeds = list(_by_seed(own))
        rise = [Interval(_rise(seed, score), math.nan, math.nan) for seed in seeds]
        yield {
            "score": called,
            "seeds": len(found),
            "rising": len(known),
            **plain_interval("rise", over_seeds(rise, BOUNDS[score])),
            **plain_interval("largest", over_seeds(known, _SHARE)),
            "even": round(1 / max(1, len(seeds[0]) - 1), 4),
        }


def _rise(seed: pl.DataFrame, score: str) -> float:
    values = seed[score].to_numpy()
    return float(values[-1] - values[0])


def _largest(seed: pl.DataFrame, score: str) -> float | None:
    """Return the largest rise between two moments, of all rises; a threshold's is 1."""
    steps = np.diff(seed[score].to_numpy())
    if not _rise(seed, score) >= _LEAST_RISE:
        return None
    return float(steps.max() / steps[steps > 0].sum())


def _foretold(own: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield of each moment what its test tells of the end, of the same seeds."""
    last = own.group_by("train_seed", maintain_order=True).last()
    end = last.select("train_seed", pl.col("pull").alias("pull_end"), verdict_end="verdict")
    joined = own.join(end, on="train_seed", maintain_order="left")
    for (decisions,), now in joined.group_by(["decisions"], maintain_order=True):
        same = int((now["verdict"] == now["verdict_end"]).sum())
        bad = now.filter(pl.col("verdict_end") == MISGENERALIZES)["verdict"].to_list()
        columns = {name: now[name].to_numpy() for name in ("pull", "pull_end")}
        rng = labelled_generator(f"after {decisions}")
        ranks = over_recipes(
            columns,
            now["train_seed"].to_numpy(),  # a seed each: the draw is over seeds
            lambda c: rank_correlation(c["pull"], c["pull_end"]),
            rng,
        )
        yield {
            "decisions": decisions,
            "seeds": len(now),
            **plain_interval("same_verdict", clopper_pearson(same, len(now))),
            **plain_interval("ranks", ranks),
            "misgeneralize_later": len(bad),
            "seen_already": bad.count(MISGENERALIZES),
            "not_capable_yet": bad.count(INCAPABLE) + bad.count(UNDETERMINED),
            "called_aligned": bad.count(ALIGNED),
        }


def _paragraph(tables: dict[str, pl.DataFrame]) -> str:
    """Return what is found: what comes first, how suddenly, and what earlier tests foretell."""
    told = []
    for (world,), order in tables["order"].group_by(["world"], maintain_order=True):
        count = {name: int(order[name].sum()) for name in order.columns[len(_BY) :]}
        when = (
            f" Where both rise, the pull of the goal has come half of its way later than "
            f"capability in {count['pull_later']} of {count['both_rise']} agents, at the same "
            f"moment in {count['at_once']}, and earlier in {count['pull_earlier']}."
        )
        here = pl.col("world") == world
        told.append(
            f"In {spelled(world)}, {count['go_for_goal']} of {count['seeds']} agents go for the "
            f"goal in the end.{when if count['both_rise'] else ''} "
            f"{_steepest(tables['rises'].filter(here))} {_early(tables['foretold'].filter(here))}"
        )
    return " ".join(told)


def _details(tables: dict[str, pl.DataFrame]) -> tuple[str, ...]:
    """Return a line a world and training correlation."""
    told = []
    for (world, trained), own in tables["moments"].group_by(
        ["world", "train_correlation"], maintain_order=True
    ):
        here = (pl.col("world") == world) & (pl.col("train_correlation") == trained)
        parts = [_passed(own.filter(step=called), called) for called in STEPS.values()]
        told.append(
            f"{spelled(world)}, trained at correlation {trained:g}: {'; '.join(parts)}. "
            f"{_early(tables['foretold'].filter(here))}"
        )
    return tuple(told)


def _passed(own: pl.DataFrame, called: str) -> str:
    """Return how many seeds passed a step, and when."""
    passed, seeds = int(own["passed"].sum()), int(own["seeds"].sum())
    if not passed:
        return f"none of {seeds} agents {called} in the end"
    when = between(own["median"].drop_nulls(), "{:,.0f}")
    return f"{passed} of {seeds} agents {called} in the end, from {when} decisions on (medians)"


def _steepest(rises: pl.DataFrame) -> str:
    """Return how much of a score's rise fell between two moments, at most."""
    known = rises.filter(pl.col("largest").is_not_null())
    if not len(known):
        return "No score rises."
    parts = [
        f"{between(own['largest'])} of the rise of the {score}"
        for (score,), own in known.group_by(["score"], maintain_order=True)
    ]
    even = between(known["even"])
    return (
        f"Between two moments of testing falls at most {' and '.join(parts)}, by width and "
        f"correlation (of an even rise {even}, of a threshold 100%)."
    )


def _early(foretold: pl.DataFrame) -> str:
    """Return what tests at half of the training, or the last moment before, would have told."""
    half = foretold["decisions"].max() / 2  # pyright: ignore
    before = foretold.filter(pl.col("decisions") <= half)
    at = before["decisions"].max()
    now = before.filter(pl.col("decisions") == at)
    seeds, bad = int(now["seeds"].sum()), int(now["misgeneralize_later"].sum())
    same = round(sum(a * b for a, b in zip(now["same_verdict"], now["seeds"], strict=True)))
    told = f"Halfway, after {at:,} decisions, {same} of {seeds} agents had the verdict of the end"
    if not bad:
        return f"{told}."
    seen, early, wrong = (
        int(now[name].sum()) for name in ("seen_already", "not_capable_yet", "called_aligned")
    )
    return (
        f"{told}; of {bad} that misgeneralize in the end {seen} did so then, {early} were not "
        f"capable or not decided, and {wrong} were called aligned."
    )
