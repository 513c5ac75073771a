"""The figures that a report writes as files (`plots` draws those of its page).

Colours are of Okabe and Ito (2008), told apart with any kind of colour vision; each series has its
own marker too.

Public names: `goal_and_capability`, `rates`, `note`, `png_bytes`, `write_png`, `write_figure`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from ..training.run_folder import write_with
from .formatting import has_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .results import Results

INK, FAINT, PAPER = "#22262b", "#8b929b", "#fefefe"
"""Text, helping lines, and what is left open."""
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.0f}%")
FONT: Any = {
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "svg.hashsalt": "m",
}
_MOST_COLUMNS = 3
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True)
class Series:
    """How a metric is drawn."""

    metric: str
    label: str
    colour: str
    marker: str
    line: str
    shift: float
    """Sideways, in places of the axis, so that intervals do not hide one another."""


SERIES = (
    Series("capability_conflict", "capability: {goal} or {proxy}", "#0072B2", "o", "-", -0.13),
    Series("goal_conflict", "goal: {goal}", "#D55E00", "s", "-", 0.13),
)
_CEILING = "divergence_ceiling"
_NO_BAR = " No bar where n is too small to say."


def goal_and_capability(results: Results) -> Figure:
    """Return goal and capability on conflict levels against the correlation, and what follows.

    One panel a placement, one for the divergence and one for pursuit (or choice) with each
    placement.  Small dots are single training seeds, bars 95% intervals where there are some.
    """
    panels = len(results.placements) + 2
    columns = 2 if panels == 4 else min(panels, _MOST_COLUMNS)  # no row for one panel
    rows = -(-panels // columns)
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(10.6, 3.45 * rows + 0.75), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
        for ax, placement in zip(axes, results.placements, strict=False):
            rates(ax, results, placement)
            ax.set_title(f"goal moved to {placement}")
        _divergence(axes[panels - 2], results)
        _goes_for(axes[panels - 1], results)
        for ax in axes[panels:]:
            ax.remove()
        axes[0].set_ylabel("reached on conflict levels")
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2,
            frameon=False, fontsize=10, handlelength=2.4, columnspacing=1.8, labelcolor=INK,
        )  # fmt: skip
        note(figure, results)
        return figure


def note(figure: Figure, *sweeps: Results) -> None:
    """Say below a figure what its marks are, where an interval is missing, and another rule."""
    missing = any(_lacks_intervals(results) for results in sweeps)
    told = [f"Small dots: training seeds. Bars: 95% intervals of their mean.{missing * _NO_BAR}"]
    rules = {results.rules for results in sweeps if results.rules[0] != results.rules[1]}
    told += [f"Tested under on_proxy={test}, trained under {own}." for own, test in sorted(rules)]
    figure.supxlabel("\n".join(told), fontsize=9, color=INK)


def _lacks_intervals(results: Results) -> bool:
    """Return whether a metric that is drawn has an estimate and no interval somewhere."""
    drawn = [*(series.metric for series in SERIES), "divergence", results.goes_for]
    rows = results.table.filter(
        pl.col("metric").is_in(drawn), pl.col("actions") == results.modes[0],
        pl.col("estimate").is_not_null(), pl.col("low").is_null(),
    )  # fmt: skip
    return len(rows) > 0


def png_bytes(figure: Figure, dpi: int = 160) -> bytes:
    """Return a figure as PNG."""
    return _saved(figure, "png", dpi=dpi)


def write_png(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG to a path, all of it or nothing."""
    picture = png_bytes(figure)
    write_with(path, lambda handle: handle.write(picture))


def write_figure(figure: Figure, stem: Path, dpi: int = 160) -> list[Path]:
    """Write a figure as `stem`.png and `stem`.svg, the same for the same numbers."""
    with matplotlib.rc_context(FONT):
        svg = _saved(figure, "svg", metadata=_NO_METADATA)
    pictures = {
        stem.with_name(f"{stem.name}.png"): png_bytes(figure, dpi),
        stem.with_name(f"{stem.name}.svg"): svg,
    }
    for path, content in pictures.items():
        write_with(path, lambda file, content=content: file.write(content))
    return list(pictures)


def rates(
    ax: Axes, results: Results, placement: str, names: Mapping[str, str] | None = None
) -> None:
    """Draw what agents reach on the conflict levels of one placement.

    `names` are of goal and proxy; None: the world's own.
    """
    world = results.world
    names = names or {"goal": world.goal_description, "proxy": world.proxy_description}
    for series in SERIES:
        _series(ax, results, placement, series, series.label.format(**names))
    marks = {"linestyle": "none", "color": FAINT, "markersize": 13, "markeredgewidth": 2}
    before, random = zip(
        *[_beside(results, correlation, placement) for correlation in results.correlations],
        strict=True,
    )
    ax.plot(before, marker="_", label="goal, in distribution", **marks)
    places = np.arange(len(random)) + SERIES[1].shift
    ax.plot(places, random, marker="x", label="goal, random for as many decisions",
            **{**marks, "markersize": 6})  # fmt: skip
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PERCENT)
    ax.yaxis.set_major_locator(MultipleLocator(0.25))
    _correlation_axis(ax, results)


def _beside(results: Results, correlation: float, placement: str) -> tuple[float, float]:
    """Return the goal in distribution, and that of random play on the conflict levels."""
    before, own, above = (
        results.interval(metric, correlation, placement).estimate
        for metric in ("goal_in_distribution", "goal_conflict", "above_random_conflict")
    )
    return before, own - above


def _divergence(ax: Axes, results: Results) -> None:
    """Draw the divergence with each placement, and a planned proxy-seeker's."""
    ax.axhline(0, color=INK, linewidth=0.9)
    for style, placement in _by_placement(results, "divergence"):
        _series(ax, results, placement, style, placement)
        places = np.arange(len(results.correlations)) + style.shift
        ceilings = [results.interval(_CEILING, c, placement).estimate for c in results.correlations]
        ax.plot(places, ceilings, linestyle="none", marker="_", color=style.colour, markersize=11,
                markeredgewidth=2, alpha=0.6)  # fmt: skip
    ax.plot([], [], linestyle="none", marker="_", color=FAINT, markersize=11, markeredgewidth=2,
            label="a planned proxy-seeker")  # fmt: skip
    ax.set(title="divergence", ylabel="goal loss − capability loss, points")
    low, high = ax.get_ylim()
    _with_legend(ax, results, max(-1.05, min(low, -0.1)), min(1.05, max(high, 0.3)))
    ax.set_yticks([v for v in (-1, -0.5, 0, 0.5, 1) if ax.get_ylim()[0] <= v])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:+.0f}" if v else "0"))


def _goes_for(ax: Axes, results: Results) -> None:
    """Draw what agents go for with each placement: pursuit, or choice where the goal is no cell."""
    ax.axhline(0, color=INK, linewidth=0.9)
    for value in (results.margins.other_pursuit, _aligned_from(results)):
        ax.axhline(value, color=FAINT, linestyle=":", linewidth=1.2)
    for style, placement in _by_placement(results, results.goes_for):
        _series(ax, results, placement, style, placement)
        for number, correlation in enumerate(results.correlations):
            if results.recipes[correlation, placement, results.modes[0]].groups:
                ax.annotate("2 groups", (number + style.shift, 0.02), (0, 3), color=style.colour,
                            xycoords=("data", "axes fraction"), textcoords="offset points",
                            fontsize=8, ha="center")  # fmt: skip
    title = "goal pursuit" if results.goes_for == "pursuit" else "choice"
    ax.set(title=title, ylabel="0: as a proxy-seeker, 1: the goal")
    low, high = ax.get_ylim()
    _with_legend(ax, results, max(-0.3, min(low, -0.05)), min(1.3, max(high, 1.02)))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])


def _aligned_from(results: Results) -> float:
    margins = results.margins
    return margins.aligned_pursuit if results.goes_for == "pursuit" else margins.aligned_choice


def _by_placement(results: Results, metric: str) -> Iterator[tuple[Series, str]]:
    """Yield how a metric is drawn with each placement."""
    middle = (len(results.placements) - 1) / 2
    for number, placement in enumerate(results.placements):
        colour = ("#7A4B94", "#B5850B", "#56B4E9", "#CC79A7")[number % 4]
        yield (
            Series(metric, "", colour, "o^vP"[number % 4], "-", 0.2 * (number - middle)),
            placement,
        )


def _with_legend(ax: Axes, results: Results, low: float, high: float) -> None:
    """Set the limits with room for a legend of the placements above them."""
    ax.set_ylim(low, high + 0.1 * (len(results.placements) + 2) * (high - low))
    legend = ax.legend(
        frameon=False, fontsize=9.5, labelcolor=INK, title="goal moved to", loc="upper right"
    )
    legend.get_title().set(color=INK, fontsize=9.5)
    _correlation_axis(ax, results)


def _series(ax: Axes, results: Results, placement: str, style: Series, label: str) -> None:
    """Draw a metric at every correlation: means, intervals, training seeds."""
    places = np.arange(len(results.correlations)) + style.shift
    found = [results.interval(style.metric, c, placement) for c in results.correlations]
    ax.plot(
        places, [one.estimate for one in found], color=style.colour, marker=style.marker,
        linestyle=style.line, linewidth=1.7, markersize=6.5, markeredgecolor=PAPER,
        markeredgewidth=0.8, label=label, zorder=4,
    )  # fmt: skip
    for place, one, correlation in zip(places, found, results.correlations, strict=True):
        if has_interval(one):
            ax.plot([place] * 2, [one.low, one.high], color=style.colour, linewidth=2.2, alpha=0.5)
        seeds = results.seed_intervals(style.metric, correlation, placement)
        values = [seed.estimate for seed in seeds.values()]
        ax.scatter(
            place - 0.09 + np.linspace(-0.02, 0.02, len(values)), values,
            s=11, color=style.colour, alpha=0.75, linewidths=0, zorder=5,
        )  # fmt: skip


def _correlation_axis(ax: Axes, results: Results) -> None:
    count = len(results.correlations)
    ax.set_xticks(range(count), [results.rho[c] for c in results.correlations])
    ax.set(xlim=(-0.5, count - 0.5), xlabel="correlation ρ in training")
    plain(ax)


def plain(ax: Axes) -> None:
    """Leave of the axes what helps reading."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)
    ax.tick_params(color=FAINT, labelcolor=INK)
    ax.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.7)
    ax.set_axisbelow(True)
    for text in (ax.title, ax.xaxis.label, ax.yaxis.label):
        text.set_color(INK)


def _saved(figure: Figure, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, **options)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()
