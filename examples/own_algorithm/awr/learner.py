"""The learner: stable-baselines3's A2C with another loss for the actor."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3 import A2C
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from misgen.agents.a2c import A2CLearner
from misgen.agents.learner import Unwrapped
from misgen.agents.networks import EncoderPolicy, policy_kwargs
from misgen.agents.ppo import on_policy_arguments

from .settings import AWRConfig


class AWRLearner(A2CLearner):
    """Learns with AWR; networks, saving and playing are A2C's."""

    def make(self, env: VecEnv, config: AWRConfig, seed: int) -> Any:
        """Return a model that has not trained yet."""
        model = _AWR(
            EncoderPolicy,
            env,
            use_rms_prop=False,
            policy_kwargs=policy_kwargs(config, config.optimizer_eps),
            seed=seed,
            **on_policy_arguments(config),
        )
        model.temperature, model.most_weight = config.temperature, config.most_weight
        return model


class _AWR(Unwrapped, A2C):
    """Imitates its own decisions, each weighted by how much better than expected it went."""

    temperature = 0.5
    most_weight = 20.0

    def train(self) -> None:
        """Make one step of the optimiser on the whole rollout."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        for rollout in self.rollout_buffer.get(batch_size=None):
            values, log_prob, entropy = self.policy.evaluate_actions(
                rollout.observations, rollout.actions.long().flatten()
            )
            advantages = rollout.advantages
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
            weights = torch.exp(advantages / self.temperature).clamp(max=self.most_weight)
            actor = -(weights * log_prob).mean()
            critic = nn.functional.mse_loss(rollout.returns, values.flatten())
            spread = log_prob.mean() if entropy is None else -entropy.mean()
            loss = actor + self.vf_coef * critic + self.ent_coef * spread
            self.policy.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        self._n_updates += 1
