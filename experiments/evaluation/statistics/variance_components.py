"""The variance of a statistic, by what seeds, levels and cells contribute.

Public names: `Spread`, `variance_components_of`, `half_width`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .intervals import FloatArray, Interval, t_quantile, z_quantile
from .tables import Statistic, Table, evaluate, means_of


@dataclass(frozen=True)
class _Components:
    """Variances of the linearised statistic."""

    seeds: float  # what differs between seeds, cell noise included
    levels: float  # what differs between levels, cell noise excluded
    cells: float  # if all cells were independent: never more than the truth
    bootstrap: float  # of the crossed bootstrap, in closed form


def variance_components_of(tables: dict[str, Table], statistic: Statistic) -> _Components:
    """Splits the variance of the statistic into what seeds, levels and cells contribute.

    With complete data and a linear statistic, `seeds` is the squared standard error of the
    t-interval over seeds, and `levels` the usual unbiased estimate of the level component.
    """
    influences = _influences(tables, statistic)
    by_seed = np.sum([part.sum(axis=1) for part in influences.values()], axis=0)
    n = by_seed.size
    seeds = float(np.sum(by_seed**2)) * n / (n - 1) if n > 1 else 0.0
    levels = cells = 0.0
    bootstrap = float(np.sum(by_seed**2))
    for part in influences.values():
        by_level = part.sum(axis=0)
        size = by_level.size
        centred = part - part.mean(axis=0)
        rest = float(np.sum((centred - centred.mean(axis=1, keepdims=True)) ** 2))
        bootstrap += float(np.sum(by_level**2)) + rest
        cells += float(np.sum(part**2))
        if size > 1:
            noise = rest * n * size / ((n - 1) * (size - 1)) if n > 1 else 0.0
            levels += max(0.0, float(np.sum(by_level**2)) * size / (size - 1) - noise)
    return _Components(seeds, levels, cells, bootstrap)


def half_width(spread: _Components, frame: Interval) -> float:
    """Half-width of the interval: t quantiles for seeds and for levels, in quadrature.

    Each component keeps the quantile of its own degrees of freedom, so that two seeds that happen
    to agree do not lend the levels their t[1] = 12.7. It is at least what independent cells give:
    with few seeds the components can be estimated as zero.
    """
    t_levels = t_quantile(frame.n_levels - 1, frame.level) if frame.n_levels > 1 else 0.0
    t_seeds = t_quantile(frame.n_seeds - 1, frame.level) if frame.n_seeds > 1 else 0.0
    crossed = t_seeds**2 * spread.seeds + t_levels**2 * spread.levels
    return math.sqrt(max(crossed, z_quantile(frame.level) ** 2 * spread.cells))


def _influences(tables: dict[str, Table], statistic: Statistic) -> dict[str, FloatArray]:
    """Contribution of each cell to the statistic, by level set, float64 [seeds, levels].

    First order: gradient of the statistic at the means, times each cell's share in them.
    """
    means = means_of(tables)
    gradient = _gradient(statistic, means)
    influences = {table.group: np.zeros_like(table.values) for table in tables.values()}
    for name, table in tables.items():
        share = (table.values - means[name] * table.present) / table.present.sum()
        influences[table.group] += gradient[name] * share
    return influences


def _gradient(statistic: Statistic, means: dict[str, FloatArray]) -> dict[str, float]:
    """Derivative by each mean, by central differences."""
    step, names = 1e-5, list(means)
    scale = np.array([max(1.0, abs(float(means[name][0]))) for name in names])
    moves = step * np.diag(scale)  # [arrays, arrays]
    shifted = {
        name: means[name] + np.concatenate([moves[:, i], -moves[:, i]])
        for i, name in enumerate(names)
    }
    up, down = np.split(evaluate(statistic, shifted), 2)
    return dict(zip(names, ((up - down) / (2 * step * scale)).tolist(), strict=True))
