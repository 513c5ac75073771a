"""How often the 95% intervals of the reports contain the truth, by simulation.

`python -m benchmarks.coverage` simulates agents (training seeds) on shared levels, computes each
interval that reports print as they do, prints the coverage by the number of seeds, and writes the
figures to `runs/benchmarks/coverage.json`. With one seed the truth is that agent's own score
("conditional on this agent"); otherwise it is the mean over all agents and levels.  Seeds vary
normally, or are of two kinds, one of which may be rare.  Where a report prints none, as too few
seeds say nothing, that is counted apart.
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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from misgen.experiments.evaluation.statistics import (
    Bounds,
    Interval,
    Statistic,
    clopper_pearson,
    divergence,
    over_levels,
    over_seeds,
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


@dataclass(frozen=True)
class TwoKinds:
    """Agents of two kinds: a share is of the second, whose rates are about `other`."""

    mean: float
    other: float
    share: float
    agent_sd: float = 0.04
    level_sd: float = 0.15

    def draw(self, agents: FloatArray, levels: FloatArray) -> FloatArray:
        """Probabilities [seeds, levels]; who is of the second kind hangs on the agent's effect."""
        second = agents < NormalDist().inv_cdf(self.share)
        centre = np.where(second, self.other, self.mean) + self.agent_sd * np.sin(37 * agents)
        return np.clip(centre[:, None] + self.level_sd * levels, 0.0, 1.0)

    def expected(self, agents: FloatArray) -> float:
        """Mean over levels, given the one agent there is, or over agents too."""
        if agents.size == 1:
            return self._level_mean(float(agents[0]))
        return self._over_agents

    def _level_mean(self, agent: float) -> float:
        second = agent < NormalDist().inv_cdf(self.share)
        centre = self.other if second else self.mean
        return clipped_mean(centre + self.agent_sd * math.sin(37 * agent), self.level_sd)

    @functools.cached_property
    def _over_agents(self) -> float:
        places = (np.arange(4000) + 0.5) / 4000
        return float(np.mean([self._level_mean(NormalDist().inv_cdf(p)) for p in places]))


TYPICAL = Rate(0.7, 0.10, 0.25)
ALIKE = Rate(0.7, 0.03, 0.25)
UNLIKE = Rate(0.7, 0.20, 0.10)
NEAR_ONE = Rate(0.95, 0.05, 0.10)
NEAR_ZERO = Rate(-0.05, 0.03, 0.10)  # the mean after clipping is .021
HALF = TwoKinds(0.9, 0.1, 0.5)
RARE = TwoKinds(0.9, 0.1, 0.1)


def flip(rng: np.random.Generator, probability: FloatArray) -> FloatArray:
    return (rng.random(probability.shape) < probability).astype(np.float64)


def draw_rate(
    rng: np.random.Generator, n_seeds: int, n_levels: int, *, rate: Rate | TwoKinds
) -> tuple[Data, float]:
    agents = rng.standard_normal(n_seeds)
    values = flip(rng, rate.draw(agents, rng.standard_normal(n_levels)))
    return {"values": values}, rate.expected(agents)


BEFORE = Rate(0.95, 0.03, 0.05)
CAPABLE = Rate(0.9, 0.05, 0.15)


def draw_twins(
    rng: np.random.Generator, n_seeds: int, n_levels: int, *, want: Rate | TwoKinds
) -> tuple[Data, float]:
    """Aligned and conflict levels; in conflict, a capable episode is for the goal or the proxy."""
    skill, wants = rng.standard_normal((2, n_seeds))
    ease, pull = rng.standard_normal((2, n_levels))
    before = flip(rng, BEFORE.draw(skill, ease))
    after = flip(rng, CAPABLE.draw(skill, ease))
    data = {
        "goal_before": before,
        "capable_before": before,
        "capable_after": after,
        "goal_after": after * flip(rng, want.draw(wants, pull)),
    }
    truth = CAPABLE.expected(skill) * (1 - want.expected(wants))
    return data, truth  # goal loss less capability loss: what is capable and not for the goal


def draw_pursuit(
    rng: np.random.Generator, n_seeds: int, n_levels: int, *, want: Rate | TwoKinds
) -> tuple[Data, float]:
    """A third of the goals lies on the way; an agent without skill goes nowhere."""
    wants, pull = rng.standard_normal(n_seeds), rng.standard_normal(n_levels)
    capable = flip(rng, np.tile(CAPABLE.expected(np.zeros(2)), (n_seeds, n_levels)))
    on_way = (rng.random(n_levels) < 1 / 3).astype(np.float64)
    goes = flip(rng, want.draw(wants, pull))
    there = capable * np.maximum(goes, on_way)
    away = flip(rng, np.tile(CAPABLE.expected(np.zeros(2)), (n_seeds, n_levels))) * on_way
    reach = np.ones((n_seeds, n_levels))
    truth_of_capable = CAPABLE.expected(np.zeros(2))
    wanted = want.expected(wants) * truth_of_capable * 2 / 3
    truth = wanted / (1 - truth_of_capable / 3) / truth_of_capable
    return {"there": there, "away": away, "reach": reach, "capable": capable}, truth


def pursuit(mean: Mapping[str, FloatArray]) -> FloatArray:
    return (mean["there"] - mean["away"]) / (mean["reach"] - mean["away"]) / mean["capable"]


def draw_share(
    rng: np.random.Generator, n_seeds: int, n_levels: int, *, share: float
) -> tuple[Data, float]:
    """Which seeds misgeneralize."""
    return {"values": (rng.random((n_seeds, 1)) < share).astype(np.float64)}, share


Measure = Callable[[Data, np.random.Generator, int], Interval]


def as_reported(statistic: Statistic | None, bounds: Bounds) -> Measure:
    """What a report prints: one agent's interval, or a recipe's over its seeds."""

    def measure(data: Data, rng: np.random.Generator, resamples: int) -> Interval:
        seeds = range(len(next(iter(data.values()))))
        rows = [{name: array[k] for name, array in data.items()} for k in seeds]
        agents = [
            over_levels(row if statistic else row["values"], statistic, bounds=bounds)
            for row in rows
        ]
        return over_seeds(agents, bounds)

    return measure


def by_rule(data: Data, rng: np.random.Generator, resamples: int) -> Interval:
    """The rule for other scores: t over seeds and levels, from ten seeds on the bootstrap."""
    return seeds_and_levels(data["values"], None, rng, resamples=resamples)


def share_of_seeds(data: Data, rng: np.random.Generator, resamples: int) -> Interval:
    return clopper_pearson(int(data["values"].sum()), len(data["values"]))


def plain_t(data: Data, rng: np.random.Generator, resamples: int) -> Interval:
    return t_over_seeds(np.nanmean(data["values"], axis=1))


@dataclass(frozen=True)
class Row:
    """One interval kind and the data it is tried on."""

    name: str
    draw: Callable[[np.random.Generator, int, int], tuple[Data, float]]
    measure: Measure
    fewest_seeds: int = 1


def rate_row(
    name: str, rate: Rate | TwoKinds, measure: Measure | None = None, fewest_seeds: int = 1
) -> Row:
    draw = functools.partial(draw_rate, rate=rate)
    return Row(name, draw, measure or as_reported(None, (0.0, 1.0)), fewest_seeds)


def _twins(want: Rate | TwoKinds) -> Callable[..., tuple[Data, float]]:
    return functools.partial(draw_twins, want=want)


def _pursuit(want: Rate | TwoKinds) -> Callable[..., tuple[Data, float]]:
    return functools.partial(draw_pursuit, want=want)


DIVERGENCE = as_reported(divergence, (-1.0, 1.0))
PURSUIT = as_reported(pursuit, (-0.25, 1.25))
ROWS = [
    rate_row("rate .70", TYPICAL),
    rate_row("rate .70, seeds alike", ALIKE),
    rate_row("rate .70, seeds unlike", UNLIKE),
    rate_row("rate .95", NEAR_ONE),
    rate_row("rate .02", NEAR_ZERO),
    rate_row("rate, two kinds of seeds", HALF),
    rate_row("rate, a rare kind (10%)", RARE),
    Row("divergence", _twins(TYPICAL), DIVERGENCE),
    Row("divergence, two kinds of seeds", _twins(HALF), DIVERGENCE),
    Row("divergence, a rare kind (10%)", _twins(RARE), DIVERGENCE),
    Row("goal pursuit", _pursuit(TYPICAL), PURSUIT),
    Row("goal pursuit, two kinds of seeds", _pursuit(HALF), PURSUIT),
    Row("goal pursuit, a rare kind (10%)", _pursuit(RARE), PURSUIT),
    Row("share of seeds .5", functools.partial(draw_share, share=0.5), share_of_seeds, 2),
    Row("share of seeds .9", functools.partial(draw_share, share=0.9), share_of_seeds, 2),
    rate_row("(t over seeds and levels) rate .70", TYPICAL, by_rule, 2),
    rate_row("(t over seeds and levels) two kinds", HALF, by_rule, 2),
    rate_row("(t over seeds and levels) a rare kind", RARE, by_rule, 2),
    rate_row("(t over seeds) rate .70", TYPICAL, plain_t, 2),
    rate_row("(t over seeds) a rare kind", RARE, plain_t, 2),
]


def coverage(
    row: Row, n_seeds: int, n_levels: int, trials: int, resamples: int, rng: np.random.Generator
) -> dict[str, object]:
    """Share of the intervals that are printed which hold the truth, and how many are printed."""
    held, widths, methods = 0, [], set()
    for _ in range(trials):
        data, truth = row.draw(rng, n_seeds, n_levels)
        interval = row.measure(data, rng, resamples)
        if not math.isnan(interval.width):
            held += interval.low <= truth <= interval.high
            widths.append(interval.width)
            methods.add(interval.method)
    printed = len(widths)
    share = held / printed if printed else math.nan
    return {
        "interval": row.name,
        "seeds": n_seeds,
        "printed": printed / trials,
        "coverage": share if printed else None,
        "standard_error": math.sqrt(share * (1 - share) / printed) if printed else None,
        "mean_width": float(np.mean(widths)) if printed else None,
        "method": sorted(methods),
    }


def print_table(results: list[dict[str, object]], args: argparse.Namespace) -> None:
    error = math.sqrt(0.95 * 0.05 / args.trials)
    table = Table(
        title=f"Coverage of nominal 95% intervals, {args.levels} levels (mean width in brackets)",
        caption=f"{args.trials} trials each, so +- {2 * error:.1%}. One seed: for this agent. "
        "With %: in so many trials one is printed; none: the seeds are too few to say anything. "
        "In brackets, for comparison: kinds that are not printed.",
    )
    table.add_column("interval")
    for seeds in args.seeds:
        table.add_column(f"{seeds} seed{'s' if seeds > 1 else ''}", justify="right")
    for start in range(0, len(results), len(args.seeds)):
        cells = results[start : start + len(args.seeds)]
        shown = [_cell(result) for result in cells]
        table.add_row(str(cells[0]["interval"]), *shown)
    Console(width=max(Console().width, 130)).print(table)


def _cell(result: Mapping[str, Any]) -> str:
    if "printed" not in result:
        return "-"
    if result["coverage"] is None:
        return "none"
    often = "" if result["printed"] == 1 else f" {result['printed']:.0%}"
    return f"{result['coverage']:.3f} ({result['mean_width']:.2f}){often}"


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
