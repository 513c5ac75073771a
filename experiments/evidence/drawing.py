"""What the figures of questions have in common: seeds as points, means and shares with intervals.

Public names: `beside`, `draw_means`, `draw_shares`, `draw_panels`, `Panel`, `dress`, `LINES`,
`Line`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from ..reporting.figures import FONT, INK, PAPER, plain
from .telling import spelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Line(NamedTuple):
    """How a series is drawn; told apart with any kind of colour vision."""

    colour: str
    marker: str


LINES = (
    Line("#0072B2", "o"),
    Line("#D55E00", "s"),
    Line("#009E73", "^"),
    Line("#7A4B94", "v"),
    Line("#B5850B", "P"),
)


def beside(own: pl.DataFrame, table: pl.DataFrame, x: str, number: int, lines: int) -> pl.DataFrame:
    """Return one line's rows moved a little along x, so that several lines hide nothing."""
    low, high = float(table[x].min()), float(table[x].max())  # pyright: ignore[reportArgumentType]
    step = 0.012 * (high - low) * (number - (lines - 1) / 2)
    return own.with_columns((pl.col(x) + step).alias(x))


def draw_means(
    ax: Axes,
    table: pl.DataFrame,
    seeds: pl.DataFrame,
    metric: str,
    line: Line,
    label: str = "",
    style: str = "-",
    x: str = "moved",
) -> None:
    """Draw the means of points with their intervals, and their seeds as dots."""
    known = table.filter(pl.col(metric).is_not_null())
    if not len(known):
        return
    with_ends = known.filter(pl.col(f"{metric}_low").is_not_null())
    _bars(ax, with_ends, x, metric, line)
    ax.plot(known[x].to_numpy(), known[metric].to_numpy(), color=line.colour, marker=line.marker,
            linestyle=style, linewidth=1.6, markersize=5.5, markeredgecolor=PAPER, label=label,
            alpha=1.0 if style == "-" else 0.6)  # fmt: skip
    if style == "-":
        dots = seeds.filter(pl.col(metric).is_not_null())
        ax.scatter(_spread(dots[x].to_numpy()), dots[metric].to_numpy(), s=9, color=line.colour,
                   alpha=0.5, linewidths=0, zorder=3)  # fmt: skip


def draw_shares(ax: Axes, table: pl.DataFrame, name: str, line: Line, x: str = "moved") -> None:
    """Draw the share of seeds at each point with its interval."""
    _bars(ax, table, x, name, line)
    style: Any = {"color": line.colour, "marker": line.marker, "markeredgecolor": PAPER}
    ax.plot(table[x].to_numpy(), table[name].to_numpy(), linewidth=1.6, markersize=5.5, **style)


class Panel(NamedTuple):
    """A panel with a series of each protocol."""

    title: str
    table: pl.DataFrame
    """Has a column `protocol`."""
    line: Callable[[Axes, pl.DataFrame, str, int], None]
    """Draws a series: called with the axes, its rows, the protocol's name and its number."""
    across: str
    """Label of the x axis."""


def draw_panels(
    panels: Sequence[Panel | None],
    *,
    columns: int,
    panel: tuple[float, float],
    margin: tuple[float, float],
    reference: float,
    up: str,
    legend_columns: int,
) -> Figure:
    """Draw panels of protocols.

    Args:
        panels: row by row, None for a gap; those with the same label have one x axis.
        columns: how many stand side by side at most.
        panel: width and height of one, in inches.
        margin: what the figure has beside its panels.
        reference: height of a dotted line.
        up: label of the y axis.
        legend_columns: how many the legend has.
    """
    seen = [one.table["protocol"] for one in panels if one]
    names = list(dict.fromkeys(name for some in seen for name in some))
    columns = max(1, min(columns, len(panels)))
    height = -(-max(1, len(panels)) // columns)
    size = panel[0] * columns + margin[0], panel[1] * height + margin[1]
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(height, columns, sharey=True, squeeze=False).ravel()
        first: dict[str, Axes] = {}
        lowest: dict[int, tuple[Axes, Panel]] = {}  # of each column
        leftmost: dict[int, Axes] = {}  # of each row
        for place, (ax, one) in enumerate(zip_longest(axes, panels)):
            if one is None:
                ax.remove()
                continue
            if first.setdefault(one.across, ax) is not ax:
                ax.sharex(first[one.across])
            _draw_panel(ax, one, names)
            ax.axhline(reference, color="#888", linestyle=":", linewidth=1)
            ax.tick_params(labelbottom=False)
            lowest[place % columns] = ax, one
            leftmost.setdefault(place // columns, ax).tick_params(labelleft=True)
        handles = {h.get_label(): h for ax in figure.axes for h in ax.get_lines()}
        shown = [name for name in names if name in handles]
        if shown:
            told = [spelled(name) for name in shown]
            figure.legend([handles[name] for name in shown], told, loc="outside upper center",
                          ncols=legend_columns, frameon=False)  # fmt: skip
        for ax, one in lowest.values():
            ax.set_xlabel(one.across, color=INK)
            ax.tick_params(labelbottom=True)
        figure.supylabel(up, color=INK)
    return figure


def _draw_panel(ax: Axes, one: Panel, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        series = one.table.filter(pl.col("protocol") == name)
        if len(series):
            one.line(ax, series, name, number)
    ax.set_title(one.title, fontsize=9.5, color=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_ylim(-0.03, 1.03)


def dress(ax: Axes, title: str) -> None:
    """Give the axes a title and leave of them what helps reading."""
    ax.set_title(title, fontsize=10.5)
    plain(ax)


def _bars(ax: Axes, table: pl.DataFrame, x: str, name: str, line: Line) -> None:
    low, high = table[f"{name}_low"].to_numpy(), table[f"{name}_high"].to_numpy()
    ax.vlines(table[x].to_numpy(), low, high, color=line.colour, alpha=0.35, linewidth=2)


def _spread(x: np.ndarray) -> np.ndarray:
    """Return places a little to the left, so that seeds and means do not hide one another."""
    width = float(np.ptp(x)) if len(x) else 0.0
    return x - 0.008 * width
