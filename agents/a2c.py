"""Advantage actor-critic.

Public name: `A2CLearner`.
Source of the algorithm: stable-baselines3's `A2C`, unchanged.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from stable_baselines3 import A2C
from stable_baselines3.common.vec_env import VecEnv

from .config import A2CConfig
from .learner import SB3Learner, Unwrapped
from .networks import EncoderPolicy, build_actor_critic, policy_kwargs
from .policy import PolicyAgent
from .ppo import on_policy_arguments
from .spec import PolicySpec


class A2CLearner(SB3Learner):
    """Learns with A2C; its policies are PPO's, and each can start from the other's weights."""

    report_every: ClassVar[int] = 4096

    def make(self, env: VecEnv, config: A2CConfig, seed: int) -> Any:
        """Return a model that has not trained yet."""
        arguments = policy_kwargs(config, config.optimizer_eps)
        if config.rms_prop:
            arguments["optimizer_class"] = torch.optim.RMSprop
            arguments["optimizer_kwargs"] = {"alpha": 0.99, "eps": config.optimizer_eps}
        return _A2C(
            EncoderPolicy,
            env,
            use_rms_prop=False,  # the optimiser is in the policy's arguments
            policy_kwargs=arguments,
            seed=seed,
            **on_policy_arguments(config),
        )

    def build(self, spec: PolicySpec) -> EncoderPolicy:
        """Return a fresh network as `spec` describes it."""
        return build_actor_critic(EncoderPolicy, spec)

    def agent(self, network: EncoderPolicy, spec: PolicySpec, name: str) -> PolicyAgent:
        """Return the agent that plays `network`."""
        return PolicyAgent(network, spec, name)


class _A2C(Unwrapped, A2C):
    """stable-baselines3's."""
