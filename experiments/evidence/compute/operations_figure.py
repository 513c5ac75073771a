"""The figure: capability and goal pursuit against operations, and every threshold.

Public name: `draw`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ...reporting.figures import FONT, INK, PERCENT
from ..drawing import LINES, dress
from ..telling import spelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..question import Found

_MARKERS = {"dense": "o", "mixture": "s", "distilled": "^"}
_PANELS = {"capability_aligned": "capability", "pursuit": "goal pursuit"}
_OPERATIONS = "all_flops"


def draw(rows: pl.DataFrame, found: Found) -> Figure:
    """Return a row a world: capability, pursuit, and who is above each threshold."""
    worlds = rows["world"].unique(maintain_order=True).to_list()
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(12.0, 3.6 * len(worlds) + 0.7), layout="constrained")
        grid = figure.subplots(len(worlds), 3, squeeze=False)
        for world, axes in zip(worlds, grid, strict=True):
            own = rows.filter(pl.col("world") == world)
            for ax, (metric, title) in zip(axes, _PANELS.items(), strict=False):
                _draw_agents(ax, own, metric, f"{title}\n{spelled(world)}")
            _draw_thresholds(axes[2], found.tables["thresholds"].filter(pl.col("world") == world))
        figure.supxlabel(
            "operations of training, with that of all that the agent was made from", color=INK
        )
        handles: dict[str, Any] = {}
        for ax in grid[:, :2].ravel():
            marks, names = ax.get_legend_handles_labels()
            handles |= dict(zip(names, marks, strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", frameon=False,
                      ncols=6, fontsize=9, labelcolor=INK)  # fmt: skip
    return figure


def _draw_agents(ax: Axes, rows: pl.DataFrame, metric: str, title: str) -> None:
    """Draw agents as dots, and of dense networks a line through the means of each width."""
    trained = sorted(rows["train_correlation"].unique().to_list(), reverse=True)
    for number, correlation in enumerate(trained):
        colour = LINES[number % len(LINES)].colour
        own = rows.filter(pl.col("train_correlation") == correlation, pl.col(metric).is_not_null())
        for kind, marker in _MARKERS.items():
            some = own.filter(pl.col("kind") == kind)
            label = f"{kind}, trained at {correlation:g}" if len(some) else None
            ax.scatter(some[_OPERATIONS].to_numpy(), some[metric].to_numpy(), s=22, marker=marker,
                       color=colour, alpha=0.6, linewidths=0, label=label)  # fmt: skip
        dense = own.filter(pl.col("kind") == "dense")
        line = dense.group_by("size").agg(pl.col(_OPERATIONS, metric).mean()).sort(_OPERATIONS)
        ax.plot(line[_OPERATIONS].to_numpy(), line[metric].to_numpy(), color=colour, linewidth=1.4)
    dress(ax, title)
    _by_powers(ax)
    ax.set_ylim(-0.3, 1.1)


def _draw_thresholds(ax: Axes, table: pl.DataFrame) -> None:
    """Draw the share of agents of each sort that lie above each threshold."""
    own = table.filter(pl.col("operations") == _OPERATIONS, pl.col("threshold") > 0)
    for line, (sort, label) in zip(
        LINES[2:], {"misgeneralizes": "misgeneralize", "capable": "are capable"}.items(),
        strict=False,
    ):  # fmt: skip
        every = own[sort].to_numpy()
        if len(every) and every[0]:
            ax.step(own["threshold"].to_numpy(), own[f"{sort}_above"].to_numpy() / every,
                    where="post", color=line.colour, linewidth=1.6,
                    linestyle="-" if sort == "capable" else "--",
                    label=f"of those that {label}")  # fmt: skip
    dress(ax, "agents above a threshold")
    if ax.get_lines():
        ax.legend(loc="lower left", frameon=False, fontsize=9, labelcolor=INK)
    _by_powers(ax)
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(PERCENT)


def _by_powers(ax: Axes) -> None:
    """Scale an axis by logarithms, and name powers of ten alone."""
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())
