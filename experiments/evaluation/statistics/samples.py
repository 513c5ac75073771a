"""Intervals and tests for one score per agent, one agent's trials, paired counts, and many tests.

Public names: `t_over_seeds`, `wilson`, `clopper_pearson`, `mcnemar_exact`, `holm`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .intervals import (
    NEGLIGIBLE,
    Bounds,
    FloatArray,
    Interval,
    check_level,
    cut,
    seed_note,
    t_quantile,
    wilson_limits,
)


def t_over_seeds(
    per_seed: ArrayLike, level: float = 0.95, *, bounds: Bounds | None = None
) -> Interval:
    """Textbook t-interval over one score per training seed; levels count as fixed.

    Args:
        per_seed: float [seeds], NaN = missing.
        level: nominal coverage.
        bounds: range of the score; the interval is cut to it.
    """
    scores = np.asarray(per_seed, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"per_seed must have one axis, [seeds]; its shape is {scores.shape}")
    check_level(level)
    scores = scores[~np.isnan(scores)]
    n = scores.size
    mean = float(scores.mean()) if n else math.nan
    frame = Interval(mean, math.nan, math.nan, level, "t over seeds", n, note=seed_note(n))
    if n < 2:
        return frame
    error = float(scores.std(ddof=1)) / math.sqrt(n)
    if error <= NEGLIGIBLE * max(1.0, abs(mean)):
        return replace(frame, note=f"{frame.note}; no variation observed".removeprefix("; "))
    half = t_quantile(n - 1, level) * error
    return cut(replace(frame, low=mean - half, high=mean + half), bounds)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson score interval for a rate from `n` independent trials.

    Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953. The trials are levels played by
    one agent: the interval is conditional on that agent.
    """
    _check_counts(successes, n)
    check_level(level)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, level, "wilson", note="no data")
    low, high = wilson_limits(successes, n, level)
    return Interval(successes / n, low, high, level, "wilson", n_levels=n)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Exact (conservative) binomial interval for a rate from `n` independent trials.

    Clopper & Pearson (1934), https://doi.org/10.1093/biomet/26.4.404.
    """
    from scipy.special import betaincinv

    _check_counts(successes, n)
    check_level(level)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, level, "clopper-pearson", note="no data")
    failures, tail = n - successes, (1 - level) / 2
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return Interval(successes / n, low, high, level, "clopper-pearson", n_levels=n)


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact McNemar p-value from the two discordant counts.

    McNemar (1947), https://doi.org/10.1007/BF02295996.

    Args:
        b: pairs that succeeded under the first condition only.
        c: pairs that succeeded under the second condition only.
    """
    from scipy.stats import binomtest

    if b < 0 or c < 0:
        raise ValueError(f"discordant counts must be at least 0; b = {b}, c = {c}")
    return float(binomtest(min(b, c), b + c).pvalue) if b + c else 1.0


def holm(pvalues: Sequence[float] | NDArray[np.floating]) -> FloatArray:
    """Holm's step-down adjusted p-values, in input order.

    Holm (1979), https://www.jstor.org/stable/4615733. A NaN (a test that was not made) stays NaN
    and does not count.

    Args:
        pvalues: float [tests].

    Returns:
        float64 [tests]; compare with the family-wise error rate.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    if p.ndim != 1 or np.any((p < 0) | (p > 1)):
        raise ValueError(f"pvalues must be one axis of numbers in [0, 1]; got {p.tolist()}")
    made = np.flatnonzero(~np.isnan(p))
    order = made[np.argsort(p[made], kind="stable")]
    adjusted = p.copy()
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def _check_counts(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0..n; got {successes} of n = {n}")
