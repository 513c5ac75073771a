"""sbx's PPO on our world: its policy for vectors, which is shown tiles one-hot.

The hyperparameters and the widths of the layers are those that ours is given.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn  # pyright: ignore[reportMissingImports]
import jax  # pyright: ignore[reportMissingImports]
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from sbx import PPO  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from misgen.agents.ppo import ppo_arguments
from misgen.agents.rewards import ScaledReward
from misgen.envs.core.views.sb3 import MisgenVecEnv

from .judge import Run, learn
from .worker import Turn, serve

_ACTIVATIONS = {"relu": nn.relu, "tanh": nn.tanh}


class _OneHot(VecEnvWrapper):
    """Shows tiles one-hot, and the numbers after them: float32 [n, cells * classes + k]."""

    def __init__(self, env: VecEnv) -> None:
        tiles, body = (env.observation_space[key] for key in ("tiles", "body"))  # pyright: ignore
        self._rows = np.eye(int(tiles.high.max()) + 1, dtype=np.float32)
        width = tiles.low.size * len(self._rows) + body.shape[0]
        super().__init__(env, spaces.Box(-2.0, 2.0, (width,), np.float32))

    def shown(self, seen: Any) -> NDArray[np.float32]:
        """Return observations as rows."""
        planes = self._rows[seen["tiles"]].reshape(len(seen["tiles"]), -1)
        return np.concatenate([planes, seen["body"]], axis=1)

    def reset(self) -> Any:
        return self.shown(self.venv.reset())

    def step_wait(self) -> Any:
        seen, rewards, dones, infos = self.venv.step_wait()
        for slot in np.flatnonzero(dones):
            last = infos[slot]["terminal_observation"]
            alone = {key: values[None] for key, values in last.items()}
            infos[slot]["terminal_observation"] = self.shown(alone)[0]
        return self.shown(seen), rewards, dones, infos


class _Player:
    """Plays a policy of sbx."""

    name = "sbx"

    def __init__(self, model: Any) -> None:
        self._state, self._env = model.policy.actor_state, model.env

    def start(self, slots: NDArray[Any], levels: Any) -> None:
        """Do nothing: it has no memory."""

    def probabilities(self, observation: dict[str, NDArray[Any]], engine: Any) -> NDArray[Any]:
        """Return the probability of each action, float64 [n, actions]; rows are padded to 512."""
        rows = self._env.shown(observation)
        padded = np.zeros((-(-len(rows) // 512) * 512, rows.shape[1]), np.float32)
        padded[: len(rows)] = rows
        found = np.asarray(_probabilities(self._state, padded), np.float64)[: len(rows)]
        return found / found.sum(1, keepdims=True)


@jax.jit
def _probabilities(state: Any, rows: Any) -> Any:
    return state.apply_fn(state.params, rows).probs_parameter()


def learning(**settings: Any) -> Turn:
    """Return turns that train until the agent is good enough; see `judge.learn`."""
    return learn(_model, lambda run, model: _Player(model), **settings)


def _model(run: Run, seed: int) -> Any:
    agent: Any = run.agent
    env = ScaledReward(MisgenVecEnv(run.distribution, agent.num_envs, seed), agent.reward_scale)
    layers = {"net_arch": agent.hidden, "activation_fn": _ACTIVATIONS[agent.activation]}
    arguments = ppo_arguments(agent) | {"device": "auto"}
    made: Any = PPO
    return made("MlpPolicy", _OneHot(env), policy_kwargs=layers, seed=seed, **arguments)


if __name__ == "__main__":
    serve(learning=learning)
