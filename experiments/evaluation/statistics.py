"""Intervals and tests for scores measured on training seeds x levels.

Every agent (training seed) is run on the same levels, so two things are sampled at once, and an
interval that ignores either is too narrow: episodes on one level resemble each other whoever plays
it, and episodes of one agent resemble each other wherever it plays. The intervals here treat both
as random. Their parts:

- `crossed_replicates`: the crossed ("pigeonhole") bootstrap, multinomial weights on seeds and,
  independently, on levels. Owen (2007), https://doi.org/10.1214/07-AOAS122; Owen & Eckles (2012),
  https://doi.org/10.1214/12-AOAS547.
- a two-way variance of the linearised statistic, split into seeds, levels and cells, as in
  Cameron, Gelbach & Miller (2011), https://doi.org/10.1198/jbes.2010.07136. It widens the
  t-interval over seeds by what the levels add, and calibrates the percentile interval of the
  bootstrap, which knows neither the t quantiles of ten seeds nor that the crossed bootstrap counts
  cell noise three times (the "expanded percentile interval" of Hesterberg (2015),
  https://doi.org/10.1080/00031305.2015.1089789, with the level that this variance asks for).

`python -m benchmarks.coverage` measures how often the intervals contain the truth.

Public names: `Interval`; `seeds_and_levels` (the rule that reports follow), `crossed_bootstrap`,
`crossed_bootstrap_statistic`, `crossed_replicates`, `t_over_seeds`, `paired_difference`; the
statistics `difference`, `ratio`, `divergence`; `wilson`, `clopper_pearson`, `mcnemar_exact`,
`holm`. Randomness comes only from the generator that is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEW_SEEDS = 10
"""Below this many training seeds the reporting rule uses t quantiles instead of the bootstrap."""
CHUNK_CELLS = 2**20
"""Level weights drawn at once by the bootstrap (8 MiB); bounds its memory."""
NEGLIGIBLE = 1e-9
"""A half-width below this (relative to the estimate, or to 1) is rounding, not variation."""

FloatArray = NDArray[np.float64]
Bounds = tuple[float, float]
Statistic = Callable[[Mapping[str, FloatArray]], FloatArray]
"""Maps the mean of each named array, float64 [k] each, to the statistic, float64 [k]."""


@dataclass(frozen=True)
class Interval:
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


# ---------------------------------------------------------------------------------------------
# Seeds x levels
# ---------------------------------------------------------------------------------------------


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
    tables, statistic, bounds = _prepare(data, statistic, level_groups, bounds)
    frame = _frame(tables, statistic, level)
    if math.isnan(frame.estimate):
        return frame
    if frame.n_seeds >= FEW_SEEDS:
        return _bootstrap(tables, statistic, rng, frame, bounds, resamples)
    if frame.n_seeds > 1:
        return _t_seeds_and_levels(tables, statistic, frame, bounds)
    if statistic is _mean_of_one and _is_binary(tables):
        low, high = _wilson_limits(tables["values"].values.sum(), frame.n_levels, level)
        return replace(frame, low=low, high=high, method="wilson over levels")
    return _bootstrap(tables, statistic, rng, frame, bounds, resamples)


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
    tables, statistic, bounds = _prepare(values, None, None, None)
    frame = _frame(tables, statistic, level)
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
    tables, statistic, bounds = _prepare(arrays, statistic, level_groups, bounds)
    frame = _frame(tables, statistic, level)
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
    tables, statistic, _ = _prepare(arrays, statistic, level_groups, None)
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
    first, second = _as_matrix("a", a), _as_matrix("b", b)
    if first.shape != second.shape:
        raise ValueError(f"a {first.shape} and b {second.shape} must have the same shape")
    if bounds is None and _is_zero_one(first) and _is_zero_one(second):
        bounds = (-1.0, 1.0)
    missing = np.isnan(first) | np.isnan(second)
    arrays = {"a": np.where(missing, np.nan, first), "b": np.where(missing, np.nan, second)}
    return seeds_and_levels(
        arrays, difference("a", "b"), rng, bounds=bounds, resamples=resamples, level=level
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
    _check_level(level)
    scores = scores[~np.isnan(scores)]
    n = scores.size
    mean = float(scores.mean()) if n else math.nan
    frame = Interval(mean, math.nan, math.nan, level, "t over seeds", n, note=_seed_note(n))
    if n < 2:
        return frame
    error = float(scores.std(ddof=1)) / math.sqrt(n)
    if error <= NEGLIGIBLE * max(1.0, abs(mean)):
        return replace(frame, note=f"{frame.note}; no variation observed".removeprefix("; "))
    half = _t_quantile(n - 1, level) * error
    return _cut(replace(frame, low=mean - half, high=mean + half), bounds)


# ---------------------------------------------------------------------------------------------
# Statistics of several means
# ---------------------------------------------------------------------------------------------


def difference(first: str, second: str) -> Statistic:
    """The statistic `mean[first] - mean[second]`."""
    return lambda mean: mean[first] - mean[second]


def ratio(numerator: str, denominator: str, *, floor: float = 0.0) -> Statistic:
    """The statistic `mean[numerator] / mean[denominator]`, such as P(goal | capable).

    Undefined (NaN) unless the denominator exceeds `floor`: nothing can be said about the goals
    of an agent that hardly ever reaches anything.
    """

    def statistic(mean: Mapping[str, FloatArray]) -> FloatArray:
        safe = np.where(mean[denominator] > floor, mean[denominator], np.nan)
        return mean[numerator] / safe

    return statistic


def divergence(mean: Mapping[str, FloatArray]) -> FloatArray:
    """How much further goal than capability fell from held-out to shifted levels.

    Needs arrays named `goal_held`, `goal_shift`, `cap_held`, `cap_shift`.
    """
    goal_loss = mean["goal_held"] - mean["goal_shift"]
    return goal_loss - (mean["cap_held"] - mean["cap_shift"])


# ---------------------------------------------------------------------------------------------
# One sample, paired counts, many tests
# ---------------------------------------------------------------------------------------------


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson score interval for a rate from `n` independent trials.

    Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953. The trials are levels played by
    one agent: the interval is conditional on that agent.
    """
    _check_counts(successes, n)
    _check_level(level)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, level, "wilson", note="no data")
    low, high = _wilson_limits(successes, n, level)
    return Interval(successes / n, low, high, level, "wilson", n_levels=n)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Exact (conservative) binomial interval for a rate from `n` independent trials.

    Clopper & Pearson (1934), https://doi.org/10.1093/biomet/26.4.404.
    """
    from scipy.special import betaincinv

    _check_counts(successes, n)
    _check_level(level)
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


# ---------------------------------------------------------------------------------------------
# Intervals from prepared tables
# ---------------------------------------------------------------------------------------------


def _t_seeds_and_levels(
    tables: dict[str, _Table], statistic: Statistic, frame: Interval, bounds: Bounds | None
) -> Interval:
    """The estimate plus and minus `_half_width`."""
    frame = replace(frame, method="t over seeds and levels")
    half = _half_width(_spread(tables, statistic), frame)
    if math.isnan(half):
        return _add_note(frame, "undetermined: the statistic is undefined near the estimate")
    if _is_negligible(half, frame):
        return _without_variation(tables, statistic, frame, bounds)
    return _cut(replace(frame, low=frame.estimate - half, high=frame.estimate + half), bounds)


def _bootstrap(
    tables: dict[str, _Table],
    statistic: Statistic,
    rng: np.random.Generator,
    frame: Interval,
    bounds: Bounds | None,
    resamples: int,
    *,
    calibrate: bool = True,
) -> Interval:
    """Percentile interval of the replicates; calibrated, its normal width is `_half_width`'s."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1; got {resamples}")
    frame = replace(frame, method="crossed bootstrap" if frame.n_seeds > 1 else "level bootstrap")
    if math.isnan(frame.estimate):
        return frame
    spread = _spread(tables, statistic)
    half = _half_width(spread, frame)
    if _is_negligible(half, frame):
        return _without_variation(tables, statistic, frame, bounds)
    replicates = _replicates(tables, statistic, rng, resamples)
    undefined = float(np.mean(np.isnan(replicates)))
    if math.isnan(half) or undefined > 1 - frame.level:
        return _add_note(frame, f"undetermined: undefined in {undefined:.0%} of resamples")
    tail = (1 - frame.level) / 2
    if calibrate and spread.bootstrap > 0:
        tail = NormalDist().cdf(-half / math.sqrt(spread.bootstrap))
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return _cut(replace(frame, low=float(low), high=float(high)), bounds)


def _without_variation(
    tables: dict[str, _Table], statistic: Statistic, frame: Interval, bounds: Bounds | None
) -> Interval:
    """An interval where the statistic showed no variation, by the least favourable z^2 levels.

    The Wilson limit of n successes in n trials is n / (n + z^2): what the estimate would be, had
    z^2 more levels failed. Here likewise: z^2 more levels with the least favourable means, which
    takes a known range of scores: `bounds` for a mean, 0 to 1 for the arrays of other statistics.
    """
    means = _means(tables)
    scores = bounds if statistic is _mean_of_one else (0.0, 1.0)
    if scores is None or not _is_within(tables, scores):
        return _add_note(frame, "no variation observed")
    corners = np.array(np.meshgrid(*[scores] * len(means))).reshape(len(means), -1)
    z2 = _z_quantile(frame.level) ** 2
    mixed = {
        name: (table.n_levels * means[name] + z2 * corner) / (table.n_levels + z2)
        for (name, table), corner in zip(tables.items(), corners, strict=True)
    }
    extremes = _evaluate(statistic, mixed)
    extremes = np.append(extremes[~np.isnan(extremes)], frame.estimate)
    frame = replace(frame, low=float(extremes.min()), high=float(extremes.max()))
    return _add_note(_cut(frame, bounds), "no variation observed: Wilson over levels")


# ---------------------------------------------------------------------------------------------
# Tables: what the intervals work on
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """One named array, without rows and columns that hold no data."""

    values: FloatArray  # [seeds, levels], 0 where missing
    present: FloatArray  # [seeds, levels], 1 where measured, 0 where missing
    group: str  # name of the level set

    @property
    def n_levels(self) -> int:
        return int(self.present.any(axis=0).sum())

    @property
    def is_complete(self) -> bool:
        return bool(self.present.all())


def _prepare(
    data: ArrayLike | Mapping[str, ArrayLike],
    statistic: Statistic | None,
    level_groups: Mapping[str, str] | None,
    bounds: Bounds | None,
) -> tuple[dict[str, _Table], Statistic, Bounds | None]:
    """Tables, statistic and bounds from what a caller may pass."""
    if not isinstance(data, Mapping):
        if statistic is not None:
            raise ValueError("statistic needs named arrays; pass a dict, or None for the mean")
        tables = _tables({"values": data}, None)
        if bounds is None and _is_binary(tables):
            bounds = (0.0, 1.0)
        return tables, _mean_of_one, bounds
    if statistic is None:
        raise ValueError("statistic is None, which is for one array; name what to estimate")
    return _tables(data, level_groups), statistic, bounds


def _tables(
    arrays: Mapping[str, ArrayLike], level_groups: Mapping[str, str] | None
) -> dict[str, _Table]:
    """Checked arrays, less the seeds and levels that hold no data in any of them."""
    if not arrays:
        raise ValueError("arrays is empty; give at least one [seeds, levels] array")
    matrices = {name: _as_matrix(name, array) for name, array in arrays.items()}
    groups = _groups(matrices, level_groups)
    n_seeds = max(matrix.shape[0] for matrix in matrices.values())
    for name, matrix in matrices.items():
        if matrix.shape[0] not in (1, n_seeds):
            raise ValueError(f"{name} has {matrix.shape[0]} seeds; others have {n_seeds} (or 1)")
    measured = {
        name: np.broadcast_to(~np.isnan(matrix), (n_seeds, matrix.shape[1]))
        for name, matrix in matrices.items()
    }
    # A one-row reference has data for every seed: it must not keep a seed that was never run.
    own = [name for name, matrix in matrices.items() if matrix.shape[0] == n_seeds]
    rows = np.any([measured[name].any(axis=1) for name in own], axis=0)
    tables = {}
    for name, matrix in matrices.items():
        members = [other for other in groups if groups[other] == groups[name]]
        columns = np.any([measured[other][rows].any(axis=0) for other in members], axis=0)
        full = np.broadcast_to(matrix, measured[name].shape)[rows][:, columns]
        present = ~np.isnan(full)
        values = np.where(present, full, 0.0)
        tables[name] = _Table(values, present.astype(np.float64), groups[name])
    return tables


def _groups(
    matrices: Mapping[str, FloatArray], level_groups: Mapping[str, str] | None
) -> dict[str, str]:
    """Level set of each array; every array of a set must have the same number of levels."""
    groups = dict.fromkeys(matrices, "levels") if level_groups is None else dict(level_groups)
    if set(groups) != set(matrices):
        raise ValueError(f"level_groups names {sorted(groups)}; the arrays are {sorted(matrices)}")
    sizes: dict[str, int] = {}
    for name, matrix in matrices.items():
        if sizes.setdefault(groups[name], matrix.shape[1]) != matrix.shape[1]:
            raise ValueError(
                f"{name} has {matrix.shape[1]} levels; others of its level set "
                f"'{groups[name]}' have {sizes[groups[name]]}; tell sets apart by level_groups"
            )
    return groups


def _as_matrix(name: str, array: ArrayLike) -> FloatArray:
    """The array as float64 [seeds, levels]."""
    matrix = np.asarray(array, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must have two axes, [seeds, levels]; its shape is {matrix.shape}")
    if np.any(np.isinf(matrix)):
        raise ValueError(f"{name} holds infinite values; mark missing cells by NaN")
    return matrix


def _frame(tables: dict[str, _Table], statistic: Statistic, level: float) -> Interval:
    """The estimate and the counts, with bounds still to be found."""
    _check_level(level)
    n_seeds = next(iter(tables.values())).values.shape[0]
    n_levels = min(table.values.shape[1] for table in tables.values())
    if n_seeds == 0 or n_levels == 0:
        return Interval(math.nan, math.nan, math.nan, level, "none", note="no data")
    estimate = float(_evaluate(statistic, _means(tables))[0])
    note = "undetermined: the statistic is undefined here" if math.isnan(estimate) else ""
    frame = Interval(estimate, math.nan, math.nan, level, "none", n_seeds, n_levels, note)
    frame = _add_note(frame, _seed_note(n_seeds) if n_seeds > 1 else "conditional on this agent")
    return _add_note(frame, "conditional on one level") if n_levels == 1 else frame


def _means(tables: dict[str, _Table]) -> dict[str, FloatArray]:
    """Mean over the measured cells of each array, float64 [1] each."""
    return {
        name: _divide(np.array([table.values.sum()]), np.array([table.present.sum()]))
        for name, table in tables.items()
    }


def _evaluate(statistic: Statistic, means: dict[str, FloatArray]) -> FloatArray:
    """The statistic at each of k points, float64 [k]; anything not finite is NaN."""
    (k,) = next(iter(means.values())).shape
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.asarray(statistic(means), dtype=np.float64)
    if result.shape != (k,):
        raise ValueError(f"statistic must map means of shape ({k},) to it; it gave {result.shape}")
    return np.where(np.isfinite(result), result, np.nan)


def _mean_of_one(mean: Mapping[str, FloatArray]) -> FloatArray:
    """The mean of the only array."""
    return mean["values"]


# ---------------------------------------------------------------------------------------------
# Resampling
# ---------------------------------------------------------------------------------------------


def _replicates(
    tables: dict[str, _Table], statistic: Statistic, rng: np.random.Generator, resamples: int
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
        parts.append(_evaluate(statistic, means))
    return np.concatenate(parts)


def _multinomial(rng: np.random.Generator, k: int, n: int) -> FloatArray:
    """Weights of n units in k resamples of n drawn with replacement, float64 [k, n].

    Counting draws is several times faster than `rng.multinomial`, which draws a binomial per unit.
    """
    if n == 1:
        return np.ones((k, 1))
    drawn = rng.integers(0, n, size=(k, n)) + n * np.arange(k)[:, None]
    return np.bincount(drawn.ravel(), minlength=k * n).reshape(k, n).astype(np.float64)


def _weighted_means(table: _Table, seeds: FloatArray, levels: FloatArray) -> FloatArray:
    """Means under seed weights [k, seeds] and level weights [k, levels], float64 [k]."""
    total = np.einsum("kl,kl->k", seeds @ table.values, levels)
    if table.is_complete:
        return total / table.values.size  # weights of each factor add up to its size
    return _divide(total, np.einsum("kl,kl->k", seeds @ table.present, levels))


# ---------------------------------------------------------------------------------------------
# Variance
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Spread:
    """Variances of the linearised statistic."""

    seeds: float  # what differs between seeds, cell noise included
    levels: float  # what differs between levels, cell noise excluded
    cells: float  # if all cells were independent: never more than the truth
    bootstrap: float  # of the crossed bootstrap, in closed form


def _spread(tables: dict[str, _Table], statistic: Statistic) -> _Spread:
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
    return _Spread(seeds, levels, cells, bootstrap)


def _influences(tables: dict[str, _Table], statistic: Statistic) -> dict[str, FloatArray]:
    """Contribution of each cell to the statistic, by level set, float64 [seeds, levels].

    First order: gradient of the statistic at the means, times each cell's share in them.
    """
    means = _means(tables)
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
    up, down = np.split(_evaluate(statistic, shifted), 2)
    return dict(zip(names, ((up - down) / (2 * step * scale)).tolist(), strict=True))


def _half_width(spread: _Spread, frame: Interval) -> float:
    """Half-width of the interval: t quantiles for seeds and for levels, in quadrature.

    Each component keeps the quantile of its own degrees of freedom, so that two seeds that happen
    to agree do not lend the levels their t[1] = 12.7. It is at least what independent cells give:
    with few seeds the components can be estimated as zero.
    """
    t_levels = _t_quantile(frame.n_levels - 1, frame.level) if frame.n_levels > 1 else 0.0
    t_seeds = _t_quantile(frame.n_seeds - 1, frame.level) if frame.n_seeds > 1 else 0.0
    crossed = t_seeds**2 * spread.seeds + t_levels**2 * spread.levels
    return math.sqrt(max(crossed, _z_quantile(frame.level) ** 2 * spread.cells))


# ---------------------------------------------------------------------------------------------
# Small helpers
# ---------------------------------------------------------------------------------------------


def _divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Elementwise quotient; NaN where the denominator is 0."""
    return numerator / np.where(denominator == 0, np.nan, denominator)


def _wilson_limits(successes: float, n: float, level: float) -> Bounds:
    z = _z_quantile(level)
    rate, scale = successes / n, 1 + z**2 / n
    centre = (rate + z**2 / (2 * n)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return (0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half)


def _z_quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _t_quantile(df: int, level: float) -> float:
    from scipy.special import stdtrit  # loads ten times faster than scipy.stats

    return float(stdtrit(df, (1 + level) / 2))


def _cut(interval: Interval, bounds: Bounds | None) -> Interval:
    """The part of the interval inside the statistic's range."""
    if bounds is None:
        return interval
    low, high = (min(max(end, bounds[0]), bounds[1]) for end in (interval.low, interval.high))
    return replace(interval, low=low, high=high)


def _add_note(interval: Interval, note: str) -> Interval:
    return replace(interval, note="; ".join(part for part in (interval.note, note) if part))


def _seed_note(n_seeds: int) -> str:
    if n_seeds == 0:
        return "no data"
    if n_seeds == 1:
        return "one training seed: no interval over seeds"
    return f"n small: {n_seeds} training seeds" if n_seeds < FEW_SEEDS else ""


def _is_negligible(half: float, frame: Interval) -> bool:
    return half <= NEGLIGIBLE * max(1.0, abs(frame.estimate))


def _is_zero_one(matrix: FloatArray) -> bool:
    return bool(np.all((matrix == 0) | (matrix == 1) | np.isnan(matrix)))


def _is_within(tables: dict[str, _Table], scores: Bounds) -> bool:
    seen = [table.values[table.present == 1] for table in tables.values()]
    return all(np.all((values >= scores[0]) & (values <= scores[1])) for values in seen)


def _is_binary(tables: dict[str, _Table]) -> bool:
    return all(_is_zero_one(table.values) for table in tables.values())


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, such as 0.95; got {level}")


def _check_counts(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0..n; got {successes} of n = {n}")
