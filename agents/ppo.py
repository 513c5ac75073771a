"""Proximal policy optimisation.

Public names: `PPOLearner`, `train_ppo`.
Source of the algorithm: stable-baselines3's `PPO`, unchanged; or the same numbers to float rounding
in less time (`fused`), for tile encoders on a CPU.
"""

from __future__ import annotations

from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecEnv

from .config import ClippedConfig, OnPolicyConfig, PPOConfig
from .fused.network import can_fuse
from .fused.ppo import FusedPPO
from .learner import SB3Learner, Unwrapped, fit, reward_scale, schedule
from .networks import EncoderPolicy, build_actor_critic, policy_kwargs
from .policy import PolicyAgent
from .spec import PolicySpec

__all__ = ["PPOLearner", "reward_scale", "train_ppo"]


class PPOLearner(SB3Learner):
    """Learns with PPO."""

    def make(self, env: VecEnv, config: PPOConfig, seed: int) -> Any:
        """Return a model that has not trained yet."""
        return _class(env, config)(
            EncoderPolicy,
            env,
            policy_kwargs=policy_kwargs(config, config.adam_eps),
            seed=seed,
            **ppo_arguments(config),
        )

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


def _class(env: VecEnv, config: PPOConfig) -> type[PPO]:
    on_cpu = get_device(config.device).type == "cpu"
    fused = config.fast and on_cpu and can_fuse(config.encoder, env.observation_space)
    return _FusedPPO if fused else _PPO


class _PPO(Unwrapped, PPO):
    """stable-baselines3's."""


class _FusedPPO(Unwrapped, FusedPPO):
    """The same with gradients in closed form."""
