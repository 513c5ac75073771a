"""Distillation: a student learns what a teacher would do, and from no reward.

Public names: `DistillLearner`, `teacher_of`.
Source: policy distillation (Rusu et al. 2016, arXiv 1511.06295), by default with the student acting
(Czarnecki et al. 2019, arXiv 1902.02186, "on-policy distillation").

For every decision of a rollout the teacher is asked for the probabilities of all actions, p, and
for its value.  With q the student's probabilities and v its value (in its own units) it minimises

    mean(sum_a p_a log(p_a / q_a)) + value_coef * mean((v - v_teacher)^2)

in `epochs` passes over the rollout.  Levels are the run's own: at `correlation=1` the student never
sees one on which goal and proxy part, whatever the teacher would do there.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn
from torch.nn import functional

from misgen.envs.core.errors import UserError

from .base import TrainedAgent, ValuedAgent
from .checkpoint import load_agent
from .config import DistillConfig
from .learner import SB3Learner, Unwrapped, schedule
from .networks import EncoderPolicy, build_actor_critic, policy_kwargs
from .policy import PolicyAgent
from .spec import PolicySpec, weights_checksum


class DistillLearner(SB3Learner):
    """Learns from a teacher; its policies are PPO's, which can start from each other's weights."""

    def make(self, env: VecEnv, config: DistillConfig, seed: int) -> Any:
        """Return a model that has not trained yet."""
        teacher = teacher_of(config, env.observation_space, env.action_space)
        return _Distiller(teacher, config, env, seed)

    def build(self, spec: PolicySpec) -> EncoderPolicy:
        """Return a fresh network as `spec` describes it."""
        return build_actor_critic(EncoderPolicy, spec)

    def agent(self, network: EncoderPolicy, spec: PolicySpec, name: str) -> PolicyAgent:
        """Return the agent that plays `network`."""
        return PolicyAgent(network, spec, name)


def teacher_of(
    config: DistillConfig, observation_space: gymnasium.Space, action_space: gymnasium.Space
) -> TrainedAgent:
    """Return the agent that a student is to learn from.

    Raises:
        UserError: if none is named, it cannot be read or play here, has a memory, or is another
            than when the run was set up.
    """
    if not config.teacher:
        raise UserError(
            "agent.teacher is missing: give agent.teacher=<folder of a trained policy>, or zoo:"
            "<name> of an agent that comes with misgen"
        )
    found = weights_checksum(config.teacher)
    if config.teacher_policy and found != config.teacher_policy:
        raise UserError(
            f"agent.teacher={config.teacher} holds other weights than when this run was set up "
            f"(SHA-256 {found[:12]}..., not {config.teacher_policy[:12]}...): give the policy that "
            "it learned from"
        )
    teacher = load_agent(config.teacher, observation_space, action_space)
    if not getattr(teacher, "has_no_memory", False):
        raise UserError(
            f"agent.teacher={config.teacher} was trained with {teacher.spec.algorithm} and has a "
            "memory, which a student without one cannot learn from: give a teacher trained with "
            "ppo, a2c, dqn or distill"
        )
    return teacher


class _Distiller(Unwrapped, OnPolicyAlgorithm):
    """stable-baselines3's rollouts, with a loss that asks the teacher."""

    def __init__(self, teacher: Any, config: DistillConfig, env: VecEnv, seed: int) -> None:
        super().__init__(
            EncoderPolicy,
            env,
            learning_rate=schedule(config),
            n_steps=config.num_steps,
            gamma=config.gamma,
            gae_lambda=1.0,
            ent_coef=0.0,
            vf_coef=config.value_coef if isinstance(teacher, ValuedAgent) else 0.0,
            max_grad_norm=config.max_grad_norm,
            use_sde=False,
            sde_sample_freq=-1,
            policy_kwargs=policy_kwargs(config, config.adam_eps),
            seed=seed,
            device=config.device,
        )
        self.n_epochs = config.epochs
        self._teacher, self._config = teacher, config
        self._answers: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    def collect_rollouts(
        self, env: VecEnv, callback: Any, rollout_buffer: Any, n_rollout_steps: int
    ) -> bool:
        """Act, ask the teacher, and fill the buffer; return whether the callback wants more."""
        self._answers = []
        student: Any = self.policy
        self.policy = _Asking(self, student)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        finally:
            self.policy = student

    def ask(self, obs: dict[str, Tensor]) -> NDArray[np.float64]:
        """Return the teacher's probabilities [n, actions]; these and its values [n] are kept."""
        seen = {key: values.cpu().numpy() for key, values in obs.items()}
        p, values = self._teacher.probabilities(seen, None), np.zeros(self.n_envs)
        if self.vf_coef:
            values = self._teacher.value(seen) * self._config.reward_scale
        self._answers.append((p, values))
        return p

    def train(self) -> None:
        """Learn from the rollout, `epochs` times."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        seen = {key: self._flat(v) for key, v in self.rollout_buffer.observations.items()}  # pyright: ignore
        p, values = (
            self._flat(np.stack(part), torch.float32) for part in zip(*self._answers, strict=True)
        )
        losses: list[tuple[float, float]] = []
        for _ in range(self.n_epochs):
            # The order is from the generator that a resumed run takes up.
            order = torch.from_numpy(np.random.permutation(len(p)))  # noqa: NPY002
            for rows in order.split(self._config.batch_size):
                own = {key: part[rows] for key, part in seen.items()}
                losses.append(self._step(own, p[rows], values[rows]))
        self._n_updates += self.n_epochs
        means = np.mean(losses, axis=0)
        self.logger.record("train/kl", means[0])
        self.logger.record("train/value_loss", means[1])

    def _step(self, seen: Any, p: Tensor, values: Tensor) -> tuple[float, float]:
        """Take a gradient step; return the divergence from the teacher and the values' loss."""
        logits, found = self.policy.logits_and_values(seen)  # pyright: ignore
        kl = functional.kl_div(logits.log_softmax(dim=1), p, reduction="batchmean")
        value_loss = functional.mse_loss(found[:, 0], values)
        self.policy.optimizer.zero_grad()
        (kl + self.vf_coef * value_loss).backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        return kl.item(), value_loss.item()

    def _flat(self, values: Any, dtype: torch.dtype | None = None) -> Tensor:
        """Return what a rollout holds, [steps, slots, ...], decision by decision."""
        flat = torch.from_numpy(values.reshape(-1, *values.shape[2:]))
        return flat.to(self.device, dtype)


class _Asking:
    """Takes the policy's place while it acts: the teacher is asked too, and may decide itself."""

    def __init__(self, model: _Distiller, student: Any) -> None:
        self._model, self._student = model, student
        self._leads = model._config.driver == "teacher"

    def __call__(self, obs: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions, values and log-probabilities; the last two are not used."""
        p = self._model.ask(obs)
        if not self._leads:
            return self._student(obs)
        actions = torch.multinomial(torch.from_numpy(p), 1)[:, 0]
        zeros = torch.zeros(len(p), 1)
        return actions, zeros, zeros[:, 0]

    def predict_values(self, obs: Any) -> Tensor:
        """Return zeros: nothing is learned from returns."""
        return torch.zeros(len(next(iter(obs.values()))), 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._student, name)
