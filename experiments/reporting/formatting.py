"""Numbers as reports print them.

Public names: `rate`, `points`, `part`, `rate_parts`, `points_parts`, `part_parts`, `share`,
`large`, `duration`, `listed`, `plural`, `has_interval`, `interval_of`, `TOO_FEW`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluation.statistics import Interval

UNKNOWN = "–"
TOO_FEW = "[n too small]"
"""What stands for an interval that would span nearly all there is."""


def rate(interval: Interval) -> str:
    """A rate in percent, with its interval: `72% [65, 79]`."""
    return " ".join(filter(None, rate_parts(interval)))


def points(interval: Interval) -> str:
    """A difference of rates in percentage points, with its interval: `+25 [+18, +32]`."""
    return " ".join(filter(None, points_parts(interval)))


def part(interval: Interval) -> str:
    """A pursuit or a choice, whose whole is 1, with its interval: `0.93 [0.88, 0.97]`."""
    return " ".join(filter(None, part_parts(interval)))


def rate_parts(interval: Interval) -> tuple[str, str]:
    """A rate in percent and its interval, apart."""
    return _parts(interval, "{:z.0f}", "%")


def points_parts(interval: Interval) -> tuple[str, str]:
    """A difference in percentage points and its interval, apart."""
    return _parts(interval, "{:+z.0f}", "")


def part_parts(interval: Interval) -> tuple[str, str]:
    """A pursuit or a choice and its interval, apart."""
    return _parts(interval, "{:z.2f}", "", 1)


def share(value: float | None) -> str:
    """A share in percent; a digit more where it would read 0% or 100% and is not."""
    if value is None or math.isnan(value):
        return UNKNOWN
    for digits in (0, 1, 2):
        text = f"{100 * value:.{digits}f}"
        if float(text) not in (0.0, 100.0) or value in (0.0, 1.0):
            break
    return f"{text}%"


def large(value: float) -> str:
    """A large number: `950`, `100,000`, `6.0M`."""
    return f"{value / 1e6:.1f}M" if value >= 1e6 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """A time: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def listed(words: Sequence[str]) -> str:
    """Words in a row: `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def plural(count: int, word: str) -> str:
    """A count and its noun: `1 level`, `2 levels`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def has_interval(interval: Interval) -> bool:
    """Whether the estimate has bounds."""
    return not (math.isnan(interval.low) or math.isnan(interval.high))


def interval_of(row: Mapping[str, Any], estimate: str = "estimate") -> Interval:
    """The numbers of a table's row: `low`, `high` and the estimate, NaN where they are null."""
    ends = [math.nan if row[k] is None else float(row[k]) for k in (estimate, "low", "high")]
    return Interval(ends[0], ends[1], ends[2])


def _parts(interval: Interval, form: str, unit: str, whole: float = 100) -> tuple[str, str]:
    if math.isnan(interval.estimate):
        return UNKNOWN, ""
    ends = (interval.estimate, interval.low, interval.high)
    estimate, low, high = (_plain_zero(form.format(whole * end)) for end in ends)
    if has_interval(interval):
        return estimate + unit, f"[{low}, {high}]"
    return estimate + unit, TOO_FEW if "too small" in interval.note else "[n/a]"


def _plain_zero(number: str) -> str:
    return "0" if number == "+0" else number
