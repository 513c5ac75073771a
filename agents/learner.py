"""What an algorithm must provide, and what those on stable-baselines3 share.

Public names: `Learner`, `Learned`, `Network`, `SB3Learner`, `Unwrapped`, `fit`.

A `Learner` trains, says which network a saved policy has, and makes the agent that plays it.
Saving and loading (`checkpoint`) and the state of an interrupted run (`resume`) are the same for
all learners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from misgen.envs.core.errors import UserError
from misgen.envs.core.modality import RGB

from .config import LearnerConfig, OnPolicyConfig
from .encoders import ENCODERS
from .learning_curve import ProgressCallback, Reporter
from .resume import ResumeState
from .rewards import LearnerReward, NormalizedReward, ScaledReward
from .spec import require_encoder
from .threads import tune_process

if TYPE_CHECKING:
    from .base import TrainedAgent
    from .spec import PolicySpec


class Network(Protocol):
    """A policy's network, a torch module; what is saved of it are its parameters, by name."""

    observation_space: Any
    """Space of the observations it takes."""

    def named_parameters(self) -> Any:
        """Return the parameters with their names."""
        ...

    def logits_and_values(self, obs: Any) -> tuple[Tensor, Tensor]:
        """Return what decides on actions ([n, num_actions]) and the values ([n, 1]).

        Of a network with a memory: at an episode's first decision.
        """
        ...


@dataclass(frozen=True)
class Learned:
    """What a learner has learned so far."""

    network: nn.Module
    """The network to save."""
    steps: int
    """Decisions it was trained for."""
    reward_scale: float
    """What rewards are multiplied with for the learner now: the unit of its values."""
    gradients: str = "autograd"
    """How its gradients were found, and why so if they could have been found faster."""


_PLAUSIBLE = 1e4
"""Weights beyond this come of a training that diverged."""
Snapshot = Callable[[Learned], object]
"""Called with what was learned so far."""


class Learner(Protocol):
    """An algorithm at work; its settings are a `LearnerConfig`."""

    def learn(
        self,
        env: VecEnv,
        config: Any,
        seed: int,
        callback: ProgressCallback | None = None,
        resume_state: ResumeState | None = None,
        *,
        warm_start: Mapping[str, Tensor] | None = None,
        snapshot: Snapshot | None = None,
    ) -> Learned:
        """Learn; see `fit`."""
        ...

    def build(self, spec: PolicySpec) -> nn.Module:
        """Return a fresh network as `spec` describes it."""
        ...

    def agent(self, network: Any, spec: PolicySpec, name: str) -> TrainedAgent:
        """Return the agent that plays a network that `build` made."""
        ...


class SB3Learner:
    """A learner whose algorithm is a class of stable-baselines3 or sb3-contrib.

    A subclass makes the model, and says which of its modules is the policy's network.
    """

    report_every: ClassVar[int] = 0
    """Decisions between two records of the learning curve, at least; 0: one a rollout."""

    def make(self, env: VecEnv, config: Any, seed: int) -> BaseAlgorithm:
        """Return a model that has not trained yet."""
        raise NotImplementedError

    def network(self, model: Any) -> nn.Module:
        """Return the network that is saved of a model."""
        return model.policy

    def start_from(self, model: Any, weights: Mapping[str, Tensor]) -> None:
        """Put weights into a model that has not trained yet."""
        with torch.no_grad():
            for name, parameter in self.network(model).named_parameters():
                parameter.copy_(weights[name])

    def learned(self, model: Any) -> Learned:
        """Return what a model has learned so far."""
        return Learned(self.network(model), model.num_timesteps, reward_scale(model))

    def learn(
        self,
        env: VecEnv,
        config: Any,
        seed: int,
        callback: ProgressCallback | None = None,
        resume_state: ResumeState | None = None,
        *,
        warm_start: Mapping[str, Tensor] | None = None,
        snapshot: Snapshot | None = None,
    ) -> Learned:
        """Learn; see `fit`."""
        model = fit(
            self,
            env,
            config,
            seed,
            callback,
            resume_state,
            warm_start=warm_start,
            snapshot=snapshot,
        )
        return self.learned(model)


class Unwrapped:
    """Beside a class of stable-baselines3: observations as they come; it would turn pictures."""

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        return env


def fit(
    learner: SB3Learner,
    env: VecEnv,
    config: LearnerConfig,
    seed: int,
    callback: ProgressCallback | None = None,
    resume_state: ResumeState | None = None,
    *,
    warm_start: Mapping[str, Tensor] | None = None,
    snapshot: Snapshot | None = None,
) -> Any:
    """Train a model of stable-baselines3.

    The same `env`, `config` and `seed` give the same weights, bit for bit, on the same machine with
    the same number of threads.  Seeds Python's, NumPy's and torch's global generators, and passes
    `seed` to `env.seed`.

    Args:
        learner: the algorithm.
        env: vector environment with `config.num_envs` slots and observations of `tiles` and `body`
            or of `rgb`, as the encoder reads.
        config: the settings.
        seed: seed of weights, actions and minibatches.
        callback: called after rollouts with a record (keys: see `progress.Reporter`); training ends
            early if it returns False.
        resume_state: keeps the run's state in a file, and goes on from it where there is one; an
            algorithm that does not continue (`config.continues`) takes no notice of it.
        warm_start: weights to start from, by name, as `warm_start.initial_weights` returns them.
        snapshot: called with what was learned, before the first rollout and after each update.

    Returns:
        stable-baselines3's model.

    Raises:
        UserError: if the environment does not fit `config`, or training diverged.
    """
    _require_fit(env, config)
    tune_process(config.threads)
    model: Any = learner.make(_learner_reward(env, config), config, seed)
    model.set_logger(Logger(folder=None, output_formats=[]))  # its own makes a temporary folder
    if config.compile and ENCODERS[config.encoder].reads is RGB and model.device.type == "cuda":
        encoder: Any = learner.network(model).features_extractor
        encoder.compile()  # in place: the weights keep their names
    if warm_start is not None:
        learner.start_from(model, warm_start)
    if not config.continues:
        resume_state = None
    take = None if snapshot is None else lambda: snapshot(learner.learned(model))
    reporter = Reporter(callback, resume_state, take, learner.report_every)
    if resume_state is not None:
        resume_state.take_up(model, reporter, config.total_steps)
    left = config.total_steps - model.num_timesteps
    if left <= 0:
        return model
    try:  # None: no log of stable-baselines3's own
        return model.learn(left, reporter, log_interval=None, reset_num_timesteps=False)
    except (RuntimeError, ValueError) as error:
        _explain_divergence(model, error)
        raise
    except (KeyboardInterrupt, SystemExit):
        if resume_state is not None:
            resume_state.save()
        raise


def reward_scale(model: Any) -> float:
    """Return what the learner's rewards are multiplied with now: the unit of the critic."""
    return model.get_env().scale


def schedule(config: LearnerConfig) -> float | LinearSchedule:
    """Return the learning rate as stable-baselines3 takes it."""
    if config.anneal:
        return LinearSchedule(config.learning_rate, 0.0, 1.0)
    return config.learning_rate


def _learner_reward(env: VecEnv, config: LearnerConfig) -> LearnerReward:
    if isinstance(config, OnPolicyConfig) and config.normalize_reward:
        return NormalizedReward(env, config.gamma)
    return ScaledReward(env, config.reward_scale)


def _explain_divergence(model: Any, error: Exception) -> None:
    """Raise a `UserError` if the reason for `error` is weights that are no longer numbers."""
    if not all((p.abs() < _PLAUSIBLE).all() for p in model.policy.parameters()):
        raise UserError(
            f"training diverged before step {model.num_timesteps} (weights became NaN or huge): "
            f"lower learning_rate={model.lr_schedule(1.0):g} or max_grad_norm"
        ) from error


def _require_fit(env: VecEnv, config: LearnerConfig) -> None:
    if env.num_envs != config.num_envs:
        raise UserError(
            f"num_envs={config.num_envs} differs from the environment's {env.num_envs} slots: "
            "make the environment with as many slots as num_envs says"
        )
    require_encoder(config.encoder, env.observation_space)
