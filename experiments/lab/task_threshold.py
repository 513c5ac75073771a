"""Tests of part 6: an interval for the ρ from which on half of all agents misgeneralize.

Public names: `check_threshold`, `check_fewest_seeds`; the right answer, `threshold_interval`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..evidence.threshold import threshold
from .exercises import Passed, passed, require, require_there
from .known_mistakes import Case, Mistake, compare

_DOSES = (0.5, 0.9, 0.98, 1.0)
_TRIED = (
    ("ten seeds at each ρ, two off the way", _DOSES, (0, 0, 10, 10), 10),
    ("ten seeds at each ρ, the paper's placement", _DOSES, (0, 3, 10, 10), 10),
    ("three seeds at each ρ", _DOSES, (0, 0, 3, 3), 3),
    ("twelve seeds, and a row that goes up and down", (0.5, 0.7, 0.9, 1.0), (1, 6, 2, 11), 12),
    ("nine seeds of which eight agree", (0.8, 0.9, 1.0), (0, 1, 9), 9),
    ("eight seeds of which seven agree", (0.6, 0.7, 0.9, 1.0), (0, 1, 7, 8), 8),
    ("all of ten at every ρ", (0.9, 0.95, 1.0), (10, 10, 10), 10),
)
"""What answers are tried on: the ρ, how many misgeneralize at each, of how many."""


def threshold_interval(
    rhos: Sequence[float], hits: Sequence[int], seeds: int
) -> tuple[float, float]:
    """Return between which two ρ the threshold lies, NaN where nothing is known."""
    found = threshold(rhos, hits, [seeds] * len(rhos))
    return found.low, found.high


def check_threshold(answer: Any) -> Passed:
    """Test exercise 6.1."""
    cases = [Case(f"{name}, hits = {list(hits)}", (list(rhos), list(hits), seeds))
             for name, rhos, hits, seeds in _TRIED]  # fmt: skip
    mistakes = (
        Mistake(
            _with(lambda hits, of: _tail(hits, of) < 0.05),
            "each side is tested at 2.5%, as two of them share the 5%: you test at 5%",
        ),
        Mistake(
            _with(lambda hits, of: 2 * min(_tail(hits, of), _tail(of - hits, of)) < 0.05),
            "your test looks to both sides, so that ten of ten are 'too few', too: use "
            'alternative="less" from below, and "greater" from above',
        ),
        Mistake(
            _with(lambda hits, of: 2 * min(_tail(hits, of), _tail(of - hits, of)) < 0.025),
            'your test looks to both sides: use alternative="less" from below, and "greater" from '
            "above",
        ),
        Mistake(
            _with(lambda hits, of: hits < of / 2),
            "fewer than half of these seeds is not yet fewer than half of all seeds: it could be "
            "chance. Ask the binomial test",
        ),
        Mistake(
            _with(lambda hits, of: hits == 0),
            "not one of them may misgeneralize, in your rule, however many seeds there are: ask "
            "the binomial test",
        ),
        Mistake(
            _without_order,
            "you take every ρ that the test rejects. Go from the lowest up and stop at the first "
            "that it does not reject, and from the highest down likewise: else a lucky row in the "
            "middle decides, and the interval no longer holds what it claims",
        ),
        Mistake(
            _next_ones,
            "the ends are the last ρ that was rejected on each side, not the ones after them",
        ),
        Mistake(
            lambda rhos, hits, seeds: threshold_interval(rhos, hits, seeds)[::-1],
            "the two ends are the wrong way round: (low, high)",
        ),
        Mistake(
            _none_as_ends,
            "where nothing is rejected nothing is known: return math.nan there, not the lowest or "
            "the highest ρ that happened to be tried",
        ),
    )
    compare(answer, threshold_interval, cases, mistakes, length=2)
    return passed("6.1", "It needs no curve, and says so where it knows nothing.")


def check_fewest_seeds(answer: Any) -> Passed:
    """Test exercise 6.2."""
    require_there(answer, "a number")
    whole = hasattr(answer, "__index__") and not isinstance(answer, bool)
    require(whole, f"this is {answer!r}, and a whole number of seeds is asked for")
    answer = int(answer)
    require(
        answer != 5,
        "five that agree happen by chance in 0.5**5 = 3.1% of all studies: more than 2.5%",
    )
    require(
        answer > 5,
        f"{answer} that agree happen by chance in 0.5**{answer} = {0.5 ** max(answer, 0):.1%} of "
        "all studies",
    )
    require(answer == 6, f"{answer} are enough, and fewer would be: what is 0.5**{answer - 1}?")
    return passed("6.2", "The three of part 5 cannot show it, however clearly they agree.")


def _with(too_few: Callable[[int, int], bool]) -> Callable[..., tuple[float, float]]:
    """Return the procedure with another rule for when a number is too few to be half."""

    def interval(rhos: Sequence[float], hits: Sequence[int], seeds: int) -> tuple[float, float]:
        low = _last(rhos, [too_few(one, seeds) for one in hits])
        high = _last(rhos[::-1], [too_few(seeds - one, seeds) for one in hits[::-1]])
        return low, high

    return interval


def _last(rhos: Sequence[float], rejected: Sequence[bool]) -> float:
    found = math.nan
    for rho, one in zip(rhos, rejected, strict=True):
        if not one:
            break
        found = rho
    return found


def _without_order(rhos: Sequence[float], hits: Sequence[int], seeds: int) -> tuple[float, float]:
    below = [rho for rho, one in zip(rhos, hits, strict=True) if _tail(one, seeds) < 0.025]
    above = [rho for rho, one in zip(rhos, hits, strict=True) if _tail(seeds - one, seeds) < 0.025]
    return max(below, default=math.nan), min(above, default=math.nan)


def _next_ones(rhos: Sequence[float], hits: Sequence[int], seeds: int) -> tuple[float, float]:
    low, high = threshold_interval(rhos, hits, seeds)
    after = [rho for rho in rhos if not rho <= low]
    before = [rho for rho in rhos if not rho >= high]
    return (after[0] if after else math.nan), (before[-1] if before else math.nan)


def _none_as_ends(rhos: Sequence[float], hits: Sequence[int], seeds: int) -> tuple[float, float]:
    low, high = threshold_interval(rhos, hits, seeds)
    return (rhos[0] if math.isnan(low) else low), (rhos[-1] if math.isnan(high) else high)


def _tail(hits: int, seeds: int) -> float:
    """Return how probable so few are, if half of all agents misgeneralized."""
    from scipy.special import bdtr

    return float(bdtr(hits, seeds, 0.5))
