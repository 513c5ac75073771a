"""An answer held against the right one, and against the mistakes that are made most.

Public names: `Mistake`, `Case`, `compare`.

A mistake is a function like the answer itself, so that a wrong number can be told from which one it
is.  It is blamed only where it gives what the student's function gives in every case.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .exercises import NotYet, attempted, require, require_there

_CLOSE = 1e-6
"""Numbers as near as this are the same: the order of a sum makes no difference."""


@dataclass(frozen=True)
class Mistake:
    """A way to be wrong."""

    gives: Callable[..., Any]
    """What somebody who makes it returns."""
    sentence: str
    """What to look at."""


@dataclass(frozen=True)
class Case:
    """What a function is tried on."""

    called: str
    """What the table is, for the student."""
    given: tuple[Any, ...]


def compare(
    answer: Any,
    right: Callable[..., Any],
    cases: Sequence[Case],
    mistakes: Sequence[Mistake],
    length: int = 1,
) -> None:
    """Hold a student's function against the right one.

    Args:
        answer: the function.
        right: the right one.
        cases: what both are tried on.
        mistakes: the ways to be wrong that are known, the likeliest first.
        length: how many numbers are returned.

    Raises:
        NotYet: saying what to look at, if the two differ anywhere.
    """
    require_there(answer, "a function")
    require(callable(answer), f"this is {type(answer).__name__}, and a function is needed")
    called = attempted(answer)
    found = [_numbers(called(*copy.deepcopy(case.given)), length) for case in cases]
    wanted = [_numbers(right(*case.given), length) for case in cases]
    wrong = [k for k in range(len(cases)) if not _same(found[k], wanted[k])]
    if not wrong:
        return
    for mistake in mistakes:
        blamed = [_numbers(mistake.gives(*case.given), length) for case in cases]
        if all(map(_same, found, blamed)):
            raise NotYet(mistake.sentence)
    _unknown(found[wrong[0]], wanted[wrong[0]], cases[wrong[0]], len(wrong) == len(cases))


def _unknown(found: Sequence[float], wanted: Sequence[float], case: Case, everywhere: bool) -> None:
    """Say what can be said of a number that comes of no mistake that is known.

    Raises:
        NotYet: always.
    """
    if _same(found, [100 * one for one in wanted]):
        raise NotYet("that is in percent: give parts of one, 0.25 for 25%")
    if _same(found, [-one for one in wanted]):
        raise NotYet("the sign is the wrong way round: which of the two is subtracted?")
    shown = ", ".join(f"{one:.3f}" for one in found)
    where = case.called if everywhere else f"{case.called}, though other tables come out right"
    raise NotYet(
        f"your function gives {shown} for {where}, which is not it: go through the definition term "
        "by term, and look at each mean by itself"
    )


def _numbers(given: Any, length: int) -> list[float]:
    """Return what a function gave as numbers.

    Raises:
        NotYet: if it gave something else.
    """
    require(
        given is not None and given is not ...,
        "your function returns nothing yet: replace the ..., and end it with return",
    )
    values: Any = [given] if length == 1 else given
    try:
        numbers = [math.nan if one is None else _number(one) for one in values]
    except (TypeError, ValueError):
        numbers = []
    wanted = "one number" if length == 1 else f"{length} numbers"
    require(
        len(numbers) == length,
        f"your function returns {type(given).__name__}, and {wanted} should come out: the mean of "
        'a column is table["column"].mean()',
    )
    return numbers


def _number(one: Any) -> float:
    """Return a number as a float; text that looks like one is none."""
    if isinstance(one, str | bytes):
        raise TypeError(type(one).__name__)
    return float(one)


def _same(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(
        (math.isnan(x) and math.isnan(y)) or abs(x - y) < _CLOSE for x, y in zip(a, b, strict=True)
    )
