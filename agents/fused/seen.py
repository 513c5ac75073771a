"""Observations, as the first layers read them.

Public names: `Seen`, `First`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Seen(NamedTuple):
    """Observations, one a row."""

    tiles: NDArray[np.uint8]
    """The cells' classes, [m, height, width]."""
    rows: NDArray[np.int64]
    """Where among `tiles` each observation's are, [n]: few are read, so none are moved."""
    body: NDArray[np.float32]
    """The other numbers, [n, k]."""
    codes: NDArray[Any]
    """Numbers of the patterns that the tiles show, [n, ...]; each first layer has its own."""

    def at(self, rows: NDArray[np.int64]) -> Seen:
        """Return some of the observations."""
        body, codes = self.body.take(rows, axis=0), self.codes.take(rows, axis=0)
        return Seen(self.tiles, self.rows[rows], body, codes)


class First(Protocol):
    """A first layer, or the first layers, which read observations."""

    def forget(self) -> None:
        """Take note that a rollout begins, with other observations."""
        ...

    def weights_changed(self) -> None:
        """Take note that weights have changed since the last pass."""
        ...

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the numbers of the patterns that tiles show, and number those not met before."""
        ...

    def forward(self, seen: Seen) -> Tensor:
        """Return what the layers make of observations."""
        ...

    def backward(self, grad: Tensor) -> None:
        """Set the weights' gradients, given that of the last output; may overwrite it."""
        ...
