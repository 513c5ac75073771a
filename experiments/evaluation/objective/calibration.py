"""Whether posterior probabilities of explanations are right as often as they say.

Public names: `fit_tempering`, `reliability`.

Both take episodes of agents whose goals are known.  Levels that fit the power should not be those
that test it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from .behavioural_objective import ObjectiveConfig
from .likelihood import FloatArray, log_softmax

TEMPERINGS = tuple(k / 20 for k in range(1, 21))
"""Powers that `fit_tempering` tries."""


def fit_tempering(
    logs: FloatArray,
    truth: NDArray[Any],
    config: ObjectiveConfig,
    candidates: Sequence[float] = TEMPERINGS,
) -> float:
    """Return the power under which posteriors of known agents' explanations score best.

    The score is the mean log posterior of the truth.  Each true explanation weighs as much as the
    prior says, whatever its number of episodes.

    Args:
        logs: log likelihoods, float64 [episodes, explanations].
        truth: index of each episode's true explanation, integer [episodes].
        config: settings; its own tempering is ignored.
        candidates: the powers to choose from.
    """
    counts = np.bincount(truth, minlength=logs.shape[1])
    weight = (config.prior / np.maximum(counts, 1))[truth]
    chosen = np.arange(len(truth)), truth

    def score(power: float) -> float:
        right = log_softmax(power * logs + np.log(config.prior))[chosen]
        return float(weight @ right)

    return max(candidates, key=score)


def reliability(probability: ArrayLike, happened: ArrayLike, bins: int = 5) -> pl.DataFrame:
    """Return how often things happened that were given certain probabilities.

    Args:
        probability: float [n], in [0, 1].
        happened: bool [n].
        bins: how many equal parts of [0, 1] to tell apart; empty ones are left out.

    Returns:
        `low`, `high` (the part), `count`, `predicted` (mean probability), `observed` (share that
        happened).
    """
    p, yes = np.asarray(probability, np.float64), np.asarray(happened, np.float64)
    part = np.minimum((p * bins).astype(np.int64), bins - 1)
    return (
        pl.DataFrame({"part": part, "predicted": p, "observed": yes})
        .group_by("part")
        .agg(pl.len().alias("count"), pl.col("predicted", "observed").mean())
        .sort("part")
        .select(
            (pl.col("part") / bins).alias("low"),
            ((pl.col("part") + 1) / bins).alias("high"),
            "count",
            "predicted",
            "observed",
        )
    )
