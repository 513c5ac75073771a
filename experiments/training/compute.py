"""The cost of training a network, counted from its layers.

Public names: `NetworkCost`, `network_cost`, `training_flops`, `NOT_COUNTED`.

A multiplication and an addition count one each.  A layer on one-hot tiles adds up one row of
weights a cell, so it costs an addition a weight of these rows and touches these rows alone: the
others are **inactive** for that observation, as are the experts of a mixture that it is not sent
to.  Biases, nonlinearities and the optimiser's own steps are left out (a few percent), and so are
the rows that fill up short sequences in the training of a network with a memory.  How often a
training runs its network its algorithm's settings tell (`LearnerConfig.passes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from misgen.agents.config import Passes

NOT_COUNTED = "not counted: it is not known how often this algorithm runs its network"


@dataclass(frozen=True)
class NetworkCost:
    """A network's size, and the price of one observation."""

    parameters: int
    """Numbers that are trained."""
    active: int
    """Of these, how many take part in processing one observation."""
    forward_flops: int | None
    """Multiplications and additions of a pass on one observation; None: not counted."""


def network_cost(policy: Any) -> NetworkCost:
    """Return what a pass of a policy's network costs, from the shapes that its layers see.

    Args:
        policy: a torch module; without `logits_and_values` its passes are not counted.
    """
    import math

    import torch
    from torch import nn

    from misgen.agents.mixture import Mixture
    from misgen.agents.onehot import OneHotLinear

    parameters = sum(p.numel() for p in policy.parameters())
    if not hasattr(policy, "logits_and_values"):
        return NetworkCost(parameters, parameters, None)
    flops, inactive = 0, 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        nonlocal flops, inactive
        if isinstance(layer, nn.Linear):
            flops += 2 * layer.in_features * output.numel()  # of an expert not chosen, nothing
        elif isinstance(layer, nn.Conv2d):
            each = math.prod(layer.kernel_size) * layer.in_channels // layer.groups
            flops += 2 * each * output[0].numel()
        elif isinstance(layer, nn.LSTM):  # four gates, each from the input and the last output
            weights = (p.numel() for name, p in layer.named_parameters() if "weight" in name)
            flops += 2 * sum(weights)
        elif isinstance(layer, OneHotLinear):
            rows, width = layer.tile_weight.shape
            cells = rows // layer.classes
            flops += cells * width
            inactive += (rows - cells) * width
        elif isinstance(layer, Mixture):
            inactive += layer.inactive

    space = policy.observation_space
    zeros = {key: torch.from_numpy(one.sample()[None] * 0) for key, one in space.spaces.items()}
    hooks = [layer.register_forward_hook(count) for layer in policy.modules()]
    try:
        with torch.no_grad():
            policy.logits_and_values(zeros)
    finally:
        for hook in hooks:
            hook.remove()
    return NetworkCost(parameters, parameters - inactive, flops)


def training_flops(cost: NetworkCost, passes: Passes | None) -> int | None:
    """Return the floating-point operations of a training, None where they are not counted."""
    if passes is None or cost.forward_flops is None:
        return None
    return (passes.forward + 2 * passes.backward) * cost.forward_flops
