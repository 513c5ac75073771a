"""Drawing actions from probabilities, so that an episode can be played again.

Public name: `drawn`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.rng import STREAM_ACTIONS, hash_uniforms


def drawn(
    p: NDArray[np.float64],
    seed: int,
    level_id: NDArray[np.int64],
    repeat: NDArray[np.int64],
    decision: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Return an action for each row, by the inverse of its cumulative probabilities.

    The random numbers hang on (seed, level, repeat, decision) alone: whoever plays a level again,
    in an evaluation or by itself, draws the same.

    Args:
        p: probabilities [n, num_actions].
        seed: at least 0.
        level_id: [n], of the levels that are played.
        repeat: [n], which episode on its level each is, from 0.
        decision: [n], which decision of its episode each is, from 0.
    """
    u = hash_uniforms(STREAM_ACTIONS, seed, level_id, (repeat << 32) | decision)
    below = np.cumsum(p, axis=1)
    total = below[:, -1]
    return np.minimum((below <= (u * total)[:, None]).sum(axis=1), p.shape[1] - 1)
