"""How competence is taken from an agent, and how levels are shared out between two aims.

Public names: `noisy`, `waiting`, `still`, `falls_to_first`.

Each rule is here once: agents that plan (`reference`) and agents made of others (`wrappers`) follow
the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.rng import STREAM_ACTIONS, hash_uniforms

if TYPE_CHECKING:
    from misgen.envs.core.engine import Engine

FloatArray = NDArray[np.float64]


def noisy(p: FloatArray, noise: float) -> FloatArray:
    """Return probabilities where a share of the decisions is uniformly random: [n, actions]."""
    return (1.0 - noise) * p + noise / p.shape[1]


def waiting(engine: Engine, delay: int) -> NDArray[np.bool_]:
    """Return which running slots are still in the first `delay` decisions, bool [running]."""
    running = np.flatnonzero(engine.episodes["running"])
    return engine.episodes["decisions"][running] < delay


def still(p: FloatArray, rows: NDArray[np.bool_], no_op: int) -> None:
    """Let some rows of `p` do nothing, in place."""
    p[rows] = np.eye(p.shape[1])[no_op]


def falls_to_first(ids: NDArray[np.int64], share: float, salt: int) -> NDArray[np.bool_]:
    """Return on which levels the first of two acts, by their ids alone, bool [n].

    Args:
        ids: the levels.
        share: of them that are the first one's.
        salt: keeps these draws apart from others on the same levels.
    """
    return hash_uniforms(STREAM_ACTIONS, salt, ids, np.zeros_like(ids)) < share
