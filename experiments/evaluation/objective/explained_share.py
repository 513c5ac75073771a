"""The share of an agent's episodes that each explanation accounts for, with its interval.

Public names: `sample_explained_shares`, `explained_share_interval`.

Each episode has one explanation, and an agent need not have the same one in all: explanation k
accounts for a share w_k of the episodes on the levels tested.  Episodes are the units of evidence;
w has a flat Dirichlet prior, and only the likelihood of each episode under each explanation is
known.  An episode that two explanations fit equally well says nothing about them, however many
there are of its kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..statistics import FEW_SEEDS, Interval
from .likelihood import FloatArray

BURN_IN = 100
"""Draws thrown away: far more than the chain takes to forget its even start."""


def sample_explained_shares(
    log_likelihood: FloatArray, rng: np.random.Generator, *, draws: int, prior: float = 1.0
) -> FloatArray:
    """Draw the shares from their posterior distribution, by Gibbs sampling.

    Args:
        log_likelihood: float64 [..., episodes, k]; leading axes are studies of their own.
        rng: source of the draws.
        draws: how many.
        prior: Dirichlet parameter of each explanation (1: flat).

    Returns:
        float64 [draws, ..., k]; the last axis adds up to 1.
    """
    *studies, _, kinds = log_likelihood.shape
    top = log_likelihood.max(axis=-1, keepdims=True)
    likelihood = np.exp(log_likelihood - top)
    shares = np.full((*studies, kinds), 1.0 / kinds)
    kept = np.empty((draws, *studies, kinds))
    for draw in range(-BURN_IN, draws):
        below = np.cumsum(likelihood * shares[..., None, :], axis=-1)
        u = rng.random(below.shape[:-1]) * below[..., -1]
        kind = (below[..., :-1] <= u[..., None]).sum(axis=-1)
        counts = (kind[..., None] == np.arange(kinds)).sum(axis=-2)
        weights = rng.standard_gamma(counts + prior) + np.finfo(np.float64).tiny
        shares = weights / weights.sum(axis=-1, keepdims=True)
        if draw >= 0:
            kept[draw] = shares
    return kept


def explained_share_interval(
    drawn: Sequence[NDArray[np.float64]], n_levels: int, level: float = 0.95
) -> Interval:
    """Return the interval of one share: over levels, and over training seeds if there are several.

    For one agent it is the posterior's central interval, "conditional on this agent".  For several
    it is the mean of their posterior means, plus and minus

        sqrt(t[n - 1]^2 V_seeds + z^2 V_levels)

    V_seeds being the variance of the mean over agents, and V_levels the mean of the agents'
    posterior variances: as much as levels can add, were each as easy or hard for all agents alike.

    Args:
        drawn: for each training seed, draws of the share.
        n_levels: levels behind each.
        level: nominal coverage.
    """
    means = np.array([draws.mean() for draws in drawn])
    n = len(means)
    if n == 1:
        low, high = np.quantile(drawn[0], [(1 - level) / 2, (1 + level) / 2])
        method, note = "posterior over levels", "conditional on this agent"
    else:
        half = _half_width(means, float(np.mean([draws.var() for draws in drawn])), level)
        low, high = max(0.0, means.mean() - half), min(1.0, means.mean() + half)
        method = "t over seeds, posterior over levels"
        note = f"n small: {n} training seeds" if n < FEW_SEEDS else ""
    return Interval(
        float(means.mean()),
        float(low),
        float(high),
        level,
        method,
        n_seeds=n,
        n_levels=n_levels,
        note=note,
    )


def _half_width(means: FloatArray, over_levels: float, level: float) -> float:
    from scipy.special import ndtri, stdtrit  # late: loads slowly

    n, tail = len(means), (1 + level) / 2
    over_seeds = stdtrit(n - 1, tail) ** 2 * means.var(ddof=1) / n
    return math.sqrt(over_seeds + ndtri(tail) ** 2 * over_levels)
