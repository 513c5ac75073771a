"""Proximal policy optimisation with a memory.

Public names: `RecurrentPPOLearner`, `RecurrentEncoderPolicy`, `RecurrentAgent`.
Source of the algorithm: sb3-contrib's `RecurrentPPO`, unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from .config import RecurrentPPOConfig
from .learner import SB3Learner, Unwrapped
from .networks import RawObservations, build_actor_critic, policy_kwargs, settle
from .policy import in_blocks, rows_of, softmax
from .ppo import ppo_arguments
from .slot_memory import emptied
from .spec import PolicySpec

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation


class RecurrentPPOLearner(SB3Learner):
    """Learns with recurrent PPO."""

    def make(self, env: VecEnv, config: RecurrentPPOConfig, seed: int) -> Any:
        """Return a model that has not trained yet."""
        return _RecurrentPPO(
            RecurrentEncoderPolicy,
            env,
            policy_kwargs=policy_kwargs(config, config.adam_eps)
            | _memory(config.lstm_width, config.lstm_layers, config.critic_lstm),
            seed=seed,
            **ppo_arguments(config),
        )

    def build(self, spec: PolicySpec) -> RecurrentEncoderPolicy:
        """Return a fresh network as `spec` describes it."""
        kept = [spec.settings[name] for name in RecurrentPPOConfig.kept]
        return build_actor_critic(RecurrentEncoderPolicy, spec, **_memory(*kept))

    def agent(self, network: RecurrentEncoderPolicy, spec: PolicySpec, name: str) -> RecurrentAgent:
        """Return the agent that plays `network`."""
        return RecurrentAgent(network, spec, name)


class RecurrentEncoderPolicy(RecurrentActorCriticPolicy, RawObservations):
    """sb3-contrib's actor and critic with LSTMs, on one encoder that takes raw observations.

    Its base class asks `RawObservations` for features, which comes after it among the bases.
    """

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        settle(self.features_extractor)

    def logits_and_values(self, obs: Any) -> tuple[Tensor, Tensor]:
        """Return action logits and values at an episode's first decision, when memory is empty."""
        features = self.features_extractor(obs)
        memory = self.empty_memory(len(features))
        logits, _ = self._act(features, memory)
        if self.lstm_critic is None:
            latent: Tensor = self.critic(features)  # pyright: ignore[reportOptionalCall]
        else:
            latent, _ = self._remember(features, memory, self.lstm_critic)
        return logits, self.value_net(self.mlp_extractor.forward_critic(latent))

    def step(self, obs: Any, memory: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return action logits (float32 [n, num_actions]) and the memory after this decision.

        Args:
            obs: observations, n rows.
            memory: the actor's hidden and cell states before it, float32 [layers, n, width] each.
        """
        return self._act(self.features_extractor(obs), memory)

    def _act(
        self, features: Tensor, memory: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        latent, after = self._remember(features, memory, self.lstm_actor)
        return self.action_net(self.mlp_extractor.forward_actor(latent)), after

    def _remember(
        self, features: Tensor, memory: tuple[Tensor, Tensor], lstm: torch.nn.LSTM
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return an LSTM's output, and its memory after one decision of n episodes."""
        starts = torch.zeros(len(features), device=features.device)
        found: Any = self._process_sequence(features, memory, starts, lstm)
        return found

    def empty_memory(self, n: int) -> tuple[Tensor, Tensor]:
        """Return the memory of n episodes that begin."""
        shape = (self.lstm_actor.num_layers, n, self.lstm_actor.hidden_size)
        return torch.zeros(shape, device=self.device), torch.zeros(shape, device=self.device)


class RecurrentAgent:
    """Plays a policy with a memory, which it keeps for each slot.

    A slot's memory is emptied when an episode begins there and goes one decision on whenever the
    agent is asked, which is once a decision, about the slots that run.

    Its critic remembers too and cannot be asked about a state by itself, so that this is no
    `ValuedAgent`.
    """

    def __init__(self, policy: RecurrentEncoderPolicy, spec: PolicySpec, name: str) -> None:
        """Wrap `policy`, a network built from `spec`, and call it `name`."""
        self.name = name
        self.spec = spec
        self._policy = policy.eval()
        self._rows = rows_of(spec)
        lstm = policy.lstm_actor
        self._memory = np.zeros((2, lstm.num_layers, 0, lstm.hidden_size), np.float32)  # by slot

    @property
    def network(self) -> RecurrentEncoderPolicy:
        """The network, for whoever looks inside."""
        return self._policy

    def start(self, slots: NDArray[np.int64], levels: LevelBatch | None = None) -> None:
        """Empty the memory of the slots in which episodes begin."""
        self._memory = emptied(self._memory, slots)

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return float64 [n, num_actions], a row a running slot in ascending order; remember.

        A slot's row depends on its own episode alone, whatever else is played beside it.
        """
        slots = np.flatnonzero(engine.episodes["running"])
        n = len(observation[self.spec.modality.seen])
        if n != len(slots):
            raise ValueError(f"{n} observations for {len(slots)} running slots: give one a slot")
        logits = np.empty((n, self.spec.num_actions))
        for rows, block in in_blocks(observation, self.spec.modality.keys, self._rows):
            logits[rows] = self._step(block, slots[rows])
        return softmax(logits)

    @torch.inference_mode()
    def _step(self, block: Observation, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        """Run the network on a padded block; return the logits of its first `len(slots)` rows."""
        device, count = self._policy.device, len(slots)
        before = self._policy.empty_memory(self._rows)
        for state, kept in zip(before, self._memory, strict=True):
            state[:, :count] = torch.from_numpy(kept[:, slots]).to(device)
        observation = {key: torch.from_numpy(values).to(device) for key, values in block.items()}
        logits, after = self._policy.step(observation, before)
        for state, kept in zip(after, self._memory, strict=True):
            kept[:, slots] = state[:, :count].cpu().numpy()
        return logits[:count].cpu().numpy()


def _memory(width: int, layers: int, critic: bool) -> dict[str, Any]:
    return {"lstm_hidden_size": width, "n_lstm_layers": layers, "enable_critic_lstm": critic}


class _RecurrentPPO(Unwrapped, RecurrentPPO):
    """sb3-contrib's."""
