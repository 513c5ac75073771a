"""An interval, and what all methods that compute one share.

Public names: `Interval`, `FloatArray`, `Bounds`, `FEW_SEEDS`, `NEGLIGIBLE`; and what the other
modules here make them with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ...training.by_value import ByValue

FEW_SEEDS = 10
"""Below this many training seeds the reporting rule uses t quantiles instead of the bootstrap."""
NEGLIGIBLE = 1e-9
"""A half-width below this (relative to the estimate, or to 1) is rounding, not variation."""
FloatArray = NDArray[np.float64]
Bounds = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Interval(ByValue):
    """An estimate with a confidence interval, and what the interval rests on.

    Bounds are NaN where no interval can be computed; `note` then says why.
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95
    """Nominal coverage."""
    method: str = ""
    n_seeds: int = 0
    """Training seeds with data."""
    n_levels: int = 0
    """Levels with data; where arrays have level sets of their own, the smallest set."""
    note: str = ""
    """What the reader must know, such as "n small: 2 training seeds"."""

    @property
    def width(self) -> float:
        """High minus low; NaN without an interval."""
        return self.high - self.low

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside; False without an interval."""
        return self.excludes(0.0)

    def excludes(self, value: float) -> bool:
        """Whether `value` lies outside; False without an interval."""
        return value < self.low or value > self.high

    def __str__(self) -> str:
        """`0.72 [0.65, 0.79]`, or `0.72 [n/a]` without an interval."""
        if math.isnan(self.estimate):
            return "n/a"
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{self.estimate:z.2f} [n/a]"
        return f"{self.estimate:z.2f} [{self.low:z.2f}, {self.high:z.2f}]"


def wilson_limits(successes: float, n: float, level: float) -> Bounds:
    """Both ends of the Wilson interval."""
    z = z_quantile(level)
    rate, scale = successes / n, 1 + z**2 / n
    centre = (rate + z**2 / (2 * n)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return (0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half)


def z_quantile(level: float) -> float:
    """Standard deviations of the normal within which `level` of it lies."""
    return NormalDist().inv_cdf((1 + level) / 2)


def t_quantile(df: int, level: float) -> float:
    """The same for the t distribution with `df` degrees of freedom."""
    from scipy.special import stdtrit  # loads ten times faster than scipy.stats

    return float(stdtrit(df, (1 + level) / 2))


def cut(interval: Interval, bounds: Bounds | None) -> Interval:
    """The part of the interval inside the statistic's range."""
    if bounds is None:
        return interval
    low, high = (min(max(end, bounds[0]), bounds[1]) for end in (interval.low, interval.high))
    return replace(interval, low=low, high=high)


def add_note(interval: Interval, note: str) -> Interval:
    """The interval with one more thing to know."""
    return replace(interval, note="; ".join(part for part in (interval.note, note) if part))


def seed_note(n_seeds: int) -> str:
    """What to know of an interval over so many training seeds."""
    if n_seeds == 0:
        return "no data"
    if n_seeds == 1:
        return "one training seed: no interval over seeds"
    return f"n small: {n_seeds} training seeds" if n_seeds < FEW_SEEDS else ""


def is_negligible(half: float, frame: Interval) -> bool:
    """Whether a half-width is rounding, not variation."""
    return half <= NEGLIGIBLE * max(1.0, abs(frame.estimate))


def check_level(level: float) -> None:
    """Raise ValueError for a nominal coverage that is none."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, such as 0.95; got {level}")
