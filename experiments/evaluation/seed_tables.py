"""Numbers of each training seed over levels, and of a recipe over its training seeds, as rows.

Public names: `Numbers`, `minus`, `reach_of`, `tables_of`, `nan_to_null`, `NUMBERS`.

The unit of evidence is the training seed: each has an interval over levels
(`statistics.over_levels`).  A recipe's mean over its seeds has one that holds whatever distribution
seeds have (`statistics.over_seeds`); with few seeds there is none, and the note says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .level_means import FloatArray
from .quantities import Quantity
from .statistics import Bounds, Interval, over_seeds

NUMBERS = pl.Schema(
    {
        "measure": pl.String,
        "estimate": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "n_seeds": pl.Int64,
        "n_levels": pl.Int64,
        "method": pl.String,
        "note": pl.String,
    }
)
"""What a row says beside its keys; what is not known is null."""
_ONLY = "values"


@dataclass(frozen=True)
class Numbers:
    """What one training seed's measures are estimated from, under one set of keys."""

    keys: Mapping[str, Any]
    train_seed: int
    quantities: Mapping[str, Quantity]
    """By measure."""


def minus(first: Quantity, second: Quantity) -> Quantity:
    """Return the difference of two quantities, paired by level: those that lack either are out."""
    one, other = _named(first), _named(second)
    rows = [*one.values(), *other.values()]
    known = ~np.isnan(np.stack(rows)).any(axis=0)
    data = {f"first_{name}": values for name, values in one.items()}
    data |= {f"second_{name}": values for name, values in other.items()}
    data = {name: np.where(known, values, np.nan) for name, values in data.items()}

    def statistic(mean: Mapping[str, FloatArray]) -> FloatArray:
        return _of(first, mean, "first_") - _of(second, mean, "second_")

    return Quantity(data, statistic, first.undefined or second.undefined)


def reach_of(episodes: pl.DataFrame, levels: NDArray[np.int64]) -> FloatArray:
    """Return whether a planned goal-seeker gets to the goal, float64 [levels]; NaN: nobody planned.

    Args:
        episodes: with `goal_in_reach` (`references.goals_in_reach`) where that is known.
        levels: ids in ascending order, which hold those of the episodes.
    """
    found = np.full(len(levels), np.nan)
    if "goal_in_reach" in episodes.columns:
        known = episodes.filter(pl.col("goal_in_reach").is_not_null())
        at = np.searchsorted(levels, known["level_id"].to_numpy())
        found[at] = known["goal_in_reach"].cast(pl.Float64).to_numpy()
    return found


def tables_of(
    found: Iterable[Numbers], keys: pl.Schema, bounds: Mapping[str, Bounds]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of recipes, and of their training seeds.

    Args:
        found: of all seeds, under all keys.
        keys: columns that tell recipes, and what was done with them, apart.
        bounds: range of each measure.

    Returns:
        `keys` and `NUMBERS`, one row for each keys and measure; and the same with `train_seed`
        after the keys, one row for each seed as well.
    """
    each: dict[tuple[Any, ...], dict[int, Interval]] = {}
    for one in found:
        for measure, quantity in one.quantities.items():
            at = (*(one.keys[name] for name in keys), measure)
            each.setdefault(at, {})[one.train_seed] = quantity.interval(bounds[measure])
    recipes, seeds = [], []
    for at, intervals in each.items():
        named = dict(zip(keys, at, strict=False))
        of_seeds = [intervals[seed] for seed in sorted(intervals)]
        recipes.append({**named, **_row(at[-1], over_seeds(of_seeds, bounds[at[-1]]))})
        seeds += [
            {**named, "train_seed": seed, **_row(at[-1], intervals[seed])}
            for seed in sorted(intervals)
        ]
    schema = pl.Schema({**keys, "train_seed": pl.Int64, **NUMBERS})
    return (
        nan_to_null(pl.DataFrame(recipes, pl.Schema({**keys, **NUMBERS}))),
        nan_to_null(pl.DataFrame(seeds, schema)),
    )


def _named(quantity: Quantity) -> dict[str, FloatArray]:
    return dict(quantity.data) if isinstance(quantity.data, Mapping) else {_ONLY: quantity.data}


def _of(quantity: Quantity, mean: Mapping[str, FloatArray], prefix: str) -> FloatArray:
    """Return a quantity from the means of arrays whose names begin with a prefix."""
    own = {name: mean[prefix + name] for name in _named(quantity)}
    return own[_ONLY] if quantity.statistic is None else quantity.statistic(own)


def _row(measure: str, found: Interval) -> dict[str, Any]:
    plain = dataclasses.asdict(found)
    return {"measure": measure, **{name: plain[name] for name in NUMBERS if name in plain}}


def nan_to_null(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table of estimates with what is not known as null."""
    return table.with_columns(pl.col("estimate", "low", "high").fill_nan(None))
