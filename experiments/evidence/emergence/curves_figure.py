"""The figure: scores along training, without a threshold and with one.

Public name: `draw`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from ...reporting.figures import FONT, INK, PERCENT
from ..drawing import LINES, Line, dress
from ..telling import spelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..question import Found

_PANELS = {
    "capability_aligned": "capability",
    "pull": "pull of the goal",
    "goes_for_goal_share": "seeds that go for the goal",
}


def draw(rows: pl.DataFrame, found: Found) -> Figure:
    """Return a row a world and training correlation, a line a width."""
    curves = found.tables["curves"]
    settings = curves.select("world", "train_correlation").unique(maintain_order=True).rows()
    widths = curves["width"].unique().sort().to_list()
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(11.6, 2.9 * len(settings) + 0.8), layout="constrained")
        grid = figure.subplots(len(settings), len(_PANELS), squeeze=False)
        for (world, trained), axes in zip(settings, grid, strict=True):
            here = (pl.col("world") == world) & (pl.col("train_correlation") == trained)
            for number, width in enumerate(widths):
                own = here & (pl.col("width") == width)
                line = LINES[number % len(LINES)]
                for ax, name in zip(axes, _PANELS, strict=True):
                    _draw_curve(ax, curves.filter(own), rows.filter(own), name, line, width)
            for ax, title in zip(axes, _PANELS.values(), strict=True):
                dress(ax, f"{title}\n{spelled(world)}, trained at {trained:g}")
                ax.xaxis.set_major_locator(MaxNLocator(4))
                ax.xaxis.set_major_formatter(EngFormatter(sep=""))
                ax.set_ylim(-0.25 if title.startswith("pull") else -0.03, 1.03)
            axes[2].yaxis.set_major_formatter(PERCENT)
        figure.supxlabel("decisions of training", color=INK)
        drawn = {line.get_label(): line for ax in grid[:, 0] for line in ax.get_lines()}
        labels = [_label(width) for width in widths]  # a world has some of them
        figure.legend([drawn[label] for label in labels], labels, loc="outside upper center",
                      frameon=False, ncols=len(labels), fontsize=9.5, labelcolor=INK)  # fmt: skip
    return figure


def _draw_curve(
    ax: Axes, curve: pl.DataFrame, rows: pl.DataFrame, name: str, line: Line, width: int
) -> None:
    """Draw a curve with its intervals and, of a score, its seeds."""
    if not len(curve):
        return
    if name in rows.columns:
        for _, seed in rows.sort("decisions").group_by(["train_seed"], maintain_order=True):
            ax.plot(seed["decisions"].to_numpy(), seed[name].to_numpy(), color=line.colour,
                    alpha=0.25, linewidth=0.7)  # fmt: skip
    x = curve["decisions"].to_numpy()
    low, high = (curve[f"{name}_{end}"].cast(pl.Float64).to_numpy() for end in ("low", "high"))
    ax.vlines(x, low, high, color=line.colour, alpha=0.35, linewidth=1.6)
    ax.plot(x, curve[name].to_numpy(), color=line.colour, marker=line.marker, markersize=4,
            linewidth=1.6, label=_label(width))  # fmt: skip


def _label(width: int) -> str:
    return f"width {width}"
