"""The reward that the learner sees: scaled, or normalised.

Public names: `ScaledReward`, `NormalizedReward`, `LearnerReward`.

Infos, and therefore all reported returns, keep the world's own reward.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper


class LearnerReward(VecEnvWrapper):
    """Base of the two: `learner_reward` is what changes."""

    scale: float
    """What a reward paid now is multiplied with: the unit of the critic's values."""

    def learner_reward(
        self, reward: NDArray[np.float32], done: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return what the learner sees of the rewards paid, [n] each."""
        raise NotImplementedError

    def reset(self) -> Any:
        """Start new episodes in all slots."""
        return self.venv.reset()

    def step_wait(self) -> Any:
        """Return observations, the learner's rewards (float32 [n]), ends and infos."""
        observation, reward, done, infos = self.venv.step_wait()
        return observation, self.learner_reward(reward, done), done, infos


class ScaledReward(LearnerReward):
    """Multiplies the reward with a constant."""

    def __init__(self, venv: VecEnv, scale: float) -> None:
        super().__init__(venv)
        self.scale = scale

    def learner_reward(
        self, reward: NDArray[np.float32], done: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return the scaled rewards."""
        return reward * np.float32(self.scale)


class NormalizedReward(LearnerReward):
    """Divides the reward by the standard deviation of its discounted sum, and clips it.

    As in the paper's training, OpenAI baselines and stable-baselines3's `VecNormalize`: each slot's
    sum goes from its episode's start to now, and the deviation is that of all sums so far.
    """

    CLIP = 10.0
    _EPSILON = 1e-8

    def __init__(self, venv: VecEnv, gamma: float) -> None:
        super().__init__(venv)
        self.moments = RunningMeanStd(shape=())
        self._gamma = gamma
        self.sums = np.zeros(venv.num_envs)
        """The discounted sum of each slot's running episode."""

    @property
    def scale(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What a reward paid now is multiplied with."""
        return float(1 / np.sqrt(self.moments.var + self._EPSILON))

    def learner_reward(
        self, reward: NDArray[np.float32], done: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return the normalised rewards, after they were taken into account."""
        self.sums = self.sums * self._gamma + reward
        self.moments.update(self.sums)
        self.sums[done] = 0
        return np.clip(reward * self.scale, -self.CLIP, self.CLIP).astype(np.float32)

    def reset(self) -> Any:
        """Start new episodes in all slots; what is known of the rewards stays."""
        self.sums[:] = 0
        return super().reset()
