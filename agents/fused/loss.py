"""PPO's loss, and its gradient with respect to the network's outputs.

Public names: `Terms`, `Samples`, `Losses`, `loss_gradient`, `log_softmax`.
The maths stands in `ppo`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor


class Terms(NamedTuple):
    """What a loss is made of, beside the data."""

    clip: float
    """Clip range of the ratio."""
    value_clip: float
    """Clip range of the value's change; infinity for none."""
    entropy: float
    """Weight of the entropy."""
    value: float
    """Weight of the value loss."""


class Samples(NamedTuple):
    """What a rollout says of each decision; [n] each."""

    actions: NDArray[np.int64]
    old_values: NDArray[np.float32]
    old_log_probs: NDArray[np.float32]
    advantages: NDArray[np.float32]
    returns: NDArray[np.float32]

    def at(self, rows: NDArray[np.int64]) -> Samples:
        """Return some of them."""
        taken: list[Any] = [values.take(rows) for values in self]
        return Samples(*taken)


class Losses(NamedTuple):
    """Means over a minibatch."""

    policy: float
    value: float
    entropy: float
    """Minus the mean entropy, in nats."""
    clip_fraction: float
    """Share of the ratios that lie outside the clip range."""
    kl: float
    """Approximate divergence from the policy that acted, in nats."""


def loss_gradient(
    logits: Tensor, values: Tensor, samples: Samples, advantages: NDArray[np.float32], terms: Terms
) -> tuple[Losses, Tensor, Tensor]:
    """Return the losses and the gradients of their weighted sum.

    Args:
        logits: float32 [n, actions].
        values: float32 [n, 1].
        samples: the minibatch.
        advantages: its advantages, normalised or not.
        terms: clip ranges and weights.

    Returns:
        The losses, and the gradients with respect to `logits` and to `values`.
    """
    log_p = log_softmax(logits)
    slopes, value_slopes = torch.empty_like(logits), torch.empty_like(values)
    means = _loss_gradient(
        log_p.numpy(),
        log_p.exp().numpy(),
        values.numpy()[:, 0],
        samples.actions,
        samples.old_values,
        samples.old_log_probs,
        advantages,
        samples.returns,
        (terms.clip, terms.value_clip, terms.entropy, terms.value),
        slopes.numpy(),
        value_slopes.numpy()[:, 0],
    )
    return Losses(*means), slopes, value_slopes


def log_softmax(logits: Tensor) -> Tensor:
    """Return log-probabilities, [n, actions], in a quarter of the time of torch's own."""
    below = logits - logits.amax(dim=1, keepdim=True)
    return below - below.exp().sum(dim=1, keepdim=True).log_()


@njit(cache=True)
def _loss_gradient(
    log_p: NDArray[np.float32],  # [n, actions]
    p: NDArray[np.float32],  # [n, actions]
    values: NDArray[np.float32],  # [n], as are those down to returns
    actions: NDArray[np.int64],
    old_values: NDArray[np.float32],
    old_log_probs: NDArray[np.float32],
    advantages: NDArray[np.float32],
    returns: NDArray[np.float32],
    terms: tuple[float, float, float, float],  # as in Terms
    slopes: NDArray[np.float32],  # [n, actions], filled
    value_slopes: NDArray[np.float32],  # [n], filled
) -> tuple[Any, ...]:
    """Return the means that `Losses` names, in its order, and fill in the gradients."""
    clip, value_clip, entropy_weight, value_weight = terms
    n, num_actions = log_p.shape
    policy_sum = value_sum = entropy_sum = clipped = kl_sum = 0.0
    for i in range(n):
        change = log_p[i, actions[i]] - old_log_probs[i]
        ratio, advantage = np.exp(change), advantages[i]
        free = advantage * ratio
        bound = advantage * min(max(ratio, np.float32(1 - clip)), np.float32(1 + clip))
        inside = abs(ratio - np.float32(1)) <= clip
        policy_sum -= min(free, bound)
        kl_sum += (ratio - np.float32(1)) - change
        clipped += not inside
        push = np.float32(0) if not inside and free >= bound else free  # free if not a number

        entropy = np.float32(0)
        for k in range(num_actions):
            entropy -= p[i, k] * log_p[i, k]
        entropy_sum += entropy
        for k in range(num_actions):
            slope = entropy_weight * (log_p[i, k] + entropy) + push
            slopes[i, k] = p[i, k] * slope / n
        slopes[i, actions[i]] -= push / n

        moved = values[i] - old_values[i]
        held = abs(moved) > value_clip
        nearest = old_values[i] + np.float32(np.sign(moved) * value_clip) if held else values[i]
        error = nearest - returns[i]
        value_sum += error * error
        value_slopes[i] = 0 if held else 2 * value_weight * error / n
    return policy_sum / n, value_sum / n, -entropy_sum / n, clipped / n, kl_sum / n
