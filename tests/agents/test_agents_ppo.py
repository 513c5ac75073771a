"""Training on worlds small enough to know what must come out."""

import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from misgen.agents import PPOConfig
from misgen.agents.policy import PolicyAgent
from misgen.agents.ppo import train_ppo
from misgen.agents.rewards import ScaledReward
from misgen.agents.spec import PolicySpec
from misgen.envs.core.errors import UserError

N = 32
ACTIONS = 4
SMALL: dict[str, Any] = {"num_envs": N, "num_steps": 32, "batch_size": 256, "learning_rate": 3e-3}


class TinyWorld(VecEnv):
    """Base of the worlds here: 5x5 windows of 6 classes, a new random one after every step."""

    def __init__(self, n: int = N, seed: int = 0) -> None:
        self.render_mode = None
        self._rng = np.random.default_rng(seed)
        tiles = spaces.Box(0, 5, (5, 5), np.uint8)
        body = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        super().__init__(n, spaces.Dict({"tiles": tiles, "body": body}), spaces.Discrete(ACTIONS))

    def _look(self) -> dict[str, np.ndarray]:
        self.seen = {
            "tiles": self._rng.integers(0, 6, (self.num_envs, 5, 5)).astype(np.uint8),
            "body": self._rng.normal(size=(self.num_envs, 4)).astype(np.float32),
        }
        return self.seen

    def reset(self) -> Any:
        return self._look()

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def close(self) -> None: ...

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None: ...

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kw: Any) -> list[Any]:
        return []

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class Bandit(TinyWorld):
    """One decision an episode; the tile in the middle or the body's sign names the right action."""

    def __init__(self, cue: str = "tiles", **kw: Any) -> None:
        super().__init__(**kw)
        self._cue = cue

    def right_actions(self) -> np.ndarray:
        if self._cue == "tiles":
            return self.seen["tiles"][:, 2, 2] % ACTIONS
        return np.where(self.seen["body"][:, 0] > 0, 1, 3)

    def step_wait(self) -> Any:
        right = self._actions == self.right_actions()
        infos = [
            {
                "outcome": "GOAL" if r else "TIMEOUT",
                "reached_goal": bool(r),
                "return": 10.0 * r,
                "steps": 1,
            }
            for r in right
        ]
        rewards = np.where(right, 10, 0).astype(np.float32)
        return self._look(), rewards, np.ones(self.num_envs, bool), infos


class Salary(TinyWorld):
    """Pays 10 every step and ends after 5, by time-out or by termination; shows nothing."""

    def __init__(self, truncated: bool) -> None:
        super().__init__()
        self._truncated, self._age = truncated, 0

    def _look(self) -> dict[str, np.ndarray]:
        zero = {"tiles": np.zeros((N, 5, 5), np.uint8), "body": np.zeros((N, 4), np.float32)}
        self.seen = zero
        return zero

    def step_wait(self) -> Any:
        self._age = (self._age + 1) % 5
        done = np.full(N, self._age == 0)
        end = {
            "outcome": "TIMEOUT",
            "reached_goal": False,
            "return": 50.0,
            "steps": 5,
            "TimeLimit.truncated": self._truncated,
            "terminal_observation": {key: value[0] for key, value in self.seen.items()},
        }
        return self._look(), np.full(N, 10, np.float32), done, [end if d else {} for d in done]


def agent_of(env: VecEnv, config: PPOConfig, **kw: Any) -> PolicyAgent:
    model = train_ppo(env, config, kw.pop("seed", 0), **kw)
    spec = PolicySpec.of(config, env.observation_space, env.action_space)
    return PolicyAgent(model.policy, spec)  # pyright: ignore[reportArgumentType]


def weights(seed: int) -> dict[str, torch.Tensor]:
    config = PPOConfig(total_steps=2 * 32 * N, epochs=2, **SMALL)
    return train_ppo(Bandit(), config, seed).policy.state_dict()


@pytest.mark.parametrize(
    ("cue", "extra"),
    [
        ("tiles", {}),
        ("tiles", {"encoder": "cnn", "channels": [32], "hidden": [64], "activation": "relu"}),
        ("body", {"heads": [32], "anneal": True}),
    ],
)
def test_ppo_learns_a_contextual_bandit(cue, extra):
    config = PPOConfig(total_steps=60_000, gamma=0.0, **{**SMALL, **extra})
    agent = agent_of(Bandit(cue), config)
    fresh = Bandit(cue, n=2000, seed=1)
    p = agent.probabilities(fresh.reset())
    assert p[np.arange(2000), fresh.right_actions()].mean() > 0.95


@pytest.mark.parametrize("truncated", [True, False])
def test_a_constant_salary_is_valued_in_closed_form(truncated):
    # All decisions are worth the same: their advantages, standardised, would be rounding errors.
    config = PPOConfig(
        total_steps=60 * 32 * N,
        gamma=0.5,
        epochs=3,
        entropy=0.0,
        normalize_advantage=False,
        **SMALL,
    )
    env = Salary(truncated)
    value = agent_of(env, config).value(env.reset())[0]
    # A time-out is no end: worth 10 / (1 - gamma).  Else the mean over the 5 steps left to go.
    lasting = 10 / (1 - 0.5)
    ending = np.mean([lasting * (1 - 0.5**left) for left in range(1, 6)])
    assert value == pytest.approx(lasting if truncated else ending, rel=0.03)


def test_same_seed_same_weights_other_seed_other_weights():
    first, second, other = weights(0), weights(0), weights(1)
    for name in first:
        assert torch.equal(first[name], second[name]), name
    assert not any(torch.equal(first[name], other[name]) for name in first if "weight" in name)


def test_the_reward_s_scale_reaches_the_learner_and_no_report():
    records = []
    for scale in (1.0, 0.1):
        config = PPOConfig(total_steps=32 * N, reward_scale=scale, **SMALL)
        train_ppo(Bandit(), config, 0, records.append)
    plain, scaled = records
    assert plain["mean_return"] == scaled["mean_return"] == 10 * plain["success"]
    assert 0 < plain["success"] < 1
    assert scaled["train/value_loss"] < 0.1 * plain["train/value_loss"]


def test_scaled_reward_changes_rewards_alone():
    plain, scaled = Bandit(), ScaledReward(Bandit(), 0.1)
    plain.reset()
    scaled.reset()
    a, b = plain.step(np.zeros(N, np.int64)), scaled.step(np.zeros(N, np.int64))
    assert np.array_equal(a[0]["tiles"], b[0]["tiles"])  # pyright: ignore
    np.testing.assert_array_equal(b[1], a[1] * np.float32(0.1))
    assert b[1].dtype == np.float32
    assert a[3] == b[3]


def test_records_count_steps_and_episodes():
    records = []
    config = PPOConfig(total_steps=3 * 32 * N, **SMALL)
    train_ppo(Bandit(), config, 0, records.append)
    assert [r["steps"] for r in records] == [32 * N, 64 * N, 96 * N]
    assert [r["episodes"] for r in records] == [32 * N, 64 * N, 96 * N]
    last = records[-1]
    assert sum(last["outcomes"].values()) == 1000
    assert last["outcomes"]["GOAL"] == round(1000 * last["success"])
    assert last["mean_steps"] == 1
    assert all(math.isfinite(v) for k, v in last.items() if k not in ("outcomes",))


def test_a_callback_that_returns_false_ends_training():
    records = []

    def stop(record: dict[str, Any]) -> bool:
        records.append(record)
        return len(records) < 2

    train_ppo(Bandit(), PPOConfig(total_steps=50 * 32 * N, **SMALL), 0, stop)
    assert len(records) == 2


def test_no_finished_episode_is_no_error():
    class Endless(Bandit):
        def step_wait(self) -> Any:
            seen, rewards, done, _ = super().step_wait()
            return seen, rewards, ~done, [{}] * self.num_envs

    records = []
    train_ppo(Endless(), PPOConfig(total_steps=32 * N, **SMALL), 0, records.append)
    assert math.isnan(records[0]["success"])
    assert records[0]["outcomes"] == {}


def test_an_environment_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match="num_envs=256 differs from the environment's 8 slots"):
        train_ppo(Bandit(n=8), PPOConfig(), 0)
    env = Bandit()
    env.observation_space = spaces.Box(0, 255, (64, 64, 3), np.uint8)
    with pytest.raises(UserError, match="observation=grid"):
        train_ppo(env, PPOConfig(**SMALL), 0)


def test_diverging_training_says_so():
    class Hot(Bandit):
        def step_wait(self) -> Any:
            seen, rewards, done, infos = super().step_wait()
            return seen, rewards * np.float32(np.nan), done, infos

    with pytest.raises(UserError, match=r"training diverged.*learning_rate"):
        train_ppo(Hot(), PPOConfig(total_steps=64 * N, **SMALL), 0)


def test_tuning_a_process_sets_threads():
    # In a fresh process: Numba's threads start once, and torch's number changes as they do.
    code = """
import numba, torch
from misgen.agents.threads import tune_process

@numba.njit(parallel=True)
def add(x):
    for i in numba.prange(len(x)):
        x[i] += 1

tune_process(1)
import numpy; add(numpy.zeros(100))
print(numba.get_num_threads(), torch.get_num_threads())
tune_process(3)  # more than Numba was started with is no error
print(numba.get_num_threads(), torch.get_num_threads())
"""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    most = min(3, os.cpu_count() or 1)
    assert out.stdout.split() == ["1", "1", "2", str(most)]
