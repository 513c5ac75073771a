"""What training a network costs, counted from its layers.

Public names: `NetworkCost`, `network_cost`, `training_flops`, `FORMULA`.

A multiplication and an addition count one each.  A layer on one-hot tiles adds up one row of
weights a cell, so it costs an addition a weight of these rows and touches these rows alone: the
others are **inactive** for that observation.  Biases, nonlinearities and Adam's own steps are left
out (a few percent).
"""

from __future__ import annotations

from dataclasses import dataclass

FORMULA = (
    "environment steps x F + environment steps x epochs x 3 F, with F the FLOPs of one pass "
    "through the network: one pass to act, and for each epoch one forward and one backward pass "
    "(twice as dear) on every step"
)


@dataclass(frozen=True)
class NetworkCost:
    """A network's size, and the price of one observation."""

    parameters: int
    """Numbers that are trained."""
    active: int
    """Of these, how many take part in processing one observation."""
    forward_flops: int
    """Multiplications and additions of a pass on one observation."""


def network_cost(policy: object) -> NetworkCost:
    """Return what a pass of a policy's network costs, from the shapes that its layers see.

    Args:
        policy: an `EncoderPolicy`.
    """
    import math

    import torch
    from torch import nn

    from misgen.agents.networks import EncoderPolicy
    from misgen.agents.onehot import OneHotLinear

    assert isinstance(policy, EncoderPolicy)
    flops, inactive = 0, 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal flops, inactive
        if isinstance(layer, nn.Linear):
            flops += 2 * layer.in_features * layer.out_features
        elif isinstance(layer, nn.Conv2d):
            each = math.prod(layer.kernel_size) * layer.in_channels // layer.groups
            flops += 2 * each * output[0].numel()
        elif isinstance(layer, OneHotLinear):
            rows, width = layer.tile_weight.shape
            cells = rows // layer.classes
            flops += cells * width
            inactive += (rows - cells) * width

    space = policy.observation_space
    zeros = {
        key: torch.from_numpy(one.sample()[None] * 0)  # pyright: ignore
        for key, one in space.spaces.items()  # pyright: ignore[reportAttributeAccessIssue]
    }
    hooks = [layer.register_forward_hook(count) for layer in policy.modules()]
    try:
        with torch.no_grad():
            policy.logits_and_values(zeros)
    finally:
        for hook in hooks:
            hook.remove()
    parameters = sum(p.numel() for p in policy.parameters())
    return NetworkCost(parameters, parameters - inactive, flops)


def training_flops(cost: NetworkCost, steps: int, epochs: int) -> int:
    """Return the floating-point operations of a training; see `FORMULA`."""
    return steps * cost.forward_flops + steps * epochs * 3 * cost.forward_flops
