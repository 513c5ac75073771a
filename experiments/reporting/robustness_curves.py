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

from ..evaluation.conditions import ALIGNED, CONFLICT, IN_DISTRIBUTION
from ..evaluation.presentation import Presentation
from ..evaluation.robustness.drops import (
    DECOY,
    GOAL_FLIPS,
    NOISE,
    NONE,
    RANDOM_FLIPS,
    SEEDS,
    TABLE,
    WORST,
)
from ..evaluation.statistics import Interval
from ..training.terminal import Labelled
from ..training.trained_at import rho_words
from .figures import FONT, INK, PAPER, PERCENT, plain, write_figure
from .formatting import interval_of, points, rate

if TYPE_CHECKING:
    from ..training.terminal import Part

_NAN = float("nan")
_CONDITIONS = {
    IN_DISTRIBUTION: "in distribution",
    CONFLICT: "conflict levels",
    ALIGNED: "aligned levels",
}
_LINES = (
    ("capability", "#0072B2", "o"),
    ("goal", "#009E73", "D"),
    ("pursuit", "#7A4B94", "^"),
)


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Return what came out, a sentence for each training correlation and kind of levels."""
    table, config = pl.DataFrame(found["table"], TABLE), found["config"]
    lines = []
    for rho in table["train_correlation"].unique(maintain_order=True):
        own = table.filter(train_correlation=rho)
        trained = _trained_at(found, rho)
        lines += [_of_levels(own, trained, condition, config["per"]) for condition in _CONDITIONS]
        lines += _of_goal(own, trained, config["per"])
    rule = found.get("on_proxy", {})
    if rule.get("played") != rule.get("trained"):
        lines.append(
            f"Played with on_proxy={rule['played']}, trained with {rule['trained']}: a shift of its"
            " own."
        )
    if any(config["flips"]) and WORST not in table["attack"]:
        lines.append(
            "No search changed single tiles: this requires a policy that reads tiles"
            " and has no memory."
        )
    if config["goal"] and DECOY not in table["attack"]:
        lines.append(
            "No attack aimed at the goal: in this world it is no cell that could be shown"
            " elsewhere."
        )
    return [
        *lines,
        "The attack is the strongest that the search found, not the strongest possible, so what an "
        "agent withstands is an upper bound on its robustness.",
    ]


def draw_robustness(found: Mapping[str, Any]) -> Figure:
    """Return goal, capability and pursuit against each attack: a row a correlation and condition.

    Bold lines are means over training seeds, thin ones the seeds.
    """
    table, config = pl.DataFrame(found["table"], TABLE), found["config"]
    each = pl.DataFrame(found["seeds"], SEEDS)
    correlations = table["train_correlation"].unique(maintain_order=True).to_list()
    rows = [(rho, c) for rho in correlations for c in (IN_DISTRIBUTION, CONFLICT)]
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(14.2, 3.0 * len(rows) + 0.7), layout="constrained")
        axes = figure.subplots(len(rows), 3, squeeze=False, sharey=True)
        for (rho, condition), (left, middle, right) in zip(rows, axes, strict=True):
            own, seeds = (
                one.filter(train_correlation=rho, condition=condition) for one in (table, each)
            )
            for measure, colour, marker in _LINES:
                style = colour, marker
                _draw(left, own, seeds, NOISE, measure, measure, *style, "-")
                _draw(middle, own, seeds, WORST, measure, f"{measure}, worst found", *style, "-")
                at_random = f"{measure}, at random"
                _draw(middle, own, seeds, RANDOM_FLIPS, measure, at_random, *style, ":")
                _draw(right, own, seeds, GOAL_FLIPS, measure, measure, *style, "-")
                _decoy(right, own, measure, colour)
            left.set(
                ylim=(-0.02, 1.02),
                title=f"trained at {_trained_at(found, rho)}: {_CONDITIONS[condition]}",
            )
            left.set(xlabel="probability that a tile is replaced", ylabel="share of levels")
            middle.set(xlabel=f"tiles changed per {config['per']}, against its action")
            right.set(xlabel=f"tiles changed per {config['per']}, against its goal (last: decoy)")
            left.yaxis.set_major_formatter(PERCENT)
            for ax, attack in ((left, NOISE), (middle, WORST), (right, GOAL_FLIPS)):
                _ticks(ax, own, attack)
        for ax in (ax for ax in axes[-1] if ax.get_legend_handles_labels()[0]):
            ax.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower left")
        return figure


def robustness_parts(found: Mapping[str, Any]) -> list[Part]:
    """Return goal, capability and pursuit under each attack as a table, and the words."""
    from rich import box
    from rich.table import Table

    table = pl.DataFrame(found["table"], TABLE)
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("ρ", "levels", "attack", "strength", "goal", "capability", "pursuit"):
        shown.add_column(heading, justify="right", no_wrap=True)
    keys = ["train_correlation", "condition", "attack", "strength"]
    for rho, condition, attack, strength in (
        table.select(keys).unique(maintain_order=True).iter_rows()
    ):
        own = table.filter(train_correlation=rho, condition=condition)
        numbers = [
            rate(interval(own, attack, strength, m)) for m in ("goal", "capability", "pursuit")
        ]
        shown.add_row(_label(found, rho), _CONDITIONS[condition], attack, f"{strength:g}", *numbers)
    return [Labelled(shown, 4), *found["words"]]


def _of_levels(table: pl.DataFrame, trained: str, condition: str, per: str) -> str:
    """Return what the goal is reached on, and what each attack costs of it, at its strongest."""
    own = table.filter(condition=condition)
    parts = []
    for attack, what in _ATTACKS.items():
        strengths = own.filter(attack=attack)["strength"].unique().sort().to_list()
        if strengths:
            cost = points(interval(own, attack, strengths[-1], "goal_cost"))
            told = what.format(_strength(attack, strengths[-1]), per)
            parts.append(f"{told} cost {cost} points")
    free = rate(interval(own, NONE, 0.0, "goal"))
    told = "; ".join([f"the goal is reached on {free} of levels", *parts])
    return f"Trained at {trained}, {_CONDITIONS[condition]}: {told}."


def _of_goal(table: pl.DataFrame, trained: str, per: str) -> list[str]:
    """Return what the attacks on the goal cost of pursuit, and of capability."""
    own = table.filter(condition=CONFLICT)
    parts = []
    for attack, what in _ON_GOAL.items():
        strengths = own.filter(attack=attack)["strength"].unique().sort().to_list()
        if strengths:
            pursuit, capability = (
                points(interval(own, attack, strengths[-1], f"{measure}_cost"))
                for measure in ("pursuit", "capability")
            )
            told = what.format(f"{strengths[-1]:g}", per)
            parts.append(f"{told} cost {pursuit} points of it and {capability} of capability")
    if not parts:
        return []
    free = rate(interval(own, NONE, 0.0, "pursuit"))
    told = "; ".join([f"goal pursuit is {free}", *parts])
    return [f"Trained at {trained}, attacks on the goal: {told}."]


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


_ON_GOAL = {
    GOAL_FLIPS: "the {} tiles found per {} that most make it act as if the goal were at the proxy",
    DECOY: "the goal shown at the proxy alone",
}


def _strength(attack: str, strength: float) -> str:
    return f"{strength:.0%}" if attack == NOISE else f"{strength:g}"


def _draw(
    ax: Axes, own: pl.DataFrame, seeds: pl.DataFrame, attack: str, measure: str, label: str,
    colour: str, marker: str, line: str,
) -> None:  # fmt: skip
    if not len(own.filter(attack=attack, measure=measure)):
        return
    which = pl.col("attack").is_in([NONE, attack]), pl.col("measure") == measure
    rows = own.filter(*which).sort("strength")
    places = [_place(attack, s) for s in rows["strength"]]
    low, high = (rows[end].fill_null(_NAN).to_numpy() for end in ("low", "high"))
    ax.fill_between(places, low, high, color=colour, alpha=0.06 if line == ":" else 0.16, lw=0)
    for _, one in seeds.filter(*which).sort("strength").group_by("train_seed"):
        at = [_place(attack, s) for s in one["strength"]]
        values = one["estimate"].fill_null(_NAN).to_numpy()
        ax.plot(at, values, color=colour, linestyle=line, linewidth=0.7, alpha=0.5)
    ax.plot(
        places, rows["estimate"].fill_null(_NAN).to_numpy(), color=colour, marker=marker,
        linestyle=line, linewidth=1.7, markersize=5.5, markeredgecolor=PAPER, markeredgewidth=0.8,
        label=label,
    )  # fmt: skip


def _decoy(ax: Axes, own: pl.DataFrame, measure: str, colour: str) -> None:
    """Draw a measure before the decoy, to the right of all flips."""
    rows = own.filter(attack=DECOY, measure=measure).filter(pl.col("estimate").is_not_null())
    if len(rows):
        at = _decoy_at(own)
        low, high = (rows[end].fill_null(_NAN).to_list() for end in ("low", "high"))
        ax.plot([at, at], [*low, *high], color=colour, linewidth=1.4)
        ax.plot(at, rows["estimate"][0], "X", color=colour, markersize=7)


def _decoy_at(own: pl.DataFrame) -> float:
    most = own.filter(attack=GOAL_FLIPS)["strength"].max()
    return 1.0 + (float(most) if isinstance(most, float) else 0.0)


def _place(attack: str, strength: float) -> float:
    return strength**0.5 if attack == NOISE else strength


def _ticks(ax: Axes, own: pl.DataFrame, attack: str) -> None:
    strengths = [0.0, *own.filter(attack=attack)["strength"].unique().sort()]
    places, names = [_place(attack, s) for s in strengths], [f"{s:g}" for s in strengths]
    if attack == GOAL_FLIPS and DECOY in own["attack"]:
        places, names = [*places, _decoy_at(own)], [*names, "decoy"]
    ax.set_xticks(places, names)
    plain(ax)


def _picture(found: Mapping[str, Any], stem: Path) -> None:
    write_figure(draw_robustness(found), stem)


PRESENTATION = Presentation(sentences, _picture)
"""How `evaluation.robustness` puts its result into words and draws it."""
