"""A layer of experts: a router sends each observation to k of n of them.

Public name: `Mixture`.
Sources: Shazeer et al. 2017 (arXiv 1701.06538) for the sparse layer; Fedus et al. 2022 (Switch
Transformer, arXiv 2101.03961) for gates that are the router's own probabilities, so that even one
active expert leaves the router a gradient, and for the loss that keeps all experts busy; Dai et
al. 2024 (DeepSeekMoE, arXiv 2401.06066) for adding that loss where features pass by, so that it
takes no change to an algorithm.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Mixture(nn.Module):
    """y = sum over the k likeliest experts i of p_i f(W_i x + b_i), with p the router's softmax.

    With one expert it is a dense layer.  While it learns, each expert sees only the rows that are
    sent to it; the loss `balance * n * sum_i share_i mean(p_i)`, with `share_i` the part of all
    choices that fell on expert i, is least where all are chosen equally often.
    """

    def __init__(
        self,
        before: int,
        after: int,
        experts: int,
        active: int,
        balance: float,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.active, self.balance = active, balance
        self.router = nn.Linear(before, experts, bias=False)
        self.experts = nn.ModuleList(nn.Linear(before, after) for _ in range(experts))
        self.activation = activation()

    @property
    def inactive(self) -> int:
        """Weights of the experts that an observation is not sent to."""
        each = sum(weights.numel() for weights in self.experts[0].parameters())
        return (len(self.experts) - self.active) * each

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the router's probabilities [n, experts]; the same, 0 of those not chosen."""
        likely = self.router(x).softmax(dim=1)
        chosen = torch.zeros_like(likely).scatter(1, likely.topk(self.active, dim=1).indices, 1.0)
        return likely, likely * chosen

    def forward(self, x: Tensor) -> Tensor:
        """Return float32 [n, after] for x float32 [n, before]."""
        likely, gates = self.gates(x)
        # An agent at play is in inference mode.  There all rows go through all experts: a product's
        # rounding depends on its number of rows, and so would an episode on those beside it.
        found = self._of_all(x, gates) if torch.is_inference_mode_enabled() else self._of(x, gates)
        if self.balance and self.training and torch.is_grad_enabled():
            share = (gates > 0).float().mean(dim=0) / self.active
            loss = self.balance * len(self.experts) * (share * likely.mean(dim=0)).sum()
            found = _WithLoss.apply(found, loss)
        return found

    def _of(self, x: Tensor, gates: Tensor) -> Tensor:
        """Return the output, each expert's from its own rows."""
        found = x.new_zeros(len(x), self.experts[0].out_features)  # pyright: ignore
        for number, expert in enumerate(self.experts):
            rows = gates[:, number].nonzero()[:, 0]
            part = gates[rows, number, None] * self.activation(expert(x[rows]))
            found = found.index_add(0, rows, part)
        return found

    def _of_all(self, x: Tensor, gates: Tensor) -> Tensor:
        """Return the same, with every expert run on all rows."""
        parts = [
            gates[:, number, None] * self.activation(expert(x))
            for number, expert in enumerate(self.experts)
        ]
        return torch.stack(parts).sum(dim=0)


class _WithLoss(torch.autograd.Function):
    """Hands features on as they are; on the way back adds a loss to whatever is minimised."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, loss: Tensor) -> Tensor:  # pyright: ignore
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore
        return grad, torch.ones((), device=grad.device, dtype=grad.dtype)
