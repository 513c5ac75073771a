"""What the seeds say: the choice between chests and keys, with their ratio and the price of keys.

Public names: `analyse`, `draw`.
"""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from ..by_factor import Axis, draw_lines, end_to_end, summary, told_lines
from ..points import points
from ..question import Found


def _price(penalty: float) -> str:
    return f"a key costs {penalty / 10:.0%} of a chest" if penalty else "a key costs nothing"


AXIS = Axis(
    "ratio", "keys to a chest", "penalty", "choice", "choice of chests", _price, "placement"
)
BY = ("penalty", "placement", "ratio")
_SHOWN = (*BY, "seeds", "misgeneralizes", "aligned", "incapable", "share_misgeneralizing", "choice",
          "goal_conflict", "divergence")  # fmt: skip


def analyse(seeds: pl.DataFrame) -> Found:
    """Return the points, whether scarce and plentiful keys differ, and what it comes to."""
    table = points(seeds, BY)
    ends = end_to_end(table, AXIS)
    return Found(
        {"points": table, "ends": ends},
        summary(table, ends, AXIS),
        told_lines(table, AXIS),
        {"points": _SHOWN},
    )


def draw(seeds: pl.DataFrame, found: Found) -> Figure:
    """Return the shares of seeds and their choice, a line a price, a row a test."""
    return draw_lines(seeds, found.tables["points"], AXIS)
