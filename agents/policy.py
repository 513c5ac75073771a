"""A trained policy as the evaluator sees it.

Public names: `PolicyAgent`; `in_blocks`, `rows_of` and `softmax`, for other players of networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError
from misgen.envs.core.modality import GRID, RGB

from .spec import PolicySpec

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation

ROWS = 128
"""Rows of every pass through the network.

A matrix product may round differently with another number of rows, and then an episode would depend
on how many others happen to be played beside it.  So batches are cut and padded to this size.
"""
FEW_ROWS = 32
"""Rows of a pass for so few or less: a third of the time, where it is seen to round alike."""
PIXEL_ROWS = 32
"""The same for networks that read pixels, where a padded row costs as much as a real one."""


class PolicyAgent:
    """Plays the action probabilities of a policy without a memory; has its critic."""

    has_no_memory = True

    def __init__(self, policy: Any, spec: PolicySpec, name: str = "") -> None:
        """Wrap `policy`, a network built from `spec`, and call it `name` (or by its algorithm)."""
        self.name = name or spec.algorithm
        self.spec = spec
        self._policy = policy.eval()
        self._rows = rows_of(spec)
        self._few = None if self._rows > FEW_ROWS else 0  # None: not seen yet

    @property
    def network(self) -> Any:
        """The network, for whoever looks inside."""
        return self._policy

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Do nothing: the policy has no memory."""

    def probabilities(self, observation: Observation, engine: Any = None) -> NDArray[np.float64]:
        """Return float64 [n, num_actions], row by row independent of the batch."""
        logits, _ = self._outputs(observation)
        return softmax(logits)

    def value(self, observation: Observation) -> NDArray[np.float64]:
        """Return the critic's value, float64 [n], in units of unscaled reward."""
        _, values = self._outputs(observation)
        return values / self.spec.reward_scale

    def _outputs(self, observation: Observation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return logits [n, num_actions] and values in scaled reward [n].

        Raises:
            UserError: if one is no finite number.
        """
        n = len(observation[self.spec.modality.seen])
        logits = np.empty((n, self.spec.num_actions))
        values = np.empty(n)
        few = self._few_rows()
        for rows, block in in_blocks(observation, self.spec.modality.keys, self._rows, few):
            count = rows.stop - rows.start
            found = self._pass(block)
            logits[rows], values[rows] = found[0][:count], found[1][:count, 0]
        if not (np.isfinite(logits).all() and np.isfinite(values).all()):
            raise UserError(
                f"{self.name}: the network's outputs are NaN or infinite, so its weights are those "
                "of a training that diverged, or were changed: restore them, or train again"
            )
        return logits, values

    def _few_rows(self) -> int:
        """Return how many rows a pass for few of them has; 0: as many as any other.

        What a row comes to may depend on how many there are by the way in which a library sums, and
        that does not depend on the numbers: it shows on any, if they are many.
        """
        if self._few is None:
            seen = _any_tiles(self.spec, self._rows)
            large = self._pass(seen)
            small = self._pass({key: values[:FEW_ROWS] for key, values in seen.items()})
            alike = all(
                np.array_equal(one[:FEW_ROWS], other, equal_nan=True)
                for one, other in zip(large, small, strict=True)
            )
            self._few = FEW_ROWS if alike else 0
        return self._few

    @torch.inference_mode()
    def _pass(self, block: Observation) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on a padded block; return logits and values of all its rows."""
        device = self._policy.device
        logits, values = self._policy.logits_and_values(
            {key: torch.from_numpy(values).to(device) for key, values in block.items()}
        )
        return logits.cpu().numpy(), values.cpu().numpy()


def rows_of(spec: PolicySpec) -> int:
    """Return how many rows every pass through a policy's network has."""
    return PIXEL_ROWS if spec.modality is RGB else ROWS


def in_blocks(
    observation: Observation, keys: tuple[str, ...], size: int, few: int = 0
) -> Iterator[tuple[slice, Observation]]:
    """Yield an observation in blocks of `size` rows, the last padded, and which rows each holds.

    A block of no more than `few` rows is padded to as many.
    """
    n = len(observation[keys[0]])
    for first in range(0, n, size):
        rows = slice(first, min(first + size, n))
        count = few if rows.stop - rows.start <= few else size
        yield rows, {key: _padded(observation[key][rows], count) for key in keys}


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities, row by row."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _any_tiles(spec: PolicySpec, rows: int) -> Observation:
    """Return an observation of so many rows, drawn at random."""
    rng = np.random.default_rng(0)
    tiles: NDArray[Any] = rng.integers(0, spec.tile_classes, (rows, *spec.tile_shape), np.uint8)
    body: NDArray[Any] = rng.normal(size=(rows, spec.body_size)).astype(np.float32)
    return GRID.of(tiles, body)


def _padded(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Return a copy of `rows` with rows of zeros appended up to `count`."""
    full = np.zeros((count, *rows.shape[1:]), rows.dtype)
    full[: len(rows)] = rows
    return full
