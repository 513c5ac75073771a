"""The first layer on one-hot tiles, by the patterns that groups of cells show.

Public names: `Patterns`, `PatternLayer`, `MOST_CLASSES`.

A one-hot layer adds up one row of its weights a cell (`onehot`): 169 rows of CoinRun's window.  But
cells next to each other look alike again and again: of the 4,096 ways in which four cells of eight
classes can look, a group shows 27 in a rollout, most of them hardly ever.  So for every group of
`SIZE` cells the sums of the first `MOST` patterns that it shows are tabled, once for all samples
that the same weights see.  A sample is then 43 rows of tables.  A group that looks like none of the
tabled is added up cell by cell.

Backwards it is the same: the gradient of a tabled sum is the sum over the samples that used it, and
belongs to each of the rows that the sum was made of.

Which patterns are tabled changes the order of additions, and so results by float rounding alone.
It depends on the observations and their order, and on nothing else.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from ..onehot import OneHotLinear
from .activation import Activation
from .products import linear, product_over_samples
from .seen import Seen

MOST_CLASSES = 256
"""Tile classes at most: a cell's is a byte of its group's key."""
SIZE = 4
"""Cells a group."""
MOST = 64
"""Patterns of a group that are tabled, at most."""
_SIDE_BY_SIDE = 4  # groups that the kernels add at once
_BLOCK = 64  # samples whose sums (128 floats each) stay in the first-level cache
_SLOTS = 256  # of a group's hash table
_MULTIPLIER = 2654435761  # Knuth's, for hashes of 32 bits


class Patterns:
    """What the groups of cells look like: the patterns met first are numbered from 0."""

    def __init__(self, cells: int) -> None:
        """Start with no patterns."""
        self.cells = cells
        self.groups = -(-cells // SIZE)
        self.padded = -(-self.groups // _SIDE_BY_SIDE) * _SIDE_BY_SIDE
        self.keys = np.zeros((self.groups, MOST), np.int64)
        self.count = np.zeros(self.groups, np.int64)
        self._slots = np.zeros((self.groups, _SLOTS), np.uint8)  # number + 1, 0 for none

    def forget(self) -> None:
        """Start again with no patterns."""
        self.count[:] = 0
        self._slots[:] = 0

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the groups' patterns, uint8 [n, padded], and number those not met before.

        `MOST` stands for a pattern that is not numbered, and for groups that fill up the last four.
        """
        codes = np.full((len(tiles), self.padded), MOST, np.uint8)
        _encode(_flat(tiles), self.keys, self.count, self._slots, codes)
        return codes


class PatternLayer:
    """A `OneHotLinear` and its nonlinearity."""

    def __init__(self, layer: OneHotLinear, activation: Activation) -> None:
        """Use the weights of `layer`."""
        self._activation = activation
        self._body = layer.body
        self._weight = layer.tile_weight
        rows, width = layer.tile_weight.shape
        cells = rows // layer.classes
        self._by_cell = layer.tile_weight.detach().numpy().reshape(cells, layer.classes, width)
        self.patterns = Patterns(cells)
        shape = self.patterns.padded, MOST + 1, width
        self._sums = np.zeros(shape, np.float32)  # the last of each group stays 0
        self._grads = np.zeros(shape, np.float32)
        self._tabled = np.zeros(self.patterns.groups, np.int64)

    def forget(self) -> None:
        """Take note that other observations begin."""
        self.patterns.forget()
        self.weights_changed()

    def weights_changed(self) -> None:
        """Take note that the tabled sums are no longer right."""
        self._tabled[:] = 0

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the patterns of the groups, uint8 [n, groups]."""
        return self.patterns.encode(tiles)

    def forward(self, seen: Seen) -> Tensor:
        """Return float32 [n, width]."""
        patterns = self.patterns
        _tabulate(self._by_cell, patterns.keys, patterns.count, self._tabled, self._sums)
        out = linear(torch.from_numpy(seen.body), self._body.weight, self._body.bias)
        _add_sums(seen.codes, self._sums, out.numpy())
        _add_cells(_flat(seen.tiles), seen.rows, seen.codes, self._by_cell, out.numpy())
        self._seen = seen
        return self._activation.forward(out)

    def backward(self, grad: Tensor) -> None:
        """Set the gradients of the weights, given that of the last output."""
        grad = self._activation.backward(grad)
        seen, patterns = self._seen, self.patterns
        self._body.weight.grad = product_over_samples(grad, torch.from_numpy(seen.body))
        self._body.bias.grad = grad.sum(0)
        _clear(patterns.count, self._grads)
        _gather_sums(seen.codes, grad.numpy(), self._grads)
        total = np.zeros_like(self._by_cell)
        _gather_cells(_flat(seen.tiles), seen.rows, seen.codes, grad.numpy(), total)
        _spread(self._grads, patterns.keys, patterns.count, total)
        self._weight.grad = torch.from_numpy(total).view_as(self._weight)


def _flat(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return tiles.reshape(len(tiles), -1)


@njit(cache=True)
def _encode(
    tiles: NDArray[np.uint8],  # [n, cells]
    keys: NDArray[np.int64],  # [groups, MOST], changed in place as are the next two
    count: NDArray[np.int64],  # [groups]
    slots: NDArray[np.uint8],  # [groups, _SLOTS]
    codes: NDArray[np.uint8],  # [n, >= groups], filled
) -> None:
    n, cells = tiles.shape
    for i in range(n):
        for g in range(len(count)):
            key = 0
            for cell in range(g * SIZE, min(cells, g * SIZE + SIZE)):
                key = (key << 8) | tiles[i, cell]
            slot = ((key * _MULTIPLIER) >> 24) & (_SLOTS - 1)
            while slots[g, slot] and keys[g, slots[g, slot] - 1] != key:
                slot = (slot + 1) & (_SLOTS - 1)
            if not slots[g, slot] and count[g] < MOST:
                keys[g, count[g]] = key
                count[g] += 1
                slots[g, slot] = count[g]
            if slots[g, slot]:
                codes[i, g] = slots[g, slot] - 1


@njit(cache=True)
def _tabulate(
    weight: NDArray[np.float32],  # [cells, classes, width]
    keys: NDArray[np.int64],  # [groups, MOST]
    count: NDArray[np.int64],  # [groups]
    tabled: NDArray[np.int64],  # [groups], how many are right already; changed in place
    sums: NDArray[np.float32],  # [padded groups, MOST + 1, width], changed in place
) -> None:
    """Table the sums of the patterns that are not tabled yet."""
    cells, _, width = weight.shape
    for g in range(len(count)):
        last = min(cells, g * SIZE + SIZE) - 1
        for code in range(tabled[g], count[g]):
            key = keys[g, code]
            sums[g, code] = weight[last, key & 255]
            for cell in range(last - 1, g * SIZE - 1, -1):
                key >>= 8
                tile = key & 255
                for j in range(width):
                    sums[g, code, j] += weight[cell, tile, j]
        tabled[g] = count[g]


@njit(cache=True)
def _add_sums(
    codes: NDArray[np.uint8],  # [n, padded groups]
    sums: NDArray[np.float32],  # [padded groups, MOST + 1, width]
    out: NDArray[np.float32],  # [n, width], changed in place
) -> None:
    """Add the tabled sum of each sample's groups, four groups at once."""
    n, groups = codes.shape
    width = out.shape[1]
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        for g in range(0, groups, _SIDE_BY_SIDE):
            for i in range(start, stop):
                a, b, c, d = codes[i, g], codes[i, g + 1], codes[i, g + 2], codes[i, g + 3]
                for j in range(width):
                    out[i, j] += (sums[g, a, j] + sums[g + 1, b, j]) + (
                        sums[g + 2, c, j] + sums[g + 3, d, j]
                    )


@njit(cache=True)
def _add_cells(
    tiles: NDArray[np.uint8],  # [m, cells]
    rows: NDArray[np.int64],  # [n], whose of them each sample's are
    codes: NDArray[np.uint8],  # [n, padded groups]
    weight: NDArray[np.float32],  # [cells, classes, width]
    out: NDArray[np.float32],  # [n, width], changed in place
) -> None:
    """Add the rows of groups whose pattern is not tabled, cell by cell."""
    cells = tiles.shape[1]
    n, width = out.shape
    for i in range(n):
        for g in range(-(-cells // SIZE)):
            if codes[i, g] == MOST:
                for cell in range(g * SIZE, min(cells, g * SIZE + SIZE)):
                    tile = tiles[rows[i], cell]
                    for j in range(width):
                        out[i, j] += weight[cell, tile, j]


@njit(cache=True)
def _clear(count: NDArray[np.int64], grads: NDArray[np.float32]) -> None:
    for g in range(len(count)):
        grads[g, : count[g]] = 0


@njit(cache=True)
def _gather_sums(
    codes: NDArray[np.uint8],  # [n, padded groups]
    grad: NDArray[np.float32],  # [n, width]
    grads: NDArray[np.float32],  # [padded groups, MOST + 1, width], changed in place
) -> None:
    """Add each sample's gradient to those of the sums it used (and, unread, to the rest's)."""
    n, groups = codes.shape
    width = grad.shape[1]
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        for g in range(0, groups, _SIDE_BY_SIDE):
            first, second, third, fourth = grads[g], grads[g + 1], grads[g + 2], grads[g + 3]
            for i in range(start, stop):
                a, b, c, d = codes[i, g], codes[i, g + 1], codes[i, g + 2], codes[i, g + 3]
                for j in range(width):
                    value = grad[i, j]
                    first[a, j] += value
                    second[b, j] += value
                    third[c, j] += value
                    fourth[d, j] += value


@njit(cache=True)
def _gather_cells(
    tiles: NDArray[np.uint8],  # [m, cells]
    rows: NDArray[np.int64],  # [n], whose of them each sample's are
    codes: NDArray[np.uint8],  # [n, padded groups]
    grad: NDArray[np.float32],  # [n, width]
    total: NDArray[np.float32],  # [cells, classes, width], changed in place
) -> None:
    """Add each sample's gradient to the rows of groups whose pattern is not tabled."""
    cells = tiles.shape[1]
    n, width = grad.shape
    for i in range(n):
        for g in range(-(-cells // SIZE)):
            if codes[i, g] == MOST:
                for cell in range(g * SIZE, min(cells, g * SIZE + SIZE)):
                    tile = tiles[rows[i], cell]
                    for j in range(width):
                        total[cell, tile, j] += grad[i, j]


@njit(cache=True)
def _spread(
    grads: NDArray[np.float32],  # [padded groups, MOST + 1, width]
    keys: NDArray[np.int64],  # [groups, MOST]
    count: NDArray[np.int64],  # [groups]
    total: NDArray[np.float32],  # [cells, classes, width], changed in place
) -> None:
    """Add the gradients of the tabled sums to the rows that each was made of."""
    cells, _, width = total.shape
    for g in range(len(count)):
        for code in range(count[g]):
            key = keys[g, code]
            for cell in range(min(cells, g * SIZE + SIZE) - 1, g * SIZE - 1, -1):
                tile = key & 255
                key >>= 8
                for j in range(width):
                    total[cell, tile, j] += grads[g, code, j]
