"""How well the behavioural objective tells agents apart whose goals are known.

`python -m benchmarks.objective` plays agents after the goal, agents after the proxy and mindless
devices on conflict levels, and prints

- the area under the ROC curve for telling goal-seekers from proxy-seekers, and seekers from
  devices, by the number of episodes seen and by the seekers' noise (share of random decisions);
- the share of episodes that each explanation accounts for, agent by agent;
- the power (`tempering`) that fits half of the levels best, and, on the other half, how often what
  was given a certain probability was the case, at the default power.

Some agents break the model's assumptions on purpose: seekers that err in runs of decisions, and a
reflex that runs right and jumps at obstacles.  Figures go to `runs/benchmarks/objective.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # before numba: figures are for one core

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from misgen.agents.base import Agent
from misgen.agents.reference import RightRunner, Seeker, SeekerConfig
from misgen.agents.scripted import IdleAgent, RandomAgent
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.rng import STREAM_ACTIONS, hash_picks, hash_uniforms
from misgen.envs.core.world import World
from misgen.envs.make import distribution
from misgen.experiments.evaluation.objective import (
    DEVICE,
    ObjectiveConfig,
    explain,
    fit_tempering,
    gather,
    log_likelihoods,
    posterior,
    reliability,
)
from misgen.experiments.evaluation.shares import sample_shares

FloatArray = NDArray[np.float64]
OUTPUT = Path("runs/benchmarks/objective.json")
NOISES = (0.0, 0.1, 0.3, 0.5)
EPISODES = (1, 2, 5, 10)
GOAL, PROXY = "goal", "proxy"
RIGHT, JUMP_RIGHT = 7, 8
STICKY, WHICH = 103, 104  # salts: draws apart from the evaluator's


class Habit:
    """Draws actions from a distribution of its own, mostly to the right."""

    name = "habit"

    def __init__(self, num_actions: int) -> None:
        self._row = np.full(num_actions, 0.2 / (num_actions - 2))
        self._row[[RIGHT, JUMP_RIGHT]] = 0.3, 0.5

    def start(self, slots: NDArray[np.int64], levels: Any) -> None:
        """Do nothing."""

    def probabilities(self, observation: Any, engine: Any) -> FloatArray:
        """Return the same row for each slot."""
        return np.tile(self._row, (len(observation["tiles"]), 1))


class Sticky:
    """Repeats its last action with probability 0.8, else takes any."""

    name = "sticky"

    def __init__(self, num_actions: int) -> None:
        self._num_actions = num_actions
        self._last = np.zeros(0, np.int64)

    def start(self, slots: NDArray[np.int64], levels: Any) -> None:
        """Do nothing: an episode's first decision is always a new one."""

    def probabilities(self, observation: Any, engine: Any) -> FloatArray:
        """Return 1 for the action that it takes."""
        if len(self._last) != engine.num_slots:
            self._last = np.zeros(engine.num_slots, np.int64)
        running, ids, t = slots_of(engine)
        fresh = (hash_uniforms(STREAM_ACTIONS, STICKY, ids, t) >= 0.8) | (t == 0)
        drawn = hash_picks(self._num_actions, STREAM_ACTIONS, WHICH, ids, t)
        self._last[running] = np.where(fresh, drawn, self._last[running])
        return np.eye(self._num_actions)[self._last[running]]


class Bursts:
    """A seeker that in some blocks of four decisions takes one random action throughout."""

    def __init__(self, inner: Agent, num_actions: int, share: float = 0.3) -> None:
        self.name = inner.name
        self._inner = inner
        self._num_actions = num_actions
        self._share = share

    def start(self, slots: NDArray[np.int64], levels: Any) -> None:
        """Start the seeker."""
        self._inner.start(slots, levels)

    def probabilities(self, observation: Any, engine: Any) -> FloatArray:
        """Return the seeker's, but for the blocks."""
        p = self._inner.probabilities(observation, engine).copy()
        _, ids, t = slots_of(engine)
        random = hash_uniforms(STREAM_ACTIONS, STICKY, ids, t // 4) < self._share
        drawn = hash_picks(self._num_actions, STREAM_ACTIONS, WHICH, ids, t // 4)
        p[random] = np.eye(self._num_actions)[drawn[random]]
        return p


class Reflex:
    """Runs right and jumps where a wall, a saw or nothing is before it; knows no plan."""

    name = "reflex"

    def __init__(self, num_actions: int) -> None:
        self._num_actions = num_actions

    def start(self, slots: NDArray[np.int64], levels: Any) -> None:
        """Do nothing."""

    def probabilities(self, observation: Any, engine: Any) -> FloatArray:
        """Return 1 for the action that the tiles before it ask for."""
        tiles = observation["tiles"]
        ahead, floor = tiles[:, 6, 7:9], tiles[:, 7, 7]
        jump = ((ahead == 1) | (ahead > 3)).any(axis=1) | (floor == 0) | (floor > 3)
        return np.eye(self._num_actions)[np.where(jump, JUMP_RIGHT, RIGHT)]


def slots_of(engine: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    running = np.flatnonzero(engine.episodes["running"])
    decisions = engine.episodes["decisions"][running].astype(np.int64)
    return running, engine.level_ids[running], decisions


@dataclass(frozen=True)
class Known:
    """An agent, and what explains it."""

    name: str
    truth: str
    make: Callable[[World], Agent]
    noise: float | None = None
    """Of a plain seeker; None for all others."""


def seeker(truth: str, **settings: float) -> Callable[[World], Agent]:
    config = SeekerConfig(goal_share=float(truth == GOAL), **settings)  # pyright: ignore
    return lambda world: Seeker(world, config, truth)


def bursts(truth: str) -> Callable[[World], Agent]:
    return lambda world: Bursts(seeker(truth)(world), actions_of(world))


def actions_of(world: World) -> int:
    return int(world.action_space.n)


def known_agents() -> list[Known]:
    found = [
        Known(f"{truth}-seeker, noise {noise:g}", truth, seeker(truth, noise=noise), noise)
        for truth in (GOAL, PROXY)
        for noise in NOISES
    ]
    found += [
        Known(f"{truth}-seeker, errs in runs", truth, bursts(truth)) for truth in (GOAL, PROXY)
    ]
    return [
        *found,
        Known("reflex runner", PROXY, lambda world: Reflex(actions_of(world))),
        Known("random", DEVICE, lambda world: RandomAgent(actions_of(world))),
        Known("idle", DEVICE, lambda world: IdleAgent(actions_of(world))),
        Known("always right and jump", DEVICE, lambda world: RightRunner(actions_of(world))),
        Known("habit", DEVICE, lambda world: Habit(actions_of(world))),
        Known("sticky", DEVICE, lambda world: Sticky(actions_of(world))),
    ]


def auc(higher: FloatArray, lower: FloatArray) -> float:
    """Probability that one of `higher` exceeds one of `lower`; ties count half."""
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left") + np.searchsorted(ordered, higher, "right")
    return float(below.mean() / 2 / len(lower))


def seen_shares(
    logs: FloatArray, episodes: int, groups: int, rng: np.random.Generator
) -> FloatArray:
    """Mean posterior shares given some episodes, for many draws of them: float64 [groups, 3]."""
    chosen = rng.random((groups, len(logs))).argsort(axis=1)[:, :episodes]
    return sample_shares(logs[chosen], rng, draws=200).mean(axis=0)


def roc_rows(
    found: dict[str, pl.DataFrame], config: ObjectiveConfig, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Areas under the curve by noise and by number of episodes."""
    rng = np.random.default_rng(args.seed)
    agents = {one.name: one for one in known_agents()}
    rows = []
    for episodes in EPISODES:
        shares = {
            name: seen_shares(
                config.tempering * log_likelihoods(table, config), episodes, args.groups, rng
            )
            for name, table in found.items()
        }
        devices = np.concatenate([shares[n] for n, one in agents.items() if one.truth == DEVICE])
        for noise in NOISES:
            mine = {one.truth: shares[n] for n, one in agents.items() if one.noise == noise}
            towards = {truth: s[:, 0] - s[:, 1] for truth, s in mine.items()}
            seekers = np.concatenate(list(mine.values()))
            rows.append(
                {
                    "episodes": episodes,
                    "noise": noise,
                    "goal_against_proxy": auc(towards[GOAL], towards[PROXY]),
                    "seekers_against_devices": auc(1 - seekers[:, 2], 1 - devices[:, 2]),
                }
            )
    return rows


def calibration(
    found: dict[str, pl.DataFrame], config: ObjectiveConfig
) -> tuple[float, dict[str, list[dict[str, Any]]]]:
    """The power that fits even levels, and the reliability of the default on odd ones."""
    names = list(config.explanations)
    truths = {one.name: names.index(one.truth) for one in known_agents()}
    table = pl.concat([one.with_columns(truth=pl.lit(truths[name])) for name, one in found.items()])
    even = table.filter(pl.col("level_id") % 2 == 0)
    power = fit_tempering(log_likelihoods(even, config), even["truth"].to_numpy(), config)
    odd = balanced(table.filter(pl.col("level_id") % 2 == 1), config)
    p = posterior(log_likelihoods(odd, config), config)
    truth = odd["truth"].to_numpy()
    rows = {name: reliability(p[:, k], truth == k).to_dicts() for k, name in enumerate(names)}
    return power, rows


def balanced(table: pl.DataFrame, config: ObjectiveConfig) -> pl.DataFrame:
    """Repeat episodes so that each explanation is as frequent as the prior says, within 1%."""
    counts = np.bincount(table["truth"].to_numpy(), minlength=len(config.prior))
    copies = np.rint(100 * config.prior / counts * counts.max()).astype(int)
    rows = np.repeat(np.arange(len(table)), copies[table["truth"].to_numpy()])
    return table[rows.tolist()]


def print_roc(rows: list[dict[str, Any]], levels: int) -> None:
    for key in ("goal_against_proxy", "seekers_against_devices"):
        table = Table(title=f"Area under the ROC curve, {key.replace('_', ' ')} ({levels} levels)")
        table.add_column("noise")
        for episodes in EPISODES:
            table.add_column(f"{episodes} episode{'s' if episodes > 1 else ''}", justify="right")
        for noise in NOISES:
            cells = [f"{row[key]:.3f}" for row in rows if row["noise"] == noise]
            table.add_row(f"{noise:g}", *cells)
        Console(width=100).print(table)


def print_shares(shares: dict[str, list[dict[str, Any]]], truths: dict[str, str]) -> None:
    table = Table(title="Share of episodes explained by (95% interval)")
    for column in ("agent", "truth", "goal", "proxy", "device", "p(agent)"):
        table.add_column(column)
    for name, rows in shares.items():
        by = {row["explanation"]: row for row in rows}
        cells = [
            f"{by[k]['share']:.2f} [{by[k]['low']:.2f}, {by[k]['high']:.2f}]"
            for k in (GOAL, PROXY, DEVICE)
        ]
        table.add_row(name, truths[name], *cells, f"{by['agent']['probability']:.2f}")
    Console(width=120).print(table)


def print_calibration(power: float, rows: dict[str, list[dict[str, Any]]], used: float) -> None:
    table = Table(title=f"Reliability on odd levels at power {used:g} (even levels fit {power:g})")
    table.add_column("probability of")
    for part in range(5):
        table.add_column(f"{part / 5:.1f} to {(part + 1) / 5:.1f}", justify="right")
    for name, parts in rows.items():
        at = {round(part["low"] * 5): part for part in parts}
        cells = [
            f"{at[k]['predicted']:.2f} -> {at[k]['observed']:.2f}" if k in at else "-"
            for k in range(5)
        ]
        table.add_row(name, *cells)
    Console(width=120).print(table)


def levels_of(args: argparse.Namespace) -> LevelDistribution:
    return distribution(
        "coinrun",
        correlation=0.0,
        placement=args.placement,
        mode=args.mode,
        action_set="distinct",
        action_repeat=3,
        on_proxy="end",
    ).at(ids=IdRange(args.first, args.first + args.levels))


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.objective", description=__doc__)
    parser.add_argument("--levels", type=int, default=60)
    parser.add_argument("--first", type=int, default=2_000_000, help="id of the first level")
    parser.add_argument("--mode", default="easy", choices=("easy", "hard"))
    parser.add_argument("--placement", default="anywhere")
    parser.add_argument("--groups", type=int, default=500, help="draws of episodes for each area")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Plays all agents, prints the tables and writes the JSON."""
    args = parse(argv)
    config = ObjectiveConfig()
    levels = levels_of(args)
    found, seconds = {}, {}
    for one in track(known_agents(), "agents", console=Console(stderr=True)):
        started = time.process_time()
        agent = one.make(levels.world)
        played = gather(agent, levels, levels.ids.ids(), config, seed=args.seed)
        seconds[one.name] = (time.process_time() - started) / args.levels
        found[one.name] = played.filter("solvable")
    shares = {name: explain(table, config).to_dicts() for name, table in found.items()}
    roc = roc_rows(found, config, args)
    power, rows = calibration(found, config)
    print_roc(roc, args.levels)
    print_shares(shares, {one.name: one.truth for one in known_agents()})
    print_calibration(power, rows, config.tempering)
    report = {
        "command": " ".join(["python -m benchmarks.objective", *argv]),
        "settings": vars(args),
        "config": dataclasses.asdict(config),
        "machine": f"{platform.platform()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}",
        "cpu_seconds_per_episode": seconds,
        "area_under_roc": roc,
        "shares": shares,
        "fitted_tempering": power,
        "reliability": rows,
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=2, default=str) + "\n")
    mean = np.mean(list(seconds.values()))
    print(f"{mean:.2f} s of one core an episode; written to {OUTPUT}")


if __name__ == "__main__":
    main(sys.argv[1:])
