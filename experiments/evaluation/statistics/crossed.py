"""Intervals over training seeds x levels.

Public names: `seeds_and_levels` (the rule that reports follow), `estimate`, `crossed_bootstrap`,
`crossed_bootstrap_statistic`, `crossed_replicates`, `paired_difference`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from .intervals import (
    FEW_SEEDS,
    Bounds,
    FloatArray,
    Interval,
    add_note,
    cut,
    is_negligible,
    wilson_limits,
    z_quantile,
)
from .tables import (
    Statistic,
    Table,
    as_matrix,
    difference,
    divide,
    evaluate,
    frame_of,
    is_binary,
    is_within,
    is_zero_one,
    mean_of_one,
    means_of,
    prepare,
)
from .variance_components import half_width, variance_components_of

CHUNK_CELLS = 2**20
"""Level weights drawn at once by the bootstrap (8 MiB); bounds its memory."""


def seeds_and_levels(
    data: ArrayLike | Mapping[str, ArrayLike],
    statistic: Statistic | None,
    rng: np.random.Generator,
    *,
    level_groups: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """The interval that reports print, chosen by the number of training seeds with data.

    - 10 or more: crossed bootstrap over seeds x levels.
    - 2 to 9: t-interval over seeds, widened by what the levels add; noted as "n small". The
      half-width is `sqrt(t[n-1]^2 V_seeds + t[L-1]^2 V_levels)`. Without the second term (a plain
      t over seeds) it covers 92% at 5 seeds and, where agents differ little, 80% at 10.
    - 1: over levels only, "conditional on this agent": Wilson for a rate, else a level bootstrap.

    Where nothing varied (all levels solved, say) no resampling can tell how sure that is: the
    interval is then the Wilson interval's, over levels. Where scores are not rates and have no
    known range, there is none.

    Args:
        data: float [seeds, levels], NaN = missing; or several such arrays by name (see
            `crossed_bootstrap_statistic`).
        statistic: what to estimate from the means of the named arrays; None for the mean of one
            array.
        rng: source of the resampling.
        level_groups: array name -> name of its level set; needed where level sets differ.
        bounds: range of the statistic; the interval is cut to it. Known for the mean of zeros
            and ones.
        resamples: bootstrap resamples.
        level: nominal coverage.
    """
    tables, statistic, bounds = prepare(data, statistic, level_groups, bounds)
    frame = frame_of(tables, statistic, level)
    if math.isnan(frame.estimate):
        return frame
    if frame.n_seeds >= FEW_SEEDS:
        return _bootstrap(tables, statistic, rng, frame, bounds, resamples)
    if frame.n_seeds > 1:
        return _t_seeds_and_levels(tables, statistic, frame, bounds)
    if statistic is mean_of_one and is_binary(tables):
        low, high = wilson_limits(tables["values"].values.sum(), frame.n_levels, level)
        return replace(frame, low=low, high=high, method="wilson over levels")
    return _bootstrap(tables, statistic, rng, frame, bounds, resamples)


def estimate(
    data: ArrayLike | Mapping[str, ArrayLike], statistic: Statistic | None = None
) -> float:
    """Return what `seeds_and_levels` estimates, without its interval; NaN where it is undefined.

    Args:
        data: as for `seeds_and_levels`.
        statistic: as for `seeds_and_levels`.
    """
    tables, statistic, _ = prepare(data, statistic, None, None)
    return frame_of(tables, statistic, 0.95).estimate


def crossed_bootstrap(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    calibrate: bool = True,
) -> Interval:
    """Crossed bootstrap interval for the mean of `values`.

    Args:
        values: float [seeds, levels], NaN = missing.
        rng: source of the resampling.
        resamples: number of resamples.
        level: nominal coverage.
        calibrate: False gives the plain percentile interval.
    """
    tables, statistic, bounds = prepare(values, None, None, None)
    frame = frame_of(tables, statistic, level)
    return _bootstrap(tables, statistic, rng, frame, bounds, resamples, calibrate=calibrate)


def crossed_bootstrap_statistic(
    arrays: Mapping[str, ArrayLike],
    statistic: Statistic,
    rng: np.random.Generator,
    *,
    level_groups: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    calibrate: bool = True,
) -> Interval:
    """Crossed bootstrap interval for a smooth function of several means.

    Row s of every array belongs to the same training seed and shares its weight. An array with one
    row, among others with more, is a fixed agent (a reference) that is compared with all of them.

    Args:
        arrays: name -> float [seeds, levels of the array's level set], NaN = missing.
        statistic: name -> weighted mean, float64 [k] each, to float64 [k]; NaN = undefined.
        rng: source of the resampling.
        level_groups: array name -> name of its level set. Column l of all arrays of a set is the
            same level and shares its weight; sets are drawn independently. None: one set.
        bounds: range of the statistic; the interval is cut to it.
        resamples: number of resamples.
        level: nominal coverage.
        calibrate: False gives the plain percentile interval.
    """
    tables, statistic, bounds = prepare(arrays, statistic, level_groups, bounds)
    frame = frame_of(tables, statistic, level)
    return _bootstrap(tables, statistic, rng, frame, bounds, resamples, calibrate=calibrate)


def crossed_replicates(
    arrays: Mapping[str, ArrayLike],
    statistic: Statistic,
    rng: np.random.Generator,
    *,
    level_groups: Mapping[str, str] | None = None,
    resamples: int = 2000,
) -> FloatArray:
    """The statistic in every resample of the crossed bootstrap, float64 [resamples].

    Arguments are those of `crossed_bootstrap_statistic`. A resample without data is NaN.
    """
    tables, statistic, _ = prepare(arrays, statistic, level_groups, None)
    return _replicates(tables, statistic, rng, resamples)


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    rng: np.random.Generator,
    *,
    bounds: Bounds | None = None,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Mean of `a - b` over the cells where both were measured, by the reporting rule.

    Args:
        a: float [seeds, levels], NaN = missing.
        b: float [seeds, levels]: the same seeds on the same levels.
        rng: source of the resampling.
        bounds: range of the difference; known where both hold only zeros and ones.
        resamples: bootstrap resamples, from 10 seeds on.
        level: nominal coverage.
    """
    first, second = as_matrix("a", a), as_matrix("b", b)
    if first.shape != second.shape:
        raise ValueError(f"a {first.shape} and b {second.shape} must have the same shape")
    if bounds is None and is_zero_one(first) and is_zero_one(second):
        bounds = (-1.0, 1.0)
    missing = np.isnan(first) | np.isnan(second)
    arrays = {"a": np.where(missing, np.nan, first), "b": np.where(missing, np.nan, second)}
    return seeds_and_levels(
        arrays, difference("a", "b"), rng, bounds=bounds, resamples=resamples, level=level
    )


def _t_seeds_and_levels(
    tables: dict[str, Table], statistic: Statistic, frame: Interval, bounds: Bounds | None
) -> Interval:
    """The estimate plus and minus `half_width`."""
    frame = replace(frame, method="t over seeds and levels")
    half = half_width(variance_components_of(tables, statistic), frame)
    if math.isnan(half):
        return add_note(frame, "undetermined: the statistic is undefined near the estimate")
    if is_negligible(half, frame):
        return without_variation(tables, statistic, frame, bounds)
    return cut(replace(frame, low=frame.estimate - half, high=frame.estimate + half), bounds)


def _bootstrap(
    tables: dict[str, Table],
    statistic: Statistic,
    rng: np.random.Generator,
    frame: Interval,
    bounds: Bounds | None,
    resamples: int,
    *,
    calibrate: bool = True,
) -> Interval:
    """Percentile interval of the replicates; calibrated, its normal width is `half_width`'s."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1; got {resamples}")
    frame = replace(frame, method="crossed bootstrap" if frame.n_seeds > 1 else "level bootstrap")
    if math.isnan(frame.estimate):
        return frame
    spread = variance_components_of(tables, statistic)
    half = half_width(spread, frame)
    if is_negligible(half, frame):
        return without_variation(tables, statistic, frame, bounds)
    replicates = _replicates(tables, statistic, rng, resamples)
    undefined = float(np.mean(np.isnan(replicates)))
    if math.isnan(half) or undefined > 1 - frame.level:
        return add_note(frame, f"undetermined: undefined in {undefined:.0%} of resamples")
    tail = (1 - frame.level) / 2
    if calibrate and spread.bootstrap > 0:
        tail = NormalDist().cdf(-half / math.sqrt(spread.bootstrap))
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return cut(replace(frame, low=float(low), high=float(high)), bounds)


def without_variation(
    tables: dict[str, Table], statistic: Statistic, frame: Interval, bounds: Bounds | None
) -> Interval:
    """An interval where the statistic showed no variation, by the least favourable z^2 levels.

    The Wilson limit of n successes in n trials is n / (n + z^2): what the estimate would be, had
    z^2 more levels failed. Here likewise: z^2 more levels with the least favourable means, which
    takes a known range of scores: `bounds` for a mean, 0 to 1 for the arrays of other statistics.
    """
    means = means_of(tables)
    scores = bounds if statistic is mean_of_one else (0.0, 1.0)
    if scores is None or not is_within(tables, scores):
        return add_note(frame, "no variation observed")
    corners = np.array(np.meshgrid(*[scores] * len(means))).reshape(len(means), -1)
    z2 = z_quantile(frame.level) ** 2
    mixed = {
        name: (table.n_levels * means[name] + z2 * corner) / (table.n_levels + z2)
        for (name, table), corner in zip(tables.items(), corners, strict=True)
    }
    extremes = evaluate(statistic, mixed)
    extremes = np.append(extremes[~np.isnan(extremes)], frame.estimate)
    frame = replace(frame, low=float(extremes.min()), high=float(extremes.max()))
    return add_note(cut(frame, bounds), "no variation observed: Wilson over levels")


def _replicates(
    tables: dict[str, Table], statistic: Statistic, rng: np.random.Generator, resamples: int
) -> FloatArray:
    """The statistic in each resample, float64 [resamples], level weights drawn in chunks."""
    sizes = {table.group: table.values.shape[1] for table in tables.values()}
    n_seeds = next(iter(tables.values())).values.shape[0]
    seed_weights = _multinomial(rng, resamples, n_seeds)
    step = max(1, CHUNK_CELLS // max(1, *sizes.values()))
    parts = []
    for start in range(0, resamples, step):
        seeds = seed_weights[start : start + step]
        levels = {group: _multinomial(rng, len(seeds), size) for group, size in sizes.items()}
        means = {name: _weighted_means(t, seeds, levels[t.group]) for name, t in tables.items()}
        parts.append(evaluate(statistic, means))
    return np.concatenate(parts)


def _multinomial(rng: np.random.Generator, k: int, n: int) -> FloatArray:
    """Weights of n units in k resamples of n drawn with replacement, float64 [k, n].

    Counting draws is several times faster than `rng.multinomial`, which draws a binomial per unit.
    """
    if n == 1:
        return np.ones((k, 1))
    drawn = rng.integers(0, n, size=(k, n)) + n * np.arange(k)[:, None]
    return np.bincount(drawn.ravel(), minlength=k * n).reshape(k, n).astype(np.float64)


def _weighted_means(table: Table, seeds: FloatArray, levels: FloatArray) -> FloatArray:
    """Means under seed weights [k, seeds] and level weights [k, levels], float64 [k]."""
    total = np.einsum("kl,kl->k", seeds @ table.values, levels)
    if table.is_complete:
        return total / table.values.size  # weights of each factor add up to its size
    return divide(total, np.einsum("kl,kl->k", seeds @ table.present, levels))
