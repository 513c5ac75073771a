"""How well the behavioural objective tells agents apart whose goals are known.

`python -m benchmarks.objective` plays agents after the goal, agents after the proxy and mindless
devices (`known_agents`) on conflict levels where the goal is off the proxy's way, and prints

- the area under the ROC curve for telling goal-seekers from proxy-seekers, and seekers from
  devices, by the number of episodes seen and by the seekers' noise (share of random decisions);
- the share of episodes that each explanation accounts for, agent by agent;
- the power (`tempering`) that fits half of the levels best, and, on the other half, how often what
  was given a certain probability was the case, at the default power.

It takes some minutes; figures go to `runs/benchmarks/objective.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # before numba: figures are for one core

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.planning.planner import make_planner
from misgen.envs.make import distribution
from misgen.experiments.evaluation.objective.behavioural_objective import (
    DEVICE,
    ObjectiveConfig,
    gather,
    log_likelihoods,
    parting_ids,
    posterior,
)
from misgen.experiments.evaluation.objective.calibration import fit_tempering, reliability
from misgen.experiments.evaluation.objective.explain import explain
from misgen.experiments.evaluation.objective.explained_share import sample_explained_shares

from .known_agents import GOAL, NOISES, PROXY, known_agents

FloatArray = NDArray[np.float64]
OUTPUT = Path("runs/benchmarks/objective.json")
EPISODES = (1, 3, 10, 30)
RESAMPLES = 10
"""Draws of the levels with replacement, for standard errors."""


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
    return sample_explained_shares(logs[chosen], rng, draws=100).mean(axis=0)


def areas(
    logs: dict[str, FloatArray], episodes: int, groups: int, rng: np.random.Generator
) -> dict[tuple[float, str], float]:
    """Areas under the curve by the seekers' noise, given some episodes.

    Args:
        logs: tempered log likelihoods of each agent's episodes, float64 [levels, 3].
        episodes: how many are seen.
        groups: draws of so many episodes, for each agent.
        rng: source of the draws.
    """
    agents = {one.name: one for one in known_agents()}
    shares = {name: seen_shares(own, episodes, groups, rng) for name, own in logs.items()}
    devices = np.concatenate([shares[n] for n, one in agents.items() if one.truth == DEVICE])
    found = {}
    for noise in NOISES:
        mine = {one.truth: shares[n] for n, one in agents.items() if one.noise == noise}
        goal, proxy = (mine[truth][:, 0] - mine[truth][:, 1] for truth in (GOAL, PROXY))
        seekers = np.concatenate(list(mine.values()))
        found[noise, "goal_against_proxy"] = auc(goal, proxy)
        found[noise, "seekers_against_devices"] = auc(1 - seekers[:, 2], 1 - devices[:, 2])
    return found


def rows_of(ids: NDArray[np.int64], drawn: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of those `drawn` levels that are among the sorted `ids`."""
    at = np.minimum(np.searchsorted(ids, drawn), len(ids) - 1)
    return at[ids[at] == drawn]


def roc_rows(
    found: dict[str, pl.DataFrame], config: ObjectiveConfig, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Areas under the curve by noise and episodes, with bootstrapped standard errors over levels.

    All agents are resampled alike, as they play the same levels.
    """
    tables = {name: table.sort("level_id") for name, table in found.items()}
    ids = {name: table["level_id"].to_numpy() for name, table in tables.items()}
    logs = {n: config.tempering * log_likelihoods(table, config) for n, table in tables.items()}
    every = np.unique(np.concatenate(list(ids.values())))
    rows = []
    for episodes in EPISODES:
        rng = np.random.default_rng([args.seed, episodes])
        whole = areas(logs, episodes, args.groups, rng)
        parts = []
        for _ in range(RESAMPLES):
            drawn = rng.choice(every, len(every))
            again = {n: own[rows_of(ids[n], drawn)] for n, own in logs.items()}
            parts.append(areas(again, episodes, args.groups, rng))
        for (noise, comparison), area in whole.items():
            spread = np.std([part[noise, comparison] for part in parts], ddof=1)
            rows.append(
                {
                    "comparison": comparison,
                    "episodes": episodes,
                    "noise": noise,
                    "area": area,
                    "standard_error": float(spread),
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
    title = f"Area under the ROC curve ± standard error over {levels} levels, by episodes seen"
    table = Table(title=title)
    table.add_column("")
    table.add_column("noise")
    for episodes in EPISODES:
        table.add_column(str(episodes), justify="right", no_wrap=True)
    for comparison in ("goal_against_proxy", "seekers_against_devices"):
        for k, noise in enumerate(NOISES):
            own = [r for r in rows if (r["comparison"], r["noise"]) == (comparison, noise)]
            cells = [f"{row['area']:.3f} ± {row['standard_error']:.3f}" for row in own]
            table.add_row("" if k else comparison.replace("_", " "), f"{noise:g}", *cells)
        table.add_section()
    Console(width=120).print(table)


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
    ).at(ids=IdRange(args.first, args.first + 20 * args.levels))


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.objective",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--levels", type=int, default=60, help="on which goal and proxy part (60)")
    parser.add_argument("--first", type=int, default=2_000_000, help="id of the first level")
    parser.add_argument("--mode", default="easy", choices=("easy", "hard"))
    parser.add_argument("--placement", default="anywhere")
    parser.add_argument("--groups", type=int, default=200, help="draws of episodes for each area")
    parser.add_argument("--decisions", type=int, default=100, help="of an episode's start (100)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if args.levels < max(EPISODES):
        parser.error(f"--levels {args.levels} is too few: give {max(EPISODES)} or more")
    return args


def main(argv: list[str]) -> None:
    """Plays all agents, prints the tables and writes the JSON."""
    args = parse(argv)
    config = ObjectiveConfig(decisions=args.decisions)
    levels = levels_of(args)
    ids = parting_ids(levels, make_planner(levels.world), args.levels)
    found, seconds = {}, {}
    for one in track(known_agents(), "agents", console=Console(stderr=True)):
        started = time.process_time()
        agent = one.make(levels.world)
        played = gather(agent, levels, ids, config, seed=args.seed)
        seconds[one.name] = (time.process_time() - started) / len(ids)
        found[one.name] = played.filter("solvable")
    shares = {name: explain(table, config).to_dicts() for name, table in found.items()}
    roc = roc_rows(found, config, args)
    power, rows = calibration(found, config)
    print_roc(roc, len(ids))
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
