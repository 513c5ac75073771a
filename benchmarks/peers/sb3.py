"""stable-baselines3's own PPO on our world: its policy for dictionaries reads tiles as numbers.

The hyperparameters and the widths of the layers are those that ours is given.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from torch import nn

from misgen.agents.ppo import ppo_arguments
from misgen.agents.rewards import ScaledReward
from misgen.envs.core.views.sb3 import MisgenVecEnv

from .judge import Run, learn
from .worker import Turn, serve

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


class _Player:
    """Plays a policy of stable-baselines3."""

    name = "stable-baselines3"

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def start(self, slots: NDArray[Any], levels: Any) -> None:
        """Do nothing: it has no memory."""

    @torch.no_grad()
    def probabilities(self, observation: dict[str, NDArray[Any]], engine: Any) -> NDArray[Any]:
        """Return the probability of each action, float64 [n, actions]."""
        tensors, _ = self._policy.obs_to_tensor(observation)
        found = self._policy.get_distribution(tensors).distribution.probs.double()
        return (found / found.sum(1, keepdim=True)).numpy()


def learning(**settings: Any) -> Turn:
    """Return turns that train until the agent is good enough; see `judge.learn`."""
    return learn(_model, lambda run, model: _Player(model.policy), **settings)


def _model(run: Run, seed: int) -> Any:
    agent: Any = run.agent
    env = ScaledReward(MisgenVecEnv(run.distribution, agent.num_envs, seed), agent.reward_scale)
    layers = {
        "net_arch": agent.hidden,
        "activation_fn": _ACTIVATIONS[agent.activation],
        "optimizer_kwargs": {"eps": agent.adam_eps},
    }
    return PPO("MultiInputPolicy", env, policy_kwargs=layers, seed=seed, **ppo_arguments(agent))


if __name__ == "__main__":
    serve(learning=learning)
