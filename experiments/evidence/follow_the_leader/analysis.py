"""What the seeds say: who follows a leader that goes astray, and who does worse than random play.

Public names: `analyse`, `draw`.
"""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from ...evaluation.statistics import clopper_pearson
from ..by_factor import Axis, draw_lines, end_to_end, summary, told_lines
from ..points import plain_interval, points, with_moved
from ..question import Found
from ..telling import percent_of


def _cue(sight: int) -> str:
    return f"cue within {sight} cells" if sight else "no cue"


AXIS = Axis(
    "moved", "share of levels with a leader astray", "sight", "choice", "choice of goal", _cue,
    "placement",
)  # fmt: skip
BY = ("sight", "placement", "moved")
WORSE = "worse_than_random"
_SHOWN = (*BY, "seeds", "misgeneralizes", "aligned", "incapable", "share_misgeneralizing", "choice",
          "goal_conflict", "divergence")  # fmt: skip


def analyse(seeds: pl.DataFrame) -> Found:
    """Return the points, who is worse than random, and what it comes to."""
    rows = with_moved(seeds)
    table = points(rows, BY)
    ends = end_to_end(table, AXIS)
    worse = _worse(rows)
    return Found(
        {"points": table, WORSE: worse, "ends": ends},
        _paragraph(worse),
        (summary(table, ends, AXIS), *told_lines(table, AXIS)),
        {"points": _SHOWN, WORSE: tuple(worse.columns)},
    )


def _worse(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of each point how many seeds work as in training and are worse than random astray."""
    out = []
    for values, own in rows.sort(BY).group_by(BY, maintain_order=True):
        worse = int(own[WORSE].sum())
        found = plain_interval("share", clopper_pearson(worse, len(own)))
        out.append(dict(zip(BY, values, strict=True)) | {"seeds": len(own), WORSE: worse} | found)
    return pl.DataFrame(out)


def _paragraph(worse: pl.DataFrame) -> str:
    rows = worse.to_dicts()
    told = [
        f"{AXIS.called(row['sight'], row['placement'])}, {percent_of(row['moved'])} of training "
        f"levels astray: "
        f"{row[WORSE]} of {row['seeds']} seeds [{row['share_low']:.0%}, {row['share_high']:.0%}]"
        for row in rows
        if row[WORSE]
    ]
    if len(told) < len(rows):
        where = f"at the other {len(rows) - len(told)} points" if told else "at no point"
        told.append(f"{where} {'none' if told else 'any'}")
    head = "Better than random play for as many decisions in distribution, and worse in conflict: "
    return f"{head}{'; '.join(told)}."


def draw(seeds: pl.DataFrame, found: Found) -> Figure:
    """Return the shares of seeds and their choice, a line a cue, a row a test."""
    return draw_lines(with_moved(seeds), found.tables["points"], AXIS)
