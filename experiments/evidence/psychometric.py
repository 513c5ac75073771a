"""How likely an agent is detected, by how much it misgeneralizes: a curve that does not fall.

Public names: `monotone`, `crossing`, `crossings`, `Crossing`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
HALF = 0.5


def monotone(x: ArrayLike, hit: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the fit that does not fall (pool adjacent violators), by least squares.

    Args:
        x: float [n], how much of what is to be detected there is.
        hit: bool [n], whether it was detected.

    Returns:
        The distinct values of x, ascending, and the fitted share of hits at each.
    """
    values, where = np.unique(np.asarray(x, np.float64), return_inverse=True)
    weight = np.bincount(where, minlength=len(values)).astype(np.float64)
    mean = np.bincount(where, np.asarray(hit, np.float64), len(values)) / np.maximum(weight, 1)
    blocks: list[list[float]] = []  # mean, weight, how many values
    for one, own in zip(mean.tolist(), weight.tolist(), strict=True):
        blocks.append([one, own, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last, before = blocks.pop(), blocks.pop()
            total = last[1] + before[1]
            joined = (last[0] * last[1] + before[0] * before[1]) / total
            blocks.append([joined, total, last[2] + before[2]])
    fitted = [mean for mean, _, count in blocks for _ in range(int(count))]
    return values, np.array(fitted, np.float64)


def crossing(values: ArrayLike, fitted: ArrayLike, level: float = HALF) -> float:
    """Return where a curve that does not fall first reaches a level, between values by a line.

    Infinite where it never does; its first value where it is there from the start.
    """
    x, y = np.asarray(values, np.float64), np.asarray(fitted, np.float64)
    if not len(x) or y[-1] < level:
        return math.inf
    at = int(np.argmax(y >= level))
    if at == 0 or y[at] == y[at - 1]:
        return float(x[at])
    part = (level - y[at - 1]) / (y[at] - y[at - 1])
    return float(x[at - 1] + part * (x[at] - x[at - 1]))


@dataclass(frozen=True)
class Crossing:
    """Where half are detected, with the ends of 95% of resamples; infinite: nowhere."""

    estimate: float
    low: float
    high: float


def crossings(
    x: ArrayLike,
    hit: ArrayLike,
    units: Sequence[int] | NDArray[np.int64],
    rng: np.random.Generator,
    resamples: int = 200,
) -> Crossing:
    """Return where half are detected, with its interval over resamples of whole units."""
    amounts, hits = np.asarray(x, np.float64), np.asarray(hit, np.bool_)
    names, number = np.unique(np.asarray(units), return_inverse=True)
    members = [np.flatnonzero(number == k) for k in range(len(names))]
    estimate = crossing(*monotone(amounts, hits))
    found = []
    for _ in range(resamples):
        drawn = np.concatenate([members[k] for k in rng.integers(len(names), size=len(names))])
        found.append(crossing(*monotone(amounts[drawn], hits[drawn])))
    low, high = np.quantile(found, [0.025, 0.975], method="nearest")
    return Crossing(estimate, float(low), float(high))
