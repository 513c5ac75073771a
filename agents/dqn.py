"""Deep Q-learning.

Public names: `DQNLearner`, `EncoderQNetwork`, `ValueAgent`.
Source of the algorithm: stable-baselines3's `DQN`, unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor

from misgen.envs.core.world import Observation

from .config import DQNConfig
from .learner import SB3Learner, Unwrapped, schedule
from .networks import (
    RawObservations,
    inference_kwargs,
    make_spaces,
    policy_kwargs,
    settle,
)
from .policy import PolicyAgent
from .spec import PolicySpec


class DQNLearner(SB3Learner):
    """Learns with DQN."""

    report_every: ClassVar[int] = 4096

    def make(self, env: VecEnv, config: DQNConfig, seed: int) -> Any:
        """Return a model that has not trained yet."""
        return _DQN(
            _EncoderDQNPolicy,
            env,
            learning_rate=schedule(config),
            buffer_size=config.buffer_size,
            learning_starts=config.learning_starts,
            batch_size=config.batch_size,
            tau=config.target_mix,
            gamma=config.gamma,
            train_freq=config.train_every,
            gradient_steps=config.gradient_steps,
            target_update_interval=config.target_every,
            exploration_fraction=config.exploration_share,
            exploration_initial_eps=config.exploration_initial,
            exploration_final_eps=config.exploration_final,
            max_grad_norm=config.max_grad_norm,
            policy_kwargs=policy_kwargs(config, config.adam_eps),
            seed=seed,
            device=config.device,
        )

    def network(self, model: Any) -> EncoderQNetwork:
        """Return the network of action values; its target is not kept."""
        return model.q_net

    def start_from(self, model: Any, weights: Mapping[str, Tensor]) -> None:
        """Put weights into the network of action values, and into its target."""
        super().start_from(model, weights)
        model.q_net_target.load_state_dict(model.q_net.state_dict())

    def build(self, spec: PolicySpec) -> EncoderQNetwork:
        """Return a fresh network as `spec` describes it."""
        observation_space, action_space = make_spaces(spec)
        arguments = inference_kwargs(spec)
        encoder = arguments["features_extractor_class"](
            observation_space, **arguments["features_extractor_kwargs"]
        )
        settle(encoder)
        return EncoderQNetwork(
            observation_space,
            action_space,
            encoder,
            encoder.features_dim,
            arguments["net_arch"],
            arguments["activation_fn"],
        )

    def agent(self, network: EncoderQNetwork, spec: PolicySpec, name: str) -> ValueAgent:
        """Return the agent that plays `network`."""
        return ValueAgent(network, spec, name)


class EncoderQNetwork(RawObservations, QNetwork):
    """Action values on an encoder that takes raw observations."""

    def logits_and_values(self, obs: Any) -> tuple[Tensor, Tensor]:
        """Return action values (float32 [n, num_actions]) and the highest of each row ([n, 1])."""
        return self.from_features(self.features_extractor(obs))

    def from_features(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same from the encoder's output."""
        values = self.q_net(features)
        return values, values.amax(dim=1, keepdim=True)


class ValueAgent(PolicyAgent):
    """Plays action values as DQN explored at the end of its training, epsilon-greedily.

    The action of the highest value (of equal ones the first) has probability 1 - epsilon, and all
    actions share epsilon, `exploration_final`, equally.  Its critic is the highest action value:
    what it expects if it acts greedily from here on.
    """

    def probabilities(self, observation: Observation, engine: Any = None) -> NDArray[np.float64]:
        """Return float64 [n, num_actions], row by row independent of the batch."""
        values, _ = self._outputs(observation)
        n, actions = values.shape
        epsilon = float(self.spec.settings["exploration_final"])
        p = np.full((n, actions), epsilon / actions)
        p[np.arange(n), values.argmax(axis=1)] += 1.0 - epsilon
        return p


class _EncoderDQNPolicy(DQNPolicy):
    """stable-baselines3's, with networks that take raw observations."""

    def make_q_net(self) -> QNetwork:
        """Return a network with an encoder of its own."""
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        settle(arguments["features_extractor"])
        return EncoderQNetwork(**arguments).to(self.device)


class _DQN(Unwrapped, DQN):
    """stable-baselines3's."""
