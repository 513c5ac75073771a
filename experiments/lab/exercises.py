"""The exercises of the course lab, and what is said of an answer.

Public names: `Exercise`, `EXERCISES`, `exercise`, `NotYet`, `Passed`, `passed`, `require`,
`require_there`, `Results`, `results`.

A test of an answer returns `Passed`, or raises `NotYet` with a sentence that helps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

CORE = 5
"""The parts that a short course is made of: the first so many."""


@dataclass(frozen=True)
class Exercise:
    """A task of the lab."""

    number: str
    """Its part and its place there, as in 4.1."""
    title: str
    minutes: int
    """How long it takes, about."""
    difficulty: str
    points: int

    @property
    def line(self) -> str:
        """What stands under its heading in the notebook."""
        points = "1 point" if self.points == 1 else f"{self.points} points"
        return f"*{self.minutes} minutes · {self.difficulty} · {points}*"


EXERCISES = (
    Exercise("1.1", "Bring the mouse to the cheese", 10, "easy", 1),
    Exercise("2.1", "When had it learned?", 15, "easy", 1),
    Exercise("3.1", "How often does it get the coin?", 20, "easy", 2),
    Exercise("4.1", "The divergence", 20, "medium", 3),
    Exercise("4.2", "The pull", 15, "medium", 3),
    Exercise("4.3", "The mean of three agents", 10, "medium", 2),
    Exercise("5.1", "Twelve agents", 15, "medium", 2),
    Exercise("6.1", "An interval for ρ*", 20, "hard", 3),
    Exercise("6.2", "How many seeds?", 5, "easy", 1),
    Exercise("7.1", "Three protocols, three agents", 10, "easy", 2),
    Exercise("7.2", "What each of them cannot see", 10, "medium", 2),
    Exercise("8.1", "A level that fools an agent", 25, "hard", 3),
)
"""All of them, in their order."""


def exercise(number: str) -> Exercise:
    """Return the exercise of a number."""
    return next(one for one in EXERCISES if one.number == number)


class NotYet(Exception):
    """An answer that is not right yet; its text says what to look at."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the sentence, without the code that found it out."""
        return [f"✗ {self}"]


@dataclass(frozen=True)
class Passed:
    """A right answer."""

    number: str
    words: str

    def __repr__(self) -> str:
        """Return what a console shows."""
        return f"✓ {self.number} is right. {self.words}".rstrip()

    def _repr_markdown_(self) -> str:
        return f"**✓ {self.number} is right.** {self.words}".rstrip()


_PASSED: dict[str, Passed] = {}
"""What was answered rightly in this process."""


def passed(number: str, words: str = "") -> Passed:
    """Return that an answer is right, and keep that for `results`."""
    _PASSED[number] = Passed(number, words)
    return _PASSED[number]


def require(holds: bool, otherwise: str) -> None:
    """Refuse an answer.

    Raises:
        NotYet: unless it holds, with what to look at.
    """
    if not holds:
        raise NotYet(otherwise)


def require_there(answer: object, what: str) -> None:
    """Refuse an answer that is still blank.

    Raises:
        NotYet: if it is.
    """
    blank = answer is ... or (isinstance(answer, set | list | tuple) and ... in answer)
    require(not blank, f"nothing is here yet: replace the ... by {what}")


def attempted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of a student's as it is to be called: its errors say where they come from.

    Raises:
        NotYet: by what is returned, if the function stops with an error.
    """

    @wraps(function)
    def call(*given: Any) -> Any:
        try:
            return function(*given)
        except Exception as error:
            name = getattr(function, "__name__", "it")
            first = (str(error).splitlines() or [""])[0]
            raise NotYet(
                f"{name} stopped with {type(error).__name__} ({first}): call it yourself in a cell "
                "of its own to see in which line"
            ) from error

    return call


@dataclass(frozen=True)
class Results:
    """Which exercises are done, as a table."""

    done: frozenset[str]

    @property
    def points(self) -> int:
        """Points so far."""
        return sum(one.points for one in EXERCISES if one.number in self.done)

    @property
    def _sum(self) -> str:
        return f"{self.points} of {sum(one.points for one in EXERCISES)} points"

    def __repr__(self) -> str:
        """Return what a console shows."""
        lines = [f"{self._mark(one)} {one.number} {one.title}" for one in EXERCISES]
        return "\n".join([*lines, self._sum])

    def _repr_markdown_(self) -> str:
        rows = [
            f"| {self._mark(one)} | {one.number} | {one.title} | {one.points} |"
            for one in EXERCISES
        ]
        return "\n".join(["| | exercise | | points |", "|---|---|---|---|", *rows, "", self._sum])

    def _mark(self, one: Exercise) -> str:
        return "✓" if one.number in self.done else "·"


def results() -> Results:
    """Return which exercises were answered rightly since the notebook was started."""
    return Results(frozenset(_PASSED))
