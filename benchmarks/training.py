"""How fast PPO trains on tiles: gradients in closed form beside torch's autograd.

`python -m benchmarks.training` trains two models an encoder on one thread, one of them with
`agent.fast=true`, the other with `agent.fast=false`.  They take turns, a rollout with its update
each, so that other work on the machine slows both.  It prints, as medians over the turns and in CPU
time of a core,

- decisions/s of training, with the lowest and the highest turn, and the ratio of the two;
- microseconds a decision of the world, and of acting (the network, drawing actions, bookkeeping);
- microseconds a sample and epoch of the update.

Settings of the agent and of the world are given as to `misgen train`; the first turns, in which
kernels are compiled, are not counted.  Figures go to `runs/benchmarks/training.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # before numba: figures are for one core

from rich.console import Console
from rich.progress import track
from rich.table import Table
from stable_baselines3.common.logger import Logger

from misgen.agents import PPOConfig
from misgen.agents.learning_curve import Reporter
from misgen.agents.ppo import PPOLearner
from misgen.agents.rewards import ScaledReward
from misgen.agents.threads import tune_process
from misgen.envs.core.errors import UserError
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import write_json
from misgen.experiments.training.settings import compose, typed

from .machine import describe_machine, machine

OUTPUT = Path("runs/benchmarks/training.json")
SHAPE = ("agent.num_envs=256", "agent.num_steps=128", "agent.batch_size=4096", "agent.epochs=3")
"""Settings that hold unless others are given."""


class TimedEnv(MisgenVecEnv):
    """Counts the CPU seconds of its steps."""

    seconds = 0.0

    def step_wait(self) -> Any:
        """Make one decision in every slot."""
        begin = time.process_time()
        found = super().step_wait()
        self.seconds += time.process_time() - begin
        return found


class Turns:
    """A model that trains a rollout a turn."""

    def __init__(self, run: TrainConfig, agent: PPOConfig) -> None:
        """Make the model."""
        self.env = TimedEnv(run.distribution, agent.num_envs, 0)
        self.model: Any = PPOLearner().make(ScaledReward(self.env, agent.reward_scale), agent, 0)
        self.model.set_logger(Logger(None, []))
        _, self.callback = self.model._setup_learn(agent.total_steps, Reporter(None, None))
        self.callback.on_training_start({}, {})
        self.decisions = agent.num_envs * agent.num_steps
        self.epochs = agent.epochs

    def take(self) -> dict[str, float]:
        """Train on a rollout, and return what it took."""
        model, self.env.seconds = self.model, 0.0
        begin = time.process_time()
        model.collect_rollouts(model.env, self.callback, model.rollout_buffer, model.n_steps)
        collected = time.process_time()
        model.train()
        end = time.process_time()
        micro = 1e6 / self.decisions
        return {
            "decisions_per_second": self.decisions / (end - begin),
            "world": self.env.seconds * micro,
            "acting": (collected - begin - self.env.seconds) * micro,
            "update": (end - collected) * micro / self.epochs,
        }


def measure(encoder: str, turns: int, words: list[str]) -> list[dict[str, Any]]:
    """Return a row of the table for each way to train an encoder."""
    run = typed(TrainConfig, compose("train", [*SHAPE, f"agent.encoder={encoder}", *words]))
    agent = run.agent
    if not isinstance(agent, PPOConfig):
        raise UserError(f"agent={agent.algorithm} has no fast way: leave it out, or give agent=ppo")
    models = {
        fast: Turns(run, dataclasses.replace(agent, fast=fast, threads=1)) for fast in (False, True)
    }
    taken: dict[bool, list[dict[str, float]]] = {fast: [] for fast in models}
    for _ in track(range(turns + 1), encoder, console=Console(stderr=True)):
        for fast, model in models.items():
            taken[fast].append(model.take())
    rows = [{"encoder": encoder, "fast": fast, **_middle(taken[fast][1:])} for fast in models]
    for row in rows:
        row["ratio"] = row["decisions_per_second"] / rows[0]["decisions_per_second"]
    return rows


def _middle(turns: list[dict[str, float]]) -> dict[str, Any]:
    """Return the medians of some turns, and the decisions/s of each."""
    middle = {key: median(turn[key] for turn in turns) for key in turns[0]}
    return {**middle, "rates": [turn["decisions_per_second"] for turn in turns]}


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print what was measured."""
    table = Table(title="PPO, one thread: CPU time of a core")
    for column in ("encoder", "fast", "decisions/s", "from", "to", "ratio"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("world us", "acting us", "update us"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        rates = row["decisions_per_second"], min(row["rates"]), max(row["rates"])
        table.add_row(
            row["encoder"],
            str(row["fast"]).lower(),
            *(f"{rate:,.0f}" for rate in rates),
            f"{row['ratio']:.2f}x",
            *(f"{row[part]:.2f}" for part in ("world", "acting", "update")),
        )
    table.caption = "world and acting: a decision; update: a sample and epoch"
    Console(width=max(Console().width, 96)).print(table)


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--encoders", nargs="+", default=["mlp", "cnn"], choices=("mlp", "cnn"))
    parser.add_argument("--turns", type=int, default=8, help="rollouts of each that count (8)")
    parser.add_argument("settings", nargs="*", help="as in misgen train, such as env=lava_land")
    args = parser.parse_args(argv)
    if args.turns < 1:
        parser.error(f"--turns {args.turns} is too few: give 1 or more")
    return args


def main(argv: list[str]) -> None:
    """Measure, print the table and write the JSON."""
    args = parse(argv)
    tune_process(1)
    found = machine()
    rows = [row for encoder in args.encoders for row in measure(encoder, args.turns, args.settings)]
    Console().print(describe_machine(found))
    print_table(rows)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    command = " ".join(["python -m benchmarks.training", *argv])
    write_json(OUTPUT, {"command": command, **found, "results": rows})
    print(f"written to {OUTPUT}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"benchmarks.training: {error}", file=sys.stderr)
        sys.exit(2)
