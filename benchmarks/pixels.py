"""Decisions a second of training from pixels, beside stable-baselines3's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import IdRange, LevelDistribution

from .tables import Table, spread

if TYPE_CHECKING:
    from misgen.agents import PPOConfig

_TRAINED = {"num_envs": 16, "num_steps": 32, "batch_size": 128, "epochs": 3, "device": "cpu"}
_ROLLOUTS = 2  # a turn, of which the first is not counted


def measure(seconds: float, repeats: int) -> tuple[list[dict[str, Any]], list[Table]]:
    """Return decisions/s of training from pixels on one thread, ours and stable-baselines3's own.

    The programs take turns; all have the allocator set as our training processes have.

    Args:
        seconds: of no meaning here, as a turn is a rollout and its update.
        repeats: turns of each.
    """
    from misgen.agents import PPOConfig

    steps = _ROLLOUTS * _TRAINED["num_envs"] * _TRAINED["num_steps"]
    nature = PPOConfig(total_steps=steps, encoder="nature", **_TRAINED)
    impala = PPOConfig(total_steps=steps, encoder="impala", **_TRAINED)
    programs: dict[str, Callable[[], Rates]] = {
        "nature, stable-baselines3's CnnPolicy": lambda: _train_stock(nature),
        "nature, misgen": lambda: _train_ours(nature),
        "impala, in stable-baselines3's CnnPolicy": lambda: _train_stock(impala),
        "impala, misgen": lambda: _train_ours(impala),
    }
    found: dict[str, list[Rates]] = {name: [] for name in programs}
    for _ in range(repeats):
        for name, train in programs.items():
            found[name].append(train())
    table = Table(
        "Training from pixels: decisions",
        ["program", "a CPU second", "a second"],
        note="PPO, 64 x 64 pixels, one thread.",
    )
    for name, turns in found.items():
        wall, cpu = zip(*turns, strict=True)
        table.rows.append([name, spread(cpu), spread(wall)])
    rows = [{"program": name, "turns": list(turns)} for name, turns in found.items()]
    return rows, [table]


Rates = tuple[float, float]
"""Decisions a second, and a second of CPU time, of the last rollout and update."""


class Clock:
    """Seconds since it was made, on the wall and at work in all threads of the process."""

    def __init__(self) -> None:
        """Start."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Seconds since then."""
        return time.perf_counter() - self._wall

    @property
    def cpu_seconds(self) -> float:
        """Seconds of work since then."""
        return time.process_time() - self._cpu

    def rates(self, count: int) -> Rates:
        """Return how many of `count` things were done in a second of each."""
        return count / self.seconds, count / self.cpu_seconds


def _train_ours(config: PPOConfig) -> Rates:
    from misgen.agents.ppo import train_ppo

    clocks: list[Clock] = []  # one from each rollout's end
    rates: list[Rates] = []

    def note(record: dict[str, Any]) -> None:
        if clocks:
            rates.append(clocks[-1].rates(config.num_envs * config.num_steps))
        clocks.append(Clock())

    train_ppo(_env(config), config, 0, note)
    return rates[-1]


def _train_stock(config: PPOConfig) -> Rates:
    """Train in stable-baselines3's own way with pictures: turned round, and made floats by it."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import VecExtractDictObs

    from misgen.agents.threads import tune_process

    class Starts(BaseCallback):
        """Starts a clock with each rollout."""

        def _on_rollout_start(self) -> None:
            self.clock = Clock()

        def _on_step(self) -> bool:
            return True

    tune_process(1)
    starts = Starts()
    model = PPO(
        "CnnPolicy",
        VecExtractDictObs(_env(config), "rgb"),
        learning_rate=config.learning_rate,
        n_steps=config.num_steps,
        batch_size=config.batch_size,
        n_epochs=config.epochs,
        gamma=config.gamma,
        ent_coef=config.entropy,
        policy_kwargs=_plain_impala() if config.encoder == "impala" else None,
        device="cpu",
        seed=0,
    )
    model.learn(config.total_steps, callback=starts)
    return starts.clock.rates(config.num_envs * config.num_steps)


def _plain_impala() -> dict[str, Any]:
    """Return the arguments that put the IMPALA network into stable-baselines3's CnnPolicy."""
    import numpy as np
    from gymnasium import spaces
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from torch import Tensor

    from misgen.agents.vision import ImpalaEncoder

    class Plain(BaseFeaturesExtractor):
        """The same layers, on float pictures [n, 3, height, width]."""

        def __init__(self, observation_space: spaces.Box) -> None:
            super().__init__(observation_space, 256)
            shape = observation_space.shape[1:] + observation_space.shape[:1]
            space = spaces.Dict({"rgb": spaces.Box(0, 255, shape, np.uint8)})
            self.network = ImpalaEncoder(space, [256], [16, 32, 32])

        def forward(self, pictures: Tensor) -> Tensor:
            return self.network.dense(self.network.convolutions(pictures).flatten(1))

    return {"features_extractor_class": Plain, "net_arch": []}


def _env(config: PPOConfig) -> Any:
    from misgen.envs.core.views.sb3 import MisgenVecEnv

    world = CoinRun(observation="rgb")
    return MisgenVecEnv(LevelDistribution(world, ids=IdRange(0, 100_000)), config.num_envs)
