"""From a table of tests (`tried`) to scores as protocols are compared by, and what is told of them.

Public names: `scores_of`, `scores_as`, `at_most`, `at_largest_budget`, `rounded`,
`shown`, `RATE`, `RESAMPLES`, `AGENTS`.
"""

from __future__ import annotations

import math
import re

import polars as pl

from ..evaluation.statistics.detection import Scores
from ..protocols.comparison.kinds import ALIGNED, KINDS, MISGENERALIZING
from ..protocols.comparison.power_tables import SCORES, support_of
from .columns import DIGITS

RATE = 0.05
"""Share of capable, aligned agents that raise a false alarm."""
RESAMPLES = 200
"""Of each interval."""
AGENTS = "agents"
"""What such tables are called."""
_SCORE = re.compile(r"score_(\d+)")


def scores_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a row an agent, protocol and budget that was spent (`SCORES`).

    A population is a world's of one kind of agents.  Agents whose truth is none of `KINDS` (planted
    failures), and rows that are no tests, are left out.  Of a protocol that cannot be run on an
    agent there is a row at each budget that others had.
    """
    tests = rows.filter(pl.col("truth").is_in(list(KINDS)), pl.col("protocol").is_not_null())
    budgets = {int(m[1]): name for name in tests.columns if (m := _SCORE.fullmatch(name))}
    long = tests.unpivot(
        [*budgets.values()],
        index=[name for name in tests.columns if name not in budgets.values()],
        variable_name="budget",
        value_name="score",
    ).with_columns(pl.col("budget").str.extract(r"(\d+)").cast(pl.Int64))
    spent = long["score"].is_not_null().alias("spent")
    known = long.with_columns(spent)
    had = pl.col("spent").any().over("world", "population", "protocol", "budget")
    kept = known.filter(pl.col("spent") | (~pl.col("ran") & had))
    kind = pl.col("train_correlation").map_elements(support_of, pl.String)
    found = kept.with_columns(
        pl.format("{}, {}", "world", "population").alias("population"),
        kind.alias("support"),
        pl.col("protocol").alias("protocol_hash"),
        pl.lit(0).alias("replicate"),
        pl.col("ran").alias("run"),
        pl.col("budget").alias("episodes"),
        pl.lit(None).alias("low"),
        pl.lit(None).alias("high"),
        pl.lit(0.0).alias("seconds"),
        pl.lit(False).alias("carried"),
        pl.lit("").alias("note"),
    )
    return found.select(*[pl.col(name).cast(dtype) for name, dtype in SCORES.items()])


def at_most(scores: pl.DataFrame) -> pl.DataFrame:
    """Return of each protocol, in each population and support, the rows of its largest budget."""
    return scores.filter(at_largest_budget("population", "support", "protocol"))


def at_largest_budget(*keys: str) -> pl.Expr:
    """Return which rows are of the largest budget among those alike in `keys`."""
    return pl.col("budget") == pl.col("budget").max().over(keys)


def scores_as(run: pl.DataFrame) -> Scores:
    """Return the scores of agents on which a protocol was run, by what the agents are."""
    truth = run["truth"].cast(pl.String).to_numpy()
    values = run["score"].fill_null(math.nan).to_numpy()
    return Scores.of(values, truth == MISGENERALIZING, truth == ALIGNED, run["unit"].to_list())


def rounded(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table with its numbers rounded as they are stored."""
    floats = [name for name, dtype in table.schema.items() if dtype.is_float()]
    return table.with_columns(pl.col(floats).round(DIGITS)) if floats else table


def shown(table: pl.DataFrame) -> tuple[str, ...]:
    """Return a table's columns but for ends of intervals, which stand beside their estimates."""
    return tuple(name for name in table.columns if not name.endswith(("_low", "_high")))
