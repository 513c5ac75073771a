"""The figures of a page, as numbers for `templates/plots.html.j2` to draw.

Unlike those of `figures`, which are files of one size, they follow the page: its width, its colours
in the light and in the dark, and its tooltips.

Public names: `Panel`, `Mark`, `panels`, `MARKS`, `Curve`, `Curves`, `curves`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..evaluation.verdict import ALIGNED, MISGENERALIZES, MIXED, VERDICTS
from .formatting import has_interval, large, part, points

if TYPE_CHECKING:
    from ..evaluation.statistics import Interval
    from .results import Results

WIDTH, HEIGHT = 400, 176
"""Of a panel, in its own units, which are about a pixel each."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 8, 22, 34
_SPREAD = 11.0
"""Units between the points of two seeds, where there is room."""
_TOLD_WIDTH = 0.4
"""Part of the axis that an interval may take: a wider one is said, not drawn."""
MARKS: Mapping[str, str] = {
    MISGENERALIZES: "M-4.6 0A4.6 4.6 0 1 0 4.6 0A4.6 4.6 0 1 0 -4.6 0Z",
    ALIGNED: "M0-5.6L5.6 0L0 5.6L-5.6 0Z",
    MIXED: "M0-5.2L5.4 4.4L-5.4 4.4Z",
    "incapable": "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z",
    "aimless": "M-3.8-3.8H3.8V3.8H-3.8Z",
    "undetermined": "M0-5.2L5.2 0L0 5.2L-5.2 0Z",
}
"""The shape of each verdict: told apart without colours."""
HOLLOW = ("incapable", "aimless", "undetermined")
"""Verdicts that are not about a goal."""


@dataclass(frozen=True)
class Mark:
    """One training seed."""

    x: float
    y: float
    verdict: str
    told: str
    """What its tooltip says."""
    bar: tuple[float, float] | None
    """Upper and lower end of its interval; None where that is too wide to be drawn."""


@dataclass(frozen=True)
class Panel:
    """One metric against the correlation, with one placement."""

    title: str
    alt: str
    ticks: list[tuple[float, str]]
    groups: list[tuple[float, str]]
    """Where each correlation is, and what it is called."""
    zones: list[tuple[float, float, str]]
    """Upper end, height and meaning of parts of the axis."""
    zero: float
    marks: list[Mark]
    ceilings: list[tuple[float, float]]
    """From where each is drawn, and at which height."""
    unknown: list[tuple[float, str]]
    """Where seeds have no number, and how many."""


@dataclass(frozen=True)
class _Axis:
    """A metric and its axis."""

    metric: str
    low: float
    high: float
    ticks: tuple[float, ...]
    form: str

    def y(self, value: float) -> float:
        """Return the height of a value, kept on the axis."""
        inside = min(self.high, max(self.low, value))
        part = (inside - self.low) / (self.high - self.low)
        return round(HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM), 2)

    def told(self, one: Interval) -> str:
        """Return a number and its interval."""
        return f"{points(one)} points" if self.form == "points" else part(one)


def panels(results: Results, metric: str) -> list[Panel]:
    """Return a panel for each placement, in which every training seed is a point.

    Args:
        results: of a sweep.
        metric: pursuit, choice, divergence or pull.
    """
    axis = _axis(results, metric)
    return [_panel(results, axis, placement) for placement in results.placements]


def _axis(results: Results, metric: str) -> _Axis:
    if metric in ("pursuit", "choice"):
        return _Axis(metric, -0.2, 1.15, (0, 0.5, 1), "part")
    values = results.by_seed.filter(
        pl.col("metric") == metric, pl.col("actions") == results.modes[0]
    )["estimate"].drop_nulls()
    least = min([0.0, *values.to_list()])
    if metric == "pull":
        return _Axis(metric, -1.0 if least < -0.5 else -0.5, 1.0, (-0.5, 0, 0.5, 1), "points")
    return _Axis(metric, -1.0 if least < -0.5 else -0.5, 1.0, (-0.5, 0, 0.5, 1), "points")


def _panel(results: Results, axis: _Axis, placement: str) -> Panel:
    marks: list[Mark] = []
    unknown: list[tuple[float, str]] = []
    ceilings: list[tuple[float, float]] = []
    middles = _middles(len(results.correlations))
    for correlation, middle in zip(results.correlations, middles, strict=True):
        seeds = results.seed_intervals(axis.metric, correlation, placement)
        verdicts = results.verdicts.get((correlation, placement, results.modes[0]), {})
        known = {s: one for s, one in seeds.items() if one.estimate == one.estimate}
        if len(known) < len(seeds):
            unknown.append((middle, f"{len(seeds) - len(known)} not defined"))
        gap = min(_SPREAD, 0.7 * _room(len(middles)) / max(1, len(known)))
        for number, (seed, one) in enumerate(known.items()):
            verdict = verdicts[seed].name if seed in verdicts else "undetermined"
            x = round(middle + gap * (number - (len(known) - 1) / 2), 2)
            told = f"{results.at(correlation)}, seed {seed}: {axis.told(one)}; {verdict}"
            marks.append(Mark(x, axis.y(one.estimate), verdict, told, _bar(one, axis)))
        if axis.metric == "divergence":
            ceiling = results.interval("divergence_ceiling", correlation, placement).estimate
            if ceiling == ceiling:
                ceilings.append((middle, axis.y(ceiling)))
    return Panel(
        title=placement,
        alt=_alt(results, axis, placement, marks),
        ticks=[(axis.y(t), _tick(t, axis)) for t in axis.ticks if t >= axis.low],
        groups=[(x, results.rho[c]) for c, x in zip(results.correlations, middles, strict=True)],
        zones=_zones(results, axis),
        zero=axis.y(0),
        marks=marks,
        ceilings=ceilings,
        unknown=unknown,
    )


def _room(count: int) -> float:
    return (WIDTH - _LEFT - _RIGHT) / count


def _middles(count: int) -> list[float]:
    return [round(_LEFT + _room(count) * (k + 0.5), 2) for k in range(count)]


def _bar(one: Interval, axis: _Axis) -> tuple[float, float] | None:
    if not has_interval(one) or one.width > _TOLD_WIDTH * (axis.high - axis.low):
        return None
    return axis.y(one.high), axis.y(one.low)


def _tick(value: float, axis: _Axis) -> str:
    if axis.form == "points":
        return f"{100 * value:+.0f}" if value else "0"
    return f"{value:g}"


def _zones(results: Results, axis: _Axis) -> list[tuple[float, float, str]]:
    """Return the parts of the axis of what agents go for that verdicts speak of."""
    if axis.form != "part":
        return []
    margins = results.margins
    own = margins.aligned_pursuit if axis.metric == "pursuit" else margins.aligned_choice
    edges = ((axis.high, own, "goes for the goal"), (margins.other_pursuit, axis.low, "does not"))
    return [(axis.y(up), axis.y(down) - axis.y(up), name) for up, down, name in edges]


def _alt(results: Results, axis: _Axis, placement: str, marks: Sequence[Mark]) -> str:
    """Return what a panel shows, in words."""
    told = [f"{axis.metric} of each training seed, goal moved to {placement}"]
    for correlation in results.correlations:
        seeds = results.seed_intervals(axis.metric, correlation, placement).values()
        values = sorted(one.estimate for one in seeds if one.estimate == one.estimate)
        if values:
            told.append(f"{results.at(correlation)}: {values[0]:.2f} to {values[-1]:.2f}")
    return "; ".join(told)


def legend(results: Results) -> list[str]:
    """Return the verdicts that some seed has, in their order."""
    found = {v.name for seeds in results.verdicts.values() for v in seeds.values()}
    return [name for name in VERDICTS if name in found]


@dataclass(frozen=True)
class Curve:
    """One run."""

    line: str
    """Its points, as SVG takes them."""
    share: float
    """Where its correlation lies between the lowest (0) and the highest (100)."""
    told: str


@dataclass(frozen=True)
class Curves:
    """Learning curves."""

    lines: list[Curve]
    end: str
    """Decisions at the right end of the axis."""
    labels: list[tuple[str, float]]
    """Each correlation and its share."""


def curves(results: Results) -> Curves:
    """Return the share of training episodes that reached the goal, over training, of each run."""
    found = []
    for run in results.runs:
        if {"steps", "success"} <= set(run.learning.columns) and len(run.learning):
            found.append((run, *smooth(run.learning)))
    most = max((float(steps[-1]) for _, steps, _ in found), default=1.0)
    count = max(1, len(results.correlations) - 1)
    shares = {c: 100 - 100 * k / count for k, c in enumerate(results.correlations)}
    lines = []
    for run, steps, success in found:
        known = success == success
        x = _LEFT + steps[known] / most * (WIDTH - _LEFT - _RIGHT)
        y = HEIGHT - _BOTTOM - success[known] * (HEIGHT - _TOP - _BOTTOM)
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        lines.append(Curve(line, shares[run.correlation], f"ρ = {run.correlation:g}, {run.seed}"))
    return Curves(lines, large(most), [(results.at(c), shares[c]) for c in results.correlations])


def smooth(curve: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and success averaged over about a fiftieth of the training."""
    width = max(1, len(curve) // 50)
    known = curve["success"].cast(pl.Float64).fill_nan(None)
    success = known.rolling_mean(width, min_samples=1)
    return curve["steps"].to_numpy(), success.to_numpy()
