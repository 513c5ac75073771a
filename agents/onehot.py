"""A fully connected layer on one-hot tiles, without making them one-hot.

Public name: `OneHotLinear`.

Only one of C inputs a cell is on, so the product is a sum of weight rows: `embedding_bag`.  Its own
gradient on a CPU is slow (13 us a sample of 169 cells and 128 outputs, where the product with
one-hot inputs takes 5), so a kernel adds up the rows there (1.7 us).  Training is twice as fast.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 64  # samples a block: their gradients (128 floats each) stay in the first-level cache


class OneHotLinear(nn.Module):
    """Equals `nn.Linear` on the concatenation of `one_hot(tiles)` and `body`.

    `tile_weight[c * C + v]` is the row that class v in cell c adds.
    """

    _first_rows: Tensor  # int32 [cells], the row of each cell's class 0

    def __init__(self, cells: int, classes: int, body: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.tile_weight = nn.Parameter(torch.empty(cells * classes, width))
        self.body = nn.Linear(body, width)
        nn.init.orthogonal_(self.tile_weight, gain=math.sqrt(2))
        first_rows = torch.arange(cells, dtype=torch.int32) * classes
        self.register_buffer("_first_rows", first_rows, persistent=False)

    def forward(self, tiles: Tensor, body: Tensor) -> Tensor:
        """Return float32 [n, width] for tiles uint8 [n, cells] and body float32 [n, body]."""
        rows = tiles + self._first_rows  # int32 [n, cells]
        if self.tile_weight.device.type == "cpu":
            summed = _SumRows.apply(tiles, rows, self.tile_weight)
        else:
            summed = functional.embedding_bag(rows, self.tile_weight, mode="sum")
        return summed + self.body(body)


class _SumRows(torch.autograd.Function):
    """`embedding_bag(rows, weight, mode="sum")` on a CPU with a faster gradient."""

    @staticmethod
    def forward(ctx: Any, tiles: Tensor, rows: Tensor, weight: Tensor) -> Tensor:  # pyright: ignore
        ctx.save_for_backward(tiles)
        ctx.rows = weight.shape[0]
        return functional.embedding_bag(rows, weight, mode="sum")

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor]:  # pyright: ignore
        (tiles,) = ctx.saved_tensors
        total = torch.zeros(ctx.rows, grad.shape[1])
        by_cell = total.view(tiles.shape[1], -1, grad.shape[1])
        _add_rows(tiles.contiguous().numpy(), grad.contiguous().numpy(), by_cell.numpy())
        return None, None, total


@njit(cache=True)
def _add_rows(
    tiles: NDArray[np.uint8],  # [n, cells]
    grad: NDArray[np.float32],  # [n, width]
    total: NDArray[np.float32],  # [cells, classes, width], changed in place
) -> None:
    """Add each sample's gradient to the row of every (cell, class) it had, in sample order."""
    n, cells = tiles.shape
    width = grad.shape[1]
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        for cell in range(cells):
            for i in range(start, stop):
                tile = tiles[i, cell]
                for j in range(width):
                    total[cell, tile, j] += grad[i, j]
