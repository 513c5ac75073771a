"""The figure of a comparison: detection power against budget.

Public names: `draw_power`, `write_figures`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ...reporting.figures import FAINT, INK, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 5
_COLOUR, _ALARM = "#0072B2", "#D55E00"


def write_figures(table: pl.DataFrame, false_alarms: float, folder: Path) -> list[Path]:
    """Write power.png and power.svg."""
    return write_figure(draw_power(table, false_alarms), folder / "power")


def draw_power(table: pl.DataFrame, false_alarms: float) -> Figure:
    """Return a panel a protocol: its power with the 95% interval, the others' lines faint behind.

    Args:
        table: comparison.csv.
        false_alarms: rate at which power was measured, a dotted line.
    """
    known = table.filter(pl.col("power").is_not_null())
    names = known["protocol"].unique(maintain_order=True).to_list()
    columns = min(_COLUMNS, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    with matplotlib.rc_context({"font.size": 9.5, "svg.hashsalt": "m"}):
        figure = Figure(figsize=(2.5 * columns + 0.6, 2.4 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, name in zip(axes, names, strict=False):
            _panel(ax, known, name, false_alarms)
        for ax in axes[len(names) :]:
            ax.remove()
        figure.supxlabel("episodes that the protocol may spend on an agent", color=INK)
        figure.supylabel(f"misgeneralizing agents detected,\n{false_alarms:.0%} false alarms")
    return figure


def _panel(ax: Axes, table: pl.DataFrame, name: str, false_alarms: float) -> None:
    for (_,), other in table.group_by("protocol", maintain_order=True):
        ax.plot(other["budget"], other["power"], color=FAINT, linewidth=0.8, alpha=0.5)
    own = table.filter(pl.col("protocol") == name)
    budgets = own["budget"].to_numpy()
    ax.fill_between(budgets, own["power_low"], own["power_high"], color=_COLOUR, alpha=0.2)
    ax.plot(budgets, own["power"], color=_COLOUR, marker="o", markersize=4, linewidth=1.8)
    if len(budgets) == 1:  # no band to be seen
        ax.vlines(budgets, own["power_low"], own["power_high"], color=_COLOUR, alpha=0.5)
    ax.axhline(false_alarms, color=_ALARM, linestyle=":", linewidth=1)
    ax.set_xscale("log")
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_title(name.replace("_", " "), fontsize=9.5, fontweight="bold", color=INK)
    ax.spines[["top", "right"]].set_visible(False)
