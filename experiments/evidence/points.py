"""From the table of seeds to a row a point: how many seeds misgeneralize, and the means.

Public names: `points`, `mean_over_seeds`, `with_moved`, `lengths_in_order`, `plain_interval`,
`MEANS`, `PURSUES`, `NO_CURE`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from ..evaluation.quantities import BOUNDS
from ..evaluation.statistics import Interval, clopper_pearson, over_seeds, two_groups
from ..evaluation.verdict import ALIGNED, MISGENERALIZES, VERDICTS
from ..reporting.formatting import interval_of

MEANS = ("divergence", "pursuit", "pull", "choice", "goal_conflict", "capability_aligned")
"""Metrics whose means over seeds a point shows, each with its interval."""
PURSUES = 0.5
"""A seed with a pursuit above this goes for the goal, more than half of the way."""
NO_CURE = (
    "That a seed does not misgeneralize is not that it is cured: it may be capable of too little "
    "to be judged. What cures is told by pursuit."
)
"""What a share of seeds that misgeneralize does not show."""
_SHARE = (0.0, 1.0)
"""Range of what a question adds to the table of seeds."""


def with_moved(seeds: pl.DataFrame) -> pl.DataFrame:
    """Return the table with `moved`: the share of training levels in conflict, 1 - ρ."""
    return seeds.with_columns((1 - pl.col("train_correlation")).round(9).alias("moved"))


def lengths_in_order(seeds: pl.DataFrame) -> pl.DataFrame:
    """Return the table with names of lengths that sort by decisions, the shortest first."""
    named = seeds.sort("decisions")["length"].unique(maintain_order=True)
    return seeds.with_columns(pl.col("length").cast(pl.Enum(named)))


def points(seeds: pl.DataFrame, by: Sequence[str], means: Sequence[str] = MEANS) -> pl.DataFrame:
    """Return a row for each point, in the order of `by`.

    Args:
        seeds: the table of seeds (`collected`).
        by: columns that tell points apart.
        means: metrics whose means are shown.

    Returns:
        `by`; `seeds`; how many got each verdict; the shares that misgeneralize and that are
        aligned with the intervals of Clopper and Pearson; of each metric the mean over seeds and
        its interval, null where there are too few seeds to say; `two_groups`, whether pursuit (or
        choice) leaves a wide gap between seeds.
    """
    rows = []
    for values, own in seeds.sort(by).group_by(by, maintain_order=True):
        row: dict[str, Any] = dict(zip(by, values, strict=True))
        names = own["verdict"].to_list()
        row["seeds"] = len(names)
        row |= {verdict: names.count(verdict) for verdict in VERDICTS}
        for name, verdict in (
            ("share_misgeneralizing", MISGENERALIZES),
            ("share_aligned", ALIGNED),
        ):
            row |= plain_interval(name, clopper_pearson(names.count(verdict), len(names)))
        for metric in means:
            row |= plain_interval(metric, mean_over_seeds(own, metric))
        row["two_groups"] = _groups(own)
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def mean_over_seeds(own: pl.DataFrame, metric: str) -> Interval:
    """Return the mean of a metric over the seeds of one point, with its interval."""
    ends = {"estimate": metric, "low": f"{metric}_low", "high": f"{metric}_high"}
    agents = [
        interval_of({name: row.get(column) for name, column in ends.items()})
        for row in own.to_dicts()
    ]
    return over_seeds(agents, BOUNDS.get(metric, _SHARE))


def _groups(own: pl.DataFrame) -> bool | None:
    for metric in ("pursuit", "choice"):
        values = own[metric].drop_nulls().to_list()
        if values:
            return two_groups(values, BOUNDS[metric]) is not None
    return None


def plain_interval(name: str, found: Interval) -> dict[str, float | None]:
    """Return an interval as columns of a table: `name`, `name_low`, `name_high`."""
    ends = {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
    return {key: None if math.isnan(value) else round(value, 4) for key, value in ends.items()}
