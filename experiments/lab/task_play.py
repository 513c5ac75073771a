"""Tests of parts 1 and 2: a level that was played, and a learning curve that was read.

Public names: `check_played`, `check_learned_at`; the right answer, `learned_at`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import polars as pl

from misgen.envs.core.episode import REACHED_GOAL, REACHED_PROXY

from .exercises import NotYet, Passed, attempted, passed, require, require_there
from .known_mistakes import Case, Mistake, compare
from .play_here import Play

_UP_AND_DOWN = pl.DataFrame(
    {
        "steps": [100, 200, 300, 400, 500],
        "success": [0.1, 0.6, 0.4, 0.7, 0.65],
        "mean_return": [1.0, 7.0, 9.0, 7.0, 6.5],
        "seconds": [1.5, 2.5, 3.5, 4.5, 5.5],
    }
)
"""A learning curve on which the ways to read it wrongly differ."""
_INSTEAD = {
    "running": "the episode still runs after {moves} moves: give more moves in game.moves(...)",
    "PROXY": "you came to the dish first, and the cheese is elsewhere: call game.restart(), and go "
    "another way",
    "TIMEOUT": "the time is up after {moves} moves: call game.restart(), and take a shorter way",
    "DEATH": "you died: call game.restart()",
}


def check_played(game: Any) -> Passed:
    """Test exercise 1.1."""
    require_there(game, "a game")
    require(isinstance(game, Play), "give the game itself: lab.check_played(game)")
    moves = len(game.game.actions)
    require(moves > 0, 'nothing is here yet: give moves in game.moves("..."), by letters')
    require(
        not game.game.level.aligned,
        "on this level the cheese lies on the dish, so that nobody can tell what you went for: "
        "play the level of the exercise, with correlation=0",
    )
    first = next((bit for _, bit, _ in game.game.events if bit in (REACHED_GOAL, REACHED_PROXY)), 0)
    require(first != REACHED_PROXY, _INSTEAD["PROXY"])
    require(game.outcome == "GOAL", _INSTEAD.get(game.outcome, "").format(moves=moves))
    return passed("1.1", f"{moves} moves. You went for the cheese, and passed the dish by.")


def learned_at(curve: pl.DataFrame, level: float) -> int | None:
    """Return after how many decisions success first reached a level; None if it never did."""
    there = curve.filter(pl.col("success") >= level)
    return None if there.is_empty() else int(there["steps"][0])


def check_learned_at(answer: Any, curve: pl.DataFrame) -> Passed:
    """Test exercise 2.1.

    Args:
        answer: a function of a learning curve and a level of success.
        curve: the one of the agent that was trained.
    """
    require_there(answer, "a function")
    called = attempted(answer)
    found = called(_UP_AND_DOWN, 0.5)
    require(
        found is not None and found is not ...,
        "your function returns nothing for a level that the curve reaches: replace the ..., and "
        "end it with return",
    )
    own = curve.select(_UP_AND_DOWN.columns)
    cases = [
        Case("a curve that goes up and down, at 0.5", (_UP_AND_DOWN, 0.5)),
        Case("a curve that goes up and down, at 0.7", (_UP_AND_DOWN, 0.7)),
        Case("the curve of your agent, at 0.5", (own, 0.5)),
    ]
    compare(_or_nan(called), _or_nan(learned_at), cases, _READ_WRONGLY)
    _require_none(called)
    return passed("2.1", "By its learning curve nothing is wrong with this agent.")


def _require_none(called: Callable[..., Any]) -> None:
    """Refuse a function that does not return None for a level that the curve never reaches."""
    try:
        never = called(_UP_AND_DOWN, 0.99)
    except NotYet as error:
        raise NotYet(f"for a level that is never reached, where None is right, {error}") from None
    require(
        never is None or (isinstance(never, float) and math.isnan(never)),
        f"your function gives {never!r} for a level that is never reached: return None there",
    )


def _or_nan(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives NaN for None, as a number is compared."""

    def call(curve: pl.DataFrame, level: float) -> Any:
        found = function(curve, level)
        return math.nan if found is None else found

    return call


def _index(curve: pl.DataFrame, level: float) -> int | None:
    there = curve.with_row_index().filter(pl.col("success") >= level)
    return None if there.is_empty() else int(there["index"][0])


def _at_least(curve: pl.DataFrame, level: float) -> pl.DataFrame:
    return curve.filter(pl.col("success") >= level)


_READ_WRONGLY = (
    Mistake(
        _or_nan(_index),
        "this is which row it is, not how many decisions: return what stands in steps there",
    ),
    Mistake(
        _or_nan(lambda t, level: _at_least(t, level)["steps"].max()),
        "this is the last time that it was so good, and the first was asked for",
    ),
    Mistake(
        _or_nan(lambda t, level: t.filter(pl.col("mean_return") >= 10 * level)["steps"].min()),
        "this reads the reward, mean_return: success was asked for",
    ),
    Mistake(
        _or_nan(lambda t, level: _at_least(t, level)["seconds"].min()),
        "these are seconds, which differ from machine to machine: return decisions, steps",
    ),
    Mistake(
        _or_nan(lambda t, level: t.filter(pl.col("success") > level)["steps"].min()),
        "success of exactly that much counts: >=, not >",
    ),
    Mistake(
        _or_nan(lambda t, level: t.sort("success")["steps"][-1]),
        "this is when it was best, and when it first was good enough was asked for",
    ),
)
"""Mistakes in exercise 2.1."""
