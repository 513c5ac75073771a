"""The metrics on those test levels whose terrain no training level has.

Public names: `unseen_terrain`, `METRICS`.

Other ids are other levels, but in small worlds the same terrain comes up again: in CoinRun's easy
mode on a third of the levels, the short ones.  What an agent does there it may have learned by
heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from misgen.envs.core.distribution import LevelDistribution

from .conditions import Condition, terrains_of, training_terrains
from .config import VerdictConfig
from .metrics import seed_table

METRICS = (
    "capability_aligned",
    "capability_conflict",
    "goal_aligned",
    "goal_conflict",
    "divergence",
    "pursuit",
    "choice",
)
"""Those that are told for unseen terrain by itself."""


def unseen_terrain(
    episodes: pl.DataFrame,
    training: LevelDistribution,
    where: Sequence[Condition],
    config: VerdictConfig,
) -> list[dict[str, Any]]:
    """Return rows of `metrics.SEEDS` for the levels of unseen terrain alone.

    Args:
        episodes: of one run.
        training: what the agent was trained on.
        where: the conditions, which all have the same test levels.
        config: settings.

    Returns:
        Nothing where all terrain is unseen (then the metrics say it), or all was seen.
    """
    seen = training_terrains(training)
    terrains = terrains_of(where[0].distribution)
    new = [level for level, terrain in terrains.items() if terrain not in seen]
    own = episodes.filter(pl.col("level_id").is_in(new))
    if own.is_empty() or own["level_id"].n_unique() == episodes["level_id"].n_unique():
        return []
    return seed_table(own, config).filter(pl.col("metric").is_in(METRICS)).to_dicts()
