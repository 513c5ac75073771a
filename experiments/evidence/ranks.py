"""Rank correlations and areas under curves, with intervals over recipes and their seeds.

Public names: `rank_correlation`, `over_recipes`, `DRAWS`.

What varies from agent to agent is the recipe and, within it, the training seed.  The bootstrap
draws both, recipes first and then seeds of each, so that many seeds of few recipes do not pass for
many independent agents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..evaluation.statistics import Interval

DRAWS = 600
"""Of the bootstrap, unless others are asked for."""
_LEAST = 0.5
"""Share of draws in which a statistic must exist for its interval to be told."""
Columns = Mapping[str, NDArray[Any]]


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's correlation, ties sharing their ranks; NaN where one does not vary."""
    one, other = (_ranks(np.asarray(values, np.float64)) for values in (x, y))
    if len(one) < 3 or not (np.ptp(one) and np.ptp(other)):
        return math.nan
    return float(np.corrcoef(one, other)[0, 1])


def over_recipes(
    columns: Columns,
    recipes: ArrayLike,
    statistic: Callable[[Columns], float],
    rng: np.random.Generator,
    draws: int | None = None,
) -> Interval:
    """Return a statistic of a table with its 95% interval over recipes and seeds.

    Args:
        columns: arrays by name, an agent a place.
        recipes: each agent's recipe.
        statistic: from such columns; NaN where it does not exist.
        rng: draws.
        draws: how many; none: `DRAWS`.

    Returns:
        The estimate and percentiles of the bootstrap; no interval of fewer than three recipes, or
        where most draws have no statistic.
    """
    names, own = np.unique(np.asarray(recipes), return_inverse=True)
    estimate = statistic(columns) if len(own) else math.nan
    none = Interval(estimate, math.nan, math.nan, n_seeds=len(own))
    if len(names) < 3 or math.isnan(estimate):
        return none
    order, counts = np.argsort(own, kind="stable"), np.bincount(own)
    first = np.cumsum(counts) - counts
    found = np.empty(DRAWS if draws is None else draws)
    for draw in range(len(found)):
        chosen = rng.integers(0, len(names), len(names))
        recipe = np.repeat(chosen, counts[chosen])  # as many seeds as each has
        rows = order[first[recipe] + (rng.random(len(recipe)) * counts[recipe]).astype(np.int64)]
        found[draw] = statistic({name: values[rows] for name, values in columns.items()})
    if np.isfinite(found).mean() < _LEAST:
        return none
    low, high = np.nanpercentile(found, (2.5, 97.5))
    return Interval(
        estimate, float(low), float(high), method="recipes, then seeds", n_seeds=len(own)
    )


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 0; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    return (last - (counts - 1) / 2)[place.reshape(-1)]
