"""Convolutions of 3x3 with stride 2 on tiles, the first by the patches that tiles show.

Public names: `Convolutions`, `PatchLayer`, `Convolution`, `MOST_CLASSES`.

What the first convolution, and the nonlinearity after it, make of a place depends on the 3x3 cells
there and on nothing else, and a rollout shows few such patches: CoinRun's 1.6 million places show
900.  So each patch's features are computed once for all samples that the same weights see, and
looked up.  Backwards, a patch's gradient is the sum over the places that show it; the nonlinearity
and the weights then take one step a patch.

Features are channels last, [n, height, width, channels]: oneDNN likes them so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from ..networks import CnnEncoder
from .activation import Activation
from .products import linear
from .seen import Seen

MOST_CLASSES = 126
"""Tile classes that nine cells of a key of 64 bits have room for, beside the one for outside."""
_SIDE = 3
_CELLS = _SIDE * _SIDE
_MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)  # an odd number whose bits look random
_BLOCK = 256  # samples whose gradients by patch (9 KB each) stay in the caches


class Convolutions:
    """The convolutions of a `CnnEncoder`, flattened, and the body beside them."""

    def __init__(self, encoder: CnnEncoder, shape: tuple[int, int]) -> None:
        """Use the weights of `encoder`, which reads tiles of `shape`."""
        layers: Any = list(encoder.convolutions)[:-1]  # the last flattens
        pairs = [(layers[i], Activation(layers[i + 1])) for i in range(0, len(layers), 2)]
        self._patches = PatchLayer(*pairs[0], shape)
        self._rest = [Convolution(*pair) for pair in pairs[1:]]

    def forget(self) -> None:
        """Take note that other observations begin."""
        self._patches.forget()

    def weights_changed(self) -> None:
        """Take note that weights have changed since the last pass."""
        self._patches.weights_changed()

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the patch at each place, int32 [n, places]."""
        return self._patches.encode(tiles)

    def forward(self, seen: Seen) -> Tensor:
        """Return the features in the encoder's order, with the body, [n, features + k]."""
        x = self._patches.forward(seen.codes)
        for layer in self._rest:
            x = layer.forward(x)
        self._shape = x.shape
        return torch.cat([x.permute(0, 3, 1, 2).flatten(1), torch.from_numpy(seen.body)], dim=1)

    def backward(self, grad: Tensor) -> None:
        """Set the weights' gradients, given that of the last output."""
        n, height, width, channels = self._shape
        features = grad[:, : height * width * channels].view(n, channels, height, width)
        grad = features.permute(0, 2, 3, 1).contiguous()
        for layer in reversed(self._rest):
            grad = layer.backward(grad)
        self._patches.backward(grad)


class PatchLayer:
    """A convolution on one-hot tiles and its nonlinearity, by patches.

    Cells outside the window are of a class of their own, which has no weights.
    """

    def __init__(self, layer: nn.Conv2d, activation: Activation, shape: tuple[int, int]) -> None:
        """Use the weights of `layer`, which reads tiles of `shape`."""
        self._layer, self._activation = layer, activation
        self._shape = shape[0] + 1 >> 1, shape[1] + 1 >> 1
        self._outside = layer.in_channels
        self.forget()

    def forget(self) -> None:
        """Start again with no patches."""
        self.count = 0
        self.cells = np.zeros((256, _CELLS), np.uint16)  # of the patch of each number
        self._keys = np.zeros(256, np.int64)
        self._slots = np.zeros(1024, np.int32)  # a hash table of numbers + 1, 0 for none
        self.weights_changed()

    def weights_changed(self) -> None:
        """Take note that the patches' features are no longer right."""
        self._features = torch.empty(0)

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the patch at each place, int32 [n, places], and number those not met before."""
        n, height, width = tiles.shape
        padded = np.full((n, height + 2, width + 2), self._outside, np.uint16)
        padded[:, 1:-1, 1:-1] = tiles
        codes = np.empty((n, *self._shape), np.int32)
        done = 0
        while True:
            done, self.count = _encode(
                padded,
                self._outside + 1,
                self.cells,
                self._keys,
                self._slots,
                self.count,
                codes,
                done,
            )
            if done == n:
                return codes.reshape(n, -1)
            self._grow()

    def forward(self, codes: NDArray[np.int32]) -> Tensor:
        """Return float32 [n, height, width, channels]."""
        known = len(self._features)
        if known < self.count:
            new = self._activation.forward(self._of_patches(known))
            self._features = torch.cat([self._features, new]) if known else new
            self._activation.take(self._features)
        self._codes = codes
        out = np.empty((codes.size, self._features.shape[1]), np.float32)
        _look_up(codes.reshape(-1), self._features.numpy(), out)
        return torch.from_numpy(out).view(len(codes), *self._shape, -1)

    def backward(self, grad: Tensor) -> None:
        """Set the weights' gradients, given that of the last output."""
        by_patch = torch.zeros_like(self._features)
        _add_up(self._codes.reshape(-1), grad.flatten(0, 2).numpy(), by_patch.numpy())
        by_patch = self._activation.backward(by_patch)
        total = np.zeros((_CELLS, self._outside + 1, grad.shape[3]), np.float32)
        _spread(self.cells, by_patch.numpy(), total)
        weight = torch.from_numpy(total[:, :-1]).view(_SIDE, _SIDE, self._outside, -1)
        self._layer.weight.grad = weight.permute(3, 2, 0, 1).contiguous()
        self._layer.bias.grad = by_patch.sum(0)  # pyright: ignore[reportOptionalMemberAccess]

    def _of_patches(self, first: int) -> Tensor:
        """Return patches' features before the nonlinearity, float32 [patches, channels].

        Args:
            first: number of the first of them; the others are those numbered since.
        """
        weight = self._layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 1)
        by_cell = functional.pad(weight, (0, 0, 0, 1)).contiguous()  # [9, classes + 1, channels]
        bias: Any = self._layer.bias
        features = bias.detach().repeat(self.count - first, 1)
        _add_cells(self.cells[first:], by_cell.numpy(), features.numpy())
        return features

    def _grow(self) -> None:
        """Make room for twice as many patches."""
        self.cells = np.concatenate([self.cells, np.zeros_like(self.cells)])
        self._keys = np.concatenate([self._keys, np.zeros_like(self._keys)])
        self._slots = np.zeros(2 * len(self._slots), np.int32)
        _number(self._keys, self.count, self._slots)


class Convolution:
    """A 3x3 convolution of stride 2 and its nonlinearity."""

    def __init__(self, layer: nn.Conv2d, activation: Activation) -> None:
        """Use the weights of `layer`."""
        self._layer, self._activation = layer, activation

    def forward(self, x: Tensor) -> Tensor:
        """Return features, channels last as x is."""
        self._x = x.permute(0, 3, 1, 2)
        y = functional.conv2d(self._x, self._layer.weight, self._layer.bias, 2, 1)
        return self._activation.forward(y.permute(0, 2, 3, 1).contiguous())

    def backward(self, grad: Tensor) -> Tensor:
        """Return the gradient with respect to x, given that of the output."""
        grad = self._activation.backward(grad)
        weight = self._layer.weight
        planes = grad.permute(0, 3, 1, 2)
        slope = conv2d_weight(self._x, weight.shape, planes, 2, 1)  # pyright: ignore
        weight.grad = slope.contiguous()  # as Adam's kernel takes weights and gradients to be
        self._layer.bias.grad = grad.sum((0, 1, 2))  # pyright: ignore[reportOptionalMemberAccess]
        by_cell = weight.permute(2, 3, 1, 0).flatten(0, 2)  # [9 x channels before, after]
        before = torch.zeros(len(grad), *self._x.shape[2:], self._x.shape[1])
        for start in range(0, len(grad), _BLOCK):
            block = grad[start : start + _BLOCK]
            patches = linear(block.flatten(0, 2), by_cell)
            shape = (*block.shape[:3], _SIDE, _SIDE, self._x.shape[1])
            _add_patches(patches.view(shape).numpy(), before[start : start + _BLOCK].numpy())
        return before


@njit(cache=True)
def _encode(
    padded: NDArray[np.uint16],  # [n, height + 2, width + 2]
    classes: int,
    cells: NDArray[np.uint16],  # [room, 9], changed in place as are the next two
    keys: NDArray[np.int64],  # [room]
    slots: NDArray[np.int32],  # [a power of two]
    count: int,  # patches numbered so far
    codes: NDArray[np.int32],  # [n, places down, places across], filled
    first: int,  # where to begin
) -> tuple[int, int]:
    """Return before which sample there was too little room for patches, and their number."""
    n, down, across = codes.shape
    for i in range(first, n):
        if count + down * across > len(keys):
            return i, count
        for y in range(down):
            for x in range(across):
                key = 0
                for j in range(_CELLS):
                    key = key * classes + padded[i, 2 * y + j // _SIDE, 2 * x + j % _SIDE]
                slot = _find(key, keys, slots)
                if not slots[slot]:
                    for j in range(_CELLS):
                        cells[count, j] = padded[i, 2 * y + j // _SIDE, 2 * x + j % _SIDE]
                    keys[count] = key
                    count += 1
                    slots[slot] = count
                codes[i, y, x] = slots[slot] - 1
    return n, count


@njit(cache=True)
def _find(key: int, keys: NDArray[np.int64], slots: NDArray[np.int32]) -> int:
    """Return the slot of a patch, or the empty one where it belongs."""
    slot = ((key * _MULTIPLIER) >> 32) & (len(slots) - 1)
    while slots[slot] and keys[slots[slot] - 1] != key:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@njit(cache=True)
def _number(keys: NDArray[np.int64], count: int, slots: NDArray[np.int32]) -> None:
    """Fill an empty hash table."""
    for code in range(count):
        slots[_find(keys[code], keys, slots)] = code + 1


@njit(cache=True)
def _add_cells(
    cells: NDArray[np.uint16],  # [>= patches, 9]
    weight: NDArray[np.float32],  # [9, classes + 1, channels]
    features: NDArray[np.float32],  # [patches, channels], changed in place
) -> None:
    count, channels = features.shape
    for code in range(count):
        for j in range(_CELLS):
            for k in range(channels):
                features[code, k] += weight[j, cells[code, j], k]


@njit(cache=True)
def _spread(
    cells: NDArray[np.uint16],  # [>= patches, 9]
    grad: NDArray[np.float32],  # [patches, channels]
    total: NDArray[np.float32],  # [9, classes + 1, channels], changed in place
) -> None:
    """Add each patch's gradient to the rows of weights that it is made of."""
    count, channels = grad.shape
    for code in range(count):
        for j in range(_CELLS):
            for k in range(channels):
                total[j, cells[code, j], k] += grad[code, k]


@njit(cache=True)
def _look_up(
    codes: NDArray[np.int32],  # [n]
    features: NDArray[np.float32],  # [patches, channels]
    out: NDArray[np.float32],  # [n, channels], filled
) -> None:
    for i in range(len(codes)):
        for k in range(features.shape[1]):
            out[i, k] = features[codes[i], k]


@njit(cache=True)
def _add_up(
    codes: NDArray[np.int32],  # [n]
    grad: NDArray[np.float32],  # [n, channels]
    total: NDArray[np.float32],  # [patches, channels], changed in place
) -> None:
    for i in range(len(codes)):
        for k in range(total.shape[1]):
            total[codes[i], k] += grad[i, k]


@njit(cache=True)
def _add_patches(
    patches: NDArray[np.float32],  # [n, places down, across, 3, 3, channels]
    before: NDArray[np.float32],  # [n, height, width, channels], changed in place
) -> None:
    """Add the gradients of each place's patch to the cells of the layer before."""
    n, down, across, _, _, channels = patches.shape
    height, width = before.shape[1:3]
    for i in range(n):
        for y in range(down):
            for dy in range(max(0, 1 - 2 * y), min(_SIDE, height + 1 - 2 * y)):
                for x in range(across):
                    for dx in range(max(0, 1 - 2 * x), min(_SIDE, width + 1 - 2 * x)):
                        row, column = 2 * y - 1 + dy, 2 * x - 1 + dx
                        for k in range(channels):
                            before[i, row, column, k] += patches[i, y, x, dy, dx, k]
