"""Nonlinearities.

Public name: `Activation`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Activation:
    """tanh or relu; both change what they are given, in place."""

    def __init__(self, module: nn.Module) -> None:
        """Do what `module` does."""
        assert isinstance(module, nn.Tanh | nn.ReLU)
        self._tanh = isinstance(module, nn.Tanh)

    def forward(self, x: Tensor) -> Tensor:
        """Return y = f(x)."""
        self._y = x.tanh_() if self._tanh else x.relu_()
        return self._y

    def backward(self, grad: Tensor) -> Tensor:
        """Return the gradient with respect to x: that of y times 1 - y^2, or times [y > 0]."""
        if self._tanh:
            return torch.ops.aten.tanh_backward.grad_input(grad, self._y, grad_input=grad)
        return torch.ops.aten.threshold_backward.grad_input(grad, self._y, 0, grad_input=grad)
