"""What the seeds say: the choice between chests and keys, with their ratio and the price of keys.

Public names: `analyse`, `draw`.
"""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from ..by_factor import Axis, draw_lines, end_to_end, listed_points
from ..points import points
from ..question import Found

AXIS = Axis("ratio", "keys to a chest", "setting", "choice", "choice of chests")
BY = ("setting", "ratio")
_SHOWN = (*BY, "seeds", "misgeneralizes", "aligned", "incapable", "share_misgeneralizing", "choice",
          "goal_conflict", "divergence")  # fmt: skip


def with_setting(seeds: pl.DataFrame) -> pl.DataFrame:
    """Return the table with the price of a key and the test's placement in one column."""
    told = pl.format("{} tenths a key, tested with {}", "penalty", "placement")
    return seeds.with_columns(told.alias("setting"))


def analyse(seeds: pl.DataFrame) -> Found:
    """Return the points, whether scarce and plentiful keys differ, and what it comes to."""
    table = points(with_setting(seeds), BY)
    ends = end_to_end(table, AXIS)
    return Found(
        {"points": table, "ends": ends},
        listed_points(table, ends, AXIS),
        shown={"points": _SHOWN},
    )


def draw(seeds: pl.DataFrame, found: Found) -> Figure:
    """Return the shares of seeds and their choice, a line a price and test."""
    return draw_lines(with_setting(seeds), found.tables["points"], AXIS)
