"""Questions that vary one thing: a row a point, lines in a figure, and whether its ends differ.

Public names: `end_to_end`, `draw_lines`, `listed_points`, `Axis`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import polars as pl
from matplotlib.figure import Figure

from ..reporting.figures import FONT, INK, PERCENT
from .drawing import LINES, draw_means, draw_shares, dress
from .telling import counted, with_interval

_TEST = 0.05


@dataclass(frozen=True)
class Axis:
    """What a question varies, and what tells its lines apart."""

    x: str
    """Column of the table of seeds that is varied."""
    label: str
    """What it is, for people."""
    lines: str
    """Column whose values are lines, each with its own test."""
    metric: str
    """What is drawn beside the share of seeds that misgeneralize."""
    metric_label: str


def end_to_end(table: pl.DataFrame, axis: Axis) -> pl.DataFrame:
    """Return of each line whether as many seeds misgeneralize at its two ends: Fisher's exact test.

    Returns:
        `axis.lines`; `from` and `to`, the ends; how many of how many seeds misgeneralize at each;
        `p`, two-sided; `differ`, whether it is below 5% after Holm's correction over the lines.
    """
    from scipy.stats import fisher_exact

    from ..evaluation.statistics import holm

    rows: list[dict[str, Any]] = []
    for (line,), own in table.sort(axis.x).group_by([axis.lines], maintain_order=True):
        first, last = own.row(0, named=True), own.row(-1, named=True)
        counts = [[one["misgeneralizes"], one["seeds"] - one["misgeneralizes"]]
                  for one in (first, last)]  # fmt: skip
        rows.append(
            {
                axis.lines: line,
                "from": float(first[axis.x]),
                "to": float(last[axis.x]),
                "misgeneralize_from": counts[0][0],
                "misgeneralize_to": counts[1][0],
                "seeds_from": first["seeds"],
                "seeds_to": last["seeds"],
                "p": float(fisher_exact(counts).pvalue),  # pyright: ignore
            }
        )
    adjusted = holm([row["p"] for row in rows])
    return pl.DataFrame(
        [row | {"p": round(row["p"], 5), "differ": bool(p < _TEST)}
         for row, p in zip(rows, adjusted, strict=True)]
    )  # fmt: skip


def listed_points(table: pl.DataFrame, ends: pl.DataFrame, axis: Axis) -> str:
    """Return a sentence a line: what its ends are, and whether they are shown to differ."""
    told = []
    for end in ends.to_dicts():
        own = table.filter(pl.col(axis.lines) == end[axis.lines])
        parts = [
            f"at {axis.label} {row[axis.x]:g} {counted(row)}, {axis.metric_label} "
            f"{with_interval(row, axis.metric)}"
            for row in _ends_of(own, axis)
        ]
        sure = "these ends differ" if end["differ"] else "no difference of the ends is shown"
        told.append(f"{end[axis.lines]}: {'; '.join(parts)} ({sure}, p = {end['p']:.3g}).")
    return " ".join(told)


def _ends_of(own: pl.DataFrame, axis: Axis) -> Sequence[Mapping[str, Any]]:
    rows = own.sort(axis.x).to_dicts()
    return rows if len(rows) < 2 else [rows[0], rows[-1]]


def draw_lines(seeds: pl.DataFrame, table: pl.DataFrame, axis: Axis) -> Figure:
    """Return two panels: the share of seeds that misgeneralize, and a metric with every seed."""
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(10.2, 3.9), layout="constrained")
        axes = figure.subplots(1, 2)
        for number, line in enumerate(table[axis.lines].unique(maintain_order=True).to_list()):
            style = LINES[number % len(LINES)]
            own = pl.col(axis.lines) == line
            draw_shares(axes[0], table.filter(own).sort(axis.x), "share_misgeneralizing", style,
                        axis.x)  # fmt: skip
            draw_means(axes[1], table.filter(own).sort(axis.x), seeds.filter(own), axis.metric,
                       style, str(line), x=axis.x)  # fmt: skip
        for ax, title in zip(axes, ("seeds that misgeneralize", axis.metric_label), strict=True):
            dress(ax, title)
            ax.set_xlabel(axis.label, color=INK)
        axes[0].set_ylim(-0.03, 1.03)
        axes[0].yaxis.set_major_formatter(PERCENT)
        if axes[1].lines:
            figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center",
                          ncols=4, frameon=False, fontsize=9.5, labelcolor=INK)  # fmt: skip
    return figure
