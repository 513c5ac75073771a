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

from ..evaluation.inheritance import (
    AS_BASE,
    AS_TUNED,
    CAPABLE_AT,
    CONFLICT,
    SCRATCH,
    SEEDS,
    TABLE,
    TUNED,
)
from ..evaluation.presentation import Presentation
from ..evaluation.statistics import Interval
from ..training.terminal import Labelled
from .figures import FAINT, FONT, INK, PAPER, PERCENT, plain, write_figure
from .formatting import interval_of, listed, plural, points, rate

if TYPE_CHECKING:
    from ..training.terminal import Part

_NAN = float("nan")
_CURVES = (
    (TUNED, CONFLICT, "proxy", "proxy first, conflict levels", "#D55E00", "s", "-"),
    (SCRATCH, CONFLICT, "proxy", "the same, trained from scratch", "#D55E00", "s", ":"),
    (TUNED, CONFLICT, "pursuit", "goal pursuit", "#7A4B94", "^", "-"),
    (SCRATCH, CONFLICT, "pursuit", "the same, trained from scratch", "#7A4B94", "^", ":"),
)
_TESTS = (
    (TUNED, AS_BASE, "goal", "goal, levels as in the base's training", "#7A4B94", "^", "-"),
    (TUNED, AS_TUNED, "goal", "goal, levels as in the fine-tuning", "#0072B2", "o", "-"),
    (TUNED, CONFLICT, "goal", "goal, conflict levels", "#009E73", "D", "-"),
    (SCRATCH, AS_TUNED, "goal", "levels as in the fine-tuning, from scratch", "#0072B2", "o", ":"),
)
_PAIRED = (
    (CONFLICT, "proxy_excess", "proxy first: fine-tuned minus from scratch", "#D55E00", "s"),
    (CONFLICT, "goal_deficit", "goal: from scratch minus fine-tuned", "#009E73", "D"),
    (CONFLICT, "pursuit_deficit", "pursuit: from scratch minus fine-tuned", "#7A4B94", "^"),
)
"""Differences of the two trainings, paired by base and level."""


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
        f"{rate(start[CONFLICT, 'goal'])} of conflict levels; there they reached the proxy first "
        f"on {rate(start[CONFLICT, 'proxy'])}."
    ]
    kinds = (TUNED, SCRATCH) if config["scratch"] else (TUNED,)
    lines += [_gone(found, kind) for kind in kinds]
    if config["scratch"]:
        lines += [_compared(found, steps, *difference) for difference in _COMPARED]
    lines += [_shown(found, steps, test) for test in _TEST_NAMES]
    rule = found.get("on_proxy", {})
    if rule.get("played") != rule.get("trained"):
        lines.append(
            f"Played with on_proxy={listed(rule['played'])}, trained with "
            f"{listed(rule['trained'])}: a shift of its own."
        )
    return lines


def draw_inheritance(found: Mapping[str, Any]) -> Figure:
    """Return three panels over fine-tuning: what agents go for, what tests show, differences.

    Thin lines are bases, bold ones their means.  Differences are paired by base and level.
    """
    table, each = _table(found), pl.DataFrame(found["seeds"], SEEDS)
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(15.0, 4.9), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        rho, base = found["config"]["correlation"], found["config"]["base_correlation"]
        for ax, curves, title in (
            (left, _CURVES, f"base at ρ = {base:g}, fine-tuned at ρ = {rho:g}"),
            (middle, _TESTS, "what each test sees"),
        ):
            for curve in curves:
                _draw(ax, table, each, *curve)
            ax.set(title=title, ylim=(-0.05, 1.05))
        left.axhline(found["config"]["gone"], color=FAINT, linestyle="--", linewidth=1)
        left.set_ylabel("share of levels, and goal pursuit")
        for place, difference in enumerate(_PAIRED):
            _draw_paired(right, table, each, place, *difference)
        right.axhline(0, color=FAINT, linewidth=1)
        right.set(title="beside training from scratch, paired")
        for ax in (left, middle, right):
            ax.set_xlabel("decisions of training so far")
            ax.yaxis.set_major_formatter(PERCENT)
            _steps_axis(ax, sorted(table["steps"].unique()))
            if ax.get_legend_handles_labels()[0]:
                ax.legend(
                    frameon=False, fontsize=9, labelcolor=INK, loc="upper center",
                    bbox_to_anchor=(0.5, -0.2),
                )  # fmt: skip
        return figure


def inheritance_parts(found: Mapping[str, Any]) -> list[Part]:
    """Return the curve as a table, and the findings."""
    from rich import box
    from rich.table import Table

    table = _table(found)
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    columns = (
        (CONFLICT, "proxy", "proxy first,\nconflict"),
        (CONFLICT, "pursuit", "goal pursuit,\nconflict"),
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
        f"reached first on under {found['config']['gone']:.0%} of conflict levels by "
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


_COMPARED = (
    (CONFLICT, "proxy_excess", "the fine-tuned agent reaches the proxy first more often than", ""),
    (CONFLICT, "pursuit_deficit", "the fine-tuned agent pursues the goal less than", ""),
    *(
        (test, "goal_deficit", "the fine-tuned agent reaches less of the goal than", f" ({text})")
        for test, text in _TEST_NAMES.items()
    ),
)


def _compared(
    found: Mapping[str, Any], steps: list[int], test: str, measure: str, what: str, where: str
) -> str:
    """Return in how many bases a paired difference is apart from 0, at each snapshot."""
    each = pl.DataFrame(found["seeds"], SEEDS)
    rows = each.filter(kind=TUNED, condition=test, measure=measure)
    bases = rows["train_seed"].n_unique()
    if not rows["estimate"].is_not_null().any():
        return f"Whether {what} the one from scratch{where} is unknown: no snapshot tells."
    seen = []
    for at in steps:
        own = rows.filter(steps=at)
        above = int((own["low"] > 0).sum())
        if above:
            seen.append(f"after {at:,} decisions in {above} of {bases}")
    last = points(_interval(_table(found), TUNED, steps[-1], test, measure))
    told = listed(seen) if seen else f"at no snapshot, in none of {plural(bases, 'base')}"
    return (
        f"Paired by base and level, {what} the one from scratch{where} {told} (95% intervals over "
        f"levels); on average at the end by {last} points."
    )


def _shown(found: Mapping[str, Any], steps: list[int], test: str) -> str:
    """Return at which snapshots a test shows less of the goal than at the last, by base."""
    each = pl.DataFrame(found["seeds"], SEEDS)
    rows = each.filter(kind=TUNED, condition=test, measure="goal_to_come")
    bases = rows["train_seed"].n_unique()
    seen = []
    for at in steps[:-1]:
        above = int((rows.filter(steps=at)["low"] > 0).sum())
        if above:
            seen.append(f"after {at:,} decisions in {above} of {bases}")
    if not seen:
        return (
            f"A test on levels {_TEST_NAMES[test]} shows at no snapshot less of the goal than at "
            "the last one."
        )
    return (
        f"A test on levels {_TEST_NAMES[test]} shows less of the goal than at the last snapshot "
        f"{listed(seen)}."
    )


def _draw(
    ax: Axes, table: pl.DataFrame, each: pl.DataFrame, kind: str, condition: str, measure: str,
    label: str, colour: str, marker: str, line: str,
) -> None:  # fmt: skip
    which = {"kind": kind, "condition": condition, "measure": measure}
    rows = table.filter(**which).sort("steps")
    if not rows["estimate"].is_not_null().any():
        return
    places = [_place(s) for s in rows["steps"]]
    low, high = (rows[end].fill_null(_NAN).to_numpy() for end in ("low", "high"))
    ax.fill_between(places, low, high, color=colour, alpha=0.07 if line == ":" else 0.16, lw=0)
    for _, one in each.filter(**which).sort("steps").group_by("train_seed"):
        at, values = [_place(s) for s in one["steps"]], one["estimate"].fill_null(_NAN).to_numpy()
        ax.plot(at, values, color=colour, linestyle=line, linewidth=0.7, alpha=0.5)
    ax.plot(
        places, rows["estimate"].fill_null(_NAN).to_numpy(), color=colour, marker=marker,
        linestyle=line, linewidth=1.7, markersize=5.5, markeredgecolor=PAPER, markeredgewidth=0.8,
        label=label,
    )  # fmt: skip


def _draw_paired(
    ax: Axes, table: pl.DataFrame, each: pl.DataFrame, place: int, condition: str, measure: str,
    label: str, colour: str, marker: str,
) -> None:  # fmt: skip
    """Draw a difference: each base with its interval over levels, and the mean as a line."""
    which = {"kind": TUNED, "condition": condition, "measure": measure}
    rows = table.filter(**which).sort("steps")
    if not rows["estimate"].is_not_null().any():
        return
    own = each.filter(**which).sort("train_seed", "steps")
    bases = own["train_seed"].unique(maintain_order=True).to_list()
    widest = _place(max(table["steps"].max(), 1))  # pyright: ignore
    for row in own.filter(pl.col("estimate").is_not_null()).iter_rows(named=True):
        shift = place * len(bases) + bases.index(row["train_seed"])
        at = _place(row["steps"]) + widest * 0.006 * (shift - (3 * len(bases) - 1) / 2)
        if row["low"] is not None:
            ax.plot([at, at], [row["low"], row["high"]], color=colour, linewidth=1.1, alpha=0.7)
        ax.plot(at, row["estimate"], marker, color=colour, markersize=3.5)
    values = rows["estimate"].fill_null(_NAN).to_numpy()
    places = [_place(s) for s in rows["steps"]]
    ax.plot(places, values, color=colour, linewidth=1.7, marker=marker, markersize=0, label=label)


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
