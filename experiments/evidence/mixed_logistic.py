"""A hierarchical logistic regression: whether a seed does something, with groups that differ.

logit P(y = 1) = X b + the effects of its groups, each drawn from a normal distribution of its
grouping (cells of a grid; training seeds, which have their levels in common).  Fixed effects have a
wide normal prior, so that they stay finite where they separate the seeds, and standard deviations
of groupings a half-normal one.  Deviations are those at the maximum of Laplace's approximation of
their posterior (as lme4 has it; Breslow & Clayton, 1993, https://doi.org/10.2307/2290687), and the
intervals of b are of the normal distribution around the mode given these.

Public names: `fit`, `Fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FIXED_SD, GROUP_SD = 5.0, 1.0
"""Standard deviations of the priors of fixed effects, and of the groupings' deviations."""
_Z = 1.959964
_ROUNDS, _CLOSE = 60, 1e-9
_LEAST, _MOST = np.log(1e-3), np.log(20.0)


@dataclass(frozen=True, eq=False)
class Fit:
    """What was fitted."""

    estimate: NDArray[np.float64]
    """Fixed effects, on the scale of the logit."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """Ends of their 95% intervals."""
    deviations: NDArray[np.float64]
    """Standard deviation between the groups of each grouping."""


def fit(x: ArrayLike, y: ArrayLike, groupings: Sequence[ArrayLike]) -> Fit:
    """Return the fit.

    Args:
        x: float [n, p], with a column of ones for the intercept.
        y: 0 or 1 [n].
        groupings: each the group of every row, any labels [n].
    """
    from scipy.optimize import minimize

    fixed, hits = np.asarray(x, np.float64), np.asarray(y, np.float64)
    codes = [np.unique(np.asarray(one), return_inverse=True)[1] for one in groupings]
    design = np.hstack([fixed, *[np.eye(code.max() + 1)[code] for code in codes]])
    sizes = [int(code.max()) + 1 for code in codes]

    def loss(logs: NDArray[np.float64]) -> float:
        penalty = _penalty(fixed.shape[1], sizes, np.exp(logs))
        _, value, hessian = _mode(design, hits, penalty)
        _, logdet = np.linalg.slogdet(hessian)
        prior = 0.5 * float((np.exp(2 * logs) / GROUP_SD**2).sum()) - float(logs.sum())
        return value + 0.5 * logdet - 0.5 * float(np.log(penalty).sum()) + prior

    logs = np.zeros(0)
    if codes:
        start, bounds = np.full(len(codes), np.log(0.5)), [(_LEAST, _MOST)] * len(codes)
        near = {"xatol": 0.01, "fatol": 0.01}
        logs = minimize(loss, start, method="Nelder-Mead", bounds=bounds, options=near).x
    deviations = np.exp(logs)
    mode, _, hessian = _mode(design, hits, _penalty(fixed.shape[1], sizes, deviations))
    count = fixed.shape[1]
    half = _Z * np.sqrt(np.diag(np.linalg.inv(hessian))[:count])
    return Fit(mode[:count], mode[:count] - half, mode[:count] + half, deviations)


def _penalty(
    count: int, sizes: Sequence[int], deviations: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the precision of each effect's prior."""
    groups = [np.full(n, 1 / s**2) for n, s in zip(sizes, deviations, strict=True)]
    return np.concatenate([np.full(count, 1 / FIXED_SD**2), *groups])


def _mode(
    design: NDArray[np.float64], hits: NDArray[np.float64], penalty: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Return the effects at the mode, minus its log posterior, and the Hessian there: Newton."""
    effects = np.zeros(design.shape[1])
    value = _minus_log(design, hits, penalty, effects)
    hessian = np.diag(penalty)
    for _ in range(_ROUNDS):
        rate = 1 / (1 + np.exp(-design @ effects))
        gradient = design.T @ (rate - hits) + penalty * effects
        hessian = (design * (rate * (1 - rate))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        scale = 1.0
        while (new := _minus_log(design, hits, penalty, effects - scale * step)) > value:
            scale /= 2
            if scale < _CLOSE:
                return effects, value, hessian
        effects, gained, value = effects - scale * step, value - new, new
        if gained < _CLOSE:
            break
    return effects, value, hessian


def _minus_log(
    design: NDArray[np.float64],
    hits: NDArray[np.float64],
    penalty: NDArray[np.float64],
    effects: NDArray[np.float64],
) -> float:
    score = design @ effects
    likelihood = float((np.logaddexp(0, score) - hits * score).sum())
    return likelihood + 0.5 * float((penalty * effects**2).sum())
