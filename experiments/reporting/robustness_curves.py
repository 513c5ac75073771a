"""Robustness: sentences and curves.

Public names: `sentences`, `draw_robustness`, `robustness_parts`, `PRESENTATION`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation.presentation import Presentation
from ..evaluation.robustness.drops import NOISE, NONE, RANDOM_FLIPS, TABLE, WORST
from ..evaluation.statistics import Interval
from ..training.terminal import Labelled
from ..training.trained_at import rho_words
from .figures import FONT, INK, PAPER, PERCENT, plain, write_figure
from .formatting import interval_of, points, rate

if TYPE_CHECKING:
    from ..training.terminal import Part

_NAN = float("nan")
_CONDITIONS = {"heldout": "levels as in training", "conflict": "goal and proxy apart"}
_LINES = (("capability", "#0072B2", "o"), ("goal", "#009E73", "D"))


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Return what came out, a sentence for each training correlation and kind of levels."""
    table, config = pl.DataFrame(found["table"], TABLE), found["config"]
    lines = []
    for rho in table["train_correlation"].unique(maintain_order=True):
        for condition, named in _CONDITIONS.items():
            own = table.filter(train_correlation=rho, condition=condition)
            free = rate(interval(own, NONE, 0.0, "goal"))
            parts = []
            for attack, what in _ATTACKS.items():
                strengths = own.filter(attack=attack)["strength"].unique().sort().to_list()
                if strengths:
                    parts.append(
                        f"{what.format(_strength(attack, strengths[-1]), config['per'])} cost "
                        f"{points(interval(own, attack, strengths[-1], 'goal_loss'))} points"
                    )
            told = "; ".join([f"the goal is reached on {free} of levels", *parts])
            lines.append(f"Trained at {_trained_at(found, rho)}, {named}: {told}.")
    if any(config["flips"]) and WORST not in table["attack"]:
        lines.append(
            "No search changed single tiles: this requires a policy that reads tiles"
            " and has no memory."
        )
    return [
        *lines,
        "The attack is the strongest that the search found, not the strongest possible, so what an "
        "agent withstands is an upper bound on its robustness.",
    ]


def draw_robustness(found: Mapping[str, Any]) -> Figure:
    """Return goal and capability against noise and against flips, a row of panels each."""
    table, config = pl.DataFrame(found["table"], TABLE), found["config"]
    correlations = table["train_correlation"].unique(maintain_order=True).to_list()
    rows = [(rho, condition) for rho in correlations for condition in _CONDITIONS]
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(10.6, 3.0 * len(rows) + 0.7), layout="constrained")
        axes = figure.subplots(len(rows), 2, squeeze=False, sharey=True)
        for (rho, condition), (left, right) in zip(rows, axes, strict=True):
            own = table.filter(train_correlation=rho, condition=condition)
            for measure, colour, marker in _LINES:
                _draw(left, own, NOISE, measure, measure, colour, marker, "-")
                _draw(right, own, WORST, measure, f"{measure}, worst found", colour, marker, "-")
                name = f"{measure}, at random"
                _draw(right, own, RANDOM_FLIPS, measure, name, colour, marker, ":")
            left.set(
                ylim=(0, 1.02),
                title=f"trained at {_trained_at(found, rho)}: {_CONDITIONS[condition]}",
            )
            left.set(xlabel="probability that a tile is replaced", ylabel="share of levels")
            right.set(xlabel=f"tiles changed per {config['per']}")
            left.yaxis.set_major_formatter(PERCENT)
            _ticks(left, own, NOISE)
            _ticks(right, own, WORST)
        for ax in (ax for ax in axes[0] if ax.get_legend_handles_labels()[0]):
            ax.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower left")
        return figure


def robustness_parts(found: Mapping[str, Any]) -> list[Part]:
    """Return goal and capability under each attack as a table, and the words."""
    from rich import box
    from rich.table import Table

    table = pl.DataFrame(found["table"], TABLE)
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("ρ", "levels", "attack", "strength", "goal", "capability"):
        shown.add_column(heading, justify="right", no_wrap=True)
    keys = ["train_correlation", "condition", "attack", "strength"]
    for rho, condition, attack, strength in (
        table.select(keys).unique(maintain_order=True).iter_rows()
    ):
        own = table.filter(train_correlation=rho, condition=condition)
        numbers = [rate(interval(own, attack, strength, m)) for m in ("goal", "capability")]
        shown.add_row(_label(found, rho), condition, attack, f"{strength:g}", *numbers)
    return [Labelled(shown, 4), *found["words"]]


def _label(found: Mapping[str, Any], rho: float) -> str:
    """Return what is told of a training correlation; older files have numbers alone."""
    return found.get("trained_at", {}).get(f"{rho:g}", f"{rho:g}")


def _trained_at(found: Mapping[str, Any], rho: float) -> str:
    return rho_words(_label(found, rho))


def interval(own: pl.DataFrame, attack: str, strength: float, measure: str) -> Interval:
    """Return a number of the rows of one correlation and kind of levels."""
    rows = own.filter(attack=attack, strength=strength, measure=measure)
    if not len(rows):
        return Interval(_NAN, _NAN, _NAN)
    return interval_of(rows.row(0, named=True))


_ATTACKS = {
    NOISE: "noise in {} of all tiles",
    WORST: "the {} worst tiles found per {}",
    RANDOM_FLIPS: "{} tiles at random per {}",
}


def _strength(attack: str, strength: float) -> str:
    return f"{strength:.0%}" if attack == NOISE else f"{strength:g}"


def _draw(
    ax: Axes, own: pl.DataFrame, attack: str, measure: str, label: str, colour: str, marker: str,
    line: str,
) -> None:  # fmt: skip
    if not len(own.filter(attack=attack)):
        return
    rows = own.filter(pl.col("attack").is_in([NONE, attack]), measure=measure).sort("strength")
    places = [_place(attack, s) for s in rows["strength"]]
    low, high = (rows[end].fill_null(_NAN).to_numpy() for end in ("low", "high"))
    ax.fill_between(places, low, high, color=colour, alpha=0.06 if line == ":" else 0.16, lw=0)
    ax.plot(
        places, rows["estimate"].to_numpy(), color=colour, marker=marker, linestyle=line,
        linewidth=1.7, markersize=5.5, markeredgecolor=PAPER, markeredgewidth=0.8, label=label,
    )  # fmt: skip


def _place(attack: str, strength: float) -> float:
    return strength**0.5 if attack == NOISE else strength


def _ticks(ax: Axes, own: pl.DataFrame, attack: str) -> None:
    strengths = [0.0, *own.filter(attack=attack)["strength"].unique().sort()]
    ax.set_xticks([_place(attack, s) for s in strengths], [f"{s:g}" for s in strengths])
    plain(ax)


def _picture(found: Mapping[str, Any], stem: Path) -> None:
    write_figure(draw_robustness(found), stem)


PRESENTATION = Presentation(sentences, _picture)
"""How `evaluation.robustness` puts its result into words and draws it."""
