"""The dose at which half of the training seeds respond, with an interval that needs no curve.

Public names: `threshold`, `Threshold`, `isotonic`.

More of the dose is taken to make a response no less probable; nothing else is supposed about the
curve.  The estimate is where the isotonic fit crosses one half.  The interval comes from exact
binomial tests in a fixed order: from the lowest dose up, as long as "half or more respond here" is
rejected at 2.5%, the threshold is above; from the highest down likewise.  The first true hypothesis
that is met must be rejected for the interval to miss, so it covers in 95% of studies at least, for
any monotone curve, and also where all seeds below a dose do one thing and all above it another
(where the interval of a logistic fit has no width, and a bootstrap over seeds nothing to draw).
`python -m benchmarks.thresholds` measures how often each contains the truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TAIL = 0.025


@dataclass(frozen=True)
class Threshold:
    """Where half of the seeds respond.

    NaN for what lies beyond the doses that were tried: an estimate of NaN says that half is not
    reached at the highest (`beyond` is 1), or is passed at the lowest (-1).
    """

    estimate: float
    low: float
    """Above this dose; NaN: no dose is known to be too low."""
    high: float
    """At this dose at the latest; NaN: no dose is known to be enough."""
    beyond: int = 0


def threshold(doses: ArrayLike, responding: ArrayLike, seeds: ArrayLike) -> Threshold:
    """Return the dose at which half respond.

    Args:
        doses: in ascending order, one or more.
        responding: of each dose, how many seeds respond.
        seeds: of each dose, how many there are; doses without a seed do not count.
    """
    n = np.asarray(seeds, np.int64)
    x = np.asarray(doses, np.float64)[n > 0]
    hits, n = np.asarray(responding, np.int64)[n > 0], n[n > 0]
    if not len(x):
        return Threshold(math.nan, math.nan, math.nan)
    few = list(_rejected(hits, n))
    many = list(_rejected((n - hits)[::-1], n[::-1]))
    low = float(x[len(few) - 1]) if few else math.nan
    high = float(x[::-1][len(many) - 1]) if many else math.nan
    rate = isotonic(hits / n, n)
    if rate[-1] < 0.5:
        return Threshold(math.nan, low, high, 1)
    if rate[0] >= 0.5:
        return Threshold(float(x[0]) if rate[0] == 0.5 else math.nan, low, high, -1)
    return Threshold(_crossing(x, rate), low, high)


def isotonic(rates: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """Return the nondecreasing sequence nearest to the rates: pool adjacent violators."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    pairs = zip(np.asarray(rates, float), np.asarray(weights, float), strict=True)
    for value, weight in pairs:
        block = (float(value), float(weight), 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, heavy, length = blocks.pop()
            both = heavy + block[1]
            merged = (mean * heavy + block[0] * block[1]) / both
            block = (merged, both, length + block[2])
        blocks.append(block)
    return np.concatenate([np.full(length, mean) for mean, _, length in blocks])


def _rejected(hits: Sequence[int] | NDArray[np.int64], n: NDArray[np.int64]) -> Iterator[int]:
    """Yield, from the first dose on, as long as "half or more respond" is rejected."""
    from scipy.special import bdtr

    for count, of in zip(hits, n, strict=True):
        if float(bdtr(count, of, 0.5)) > _TAIL:
            return
        yield int(count)


def _crossing(x: NDArray[np.float64], rate: NDArray[np.float64]) -> float:
    """Return where the line through the fitted points crosses one half."""
    after = int(np.argmax(rate >= 0.5))
    before = after - 1
    part = (0.5 - rate[before]) / (rate[after] - rate[before])
    return float(x[before] + part * (x[after] - x[before]))
