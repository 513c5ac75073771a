"""Passes forward and backward over the weights of an `EncoderPolicy`, without autograd.

Public names: `Network`, `Dense`, `why_not`.

A layer keeps what it saw on the last pass forward; its pass backward takes the gradient of the loss
with respect to its output, sets `grad` of its weights, and returns the gradient of its input.  The
weights are the policy's own, so there are no others to keep in step.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ..networks import CnnEncoder, EncoderPolicy, MlpEncoder
from . import convolution, patterns
from .activation import Activation
from .convolution import Convolutions
from .patterns import PatternLayer
from .products import linear, product_over_samples
from .seen import First, Seen


class Dense:
    """y = f(x W' + b), with f the identity if there is no activation."""

    def __init__(self, layer: nn.Linear, activation: Activation | None = None) -> None:
        """Use the weights of `layer`."""
        self._layer, self._activation = layer, activation

    def forward(self, x: Tensor) -> Tensor:
        """Return y, float32 [n, outputs]."""
        self._x = x
        y = linear(x, self._layer.weight, self._layer.bias)
        return self._activation.forward(y) if self._activation else y

    def backward(self, grad: Tensor) -> Tensor:
        """Return the gradient with respect to x, [n, inputs], given that of y; may overwrite it."""
        if self._activation:
            grad = self._activation.backward(grad)
        self._layer.weight.grad = product_over_samples(grad, self._x)
        self._layer.bias.grad = grad.sum(0)
        return linear(grad, self._layer.weight.t())


class Network:
    """Encoder, actor and critic."""

    def __init__(self, policy: EncoderPolicy) -> None:
        """Use the weights of `policy`, whose encoder reads tiles."""
        encoder, extractor = policy.features_extractor, policy.mlp_extractor
        self.first: First
        if isinstance(encoder, CnnEncoder):
            shape: Any = policy.observation_space["tiles"].shape  # pyright: ignore
            self.first, self._shared = Convolutions(encoder, shape), _stack(encoder.dense)
        else:
            assert isinstance(encoder, MlpEncoder)
            self.first = PatternLayer(encoder.first, Activation(encoder.activation))
            self._shared = _stack(encoder.rest)
        self._actor = [*_stack(extractor.policy_net), *_stack([policy.action_net])]
        self._critic = [*_stack(extractor.value_net), *_stack([policy.value_net])]

    def read(self, observations: Any, codes: NDArray[Any] | None = None) -> Seen:
        """Return observations as `forward` takes them, with their codes if these are known."""
        tiles = observations["tiles"]
        codes = self.first.encode(tiles) if codes is None else codes
        return Seen(tiles, np.arange(len(tiles)), observations["body"], codes)

    def forward(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Return logits, float32 [n, actions], and values, float32 [n, 1]."""
        features = _forward(self._shared, self.first.forward(seen))
        return _forward(self._actor, features), _forward(self._critic, features)

    def backward(self, logits: Tensor, values: Tensor) -> None:
        """Set the gradients of all weights, given those of the last outputs."""
        features = _backward(self._actor, logits)
        features += _backward(self._critic, values)
        self.first.backward(_backward(self._shared, features))


_MOST_CLASSES = {"mlp": patterns.MOST_CLASSES, "cnn": convolution.MOST_CLASSES}


def why_not(encoder: str, space: Any) -> str:
    """Return why `Network` cannot take the place of a policy with an encoder; nothing if it can.

    Args:
        encoder: its name.
        space: of the observations.
    """
    if encoder not in _MOST_CLASSES:
        return f"encoder={encoder} has none in closed form"
    most, classes = _MOST_CLASSES[encoder], int(space["tiles"].high.max()) + 1
    if classes > most:
        return (
            f"encoder={encoder} has them in closed form for {most} classes of tiles at most, "
            f"and here are {classes}"
        )
    return ""


def _stack(layers: Any) -> list[Dense]:
    """Return the dense layers of linear maps, each with the nonlinearity that follows it."""
    found: list[Dense] = []
    for layer, after in zip_longest(layers, list(layers)[1:]):
        if isinstance(layer, nn.Linear):
            found.append(Dense(layer, None if after is None else Activation(after)))
    return found


def _forward(layers: list[Dense], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer.forward(x)
    return x


def _backward(layers: list[Dense], grad: Tensor) -> Tensor:
    for layer in reversed(layers):
        grad = layer.backward(grad)
    return grad
