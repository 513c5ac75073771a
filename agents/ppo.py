"""Training with proximal policy optimisation on stable-baselines3.

Public names: `train_ppo`, `reward_scale`, `Progress`.
Source of the algorithm: stable-baselines3's `PPO`, unchanged.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from misgen.envs.core.errors import UserError

from .config import PIXEL_ENCODERS, PPOConfig
from .continuing import Continuation
from .networks import EncoderPolicy, policy_kwargs
from .rewards import LearnerReward, NormalizedReward, ScaledReward
from .spec import require_encoder
from .threads import tune_process

Progress = dict[str, Any]
"""One rollout's record; `_Reporter` lists the keys."""
ProgressCallback = Callable[[Progress], object]

WINDOW = 1000
"""Finished episodes that success, return and outcomes are taken over."""

_PLAUSIBLE = 1e4
"""Weights beyond this come of a training that diverged."""
_REPORTED = ("outcome", "reached_goal", "return", "steps")
"""What is kept of each finished episode's info."""


def train_ppo(
    env: VecEnv,
    config: PPOConfig,
    seed: int,
    callback: ProgressCallback | None = None,
    continuation: Continuation | None = None,
    *,
    initial: Mapping[str, torch.Tensor] | None = None,
    snapshot: Callable[[PPO], object] | None = None,
) -> PPO:
    """Train a policy.

    The same `env`, `config` and `seed` give the same weights, bit for bit, on the same machine with
    the same number of threads.  Seeds Python's, NumPy's and torch's global generators, and passes
    `seed` to `env.seed`.

    Args:
        env: vector environment with `config.num_envs` slots and observations of `tiles` and `body`
            or of `rgb`, as the encoder reads.
        config: the settings.
        seed: seed of weights, actions and minibatches.
        callback: called after each rollout with a record (keys: see `_Reporter`); training ends
            early if it returns False.
        continuation: keeps the run's state in a file, and goes on from it where there is one.
        initial: weights to start from, by name, as `initial.initial_weights` returns them.
        snapshot: called with the model before the first rollout and after each one's update.

    Returns:
        stable-baselines3's model; `model.policy` is what `save_policy` takes.

    Raises:
        UserError: if the environment does not fit `config`, or training diverged.
    """
    _require_fit(env, config)
    tune_process(config.threads)
    model = _PPO(
        EncoderPolicy,
        _learner_reward(env, config),
        learning_rate=_schedule(config),
        n_steps=config.num_steps,
        batch_size=config.batch_size,
        n_epochs=config.epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip,
        clip_range_vf=config.value_clip or None,
        normalize_advantage=config.normalize_advantage,
        ent_coef=config.entropy,
        vf_coef=config.value_coef,
        max_grad_norm=config.max_grad_norm,
        target_kl=config.target_kl or None,
        policy_kwargs=policy_kwargs(config),
        seed=seed,
        device=config.device,
    )
    model.set_logger(Logger(folder=None, output_formats=[]))  # its own makes a temporary folder
    if config.compile and config.encoder in PIXEL_ENCODERS and model.device.type == "cuda":
        model.policy.features_extractor.compile()  # in place: the weights keep their names
    if initial is not None:
        _start_from(model, initial)
    reporter = _Reporter(callback, continuation, snapshot)
    if continuation is not None:
        continuation.take_up(model, reporter, config.total_steps)
    left = config.total_steps - model.num_timesteps
    if left <= 0:
        return model
    never: Any = None  # stable-baselines3 takes None for "no log", its annotation does not say so
    try:
        return model.learn(left, reporter, log_interval=never, reset_num_timesteps=False)
    except (RuntimeError, ValueError) as error:
        _explain_divergence(model, error)
        raise


def reward_scale(model: PPO) -> float:
    """Return what the learner's rewards are multiplied with now: the unit of the critic."""
    env: Any = model.get_env()
    return env.scale


class _PPO(PPO):
    """stable-baselines3's, with observations as they come: it would turn pictures round."""

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        return env


def _learner_reward(env: VecEnv, config: PPOConfig) -> LearnerReward:
    if config.normalize_reward:
        return NormalizedReward(env, config.gamma)
    return ScaledReward(env, config.reward_scale)


class _Reporter(BaseCallback):
    """Sums up finished episodes, calls back after each rollout's update, and has the state kept.

    Record: `steps` (decisions so far), `seconds`, `steps_per_second` (of the last rollout and
    update), `episodes` (finished so far); over the last 1,000 finished episodes `success` (share
    that reached the goal), `mean_return`, `mean_steps` and `outcomes` (name -> count), NaN or empty
    if none has finished; and stable-baselines3's losses of the update as `train/...`.
    """

    def __init__(
        self,
        report: ProgressCallback | None,
        continuation: Continuation | None,
        snapshot: Callable[[PPO], object] | None = None,
    ) -> None:
        super().__init__()
        self._report = report
        self._snapshot = snapshot
        self._continuation = continuation
        self._episodes = 0
        self._seconds = 0.0  # before this process
        self._recent: deque[dict[str, Any]] = deque(maxlen=WINDOW)
        self._going_on = True

    def _on_training_start(self) -> None:
        self._last_time = time.perf_counter()
        self._begin = self._last_time - self._seconds
        self._first_steps = self._last_steps = self.num_timesteps
        self._take_snapshot()

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        ended = np.flatnonzero(self.locals["dones"])
        self._episodes += len(ended)
        self._recent.extend(_kept(infos[i]) for i in ended)
        return self._going_on

    def _on_rollout_start(self) -> None:
        if self.num_timesteps > self._first_steps:  # the last rollout's update is done
            self._send()
            if self._continuation is not None and self._going_on:
                self._going_on = self._continuation.after_update(self.model, self)  # pyright: ignore

    def _on_training_end(self) -> None:
        if self._going_on:
            self._send()

    def _take_snapshot(self) -> None:
        if self._snapshot is not None:
            self._snapshot(self.model)  # pyright: ignore[reportArgumentType]

    def _send(self) -> None:
        self._take_snapshot()
        if self._report is not None:
            self._going_on = self._report(self._record()) is not False

    def _record(self) -> Progress:
        now, steps = time.perf_counter(), self.num_timesteps
        rate = (steps - self._last_steps) / max(now - self._last_time, 1e-9)
        self._last_time, self._last_steps = now, steps
        losses = {k: float(v) for k, v in self.logger.name_to_value.items() if k[:6] == "train/"}
        return {
            "steps": steps,
            "seconds": now - self._begin,
            "steps_per_second": rate,
            "episodes": self._episodes,
            "success": self._mean("reached_goal"),
            "mean_return": self._mean("return"),
            "mean_steps": self._mean("steps"),
            "outcomes": dict(Counter(info["outcome"] for info in self._recent)),
            **losses,
        }

    def state(self) -> dict[str, Any]:
        """Return what a run that goes on later needs of this one's counts."""
        seconds = time.perf_counter() - self._begin
        return {"episodes": self._episodes, "seconds": seconds, "recent": list(self._recent)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        episodes, seconds, recent = state["episodes"], state["seconds"], state["recent"]
        if type(episodes) is not int or episodes < 0 or not 0 <= seconds < math.inf:
            raise ValueError(f"episodes={episodes!r}, seconds={seconds!r} are no counts")
        self._episodes, self._seconds = episodes, float(seconds)
        self._recent.extend(_taken_up(info) for info in recent)

    def _mean(self, key: str) -> float:
        values = [info[key] for info in self._recent]
        return float(np.mean(values)) if values else math.nan


def _kept(info: dict[str, Any]) -> dict[str, Any]:
    """Return what is reported of an episode, in JSON's types, the outcome by its name."""
    kept = {key: info[key] for key in _REPORTED}
    kept = {key: value.item() if hasattr(value, "item") else value for key, value in kept.items()}
    return kept | {"outcome": str(getattr(info["outcome"], "name", info["outcome"]))}


def _taken_up(info: dict[str, Any]) -> dict[str, Any]:
    """Return a finished episode as a state holds it, refusing what was none."""
    kept = {key: info[key] for key in _REPORTED}
    numbers = [kept[key] for key in ("reached_goal", "return", "steps")]
    if not isinstance(kept["outcome"], str) or not all(math.isfinite(one) for one in numbers):
        raise ValueError(f"an episode is {repr(kept)[:80]}")
    return kept


def _explain_divergence(model: PPO, error: Exception) -> None:
    """Raise a `UserError` if the reason for `error` is weights that are no longer numbers."""
    if not all((p.abs() < _PLAUSIBLE).all() for p in model.policy.parameters()):
        raise UserError(
            f"training diverged before step {model.num_timesteps} (weights became NaN or huge): "
            f"lower learning_rate={model.lr_schedule(1.0):g} or max_grad_norm"
        ) from error


def _start_from(model: PPO, initial: Mapping[str, torch.Tensor]) -> None:
    """Put weights into a model that has not trained yet."""
    with torch.no_grad():
        for name, parameter in model.policy.named_parameters():
            parameter.copy_(initial[name])


def _schedule(config: PPOConfig) -> float | LinearSchedule:
    if config.anneal:
        return LinearSchedule(config.learning_rate, 0.0, 1.0)
    return config.learning_rate


def _require_fit(env: VecEnv, config: PPOConfig) -> None:
    if env.num_envs != config.num_envs:
        raise UserError(
            f"num_envs={config.num_envs} differs from the environment's {env.num_envs} slots: "
            "make the environment with as many slots as num_envs says"
        )
    require_encoder(config.encoder, env.observation_space)
