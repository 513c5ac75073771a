"""Questions that vary one thing: a row a point, lines in a figure, and whether its ends differ.

Public names: `end_to_end`, `summary`, `told_lines`, `draw_lines`, `Axis`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..reporting.figures import FONT, INK, PERCENT
from ..reporting.formatting import plural
from .drawing import LINES, beside, draw_means, draw_shares, dress
from .telling import between, counted, with_interval

_TEST = 0.05
_LEGEND_COLUMNS = 3


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
    name: Callable[[Any], str] = str
    """What a line is called, from its value."""
    panels: str | None = None
    """Column whose values are rows of panels; none: there is one."""

    @property
    def keys(self) -> list[str]:
        """The columns that tell lines apart."""
        return [self.lines, *([self.panels] if self.panels else [])]

    def called(self, *values: Any) -> str:
        """Return what a line is called, with its panel, from the values of `keys`."""
        line, *panel = values
        return ", ".join([self.name(line), *(_tested(one) for one in panel)])


def end_to_end(table: pl.DataFrame, axis: Axis) -> pl.DataFrame:
    """Return of each line whether as many seeds misgeneralize at its two ends: Fisher's exact test.

    Returns:
        `axis.keys`; `from` and `to`, the ends; how many of how many seeds misgeneralize at each;
        `p`, two-sided; `differ`, whether it is below 5% after Holm's correction over the lines.
    """
    from scipy.stats import fisher_exact

    from ..evaluation.statistics import holm

    rows: list[dict[str, Any]] = []
    for values, own in _each_line(table, axis):
        first, last = own.row(0, named=True), own.row(-1, named=True)
        counts = [[one["misgeneralizes"], one["seeds"] - one["misgeneralizes"]]
                  for one in (first, last)]  # fmt: skip
        rows.append(
            dict(zip(axis.keys, values, strict=True))
            | {
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


def summary(table: pl.DataFrame, ends: pl.DataFrame, axis: Axis) -> str:
    """Return what all points come to: how many misgeneralize, and which lines have unlike ends."""
    known = table[axis.metric].drop_nulls()
    unlike = ends.filter("differ").to_dicts()
    told = [_how_many(table)]
    if len(known):
        told.append(f"{axis.metric_label} is {between(known, '{:.2f}')} on average by point")
    told += [
        f"{axis.called(*(end[key] for key in axis.keys))}: {end['misgeneralize_from']} of "
        f"{end['seeds_from']} seeds at {axis.label} {end['from']:g}, {end['misgeneralize_to']} of "
        f"{end['seeds_to']} at {end['to']:g} (p = {end['p']:.2g})"
        for end in unlike
    ]
    if len(unlike) < len(ends):
        which = "" if not unlike else f" in {len(ends) - len(unlike)} of {len(ends)} lines"
        told.append(f"how many misgeneralize is not shown to depend on {axis.label}{which}")
    return " ".join(f"{one[:1].upper()}{one[1:]}." for one in told)


def _how_many(table: pl.DataFrame) -> str:
    """Return how many seeds misgeneralize, over all points."""
    n, hits = int(table["seeds"].sum()), int(table["misgeneralizes"].sum())
    if hits in (0, n) and table["seeds"].n_unique() == 1:
        return f"at each of {plural(len(table), 'point')} {counted(table.row(0, named=True))}"
    low, high = table["share_misgeneralizing"].min(), table["share_misgeneralizing"].max()
    return f"{low:.0%} to {high:.0%} of a point's seeds misgeneralize, {hits} of {n} in all"


def told_lines(table: pl.DataFrame, axis: Axis) -> tuple[str, ...]:
    """Return a sentence a line: what its ends are."""
    told = []
    for values, own in _each_line(table, axis):
        parts = [
            f"{axis.label} {row[axis.x]:g}, {counted(row)}, {axis.metric_label} "
            f"{with_interval(row, axis.metric)}"
            for row in _ends_of(own.to_dicts())
        ]
        told.append(f"{axis.called(*values)}: {'; '.join(parts)}.")
    return tuple(told)


def _each_line(table: pl.DataFrame, axis: Axis) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
    yield from table.sort(*axis.keys, axis.x).group_by(axis.keys, maintain_order=True)


def _ends_of(rows: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    return rows if len(rows) < 2 else [rows[0], rows[-1]]


def _tested(placement: str) -> str:
    return f"tested with {placement}"


def draw_lines(seeds: pl.DataFrame, table: pl.DataFrame, axis: Axis) -> Figure:
    """Return two panels side by side: the seeds that misgeneralize, and a metric with every seed.

    With `axis.panels`, such a pair for each of its values.
    """
    panels = table[axis.panels].unique(maintain_order=True).to_list() if axis.panels else [None]
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(10.2, 0.9 + 3.1 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), 2, sharex=True, squeeze=False)
        for row, panel in zip(axes, panels, strict=True):
            own = pl.lit(value=True) if panel is None else pl.col(axis.panels or "") == panel
            _draw_pair(row[0], row[1], seeds.filter(own), table.filter(own), axis)
            told = "" if panel is None else f", {_tested(panel)}"
            dress(row[0], f"seeds that misgeneralize{told}")
            dress(row[1], f"{axis.metric_label}{told}")
        for ax in axes[-1]:
            ax.set_xlabel(axis.label, color=INK)
        if axes[0, 1].lines:
            figure.legend(
                *axes[0, 1].get_legend_handles_labels(), loc="outside upper center",
                ncols=_LEGEND_COLUMNS, frameon=False, fontsize=9.5, labelcolor=INK,
            )  # fmt: skip
    return figure


def _draw_pair(
    shares: Axes, means: Axes, seeds: pl.DataFrame, table: pl.DataFrame, axis: Axis
) -> None:
    lines = table[axis.lines].unique(maintain_order=True).to_list()
    for number, line in enumerate(lines):
        own, style = pl.col(axis.lines) == line, LINES[number % len(LINES)]
        points, dots = (
            beside(one.filter(own).sort(axis.x), table, axis.x, number, len(lines))
            for one in (table, seeds)
        )
        draw_shares(shares, points, "share_misgeneralizing", style, axis.x)
        draw_means(means, points, dots, axis.metric, style, axis.name(line), x=axis.x)
    shares.set_ylim(-0.03, 1.03)
    shares.yaxis.set_major_formatter(PERCENT)
