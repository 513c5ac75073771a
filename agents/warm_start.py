"""Start training from the weights of a policy that was trained before.

Public name: `initial_weights`.

The policy is read as every saved policy is (`checkpoint`): no code from its files runs, and its
spaces are compared with the environment's.  Only weights are taken over; the optimiser starts anew.
"""

from __future__ import annotations

from pathlib import Path

import gymnasium
from torch import Tensor

from misgen.envs.core.errors import UserError

from .checkpoint import expected_shapes, load_policy
from .config import LearnerConfig
from .encoders import ENCODERS, Encoder
from .limits import MIXTURE
from .spec import PolicySpec

_NETWORK = ("encoder", "hidden", "heads", "channels", "activation", *MIXTURE)


def initial_weights(
    folder: str | Path,
    config: LearnerConfig,
    observation_space: gymnasium.Space,
    action_space: gymnasium.Space,
    checksum: str | None = None,
) -> dict[str, Tensor]:
    """Return the weights of the policy in `folder`, by name, for training with `config`.

    Args:
        folder: what `save_policy` wrote.
        config: settings of the training that starts from them.
        observation_space: the environment's, of a single slot.
        action_space: the environment's, of a single slot.
        checksum: SHA-256 that the weights must have, if any.

    Raises:
        UserError: if the policy cannot be read, its spaces or its network differ, or its weights
            are others than before.
    """
    policy, spec, found = load_policy(folder, observation_space, action_space)
    if checksum is not None and found != checksum:
        raise UserError(
            f"init={folder} holds other weights than when this run was set up (SHA-256 "
            f"{found[:12]}..., not {checksum[:12]}...): give the policy that it started from"
        )
    for name in _NETWORK:
        base, own = getattr(spec, name), getattr(config, name)
        if _uses(ENCODERS[spec.encoder], name) and base != own:
            raise UserError(
                f"init={folder} has {name}={base}, this run agent.{name}={own}: train on with the "
                f"same network, agent.{name}={str(base).replace(' ', '')}"
            )
    own = PolicySpec.of(config, observation_space, action_space)
    if expected_shapes(own) != expected_shapes(spec):
        raise UserError(
            f"init={folder} was trained with algorithm={spec.algorithm}{_listed(spec)}, whose "
            f"network is not that of agent={own.algorithm}{_listed(own)}: train on with the same "
            "algorithm and settings"
        )
    return {name: parameter.detach().clone() for name, parameter in policy.named_parameters()}


def _uses(encoder: Encoder, name: str) -> bool:
    """Return whether an encoder's network depends on a setting."""
    if name in MIXTURE:
        return encoder.has_experts
    return name != "channels" or encoder.has_channels


def _listed(spec: PolicySpec) -> str:
    values = ", ".join(f"{name}={value}" for name, value in spec.settings.items())
    return f" ({values})" if values else ""
