"""Sentences on points and thresholds, from their numbers.

Public names: `counted`, `with_interval`, `changed_by`, `where_half`, `percent_of`, `between`,
`spelled`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ..reporting.formatting import TOO_FEW, UNKNOWN

_PARTS = ("pursuit", "choice", "pull", "divergence")
"""Metrics whose whole is 1, and that are not told in percent."""


def counted(row: Mapping[str, Any]) -> str:
    """Return how many seeds of a point misgeneralize, with the interval."""
    low, high = row["share_misgeneralizing_low"], row["share_misgeneralizing_high"]
    return f"{row['misgeneralizes']} of {row['seeds']} seeds misgeneralize [{low:.0%}, {high:.0%}]"


def with_interval(row: Mapping[str, Any], metric: str) -> str:
    """Return a metric of a point with its interval: `0.93 [0.88, 0.97]`, or in percent."""
    value, low, high = (row.get(f"{metric}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return UNKNOWN
    form = "{:.2f}" if metric in _PARTS else "{:.0%}"
    if low is None or high is None:
        return f"{form.format(value)} {TOO_FEW}"
    return f"{form.format(value)} [{form.format(low)}, {form.format(high)}]"


def changed_by(row: Mapping[str, Any], name: str = "difference") -> str:
    """Return a difference with its sign and interval: `+0.12 [+0.07, +0.17]`."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{value:+.2f} {TOO_FEW if low is None else f'[{low:+.2f}, {high:+.2f}]'}"


def where_half(row: Mapping[str, Any]) -> str:
    """Return where half of the seeds meet a criterion: `are aligned from 12% on (95%: ...)`."""
    where = {1: "at no share tried", -1: "at every share tried"}
    told = where.get(row["beyond"]) or f"from {percent_of(row['moved'])} on"
    return f"{row['criterion']} {told} ({_known(row)})"


def _known(row: Mapping[str, Any]) -> str:
    """Return the interval of a threshold in words."""
    above = "" if row["above"] is None else f"above {percent_of(row['above'])}"
    most = "" if row["at_most"] is None else f"at {percent_of(row['at_most'])} at the latest"
    sure = " and ".join(filter(None, (above, most)))
    return f"95%: {sure}" if sure else "too few seeds for an interval"


def between(values: pl.Series, form: str = "{:.0%}") -> str:
    """Return the least and the greatest of some values: `5% to 8%`, or `5%` where they read alike.

    Args:
        values: at least one that is known.
        form: how one is written.
    """
    ends = [form.format(value) for value in (values.min(), values.max())]
    return " to ".join(dict.fromkeys(ends))


def spelled(name: object) -> str:
    """Return the name of a world, protocol or column as people write it."""
    return str(name).replace("_", " ").replace("coinrun", "CoinRun")


def percent_of(value: float) -> str:
    """Return a share in percent with as many digits as it needs: `2%`, `0.1%`."""
    return f"{100 * value:.3g}%"
