"""Whether seeds are of two kinds: more than one mode in what they pursue.

Silverman's test (1981, https://doi.org/10.1111/j.2517-6161.1981.tb01155.x): the least smoothing
that leaves one mode is large if there are two, and how large is judged by samples from the density
so smoothed.  It errs on the side of one kind.  Sampling stops early where there is nothing to see
(Besag and Clifford 1991, https://doi.org/10.1093/biomet/78.2.301), so that a small p, which many
cells at once ask for, costs much only where it is found.

Public names: `one_kind_p`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GRID, _HALVINGS = 200, 30
_ENOUGH = 20
"""So many samples that look as much like two kinds settle the p value."""
LEAST = 5
"""Fewer values say nothing."""


def one_kind_p(values: ArrayLike, rng: np.random.Generator, draws: int = 9_999) -> float:
    """Return the p value of "one mode"; NaN for fewer than `LEAST` values.

    Args:
        values: one of each seed.
        rng: of the bootstrap.
        draws: at most how many samples.
    """
    x = np.asarray(values, np.float64)
    if len(x) < LEAST:
        return float("nan")
    spread = float(np.ptp(x))
    if spread == 0:
        return 1.0
    width = _least_width(x, spread)
    shrink = 1 / np.sqrt(1 + width**2 / x.var())
    mean = x.mean()
    more = 0
    for done in range(1, draws + 1):
        drawn = rng.choice(x, len(x)) + width * rng.standard_normal(len(x))
        more += _modes(mean + shrink * (drawn - mean), width) > 1
        if more == _ENOUGH:
            return more / done
    return (more + 1) / (draws + 1)


def _least_width(x: NDArray[np.float64], spread: float) -> float:
    """Return the least bandwidth that leaves one mode, by halving."""
    low, high = 1e-4 * spread, spread
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _modes(x, middle) > 1 else (low, middle)
    return high


def _modes(x: NDArray[np.float64], width: float) -> int:
    """Return how many modes the smoothed density has."""
    grid = np.linspace(x.min() - width, x.max() + width, _GRID)
    density = np.exp(-0.5 * ((grid[:, None] - x[None, :]) / width) ** 2).sum(axis=1)
    slope = np.sign(np.diff(density))
    slope = slope[slope != 0]
    return int(((slope[:-1] > 0) & (slope[1:] < 0)).sum())
