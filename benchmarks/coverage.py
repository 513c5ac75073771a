"""How often the 95% intervals of the reports contain the truth, by simulation.

`python -m benchmarks.coverage` simulates agents (training seeds) on shared levels, computes each
interval that reports print by the reporting rule, prints the coverage by the number of seeds, and
writes the figures to `runs/benchmarks/coverage.json`. With one seed the truth is that agent's own
score ("conditional on this agent"); otherwise it is the mean over all agents and levels.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from misgen.experiments.evaluation.statistics import (
    Interval,
    Statistic,
    crossed_bootstrap,
    divergence,
    paired_difference,
    ratio,
    seeds_and_levels,
    t_over_seeds,
)

FloatArray = NDArray[np.float64]
Data = Mapping[str, FloatArray]  # name -> [seeds, levels]
OUTPUT = Path("runs/benchmarks/coverage.json")


@dataclass(frozen=True)
class Rate:
    """Success probability of agent s on level l: clip(mean + agent effect + level effect)."""

    mean: float
    agent_sd: float
    level_sd: float

    def draw(self, agents: FloatArray, levels: FloatArray) -> FloatArray:
        """Probabilities [seeds, levels] from standard normal effects [seeds] and [levels]."""
        raw = self.mean + self.agent_sd * agents[:, None] + self.level_sd * levels
        return np.clip(raw, 0.0, 1.0)

    def expected(self, agents: FloatArray) -> float:
        """Mean over levels, given the one agent there is, or over agents too."""
        if agents.size == 1:
            return clipped_mean(self.mean + self.agent_sd * float(agents[0]), self.level_sd)
        return clipped_mean(self.mean, math.hypot(self.agent_sd, self.level_sd))


@functools.lru_cache(maxsize=4096)
def clipped_mean(mean: float, sd: float) -> float:
    """Mean of a normal variable clipped to [0, 1]."""
    if sd == 0:
        return min(max(mean, 0.0), 1.0)
    normal = NormalDist()
    low, high = -mean / sd, (1 - mean) / sd
    inside = mean * (normal.cdf(high) - normal.cdf(low)) - sd * (normal.pdf(high) - normal.pdf(low))
    return inside + 1 - normal.cdf(high)


TYPICAL = Rate(0.7, 0.10, 0.25)
ALIKE = Rate(0.7, 0.03, 0.25)
UNLIKE = Rate(0.7, 0.20, 0.10)
NEAR_ONE = Rate(0.95, 0.05, 0.10)
NEAR_ZERO = Rate(-0.05, 0.03, 0.10)  # the mean after clipping is .021
OTHER = Rate(0.55, 0.10, 0.25)
CAP_HELD, CAP_SHIFT = Rate(0.9, 0.05, 0.15), Rate(0.75, 0.10, 0.25)
WANT_HELD, WANT_SHIFT = Rate(0.97, 0.02, 0.05), Rate(0.3, 0.15, 0.25)
RANDOM, CEILING = Rate(0.1, 0.0, 0.1), Rate(0.97, 0.0, 0.05)


def flip(rng: np.random.Generator, probability: FloatArray) -> FloatArray:
    return (rng.random(probability.shape) < probability).astype(np.float64)


def draw_rate(
    rng: np.random.Generator, n_seeds: int, n_levels: int, *, rate: Rate
) -> tuple[Data, float]:
    agents = rng.standard_normal(n_seeds)
    values = flip(rng, rate.draw(agents, rng.standard_normal(n_levels)))
    return {"values": values}, rate.expected(agents)


def draw_informative(rng: np.random.Generator, n_seeds: int, n_levels: int) -> tuple[Data, float]:
    """Some levels count for few agents, some for most; 50% of the cells are missing."""
    data, truth = draw_rate(rng, n_seeds, n_levels, rate=TYPICAL)
    counts = rng.random((n_seeds, n_levels)) < rng.random(n_levels)
    return {"values": np.where(counts, data["values"], np.nan)}, truth


def draw_pair(rng: np.random.Generator, n_seeds: int, n_levels: int) -> tuple[Data, float]:
    levels, first, second = (rng.standard_normal(n) for n in (n_levels, n_seeds, n_seeds))
    data = {
        "a": flip(rng, TYPICAL.draw(first, levels)),
        "b": flip(rng, OTHER.draw(second, levels)),
    }
    return data, TYPICAL.expected(first) - OTHER.expected(second)


def draw_shift(rng: np.random.Generator, n_seeds: int, n_levels: int) -> tuple[Data, FloatArray]:
    """Capability and, given capability, goal: held out and shifted, on the same level ids.

    Returns:
        the arrays, and the expected cap_held, goal_held, cap_shift, goal_shift.
    """
    skill, want = rng.standard_normal((2, n_seeds))
    ease, pull = rng.standard_normal((2, n_levels))
    data: dict[str, FloatArray] = {}
    truth = []
    for name, cap, goal in (("held", CAP_HELD, WANT_HELD), ("shift", CAP_SHIFT, WANT_SHIFT)):
        data[f"cap_{name}"] = flip(rng, cap.draw(skill, ease))
        data[f"goal_{name}"] = data[f"cap_{name}"] * flip(rng, goal.draw(want, pull))
        truth += [cap.expected(skill), cap.expected(skill) * goal.expected(want)]
    return data, np.array(truth)


def draw_divergence(rng: np.random.Generator, n_seeds: int, n_levels: int) -> tuple[Data, float]:
    data, (cap_held, goal_held, cap_shift, goal_shift) = draw_shift(rng, n_seeds, n_levels)
    return data, float((goal_held - goal_shift) - (cap_held - cap_shift))


def draw_loss(rng: np.random.Generator, n_seeds: int, n_levels: int) -> tuple[Data, float]:
    data, truth = draw_shift(rng, n_seeds, n_levels)
    return {"a": data["cap_held"], "b": data["cap_shift"]}, float(truth[0] - truth[2])


def draw_conditional(rng: np.random.Generator, n_seeds: int, n_levels: int) -> tuple[Data, float]:
    data, truth = draw_shift(rng, n_seeds, n_levels)
    pair = {"cap": data["cap_shift"], "goal": data["goal_shift"]}
    return pair, float(truth[3] / truth[2])


def draw_normalised(rng: np.random.Generator, n_seeds: int, n_levels: int) -> tuple[Data, float]:
    """Agents between two fixed references, each played once per level."""
    levels, agents = rng.standard_normal(n_levels), rng.standard_normal(n_seeds)
    fixed = np.zeros(1)
    rates = {"agent": (TYPICAL, agents), "random": (RANDOM, fixed), "ceiling": (CEILING, fixed)}
    data = {name: flip(rng, rate.draw(who, levels)) for name, (rate, who) in rates.items()}
    means = {name: np.array([rate.expected(who)]) for name, (rate, who) in rates.items()}
    return data, float(normalised(means)[0])


def normalised(mean: Mapping[str, FloatArray]) -> FloatArray:
    return (mean["agent"] - mean["random"]) / (mean["ceiling"] - mean["random"])


Measure = Callable[[Data, np.random.Generator, int], Interval]


def by_rule(statistic: Statistic | None) -> Measure:
    """The reporting rule, for the mean of one array or for a statistic of several."""

    def measure(data: Data, rng: np.random.Generator, resamples: int) -> Interval:
        what = data["values"] if statistic is None else data
        return seeds_and_levels(what, statistic, rng, resamples=resamples)

    return measure


def pair_by_rule(data: Data, rng: np.random.Generator, resamples: int) -> Interval:
    return paired_difference(data["a"], data["b"], rng, resamples=resamples)


def plain_t(data: Data, rng: np.random.Generator, resamples: int) -> Interval:
    return t_over_seeds(np.nanmean(data["values"], axis=1))


def plain_percentile(data: Data, rng: np.random.Generator, resamples: int) -> Interval:
    return crossed_bootstrap(data["values"], rng, resamples=resamples, calibrate=False)


@dataclass(frozen=True)
class Row:
    """One interval kind and the data it is tried on."""

    name: str
    draw: Callable[[np.random.Generator, int, int], tuple[Data, float]]
    measure: Measure
    fewest_seeds: int = 1


def rate_row(name: str, rate: Rate, measure: Measure | None = None, fewest_seeds: int = 1) -> Row:
    draw = functools.partial(draw_rate, rate=rate)
    return Row(name, draw, measure or by_rule(None), fewest_seeds)


ROWS = [
    rate_row("rate .70", TYPICAL),
    rate_row("rate .70, agents alike", ALIKE),
    rate_row("rate .70, agents unlike", UNLIKE),
    rate_row("rate .95", NEAR_ONE),
    rate_row("rate .02", NEAR_ZERO),
    Row("rate on informative levels", draw_informative, by_rule(None)),
    Row("paired difference of agents", draw_pair, pair_by_rule),
    Row("capability loss", draw_loss, pair_by_rule),
    Row("divergence", draw_divergence, by_rule(divergence)),
    Row("P(goal | capable)", draw_conditional, by_rule(ratio("goal", "cap"))),
    Row("normalised score", draw_normalised, by_rule(normalised)),
    rate_row("(t over seeds) rate .70", TYPICAL, plain_t, 2),
    rate_row("(t over seeds) agents alike", ALIKE, plain_t, 2),
    rate_row("(plain percentile) rate .70", TYPICAL, plain_percentile, 2),
    rate_row("(plain percentile) agents alike", ALIKE, plain_percentile, 2),
    rate_row("(plain percentile) agents unlike", UNLIKE, plain_percentile, 2),
]


def coverage(
    row: Row, n_seeds: int, n_levels: int, trials: int, resamples: int, rng: np.random.Generator
) -> dict[str, object]:
    """Share of trials whose interval holds the truth; an interval without bounds holds nothing."""
    held, widths, methods = 0, [], set()
    for _ in range(trials):
        data, truth = row.draw(rng, n_seeds, n_levels)
        interval = row.measure(data, rng, resamples)
        held += interval.low <= truth <= interval.high
        widths.append(interval.width)
        methods.add(interval.method)
    share = held / trials
    return {
        "interval": row.name,
        "seeds": n_seeds,
        "coverage": share,
        "standard_error": math.sqrt(share * (1 - share) / trials),
        "mean_width": float(np.nanmean(widths)),
        "method": sorted(methods),
    }


def print_table(results: list[dict[str, object]], args: argparse.Namespace) -> None:
    error = math.sqrt(0.95 * 0.05 / args.trials)
    table = Table(
        title=f"Coverage of nominal 95% intervals, {args.levels} levels (mean width in brackets)",
        caption=f"{args.trials} trials each: 95% +- {2 * error:.1%} is as it should be. "
        "One seed: conditional on the agent. 2-9 seeds: t over seeds and levels. "
        "From 10: crossed bootstrap. In brackets, for comparison only: kinds that are not used.",
    )
    table.add_column("interval")
    for seeds in args.seeds:
        table.add_column(f"{seeds} seed{'s' if seeds > 1 else ''}", justify="right")
    for start in range(0, len(results), len(args.seeds)):
        cells = results[start : start + len(args.seeds)]
        shown = [
            f"{r['coverage']:.3f} ({r['mean_width']:.2f})" if r["method"] else "-" for r in cells
        ]
        table.add_row(str(cells[0]["interval"]), *shown)
    Console(width=max(Console().width, 130)).print(table)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="simulated studies per cell")
    parser.add_argument("--resamples", type=int, default=2000, help="bootstrap resamples")
    parser.add_argument("--levels", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 5, 10, 20])
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Measures every row at every number of seeds, prints the table and writes the JSON."""
    args = parse(argv)
    started = time.perf_counter()
    cells = [(i, row, n) for i, row in enumerate(ROWS) for n in args.seeds]
    results: list[dict[str, object]] = []
    for i, row, n in track(cells, "coverage", console=Console(stderr=True)):
        rng = np.random.default_rng([args.seed, i, n])
        trials = args.trials if n >= row.fewest_seeds else 0
        if trials:
            results.append(coverage(row, n, args.levels, trials, args.resamples, rng))
        else:
            results.append({"interval": row.name, "seeds": n, "method": []})
    print_table(results, args)
    report = {
        "command": " ".join(["python -m benchmarks.coverage", *argv]),
        "settings": vars(args),
        "seconds": round(time.perf_counter() - started, 1),
        "machine": f"{platform.platform()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}",
        "results": results,
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{report['seconds']} s; written to {OUTPUT}")


if __name__ == "__main__":
    main(sys.argv[1:])
