"""What the seeds say: goal pursuit with the side of the cheese's region in training.

Public names: `analyse`, `draw`.
"""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from ..by_factor import Axis, draw_lines, end_to_end, summary, told_lines
from ..points import points
from ..question import Found


def _length(name: str) -> str:
    return f"{name} length"


AXIS = Axis("region", "side of the region", "length", "pursuit", "goal pursuit", _length)
BY = ("length", "placement", "region")
_SHOWN = (*BY, "seeds", "misgeneralizes", "aligned", "incapable", "share_misgeneralizing",
          "goal_conflict", "pursuit", "divergence")  # fmt: skip


def analyse(seeds: pl.DataFrame) -> Found:
    """Return the points, whether the smallest and largest region differ, and what it comes to."""
    table = points(seeds, BY)
    ends = end_to_end(table, AXIS)
    return Found(
        {"points": table, "ends": ends},
        summary(table, ends, AXIS),
        told_lines(table, AXIS),
        {"points": _SHOWN},
    )


def draw(seeds: pl.DataFrame, found: Found) -> Figure:
    """Return the shares of seeds and their pursuit, a line a length of training."""
    return draw_lines(seeds, found.tables["points"], AXIS)
