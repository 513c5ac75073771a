"""Intervals for one agent over levels, and for a recipe over training seeds, whatever their spread.

Public names: `over_levels`, `over_seeds`, `bounded_mean`, `two_groups`.

A handful of seeds often falls into two groups, one that learned the goal and one that did not, and
a t-interval takes a group that it has not met for impossible.  `over_seeds` takes the seeds for
draws from *any* distribution on the statistic's range.  For seeds that are all 0 or all 1 it is the
interval of Clopper and Pearson.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from .crossed import without_variation
from .intervals import (
    Bounds,
    FloatArray,
    Interval,
    add_note,
    cut,
    is_negligible,
    seed_note,
    wilson_limits,
    z_quantile,
)
from .tables import Statistic, frame_of, is_within, mean_of_one, prepare
from .variance_components import half_width, variance_components_of

SPANS_ALL = 0.9
"""An interval that takes up more of the statistic's range than this says nothing."""
_DRAWS = 20_000
_GAP = 0.3
"""Part of the range between two neighbouring seeds that makes them two groups."""


def over_levels(
    data: ArrayLike | Mapping[str, ArrayLike],
    statistic: Statistic | None = None,
    *,
    bounds: Bounds | None = None,
    level: float = 0.95,
) -> Interval:
    """Return one agent's interval: over other levels, for this agent.

    Of a mean of numbers in [0, 1] it is Wilson's, for as many levels as would give its variance; of
    another statistic the linearised one, with the t quantile of the levels.

    Args:
        data: float [levels], NaN = missing; or several such arrays by name.
        statistic: what to estimate from the means of the named arrays; None for the mean of one.
        bounds: range of the statistic; the interval is cut to it.
        level: nominal coverage.
    """
    if isinstance(data, Mapping):
        rows = {name: np.asarray(array, np.float64)[None] for name, array in data.items()}
    else:
        rows = np.asarray(data, np.float64)[None]
    tables, statistic, bounds = prepare(rows, statistic, None, bounds)
    frame = frame_of(tables, statistic, level)
    if math.isnan(frame.estimate):
        return frame
    half = half_width(variance_components_of(tables, statistic), frame)
    if math.isnan(half):
        return add_note(frame, "undetermined: the statistic is undefined near the estimate")
    if is_negligible(half, frame):
        return without_variation(tables, statistic, replace(frame, method="over levels"), bounds)
    if statistic is mean_of_one and is_within(tables, (0.0, 1.0)):
        p = frame.estimate
        n = max(frame.n_levels, p * (1 - p) * (z_quantile(level) / half) ** 2)
        low, high = wilson_limits(p * n, n, level)
        return replace(frame, low=low, high=high, method="wilson over levels")
    frame = replace(frame, method="t over levels")
    return cut(replace(frame, low=frame.estimate - half, high=frame.estimate + half), bounds)


def over_seeds(agents: Sequence[Interval], bounds: Bounds) -> Interval:
    """Return the interval of the mean over a recipe's training seeds, each with equal weight.

    Args:
        agents: of each seed, what `over_levels` found; those without an estimate do not count.
        bounds: range of the statistic.

    Returns:
        The one agent's, where there is one.  Otherwise the interval of `bounded_mean`, widened by
        what other levels would change (as much as they change one agent: all seeds play the same).
        None where it would span the range, as then there are too few seeds to say anything.
    """
    known = [one for one in agents if not math.isnan(one.estimate)]
    if len(known) == 1 or not agents:
        return known[0] if known else Interval(math.nan, math.nan, math.nan, note="no data")
    if not known:
        return agents[0]
    level, values = known[0].level, np.array([one.estimate for one in known])
    halves = np.array([(one.high - one.low) / 2 for one in known])
    by_levels = math.sqrt(float(np.nanmean(halves**2))) if not np.isnan(halves).all() else 0.0
    mean = float(values.mean())
    low, high = bounded_mean(values, bounds, level)
    frame = Interval(
        mean,
        mean - math.hypot(max(0.0, mean - low), by_levels),
        mean + math.hypot(max(0.0, high - mean), by_levels),
        level,
        "any distribution of seeds",
        len(known),
        min(one.n_levels for one in known),
        seed_note(len(known)),
    )
    frame = cut(frame, bounds)
    if frame.width > SPANS_ALL * (bounds[1] - bounds[0]):
        none = replace(frame, low=math.nan, high=math.nan)
        return add_note(none, "n too small to say: the interval would span nearly all there is")
    return frame


def bounded_mean(values: ArrayLike, bounds: Bounds, level: float = 0.95) -> Bounds:
    """Return an interval for the mean of any distribution on a known range.

    Learned-Miller & Thomas (2019), https://arxiv.org/abs/1905.06208.  The uniform order statistics
    of a sample bound its distribution function; their quantile of the mean is taken.

    Args:
        values: float [n], at least one; those beyond the range count as its ends.
        bounds: the range.
        level: nominal coverage.
    """
    low, high = bounds
    x = np.sort((np.clip(np.asarray(values, np.float64), low, high) - low) / (high - low))
    tail = (1 - level) / 2
    top = _upper(x, tail)
    bottom = 1 - _upper(1 - x[::-1], tail)
    return low + (high - low) * bottom, low + (high - low) * top


def _upper(x: FloatArray, tail: float) -> float:
    """Return the upper bound of the mean of sorted values in [0, 1]."""
    gaps = np.diff(np.append(x, 1.0))
    return float(np.quantile(1 - _ordered(len(x)) @ gaps, 1 - tail))


@lru_cache(maxsize=64)
def _ordered(n: int) -> FloatArray:
    """Return draws of n uniform numbers in ascending order, the same each time."""
    return np.sort(np.random.default_rng(n).random((_DRAWS, n)), axis=1)


def two_groups(values: Sequence[float], bounds: Bounds) -> tuple[int, float, float] | None:
    """Return whether seeds fall into two groups, with nothing between them.

    Args:
        values: one of each seed.
        bounds: their range.

    Returns:
        How many are in the lower group, and the ends of the gap; None where there is no wide one.
    """
    x = np.sort(np.asarray([value for value in values if not math.isnan(value)]))
    if len(x) < 2:
        return None
    gaps = np.diff(x)
    at = int(gaps.argmax())
    if gaps[at] < _GAP * (bounds[1] - bounds[0]):
        return None
    return at + 1, float(x[at]), float(x[at + 1])
