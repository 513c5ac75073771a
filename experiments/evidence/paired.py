"""Paired differences: what differs between agents that are alike but for one thing.

Public names: `paired`, `over_pairs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from ..evaluation.quantities import BOUNDS
from ..evaluation.statistics import Interval, holm, t_over_seeds
from .points import plain_interval

_TEST = 0.05


def paired(
    differences: Iterable[tuple[dict[str, Any], str, list[float]]], by: Sequence[str]
) -> pl.DataFrame:
    """Return a row a comparison.

    Args:
        differences: of each comparison the columns that name it, the metric, and a difference a
            pair.
        by: the names of these columns.

    Returns:
        `by`; `pairs`; the mean `difference` with the paired t-interval; in how
        many pairs it is `higher` than 0; `p` of a two-sided sign test; `differ`, whether that is
        below 5% after Holm's correction over all comparisons of the metric.
    """
    metrics: list[str] = []
    rows: list[dict[str, Any]] = []
    for keys, metric, found in differences:
        metrics.append(metric)
        rows.append(
            {
                **keys,
                "pairs": len(found),
                **plain_interval("difference", over_pairs(found, metric)),
                "higher": sum(one > 0 for one in found),
                "p": _signs(found),
            }
        )
    for metric in set(metrics):
        own = [row for row, of in zip(rows, metrics, strict=True) if of == metric]
        for row, p in zip(own, holm([row["p"] for row in own]), strict=True):
            row["differ"] = bool(p < _TEST)
    schema = None if rows else {**dict.fromkeys(by, pl.String), **_FOUND}
    return pl.DataFrame(rows, schema, infer_schema_length=None)


_FOUND: dict[str, Any] = {
    "pairs": pl.Int64,
    **dict.fromkeys(("difference", "difference_low", "difference_high"), pl.Float64),
    "higher": pl.Int64,
    "p": pl.Float64,
    "differ": pl.Boolean,
}


def over_pairs(differences: list[float], metric: str) -> Interval:
    """Return the mean of paired differences of a metric with the paired t-interval."""
    low, high = BOUNDS[metric]
    return t_over_seeds(differences, bounds=(low - high, high - low))


def _signs(differences: list[float]) -> float:
    """Return the p-value of a two-sided sign test; pairs without a difference are left out."""
    from scipy.stats import binomtest

    told = [one for one in differences if one]
    if not told:
        return 1.0
    return round(float(binomtest(sum(one > 0 for one in told), len(told)).pvalue), 5)
