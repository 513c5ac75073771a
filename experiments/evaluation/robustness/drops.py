"""From episodes under perturbations to numbers.

Public names: `robustness_table`, `TABLE`, `MEASURES`.

Goal, capability, and how much of each an attack costs (`goal_loss`, `capability_loss`: without it
minus with it, paired by level and training seed), for agents of one training correlation taken
together.  Intervals (95%) are over training seeds and levels (`statistics.seeds_and_levels`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import polars as pl

from ..level_means import FloatArray, LevelMeans
from ..statistics import Interval, difference, labelled_generator, seeds_and_levels

NONE, NOISE, WORST, RANDOM_FLIPS = "none", "noise", "worst", "random"
MEASURES = ("goal", "capability", "goal_loss", "capability_loss")
TABLE = pl.Schema(
    {
        "train_correlation": pl.Float64,
        "condition": pl.String,  # heldout, or conflict
        "attack": pl.String,  # none, noise, worst or random
        "strength": pl.Float64,  # probability of noise, or number of cells
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
_KEYS = ("train_correlation", "condition", "attack", "strength")


def robustness_table(episodes: pl.DataFrame, *, seed: int = 0) -> pl.DataFrame:
    """Return every measure under each attack.

    Args:
        episodes: as `robustness.attacked` labels them.
        seed: of the resampling behind intervals.

    Returns:
        `TABLE`.
    """
    rows = []
    for (correlation,), own in episodes.group_by("train_correlation", maintain_order=True):
        seeds = sorted(own["train_seed"].unique())
        levels = np.sort(own["level_id"].unique().to_numpy())
        free = {
            condition: LevelMeans.of(part.filter(pl.col("attack") == NONE), seeds, levels)
            for (condition,), part in own.group_by("condition")
        }
        for key, part in own.group_by(*_KEYS, maintain_order=True):
            here = LevelMeans.of(part, seeds, levels)
            label = f"{seed}/{key}"
            for measure, found in _intervals(free[key[1]], here, label):
                named = dict(zip(_KEYS, key, strict=True)) | {"train_correlation": correlation}
                numbers = {k: v for k, v in asdict(found).items() if k in TABLE}
                rows.append({**named, "measure": measure, **numbers})
    return pl.DataFrame(rows, TABLE).with_columns(pl.col("estimate", "low", "high").fill_nan(None))


def _intervals(free: LevelMeans, here: LevelMeans, label: str) -> Iterator[tuple[str, Interval]]:
    data = {"goal": (free.goal, here.goal), "capability": (free.capable, here.capable)}
    for measure in MEASURES:
        before, after = data[measure.removesuffix("_loss")]
        rng = labelled_generator(f"{label}/{measure}")
        if measure in data:
            yield measure, seeds_and_levels(after, None, rng, bounds=(0.0, 1.0))
        else:
            yield measure, _difference(before, after, rng)


def _difference(first: FloatArray, second: FloatArray, rng: np.random.Generator) -> Interval:
    both = ~(np.isnan(first) | np.isnan(second))
    data = {"a": np.where(both, first, np.nan), "b": np.where(both, second, np.nan)}
    return seeds_and_levels(data, difference("a", "b"), rng, bounds=(-1.0, 1.0))
