"""Pixels: frames/s of the native world beside the original's, and decisions/s of training.

Run as `python -m benchmarks only=pixels`; settings are those of `benchmarks`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import IdRange, LevelDistribution

if TYPE_CHECKING:
    from rich.table import Table

    from misgen.agents import PPOConfig

SLOTS = (64, 256)
_THREADS = 2
_WARM_UP = 300  # steps, until episodes end at different times
_TRAINED = {"num_envs": 16, "num_steps": 32, "batch_size": 128, "epochs": 3, "device": "cpu"}
_ROLLOUTS = 2  # a turn, of which the first is not counted


class Stepper(Protocol):
    """Environments that random actions are fed to."""

    def step(self, t: int) -> None:
        """Make a step in every environment."""
        ...


Maker = Callable[[int, int], Stepper]
"""Takes the number of environments and of threads."""


def measure_frames(makers: Mapping[str, Maker], seconds: float, repeats: int) -> list[dict]:
    """Return a row for each program and number of environments, measured in turns.

    Args:
        makers: the programs by name.
        seconds: length of a turn.
        repeats: turns of each.
    """
    rows = [
        {"program": name, "slots": slots, "threads": _THREADS, "rates": []}
        for slots in SLOTS
        for name in makers
    ]
    steppers = [makers[row["program"]](row["slots"], _THREADS) for row in rows]
    for stepper in steppers:
        for t in range(_WARM_UP):
            stepper.step(t)
    for _ in range(repeats):
        for row, stepper in zip(rows, steppers, strict=True):
            begin, t = time.perf_counter(), 0
            while time.perf_counter() - begin < seconds:
                stepper.step(t)
                t += 1
            row["rates"].append(row["slots"] * t / (time.perf_counter() - begin))
    for row in rows:
        row["frames_per_second"] = median(row["rates"])
    return rows


def frames_table(rows: list[dict]) -> Table:
    """Return a table of the programs side by side, each with its ratio to the original."""
    from rich.table import Table

    rates = {(row["program"], row["slots"]): row["frames_per_second"] for row in rows}
    names = list(dict.fromkeys(row["program"] for row in rows))
    table = Table(title=f"CoinRun hard, random actions, {_THREADS} threads: frames/s", min_width=78)
    for column in ("environments", *names):
        table.add_column(column, justify="right")
    for slots in SLOTS:
        stock = rates.get(("procgen", slots))
        cells = []
        for name in names:
            ratio = f" ({rates[name, slots] / stock:.1f}x)" if stock and name != "procgen" else ""
            cells.append(f"{rates[name, slots]:,.0f}{ratio}")
        table.add_row(str(slots), *cells)
    return table


def measure_training(repeats: int) -> tuple[list[dict[str, Any]], Table]:
    """Return decisions/s of training from pixels on one thread, ours and stable-baselines3's own.

    The programs take turns; all have the allocator set as our training processes have.

    Args:
        repeats: turns of each.
    """
    from rich.table import Table

    from misgen.agents import PPOConfig

    steps = _ROLLOUTS * _TRAINED["num_envs"] * _TRAINED["num_steps"]
    config = PPOConfig(total_steps=steps, encoder="nature", **_TRAINED)
    impala = dataclasses.replace(config, encoder="impala", hidden=[], channels=[])
    programs: dict[str, Callable[[], float]] = {
        "stable-baselines3 CnnPolicy": lambda: _train_stock(config),
        "misgen nature": lambda: _train_ours(config),
        "misgen impala": lambda: _train_ours(impala),
    }
    rates: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(repeats):
        for name, train in programs.items():
            rates[name].append(train())
    table = Table(title="PPO from 64x64 pixels, one CPU thread", min_width=78)
    for column in ("program", "decisions/s", "slowest", "fastest"):
        table.add_column(column, justify="right")
    for name, found in rates.items():
        table.add_row(name, *(f"{rate:,.0f}" for rate in (median(found), min(found), max(found))))
    rows = [
        {"program": name, "decisions_per_second": median(found), "rates": found}
        for name, found in rates.items()
    ]
    return rows, table


def _train_ours(config: PPOConfig) -> float:
    """Return decisions/s of the last rollout and update."""
    from misgen.agents.ppo import train_ppo

    rates: list[float] = []
    train_ppo(_env(config), config, 0, lambda record: rates.append(record["steps_per_second"]))
    return rates[-1]


def _train_stock(config: PPOConfig) -> float:
    """Return the same of stable-baselines3's own way with pictures: transposed, its CnnPolicy."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import VecExtractDictObs

    from misgen.agents.threads import tune_process

    class Clock(BaseCallback):
        """Notes when each rollout starts."""

        def __init__(self) -> None:
            super().__init__()
            self.starts: list[float] = []

        def _on_rollout_start(self) -> None:
            self.starts.append(time.perf_counter())

        def _on_step(self) -> bool:
            return True

    tune_process(1)
    clock = Clock()
    model = PPO(
        "CnnPolicy",
        VecExtractDictObs(_env(config), "rgb"),
        learning_rate=config.learning_rate,
        n_steps=config.num_steps,
        batch_size=config.batch_size,
        n_epochs=config.epochs,
        gamma=config.gamma,
        ent_coef=config.entropy,
        device="cpu",
        seed=0,
    )
    model.learn(config.total_steps, callback=clock)
    seconds = time.perf_counter() - clock.starts[-1]
    return config.num_envs * config.num_steps / seconds


def _env(config: PPOConfig) -> Any:
    from misgen.envs.core.sb3 import MisgenVecEnv

    world = CoinRun(observation="rgb")
    return MisgenVecEnv(LevelDistribution(world, ids=IdRange(0, 100_000)), config.num_envs)
