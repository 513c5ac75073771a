"""A trained policy as the evaluator sees it.

Public name: `PolicyAgent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError

from .networks import EncoderPolicy
from .spec import PolicySpec

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation

ROWS = 128
"""Rows of every pass through the network.

A matrix product may round differently with another number of rows, and then an episode would depend
on how many others happen to be played beside it.  So batches are cut and padded to this size.
"""
PIXEL_ROWS = 32
"""The same for networks that read pixels, where a padded row costs as much as a real one."""


class PolicyAgent:
    """Plays a trained policy's action probabilities; has its critic."""

    def __init__(self, policy: EncoderPolicy, spec: PolicySpec, name: str = "ppo") -> None:
        """Wrap `policy`, a network built from `spec`, and call it `name`."""
        self.name = name
        self.spec = spec
        self._policy = policy.eval()
        self._rows = PIXEL_ROWS if spec.rgb_shape else ROWS

    @property
    def network(self) -> EncoderPolicy:
        """The network, for whoever looks inside."""
        return self._policy

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
        """Return logits [n, num_actions] and values in scaled reward [n].

        Raises:
            UserError: if one is no finite number.
        """
        n = len(observation[self.spec.observed[0]])
        logits = np.empty((n, self.spec.num_actions))
        values = np.empty(n)
        for first in range(0, n, self._rows):
            rows = slice(first, min(first + self._rows, n))
            count = rows.stop - first
            found = self._pass({key: observation[key][rows] for key in self.spec.observed})
            logits[rows], values[rows] = found[0][:count], found[1][:count, 0]
        if not (np.isfinite(logits).all() and np.isfinite(values).all()):
            raise UserError(
                f"{self.name}: the network's outputs are NaN or infinite, so its weights are those "
                "of a training that diverged, or were changed: restore them, or train again"
            )
        return logits, values

    @torch.inference_mode()
    def _pass(self, rows: Observation) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on up to `_rows` rows, padded; return logits and values of all rows."""
        device = self._policy.device
        padded = {key: _padded(values, self._rows) for key, values in rows.items()}
        logits, values = self._policy.logits_and_values(
            {key: torch.from_numpy(values).to(device) for key, values in padded.items()}
        )
        return logits.cpu().numpy(), values.cpu().numpy()


def _padded(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Return a copy of `rows` with rows of zeros appended up to `count`."""
    full = np.zeros((count, *rows.shape[1:]), rows.dtype)
    full[: len(rows)] = rows
    return full
