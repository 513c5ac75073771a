"""A trained policy as the evaluator sees it.

Public name: `PolicyAgent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from .networks import GridPolicy
from .spec import PolicySpec

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation

ROWS = 128
"""Rows of every pass through the network.

A matrix product may round differently with another number of rows, and then an episode would depend
on how many others happen to be played beside it.  So batches are cut and padded to this size.
"""


class PolicyAgent:
    """Plays a trained policy's action probabilities; has its critic."""

    def __init__(self, policy: GridPolicy, spec: PolicySpec, name: str = "ppo") -> None:
        """Wrap `policy`, a network built from `spec`, and call it `name`."""
        self.name = name
        self.spec = spec
        self._policy = policy.eval()

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Do nothing: the policy has no memory."""

    def probabilities(self, observation: Observation, engine: Any = None) -> NDArray[np.float64]:
        """Return float64 [n, num_actions], row by row independent of the batch."""
        logits, _ = self._outputs(observation)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def value(self, observation: Observation) -> NDArray[np.float64]:
        """Return the critic's value, float64 [n], in units of unscaled reward."""
        _, values = self._outputs(observation)
        return values / self.spec.reward_scale

    def _outputs(self, observation: Observation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return logits [n, num_actions] and values in scaled reward [n]."""
        n = len(observation["tiles"])
        logits = np.empty((n, self.spec.num_actions))
        values = np.empty(n)
        for first in range(0, n, ROWS):
            rows = slice(first, min(first + ROWS, n))
            count = rows.stop - first
            found = self._pass(observation["tiles"][rows], observation["body"][rows])
            logits[rows], values[rows] = found[0][:count], found[1][:count, 0]
        return logits, values

    @torch.inference_mode()
    def _pass(
        self, tiles: NDArray[np.uint8], body: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on up to `ROWS` rows, padded; return logits and values of `ROWS` rows."""
        device = self._policy.device
        logits, values = self._policy.logits_and_values(
            {
                "tiles": torch.from_numpy(_padded(tiles)).to(device),
                "body": torch.from_numpy(_padded(body)).to(device),
            }
        )
        return logits.cpu().numpy(), values.cpu().numpy()


def _padded(rows: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of `rows` with rows of zeros appended up to `ROWS`."""
    full = np.zeros((ROWS, *rows.shape[1:]), rows.dtype)
    full[: len(rows)] = rows
    return full
