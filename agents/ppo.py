"""Proximal policy optimisation.

Public names: `PPOLearner`, `train_ppo`, `why_autograd`, `CLOSED_FORM`.
Source of the algorithm: stable-baselines3's `PPO`, unchanged; or the same numbers to float rounding
in less time (`fused`), for tile encoders on a CPU.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecEnv

from .config import ClippedConfig, OnPolicyConfig, PPOConfig
from .fused.network import why_not
from .fused.ppo import FusedPPO
from .learner import Learned, SB3Learner, Unwrapped, fit, reward_scale, schedule
from .networks import EncoderPolicy, build_actor_critic, policy_kwargs
from .policy import PolicyAgent
from .spec import PolicySpec

__all__ = ["CLOSED_FORM", "PPOLearner", "reward_scale", "train_ppo", "why_autograd"]

CLOSED_FORM = "closed form"
"""What a run's manifest calls the gradients of `fused`."""


class PPOLearner(SB3Learner):
    """Learns with PPO."""

    def make(self, env: VecEnv, config: PPOConfig, seed: int) -> Any:
        """Return a model that has not trained yet."""
        reason = why_autograd(env.observation_space, config)
        model = (_PPO if reason else _FusedPPO)(
            EncoderPolicy,
            env,
            policy_kwargs=policy_kwargs(config, config.adam_eps),
            seed=seed,
            **ppo_arguments(config),
        )
        model.gradients = f"autograd: {reason}" if reason else CLOSED_FORM
        return model

    def learned(self, model: Any) -> Learned:
        """Return what a model has learned so far."""
        return dataclasses.replace(super().learned(model), gradients=model.gradients)

    def build(self, spec: PolicySpec) -> EncoderPolicy:
        """Return a fresh network as `spec` describes it."""
        return build_actor_critic(EncoderPolicy, spec)

    def agent(self, network: EncoderPolicy, spec: PolicySpec, name: str) -> PolicyAgent:
        """Return the agent that plays `network`."""
        return PolicyAgent(network, spec, name)


def train_ppo(
    env: VecEnv, config: PPOConfig, seed: int, callback: Any = None, **options: Any
) -> PPO:
    """Train with PPO and return stable-baselines3's model; arguments are those of `fit`."""
    return fit(PPOLearner(), env, config, seed, callback, **options)


def on_policy_arguments(config: OnPolicyConfig) -> dict[str, Any]:
    """Return what all on-policy classes of stable-baselines3 are given."""
    return {
        "learning_rate": schedule(config),
        "n_steps": config.num_steps,
        "gamma": config.gamma,
        "gae_lambda": config.gae_lambda,
        "normalize_advantage": config.normalize_advantage,
        "ent_coef": config.entropy,
        "vf_coef": config.value_coef,
        "max_grad_norm": config.max_grad_norm,
        "device": config.device,
    }


def ppo_arguments(config: ClippedConfig) -> dict[str, Any]:
    """Return what PPO's class is given, with a memory or without."""
    return {
        **on_policy_arguments(config),
        "batch_size": config.batch_size,
        "n_epochs": config.epochs,
        "clip_range": config.clip,
        "clip_range_vf": config.value_clip or None,
        "target_kl": config.target_kl or None,
    }


def why_autograd(space: spaces.Space[Any], config: PPOConfig) -> str:
    """Return why a training's gradients are not in closed form; nothing if they are.

    Args:
        space: of the observations.
        config: the settings.
    """
    if config.one_way:
        return config.one_way
    if not config.fast:
        return "fast=false"
    device = get_device(config.device).type
    if device != "cpu":
        return f"device={config.device} is {device}"
    return why_not(config.encoder, space)


class _PPO(Unwrapped, PPO):
    """stable-baselines3's."""

    gradients = "autograd"


class _FusedPPO(Unwrapped, FusedPPO):
    """The same with gradients in closed form."""

    gradients = CLOSED_FORM
