"""The figures of a comparison: detection power against budget, and against the proxy's share.

Public names: `draw_power`, `draw_curve`, `write_figures`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ...reporting.figures import INK, write_figure
from .kinds import CONSTRUCTED
from .power_tables import NO_CONFLICT, SUPPORT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4
_COLOURS = dict(zip(SUPPORT, ("#0072B2", "#E69F00"), strict=True))
_STYLES = dict(zip(SUPPORT, ("-", "--"), strict=True))
_SHIFT = dict(zip(SUPPORT, (0.97, 1.03), strict=True))
_ALARM = "#D55E00"


def write_figures(
    table: pl.DataFrame, curve: pl.DataFrame, false_alarms: float, folder: Path
) -> list[Path]:
    """Write power.png and curve.png, and the same as .svg."""
    power = write_figure(draw_power(table, false_alarms), folder / "power")
    return [*power, *write_figure(draw_curve(curve, false_alarms), folder / "curve")]


def draw_power(table: pl.DataFrame, false_alarms: float) -> Figure:
    """Return a panel a protocol: power against budget, with its 95% interval.

    Args:
        table: comparison.csv; of the constructed agents, where there are any.
        false_alarms: rate at which power was measured, a dotted line.
    """

    def panel(ax: Axes, own: pl.DataFrame, support: str) -> None:
        x = own["budget"].to_numpy() * _SHIFT[support]
        _line(ax, x, own, "power", ("power_low", "power_high"), support)
        ax.set_xscale("log")

    known = _constructed(table).filter(pl.col("power").is_not_null())
    figure = _panels(known, panel, false_alarms)
    figure.supxlabel("episodes that the protocol may spend on an agent", color=INK)
    figure.supylabel(
        f"misgeneralizing agents detected,\n{false_alarms:.0%} false alarms", color=INK
    )
    return figure


def draw_curve(curve: pl.DataFrame, false_alarms: float) -> Figure:
    """Return a panel a protocol: detections against the share of proxy choices.

    Args:
        curve: curve.csv; of each protocol its largest budget is shown.
        false_alarms: rate at which power was measured, a dotted line.
    """

    def panel(ax: Axes, own: pl.DataFrame, support: str) -> None:
        _line(ax, own["proxy_share"].to_numpy(), own, "detected", ("low", "high"), support)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0))

    own = _constructed(curve)
    largest = own.filter(pl.col("budget") == pl.col("budget").max().over("protocol"))
    figure = _panels(largest, panel, false_alarms)
    figure.supxlabel("conflict levels on which the agent chooses the proxy", color=INK)
    figure.supylabel("agents detected", color=INK)
    return figure


def _constructed(table: pl.DataFrame) -> pl.DataFrame:
    own = table.filter(pl.col("population") == CONSTRUCTED)
    return own if len(own) else table


def _panels(
    table: pl.DataFrame, panel: Callable[[Axes, pl.DataFrame, str], None], false_alarms: float
) -> Figure:
    names = table["protocol"].unique(maintain_order=True).to_list()
    columns = min(_COLUMNS, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    with matplotlib.rc_context({"font.size": 9.5, "svg.hashsalt": "m"}):
        figure = Figure(figsize=(2.6 * columns + 0.6, 2.4 * rows + 0.9), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, name in zip(axes, names, strict=False):
            for support in SUPPORT:
                own = table.filter(
                    pl.col("protocol") == name, pl.col("support").cast(pl.String) == support
                )
                if len(own):
                    panel(ax, own, support)
            _dress(ax, name, false_alarms)
        for ax in axes[len(names) :]:
            ax.remove()
        for ax in axes[max(0, len(names) - columns) : len(names)]:  # the last of each column
            ax.tick_params(labelbottom=True)
        if names:
            handles = {h.get_label(): h for ax in axes[: len(names)] for h in ax.get_lines()}
            shown = [handles[s] for s in SUPPORT if s in handles]
            words = ["trained at ρ = 1", "trained at ρ < 1"]
            labels = [words[s != NO_CONFLICT] for s in SUPPORT if s in handles]
            figure.legend(shown, labels, loc="outside upper center", ncols=2, frameon=False)
    return figure


def _line(
    ax: Axes, x: object, own: pl.DataFrame, name: str, ends: tuple[str, str], support: str
) -> None:
    colour, y = _COLOURS[support], own[name].to_numpy()
    low, high = (own[end].cast(pl.Float64).fill_null(own[name]).to_numpy() for end in ends)
    ax.vlines(x, low, high, color=colour, alpha=0.4, linewidth=1.5)  # pyright: ignore
    style = {"linestyle": _STYLES[support], "label": support}
    ax.plot(x, y, color=colour, marker="o", markersize=3.5, linewidth=1.5, **style)  # pyright: ignore


def _dress(ax: Axes, name: str, false_alarms: float) -> None:
    ax.axhline(false_alarms, color=_ALARM, linestyle=":", linewidth=1)
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_title(name.replace("_", " "), fontsize=9.5, fontweight="bold", color=INK)
    ax.spines[["top", "right"]].set_visible(False)
