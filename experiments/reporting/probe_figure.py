"""The figure of a probe: what the actor followed, what the critic values, and its value over time.

Public names: `draw_probe`, `draw_result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import colormaps
from matplotlib.figure import Figure

from .figures import FAINT, write_png
from .probe_sentences import Case, Who, cases, paired_cases

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CLASSES = {
    "goal_driven": ("#0072B2", "white"),
    "both": ("#9FC8E0", "black"),
    "proxy_driven": ("#D55E00", "white"),
    "neither": ("#C9CDD2", "black"),
}
"""Colours of a class and of its text."""
_EFFECTS = (
    ("goal_in_view", "goal in view, moved", "#0072B2", "o"),
    ("goal_at_end_in_view", "goal in view, at the end", "#009E73", "s"),
    ("end_in_view", "end in view, no goal", "#D55E00", "D"),
)
_CURVES = {"moved": "as seen", "no_goal": "without the goal", "no_end": "without goal and end"}
_ENOUGH = 10  # levels behind a point of a profile


def draw_probe(found: Mapping[str, Any]) -> Figure:
    """Return the picture of what probe.json holds: two rows of two panels."""
    asked = cases(found["critic"])
    figure = Figure(figsize=(11.5, 7.8), layout="constrained")
    shares, effects, passing, ending = figure.subplots(2, 2).ravel()
    _draw_shares(shares, paired_cases(found))
    _draw_effects(effects, asked, found["config"]["critic"]["smallest_effect"])
    placement = max(asked, key=lambda who: asked[who]["drop_past_goal"]["n_levels"]).placement
    own = [row for row in found["profiles"] if row["placement"] == placement]
    _draw_profiles(passing, own, "goal passed", ("moved", "no_goal"))
    _draw_profiles(ending, own, "end reached", ("moved", "no_end"))
    passing.set(title=f"value while passing the goal ({placement})", ylabel="value, in reward")
    ending.set(title=f"value at the end, goal left behind ({placement})")
    for ax in (shares, effects, passing, ending):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def draw_result(found: Mapping[str, Any], path: Path) -> None:
    """Draw what probe.json holds, and write the picture to a path."""
    write_png(draw_probe(found), path)


def _draw_shares(ax: Axes, paired: Mapping[Who, Case]) -> None:
    """Draw a bar of the four classes for each agent and placement."""
    for place, case in enumerate(paired.values()):
        left = 0.0
        for metric, (colour, ink) in _CLASSES.items():
            share = 100 * case[metric]["estimate"]
            label = metric.replace("_", "-") if place == 0 else None
            ax.barh(place, share, left=left, color=colour, label=label, height=0.7)
            if share >= 4:
                middle = left + share / 2
                ax.text(middle, place, f"{share:.0f}", ha="center", va="center", color=ink)
            left += share
    _name_rows(ax, paired)
    mode = next(iter(paired)).actions if paired else ""
    title = f"what decided where it went ({mode} actions)"
    ax.set(xlim=(0, 100), xlabel="% of conflict levels", title=title)
    ax.legend(ncols=4, fontsize=8.5, frameon=False, loc="lower left", bbox_to_anchor=(-0.2, -0.3))


def _draw_effects(ax: Axes, asked: Mapping[Who, Case], smallest: float) -> None:
    """Draw the effects of what is in view, with intervals."""
    for number, (metric, label, colour, marker) in enumerate(_EFFECTS):
        for place, case in enumerate(asked.values()):
            row, at = case[metric], place + 0.22 * (number - 1)
            if row["estimate"] is None:
                continue
            if row["low"] is not None:
                ax.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=2.2, alpha=0.5)
            named = label if place == 0 else None
            ax.plot(row["estimate"], at, marker, color=colour, markersize=6, label=named)
    ax.axvline(0, color=FAINT, linewidth=0.9)
    ax.axvline(smallest, color=FAINT, linewidth=0.9, linestyle=":")
    _name_rows(ax, asked)
    ax.set(xlabel="change of the critic's value, in reward", title="what its critic values")
    ax.legend(ncols=3, fontsize=8.5, frameon=False, loc="lower left", bbox_to_anchor=(-0.4, -0.3))


def _name_rows(ax: Axes, whose: Mapping[Who, Case]) -> None:
    ax.set_yticks(range(len(whose)), [f"{who.trained}\ntest: {who.placement}" for who in whose])
    ax.tick_params(axis="y", labelsize=8.5)
    ax.invert_yaxis()


def _draw_profiles(
    ax: Axes, rows: list[dict[str, Any]], event: str, curves: tuple[str, str]
) -> None:
    """Draw the value around an event, as seen and with something taken away, for each training."""
    near = [row for row in rows if row["event"] == event and row["n_levels"] >= _ENOUGH]
    agents = sorted({(row["train_correlation"], row["train_placement"]) for row in rows})[::-1]
    for number, agent in enumerate(agents):
        colour = colormaps["viridis"](0.1 + 0.7 * number / max(1, len(agents) - 1))
        for curve, line in zip(curves, ("-", ":"), strict=True):
            own = [
                row
                for row in near
                if row["curve"] == curve
                and (row["train_correlation"], row["train_placement"]) == agent
            ]
            label = f"{Who(*agent, '', '').trained}, {_CURVES[curve]}" if own else None
            at = [row["offset"] for row in own]
            ax.plot(at, [row["estimate"] for row in own], line, color=colour, label=label)
            if curve == curves[0] and own:
                bounds = [(row["low"], row["high"]) for row in own]
                low = [float("nan") if b[0] is None else b[0] for b in bounds]
                high = [float("nan") if b[1] is None else b[1] for b in bounds]
                ax.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.axvline(0, color=FAINT, linewidth=0.9)
    ax.set_xlabel(f"decisions since {event} (points of {_ENOUGH} levels or more)")
    if near:
        ax.legend(fontsize=8, frameon=False)
