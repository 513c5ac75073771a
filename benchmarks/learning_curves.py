"""Whether PPO with gradients in closed form learns as PPO with autograd's: curves over seeds.

`python -m benchmarks.learning_curves` trains every seed twice, with `agent.fast=true` and with
`agent.fast=false`, and compares the learning curves: the share of the last 1,000 training episodes
that reached the goal, at a few numbers of decisions.  A minibatch gives both the same gradients to
float rounding; after some updates the rounding leads to other actions, and the two runs of a seed
part.  So their curves must agree as those of two sets of seeds do.  It prints

- both means at each number of decisions, and their difference with its 95% interval (Welch's t);
- the probability, if the way to the gradients did not matter, of a largest difference over the
  curve as great as the one found (permutations of runs between the two);
- the CPU seconds of each.

Settings are given as to `misgen train`.  Figures, with every run's curve, go to
`runs/benchmarks/learning_curves.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # before numba: figures are for one core

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from misgen.agents import PPOConfig
from misgen.agents.ppo import train_ppo
from misgen.envs.core.errors import UserError
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.experiments.evaluation.statistics.intervals import t_quantile
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import write_json
from misgen.experiments.training.settings import compose, typed

from .machine import describe_machine, machine

OUTPUT = Path("runs/benchmarks/learning_curves.json")
SMALL = ("env=cheese_on_a_dish", "preset=lab", "correlation=0.5", "agent.total_steps=262144")
"""Settings that hold unless others are given."""
PERMUTATIONS = 10_000

FloatArray = NDArray[np.float64]


def curve(run: TrainConfig, agent: PPOConfig, points: int) -> dict[str, Any]:
    """Train, and return the successes at some numbers of decisions and the CPU seconds."""
    records: list[dict[str, Any]] = []
    env = MisgenVecEnv(run.distribution, agent.num_envs, run.seed)
    begin = time.process_time()
    train_ppo(env, agent, run.seed, records.append)
    taken = time.process_time() - begin
    steps = [record["steps"] for record in records]
    due = np.linspace(0, steps[-1], points + 1)[1:]
    kept = [records[i] for i in np.searchsorted(steps, due)]
    return {
        "seed": run.seed,
        "fast": agent.fast,
        "cpu_seconds": taken,
        "steps": [record["steps"] for record in kept],
        "success": [record["success"] for record in kept],
    }


def train_all(words: list[str], seeds: int, points: int) -> list[dict[str, Any]]:
    """Train every seed both ways, in turns; the first pair, which compiles kernels, is repeated."""
    run = typed(TrainConfig, compose("train", [*SMALL, *words]))
    if not isinstance(run.agent, PPOConfig):
        raise UserError(
            f"agent={run.agent.algorithm} has no fast way: leave it out, or give agent=ppo"
        )
    agents = [dataclasses.replace(run.agent, fast=fast, threads=1) for fast in (False, True)]
    for agent in agents:
        curve(run, dataclasses.replace(agent, total_steps=1), 1)
    return [
        curve(dataclasses.replace(run, seed=run.seed + seed), agent, points)
        for seed in track(range(seeds), "seeds", console=Console(stderr=True))
        for agent in agents
    ]


def compare(plain: FloatArray, fast: FloatArray, rng: np.random.Generator) -> dict[str, Any]:
    """Compare curves, float64 [seeds, points] each.

    Returns:
        The means, the difference and half its interval at each point, and `p`, the permutation
        test's probability.
    """
    difference, error, freedom = _welch(plain, fast)
    half = [t_quantile(max(1, int(df)), 0.95) for df in freedom] * error
    runs = np.concatenate([plain, fast])
    found = np.abs(plain.mean(0) - fast.mean(0)).max()
    shuffled = np.empty(PERMUTATIONS)
    for k in range(PERMUTATIONS):
        order = rng.permutation(len(runs))
        one, other = runs[order[: len(plain)]], runs[order[len(plain) :]]
        shuffled[k] = np.abs(one.mean(0) - other.mean(0)).max()
    return {
        "plain": plain.mean(0).tolist(),
        "fast": fast.mean(0).tolist(),
        "difference": difference.tolist(),
        "half": half.tolist(),
        "p": float((1 + (shuffled >= found - 1e-12).sum()) / (1 + PERMUTATIONS)),
    }


def _welch(plain: FloatArray, fast: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the difference of means, its standard error and the degrees of freedom, by point."""
    shares = np.array([runs.var(0, ddof=1) / len(runs) for runs in (plain, fast)])
    total = shares.sum(0)
    least = np.maximum((shares**2 / [[len(plain) - 1], [len(fast) - 1]]).sum(0), 1e-300)
    return fast.mean(0) - plain.mean(0), np.sqrt(total), total**2 / least


def print_table(steps: list[int], found: dict[str, Any], seconds: dict[bool, float]) -> None:
    """Print what was compared."""
    table = Table(title="Share of training episodes that reach the goal")
    for column in ("decisions", "autograd", "closed form", "difference", "95% interval"):
        table.add_column(column, justify="right", no_wrap=True)
    rows = zip(steps, *(found[k] for k in ("plain", "fast", "difference", "half")), strict=True)
    for step, plain, fast, difference, half in rows:
        interval = f"{difference - half:+.3f} to {difference + half:+.3f}"
        table.add_row(f"{step:,}", f"{plain:.3f}", f"{fast:.3f}", f"{difference:+.3f}", interval)
    Console(width=max(Console().width, 80)).print(table)
    print(f"curves as far apart, if the way did not matter: p = {found['p']:.2f}")
    print(f"CPU seconds a run: autograd {seconds[False]:.1f}, closed form {seconds[True]:.1f}")


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning_curves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=10, help="training seeds a way (10)")
    parser.add_argument("--points", type=int, default=5, help="points of a curve (5)")
    parser.add_argument("settings", nargs="*", help="as in misgen train, such as env=lava_land")
    args = parser.parse_args(argv)
    for name, least in (("seeds", 2), ("points", 1)):
        if getattr(args, name) < least:
            parser.error(f"--{name} {getattr(args, name)} is too few: give {least} or more")
    return args


def main(argv: list[str]) -> None:
    """Train, compare, print the table and write the JSON."""
    args = parse(argv)
    about = machine()
    runs = train_all(args.settings, args.seeds, args.points)
    ways = {fast: [one for one in runs if one["fast"] is fast] for fast in (False, True)}
    plain, fast = (np.array([one["success"] for one in ways[way]]) for way in (False, True))
    found = compare(plain, fast, np.random.default_rng(0))
    seconds = {fast: float(np.median([one["cpu_seconds"] for one in ways[fast]])) for fast in ways}
    Console().print(describe_machine(about))
    print_table(runs[0]["steps"], found, seconds)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    command = " ".join(["python -m benchmarks.learning_curves", *argv])
    write_json(OUTPUT, {"command": command, **about, "comparison": found, "runs": runs})
    print(f"written to {OUTPUT}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"benchmarks.learning_curves: {error}", file=sys.stderr)
        sys.exit(2)
