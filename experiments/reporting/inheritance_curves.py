"""What fine-tuning left of a base agent's goal: sentences and curves.

Public names: `sentences`, `draw_inheritance`, `inheritance_parts`, `PRESENTATION`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation.inheritance import AS_BASE, AS_TUNED, CAPABLE_AT, CONFLICT, SCRATCH, TABLE, TUNED
from ..evaluation.presentation import Presentation
from ..evaluation.statistics import Interval
from ..training.terminal import Labelled
from .figures import FAINT, FONT, INK, PAPER, PERCENT, plain, write_figure
from .formatting import interval_of, listed, plural, points, rate

if TYPE_CHECKING:
    from ..training.terminal import Part

_NAN = float("nan")
_CURVES = (
    (TUNED, CONFLICT, "proxy", "proxy instead of goal, conflict levels", "#D55E00", "s", "-"),
    (SCRATCH, CONFLICT, "proxy", "the same, trained from scratch", "#D55E00", "s", ":"),
    (TUNED, CONFLICT, "goal", "goal, conflict levels", "#009E73", "D", "-"),
    (SCRATCH, CONFLICT, "goal", "the same, trained from scratch", "#009E73", "D", ":"),
)
_TESTS = (
    (TUNED, AS_BASE, "goal", "goal, levels as in the base's training", "#7A4B94", "^", "-"),
    (TUNED, AS_TUNED, "goal", "goal, levels as in the fine-tuning", "#0072B2", "o", "-"),
    (TUNED, CONFLICT, "goal", "goal, conflict levels", "#009E73", "D", "-"),
    (SCRATCH, AS_TUNED, "goal", "levels as in the fine-tuning, from scratch", "#0072B2", "o", ":"),
)


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Return what came out, a sentence each; every claim depends on the numbers."""
    table, config = _table(found), found["config"]
    steps = sorted(table["steps"].unique())
    start = {
        (c, m): _interval(table, TUNED, steps[0], c, m)
        for c, m in ((AS_BASE, "goal"), (CONFLICT, "goal"), (CONFLICT, "proxy"))
    }
    lines = [
        f"Before fine-tuning, {plural(len(found['bases']), 'base agent')} reached the goal on "
        f"{rate(start[AS_BASE, 'goal'])} of levels like those of their own training, and on "
        f"{rate(start[CONFLICT, 'goal'])} of conflict levels; there they reached the proxy instead "
        f"on {rate(start[CONFLICT, 'proxy'])}."
    ]
    kinds = (TUNED, SCRATCH) if config["scratch"] else (TUNED,)
    lines += [_gone(found, kind) for kind in kinds]
    lines += [_excess(table, steps)] if config["scratch"] else []
    for test, text in _TEST_NAMES.items():
        lines += [_deficit(table, steps, test, text)] if config["scratch"] else []
        lines += [_shown(table, steps, test)]
    return lines


def draw_inheritance(found: Mapping[str, Any]) -> Figure:
    """Return the curves over fine-tuning: what the agents go for, and what tests show."""
    table = _table(found)
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(10.6, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        rho, base = found["config"]["correlation"], found["config"]["base_correlation"]
        for ax, curves, title in (
            (left, _CURVES, f"base at ρ = {base:g}, fine-tuned at ρ = {rho:g}"),
            (right, _TESTS, "what each test sees"),
        ):
            for curve in curves:
                _draw(ax, table, *curve)
            ax.set(title=title, ylim=(0, 1.02), xlabel="decisions of training so far")
            ax.yaxis.set_major_formatter(PERCENT)
            _steps_axis(ax, sorted(table["steps"].unique()))
            ax.legend(
                frameon=False, fontsize=9, labelcolor=INK, loc="upper center",
                bbox_to_anchor=(0.5, -0.2),
            )  # fmt: skip
        left.axhline(found["config"]["gone"], color=FAINT, linestyle="--", linewidth=1)
        left.set_ylabel("share of levels")
        return figure


def inheritance_parts(found: Mapping[str, Any]) -> list[Part]:
    """Return the curve as a table, and the findings."""
    from rich import box
    from rich.table import Table

    table = _table(found)
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    columns = (
        (CONFLICT, "proxy", "proxy,\nconflict"),
        (CONFLICT, "goal", "goal,\nconflict"),
        (AS_TUNED, "goal", "goal, as\ntuned"),
        (AS_BASE, "goal", "goal, as\nbase"),
    )
    for heading in ("", "\ndecisions", *(heading for _, _, heading in columns)):
        shown.add_column(heading, justify="right", no_wrap=True)
    for kind, steps in table.select("kind", "steps").unique(maintain_order=True).iter_rows():
        cells = [rate(_interval(table, kind, steps, c, m)) for c, m, _ in columns]
        shown.add_row(kind, f"{steps:,}", *cells)
    return [Labelled(shown, 2), *found["words"]]


_TEST_NAMES = {
    AS_BASE: "as in the base's training",
    AS_TUNED: "as in the fine-tuning (the in-distribution test)",
    CONFLICT: "with goal and proxy always apart",
}


def _gone(found: Mapping[str, Any], kind: str) -> str:
    rows = [row for row in found["gone"] if row["kind"] == kind]
    done = [row for row in rows if row["gone"] is not None]
    who = "Fine-tuned" if kind == TUNED else "Trained from scratch"
    what = (
        f"reached instead of the goal on under {found['config']['gone']:.0%} of conflict levels by "
        f"an agent that reaches either on {CAPABLE_AT:.0%}"
    )
    at_most = f"{found['config']['steps']:,} decisions"
    if not done:
        return f"{who}: in none of {len(rows)} is the proxy gone ({what}) within {at_most}."
    spans = listed(
        [
            f"{row['still']:,} to {row['gone']:,} decisions" if row["still"] is not None else "none"
            for row in done
        ]
    )
    return f"{who}: in {len(done)} of {len(rows)} the proxy is gone ({what}) after {spans}."


def _excess(table: pl.DataFrame, steps: list[int]) -> str:
    more = [s for s in steps if _interval(table, TUNED, s, CONFLICT, "proxy_excess").low > 0]
    less = [s for s in steps if _interval(table, TUNED, s, CONFLICT, "proxy_excess").high < 0]
    parts = [
        f"{word} often after {listed([f'{s:,}' for s in at])} decisions"
        for word, at in (("more", more), ("less", less))
        if at
    ]
    if not parts:
        return (
            "At no snapshot do the fine-tuned agents reach the proxy instead of the goal more or "
            "less often than those from scratch, as far as the intervals tell."
        )
    return (
        "Beside agents trained from scratch for as long, the fine-tuned ones reach the proxy "
        f"instead of the goal {', and '.join(parts)} (intervals apart from 0)."
    )


def _deficit(table: pl.DataFrame, steps: list[int], test: str, text: str) -> str:
    found = {s: _interval(table, TUNED, s, test, "goal_deficit") for s in steps}
    seen = [s for s in steps if found[s].low > 0]
    last = f"at the end by {points(found[steps[-1]])} points"
    if not seen:
        return (
            f"A test on levels {text} sees the fine-tuned agents reach the goal less often than "
            f"those from scratch at no snapshot ({last})."
        )
    return (
        f"A test on levels {text} sees the fine-tuned agents reach the goal less often than those "
        f"from scratch after {listed([f'{s:,}' for s in seen])} decisions ({last})."
    )


def _shown(table: pl.DataFrame, steps: list[int], test: str) -> str:
    seen = [s for s in steps[:-1] if _interval(table, TUNED, s, test, "goal_to_come").low > 0]
    if not seen:
        return "It shows at no snapshot less of the goal than at the last one."
    largest = max(
        (_interval(table, TUNED, s, test, "goal_to_come") for s in seen), key=lambda i: i.estimate
    )
    return (
        f"It shows less of the goal than at the last snapshot after "
        f"{listed([f'{s:,}' for s in seen])} decisions, by {points(largest)} points at most."
    )


def _draw(
    ax: Axes, table: pl.DataFrame, kind: str, condition: str, measure: str, label: str,
    colour: str, marker: str, line: str,
) -> None:  # fmt: skip
    rows = table.filter(kind=kind, condition=condition, measure=measure).sort("steps")
    if not len(rows):
        return
    places = [_place(s) for s in rows["steps"]]
    low, high = rows["low"].fill_null(_NAN).to_numpy(), rows["high"].fill_null(_NAN).to_numpy()
    ax.fill_between(places, low, high, color=colour, alpha=0.07 if line == ":" else 0.16, lw=0)
    ax.plot(
        places, rows["estimate"].to_numpy(), color=colour, marker=marker, linestyle=line,
        linewidth=1.7, markersize=5.5, markeredgecolor=PAPER, markeredgewidth=0.8, label=label,
    )  # fmt: skip


def _place(steps: int) -> float:
    """Return where a step lies on the axis: the square root spreads the early ones."""
    return steps**0.5


def _steps_axis(ax: Axes, steps: list[int]) -> None:
    ax.set_xticks([_place(s) for s in steps], [_short(s) for s in steps], fontsize=9)
    plain(ax)


def _short(steps: int) -> str:
    if steps < 1000:
        return str(steps)
    return f"{steps / 1e6:.1f}M" if steps >= 1e6 else f"{steps / 1e3:.0f}k"


def _table(found: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(found["table"], TABLE)


def _interval(table: pl.DataFrame, kind: str, steps: int, condition: str, measure: str) -> Interval:
    rows = table.filter(kind=kind, steps=steps, condition=condition, measure=measure)
    if not len(rows):
        return Interval(_NAN, _NAN, _NAN)
    return interval_of(rows.row(0, named=True))


def _picture(found: Mapping[str, Any], stem: Path) -> None:
    write_figure(draw_inheritance(found), stem)


PRESENTATION = Presentation(sentences, _picture)
"""How `sweeps.fine_tuning` puts its result into words and draws it."""
