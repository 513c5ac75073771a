"""Encoders that read pixels: IMPALA's and the Nature paper's.

Public names: `ImpalaEncoder`, `NatureEncoder`, `PixelEncoder`.

An observation is `rgb` (uint8 [n, height, width, 3]).  That is already what torch calls
channels-last, and the weights are kept that way too: convolutions then need no copies that turn
the channels round.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn
from torch.nn import functional


class PixelEncoder(BaseFeaturesExtractor):
    """Convolutions, then fully connected layers; subclasses make the convolutions."""

    convolutions: nn.Module
    dense: nn.Module

    def __init__(self, observation_space: spaces.Dict, features: int, bfloat16: bool) -> None:
        super().__init__(observation_space, features)
        self._bfloat16 = bfloat16

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return features, float32 [n, hidden[-1]]."""
        pixels = observations["rgb"].permute(0, 3, 1, 2)  # a view: [n, 3, height, width]
        # Mixed precision is for GPUs: on CPUs it is as a rule slower.
        with torch.autocast("cuda", torch.bfloat16, self._bfloat16 and pixels.is_cuda):
            features = self.dense(self.convolutions(pixels.float() / 255).flatten(1))
        return features.float()

    def settle(self) -> None:
        """Give the weights their form, once stable-baselines3 has drawn them in its own."""
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


class ImpalaEncoder(PixelEncoder):
    """The residual network of IMPALA (Espeholt et al. 2018, arXiv 1802.01561, figure 3, right).

    As Langosco et al. use it, without its LSTM: for each entry of `channels` (16, 32, 32) a 3x3
    convolution, a 3x3 maximum of stride 2 and two residual blocks; then ReLU, and fully connected
    layers with ReLU (one, of 256).  Weights are Xavier-uniform, biases 0.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        hidden: list[int],
        channels: list[int],
        bfloat16: bool = False,
    ) -> None:
        super().__init__(observation_space, hidden[-1], bfloat16)
        height, width, planes = _shape(observation_space)
        stages = [_Stage(before, after) for before, after in pairwise([planes, *channels])]
        self.convolutions = nn.Sequential(*stages, nn.ReLU())
        rows, columns = (math.ceil(side / 2 ** len(channels)) for side in (height, width))
        self.dense = _dense([channels[-1] * rows * columns, *hidden])

    def settle(self) -> None:
        """Draw Xavier-uniform weights in place of orthogonal ones, and set biases to 0."""
        super().settle()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)


class NatureEncoder(PixelEncoder):
    """The network of Mnih et al. 2015 ("Nature CNN"), as in stable-baselines3.

    Convolutions of 8x8 (stride 4), 4x4 (stride 2) and 3x3 with `channels` (32, 64, 64), each with
    ReLU; then fully connected layers with ReLU (one, of 512).  Weights are orthogonal.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        hidden: list[int],
        channels: list[int],
        bfloat16: bool = False,
    ) -> None:
        super().__init__(observation_space, hidden[-1], bfloat16)
        sides = _shape(observation_space)[:2]
        layers: list[nn.Module] = []
        planes = _shape(observation_space)[2]
        for after, (kernel, stride) in zip(channels, ((8, 4), (4, 2), (3, 1)), strict=True):
            layers += [nn.Conv2d(planes, after, kernel, stride), nn.ReLU()]
            sides = tuple((side - kernel) // stride + 1 for side in sides)
            planes = after
        self.convolutions = nn.Sequential(*layers)
        self.dense = _dense([planes * math.prod(sides), *hidden])


class _Stage(nn.Module):
    """A convolution, a maximum over 3x3 with stride 2, and two residual blocks."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, padding=1)
        self.blocks = nn.Sequential(_Residual(after), _Residual(after))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(functional.max_pool2d(self.first(x), 3, 2, padding=1))


class _Residual(nn.Module):
    """x + two 3x3 convolutions, each after a ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.relu(self.first(functional.relu(x))))


def _dense(widths: list[int]) -> nn.Sequential:
    """Return fully connected layers between successive widths, each with ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)


def _shape(space: spaces.Dict) -> tuple[int, int, int]:
    """Return height, width and colours of the pixels."""
    shape: Any = space["rgb"].shape
    return shape
