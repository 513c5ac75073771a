"""Columns of a question's table, a row a training seed and test placement or whatever was tested.

Public names: `SHOWN`, `COLUMNS`, `TAIL`, `DIGITS`, `columns_with`, `csv_of`, `ordered`.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl

SHOWN = (
    "capability_in_distribution",
    "goal_in_distribution",
    "capability_aligned",
    "capability_conflict",
    "goal_aligned",
    "goal_conflict",
    "divergence",
    "divergence_ceiling",
    "goal_first",
    "proxy_first",
    "pull",
    "pursuit",
    "choice",
)
"""Metrics of a run's evaluation; each with `_low` and `_high`, its 95% interval over levels."""
DIGITS = 4
_HEAD: dict[str, Any] = {"arm": pl.String}
TAIL: dict[str, Any] = {
    "cpu_seconds": pl.Float64,
    "finished": pl.String,
    "commit": pl.String,
    "run": pl.String,
}
"""The last columns of every table: which piece of work left the row, and what it took, which is
counted once, in the first row of the piece."""


def columns_with(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a table, with their types: those of every table, and its own."""
    return {**_HEAD, **own, **TAIL}


COLUMNS = columns_with(
    {
        "decisions": pl.Int64,
        "train_correlation": pl.Float64,
        "train_placement": pl.String,
        "distinct_conflicts": pl.Int64,
        "distinct_levels": pl.Int64,
        "train_seed": pl.Int64,
        "placement": pl.String,
        "actions": pl.String,
        "verdict": pl.String,
        "worse_than_random": pl.Boolean,
        "levels": pl.Int64,
        **{f"{one}{end}": pl.Float64 for one in SHOWN for end in ("", "_low", "_high")},
    }
)
"""Columns that sweeps fill; an arm's factors come after `arm`, what a question adds before
`cpu_seconds`.  `distinct_conflicts`: as asked for (0: all there are), `distinct_levels`: how many
different conflict levels training really had.  `levels`: conflict levels of the test."""
_EXACT = ("train_correlation",)
"""Columns that are settings, and not rounded."""


def ordered(
    found: pl.DataFrame, columns: Mapping[str, Any], factors: Collection[str], more: Sequence[str]
) -> pl.DataFrame:
    """Return a table with its columns in order, typed, and its numbers rounded.

    Args:
        found: the rows; a column that none of them fills may be missing.
        columns: `Question.columns`.
        factors: columns by which the arms differ.
        more: columns that the question adds.
    """
    missing = [pl.lit(None).alias(name) for name in columns if name not in found.columns]
    typed = found.with_columns(*missing).with_columns(
        *[pl.col(name).cast(dtype) for name, dtype in columns.items()]
    )
    first, middle = [*_HEAD], [name for name in columns if name not in (*_HEAD, *TAIL, *factors)]
    exact = {*factors, *_EXACT}
    return typed.select(
        *[
            pl.col(name).round(DIGITS)
            if typed.schema[name].is_float() and name not in exact
            else pl.col(name)
            for name in (*first, *factors, *middle, *more, *TAIL)
        ]
    )


def csv_of(table: pl.DataFrame) -> str:
    """Return a table as CSV."""
    buffer = io.BytesIO()
    table.write_csv(buffer)
    return buffer.getvalue().decode("utf-8")
