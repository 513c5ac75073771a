"""How many training seeds and test levels a difference needs.

Public names: `Spread`, `variance_components_of`, `detectable`, `fewest_seeds`.

The mean of S seeds x L levels has variance seed^2 / S + level^2 / L + cell^2 / (S L); the test is
the t test with S - 1 degrees of freedom that the reports' intervals correspond to.  More levels
cannot make up for too few seeds: the first term stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError

_MOST_SEEDS = 1_000


@dataclass(frozen=True)
class Spread:
    """Standard deviations of a score over training seeds, levels and their combinations."""

    seed: float
    level: float
    cell: float

    def error(self, seeds: int, levels: int) -> float:
        """Return the standard error of the mean over so many seeds and levels."""
        return math.sqrt(
            self.seed**2 / seeds + self.level**2 / levels + self.cell**2 / (seeds * levels)
        )


def variance_components_of(values: NDArray[np.float64]) -> Spread:
    """Return the spreads of scores, by two-way analysis of variance.

    Args:
        values: float64 [seeds, levels], complete, at least 2 x 2.

    Raises:
        UserError: if there are too few.
    """
    seeds, levels = values.shape
    if seeds < 2 or levels < 2:
        raise UserError(
            f"{seeds} seeds x {levels} levels are too few to estimate the spread: give 2 of each"
        )
    by_seed, by_level = values.mean(axis=1), values.mean(axis=0)
    rest = values - by_seed[:, None] - by_level[None, :] + values.mean()
    cell = float((rest**2).sum() / ((seeds - 1) * (levels - 1)))
    seed = max(0.0, float(by_seed.var(ddof=1)) - cell / levels)
    level = max(0.0, float(by_level.var(ddof=1)) - cell / seeds)
    return Spread(math.sqrt(seed), math.sqrt(level), math.sqrt(cell))


def detectable(spread: Spread, seeds: int, levels: int, power: float) -> float:
    """Return the smallest mean that a two-sided 5% t test tells from 0 with the wanted power."""
    from scipy.stats import nct, t

    freedom = seeds - 1
    critical = float(t.ppf(0.975, freedom))
    low, high = 0.0, 4.0 * critical + 10.0  # noncentrality, in standard errors
    for _ in range(60):
        middle = (low + high) / 2
        found = float(nct.sf(critical, freedom, middle))
        low, high = (low, middle) if found >= power else (middle, high)
    return high * spread.error(seeds, levels)


def fewest_seeds(spread: Spread, levels: int, difference: float, power: float) -> int | None:
    """Return the fewest seeds that find `difference`, or None if even 1,000 do not."""
    low, high = 1, _MOST_SEEDS
    if detectable(spread, high, levels, power) > difference:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        enough = detectable(spread, middle, levels, power) <= difference
        low, high = (low, middle) if enough else (middle, high)
    return high
