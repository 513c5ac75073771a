"""From episodes under perturbations to numbers.

Public names: `robustness_table`, `robustness_seeds`, `TABLE`, `SEEDS`, `MEASURES`.

| measure | meaning |
|---|---|
| `goal`, `capability` | how much of the goal, of goal or proxy, is reached under the attack |
| `pull` | what the goal's place does to where the agent goes: of conflict levels and their twins |
| `pursuit` | the pull of what a planned goal-seeker's would be, without the agent's skill (π) |
| `goal_cost`, `capability_cost`, `pursuit_cost` | without the attack minus with it |

Costs are paired: the same agent, level and random numbers.  An attack that costs pursuit and no
capability makes the agent misgeneralize; one that costs capability breaks it.  Intervals (95%) are
those of `seed_tables`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from ..conditions import ALIGNED, CONFLICT
from ..level_means import FloatArray, LevelMeans
from ..quantities import BOUNDS, Quantity, Twins, goal_pull
from ..seed_tables import NUMBERS, Numbers, minus, reach_of, tables_of
from ..statistics import Bounds

NONE, NOISE, WORST, RANDOM_FLIPS = "none", "noise", "worst", "random"
GOAL_FLIPS, DECOY = "goal", "decoy"
_COST = (-1.0, 1.0)
MEASURES: Mapping[str, Bounds] = {
    "goal": (0.0, 1.0),
    "capability": (0.0, 1.0),
    "pull": BOUNDS["pull"],
    "pursuit": BOUNDS["pursuit"],
    "goal_cost": _COST,
    "capability_cost": _COST,
    "pursuit_cost": (-1.5, 1.5),
}
"""Range of each measure."""
KEYS = pl.Schema(
    {
        "train_correlation": pl.Float64,
        "condition": pl.String,  # in_distribution, aligned or conflict
        "attack": pl.String,  # none, noise, worst, random, goal or decoy
        "strength": pl.Float64,  # probability of noise, or number of cells
    }
)
TABLE = pl.Schema({**KEYS, **NUMBERS})
"""Columns of `robustness_table`."""
SEEDS = pl.Schema({**KEYS, "train_seed": pl.Int64, **NUMBERS})
"""Columns of `robustness_seeds`."""
_Key = tuple[str, str, float]


def robustness_table(episodes: pl.DataFrame) -> pl.DataFrame:
    """Return every measure under each attack, over training seeds: `TABLE`.

    Args:
        episodes: as `robustness.attacked` labels them.
    """
    return tables_of(_numbers(episodes), KEYS, MEASURES)[0]


def robustness_seeds(episodes: pl.DataFrame) -> pl.DataFrame:
    """Return every measure of each training seed under each attack: `SEEDS`.

    Args:
        episodes: as `robustness.attacked` labels them.
    """
    return tables_of(_numbers(episodes), KEYS, MEASURES)[1]


def _numbers(episodes: pl.DataFrame) -> Iterator[Numbers]:
    recipes = episodes.group_by("train_correlation", "train_seed", maintain_order=True)
    for (correlation, seed), own in recipes:
        levels = np.sort(own["level_id"].unique().to_numpy())
        cells: dict[_Key, LevelMeans] = {
            (str(condition), str(attack), float(strength)): LevelMeans.of(part, levels)
            for (condition, attack, strength), part in own.group_by(
                "condition", "attack", "strength", maintain_order=True
            )
        }
        reach = reach_of(own, levels)
        for key in cells:
            keys: dict[str, Any] = dict(zip(list(KEYS), (correlation, *key), strict=True))
            yield Numbers(keys, int(seed), _quantities(cells, key, reach))


def _quantities(
    cells: Mapping[_Key, LevelMeans], key: _Key, reach: FloatArray
) -> dict[str, Quantity]:
    condition = key[0]
    here, free = _rates(cells, key, reach), _rates(cells, (condition, NONE, 0.0), reach)
    costs = {
        f"{measure}_cost": minus(free[measure], here[measure])
        for measure in ("goal", "capability", "pursuit")
        if measure in here
    }
    return here | costs


def _rates(cells: Mapping[_Key, LevelMeans], key: _Key, reach: FloatArray) -> dict[str, Quantity]:
    condition, *attack = key
    here, twin = cells[key], cells.get((ALIGNED, *attack))  # pyright: ignore[reportArgumentType]
    found = {"goal": Quantity(here.goal), "capability": Quantity(here.capable)}
    if condition == CONFLICT and twin is not None and not np.isnan(here.touched).all():
        pulled = goal_pull(Twins(twin, here), reach)
        found |= {measure: pulled[measure] for measure in ("pull", "pursuit")}
    return found
