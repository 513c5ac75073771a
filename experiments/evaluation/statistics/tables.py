"""Named arrays [seeds, levels], and statistics of their means.

Public names: `Statistic`, `difference`, `ratio`, `divergence`; and what the other modules here
read and check them with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .intervals import Bounds, FloatArray, Interval, add_note, check_level, seed_note

Statistic = Callable[[Mapping[str, FloatArray]], FloatArray]
"""Maps the mean of each named array, float64 [k] each, to the statistic, float64 [k]."""


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
    """How much further goal than capability fell from aligned to conflict levels.

    Needs arrays named `goal_before`, `goal_after`, `capable_before`, `capable_after`.
    """
    goal_loss = mean["goal_before"] - mean["goal_after"]
    return goal_loss - (mean["capable_before"] - mean["capable_after"])


@dataclass(frozen=True)
class Table:
    """One named array, without rows and columns that hold no data."""

    values: FloatArray  # [seeds, levels], 0 where missing
    present: FloatArray  # [seeds, levels], 1 where measured, 0 where missing
    group: str  # name of the level set

    @property
    def n_levels(self) -> int:
        """Levels with data."""
        return int(self.present.any(axis=0).sum())

    @property
    def is_complete(self) -> bool:
        """Whether no cell is missing."""
        return bool(self.present.all())


def prepare(
    data: ArrayLike | Mapping[str, ArrayLike],
    statistic: Statistic | None,
    level_groups: Mapping[str, str] | None,
    bounds: Bounds | None,
) -> tuple[dict[str, Table], Statistic, Bounds | None]:
    """Tables, statistic and bounds from what a caller may pass."""
    if not isinstance(data, Mapping):
        if statistic is not None:
            raise ValueError("statistic needs named arrays; pass a dict, or None for the mean")
        tables = _tables({"values": data}, None)
        if bounds is None and is_binary(tables):
            bounds = (0.0, 1.0)
        return tables, mean_of_one, bounds
    if statistic is None:
        raise ValueError("statistic is None, which is for one array; name what to estimate")
    return _tables(data, level_groups), statistic, bounds


def _tables(
    arrays: Mapping[str, ArrayLike], level_groups: Mapping[str, str] | None
) -> dict[str, Table]:
    """Checked arrays, less the seeds and levels that hold no data in any of them."""
    if not arrays:
        raise ValueError("arrays is empty; give at least one [seeds, levels] array")
    matrices = {name: as_matrix(name, array) for name, array in arrays.items()}
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
        tables[name] = Table(values, present.astype(np.float64), groups[name])
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


def as_matrix(name: str, array: ArrayLike) -> FloatArray:
    """The array as float64 [seeds, levels]."""
    matrix = np.asarray(array, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must have two axes, [seeds, levels]; its shape is {matrix.shape}")
    if np.any(np.isinf(matrix)):
        raise ValueError(f"{name} holds infinite values; mark missing cells by NaN")
    return matrix


def frame_of(tables: dict[str, Table], statistic: Statistic, level: float) -> Interval:
    """The estimate and the counts, with bounds still to be found."""
    check_level(level)
    n_seeds = next(iter(tables.values())).values.shape[0]
    n_levels = min(table.values.shape[1] for table in tables.values())
    if n_seeds == 0 or n_levels == 0:
        return Interval(math.nan, math.nan, math.nan, level, "none", note="no data")
    estimate = float(evaluate(statistic, means_of(tables))[0])
    note = "undetermined: the statistic is undefined here" if math.isnan(estimate) else ""
    frame = Interval(estimate, math.nan, math.nan, level, "none", n_seeds, n_levels, note)
    frame = add_note(frame, seed_note(n_seeds) if n_seeds > 1 else "conditional on this agent")
    return add_note(frame, "conditional on one level") if n_levels == 1 else frame


def means_of(tables: dict[str, Table]) -> dict[str, FloatArray]:
    """Mean over the measured cells of each array, float64 [1] each."""
    return {
        name: divide(np.array([table.values.sum()]), np.array([table.present.sum()]))
        for name, table in tables.items()
    }


def evaluate(statistic: Statistic, means: dict[str, FloatArray]) -> FloatArray:
    """The statistic at each of k points, float64 [k]; anything not finite is NaN."""
    (k,) = next(iter(means.values())).shape
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.asarray(statistic(means), dtype=np.float64)
    if result.shape != (k,):
        raise ValueError(f"statistic must map means of shape ({k},) to it; it gave {result.shape}")
    return np.where(np.isfinite(result), result, np.nan)


def mean_of_one(mean: Mapping[str, FloatArray]) -> FloatArray:
    """The mean of the only array."""
    return mean["values"]


def divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Elementwise quotient; NaN where the denominator is 0."""
    return numerator / np.where(denominator == 0, np.nan, denominator)


def is_zero_one(matrix: FloatArray) -> bool:
    """Whether all that was measured is 0 or 1."""
    return bool(np.all((matrix == 0) | (matrix == 1) | np.isnan(matrix)))


def is_within(tables: dict[str, Table], scores: Bounds) -> bool:
    """Whether all that was measured lies in a range."""
    seen = [table.values[table.present == 1] for table in tables.values()]
    return all(np.all((values >= scores[0]) & (values <= scores[1])) for values in seen)


def is_binary(tables: dict[str, Table]) -> bool:
    """Whether all arrays hold only zeros and ones."""
    return all(is_zero_one(table.values) for table in tables.values())
