"""What the seeds say: how often the gem is taken first, and by which share of seeds.

Public names: `analyse`, `draw`.
"""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from ...evaluation.statistics import clopper_pearson
from ...reporting.formatting import listed, plural
from ..by_factor import Axis, draw_lines, end_to_end, summary, told_lines
from ..points import plain_interval, points, with_moved
from ..question import Found
from ..telling import with_interval


def _seen(sight: int) -> str:
    return f"shapes seen within {sight} cells" if sight else "shapes seen everywhere"


AXIS = Axis("moved", "share of conflict levels", "sight", "gem_first", "gem before line", _seen)
BY = ("sight", "moved")
_SHOWN = (*BY, "seeds", "misgeneralizes", "aligned", "share_misgeneralizing", "gem_first", "choice",
          "divergence")  # fmt: skip


def with_gem_first(seeds: pl.DataFrame) -> pl.DataFrame:
    """Return the table with the share of conflict episodes that take either which take the gem."""
    either = pl.col("proxy_first") + pl.col("goal_first")
    share = pl.when(either > 0).then(pl.col("proxy_first") / either)
    return with_moved(seeds).with_columns(share.round(4).alias("gem_first"))


def analyse(seeds: pl.DataFrame) -> Found:
    """Return the points, what the majority takes, and what it comes to."""
    rows = with_gem_first(seeds)
    table = points(rows, BY, ("gem_first", "choice", "divergence", "capability_aligned"))
    ends = end_to_end(table, AXIS)
    takers = _takers(rows)
    return Found(
        {"points": table, "takers": takers, "ends": ends},
        _paragraph(table, takers),
        (summary(table, ends, AXIS), *told_lines(table, AXIS)),
        {"points": _SHOWN, "takers": tuple(takers.columns)},
    )


def _takers(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of each sight, with no conflict level in training, how many seeds favour the gem."""
    out = []
    never = rows.filter(pl.col("moved") == 0, pl.col("gem_first").is_not_null()).sort("sight")
    for (sight,), own in never.group_by(["sight"], maintain_order=True):
        found = clopper_pearson(int((own["gem_first"] > 0.5).sum()), len(own))
        out.append({"sight": sight, "seeds": len(own)} | plain_interval("gem", found))
    schema = {"sight": pl.Int64, "seeds": pl.Int64}
    return pl.DataFrame(out, schema | dict.fromkeys(("gem", "gem_low", "gem_high"), pl.Float64))


def _paragraph(table: pl.DataFrame, takers: pl.DataFrame) -> str:
    told = []
    for row in takers.to_dicts():
        point = table.filter(pl.col("sight") == row["sight"], pl.col("moved") == 0).to_dicts()[0]
        told.append(
            f"with {_seen(row['sight'])} by {with_interval(row, 'gem')} of "
            f"{plural(row['seeds'], 'seed')} (the gem {with_interval(point, 'gem_first')} of the "
            "times that either is taken)"
        )
    if not told:
        return "No seed without conflict levels is done yet."
    return (
        f"Trained on no conflict level, the gem is taken more often than the line {listed(told)}."
    )


def draw(seeds: pl.DataFrame, found: Found) -> Figure:
    """Return the shares of seeds and how often they take the gem, a line a sight."""
    return draw_lines(with_gem_first(seeds), found.tables["points"], AXIS)
