"""CPU seconds of training until an agent is there, ours beside others' PPO on the same world.

Where: it seeks the goal, after training in which half of the levels are in conflict; or it gets the
coin on most levels like those of training, on all of which it is at the proxy.  All train on the
same levels, with the same hyperparameters and layers as wide, and are tested alike (`peers.judge`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .peers.registry import at_work
from .tables import Table

PROGRAMS: dict[str, tuple[str, list[str], str]] = {
    "misgen": ("ours", [], "the lab preset's recipe: a small CNN, gradients in closed form"),
    "autograd": ("ours", ["agent.fast=false"], "the same, the update stable-baselines3's own"),
    "mlp": ("ours", ["agent.encoder=mlp"], "layers fully connected, gradients in closed form"),
    "sb3": (
        "sb3",
        [],
        "stable-baselines3's PPO with MultiInputPolicy: classes of tiles as numbers",
    ),
    "sbx": ("sbx", [], "sbx's PPO (JAX) with MlpPolicy: tiles one-hot"),
}
"""By name: the peer, settings beside the lab preset's, and what it is."""

_CONFIRMED = 5  # times as many levels


@dataclass(frozen=True)
class Target:
    """What training is to reach."""

    measure: str
    """What is measured of the agent: `pull` or `success` (`peers.judge`)."""
    value: float
    """Of that, how much is enough."""
    words: tuple[str, ...]
    """Settings of all programs."""
    title: str
    levels: str
    """What the levels are, for people."""


PULL = Target(
    "pull",
    0.5,
    ("preset=lab", "correlation=0.5"),
    "Training until the pull is 0.5",
    "coins anywhere, correlation 0.5, one thread; tested every 32,768 decisions on twins that no "
    "training sees",
)
SUCCESS = Target(
    "success",
    0.9,
    (
        "preset=lab",
        "correlation=1",
        "agent.total_steps=5000000",
        "agent.gamma=0.99",
        "agent.entropy=0.001",
    ),
    "Training until 90% of the coins are reached",
    "coins at the end, correlation 1, one thread; 5,000,000 decisions, a discount of 0.99, an "
    "entropy bonus of 0.001, and else the lab preset's recipe; tested every 32,768 decisions on "
    "levels that no training sees",
)


def measure(
    target: Target,
    programs: tuple[str, ...],
    seeds: int,
    limit: float,
    levels: int,
    keep: Callable[[list[dict[str, Any]], list[Table]], object],
) -> tuple[list[dict[str, Any]], list[Table]]:
    """Train every seed with every program, a seed of each in turns.

    Args:
        target: what they are to reach.
        programs: which of `PROGRAMS`; one whose peer is not installed is left out.
        seeds: how many.
        limit: CPU seconds after which a training is given up.
        levels: twins in a test.
        keep: called with what is there so far, after every training.

    Returns:
        A row for each training, and a table.
    """
    rows: list[dict[str, Any]] = []
    with at_work({name: PROGRAMS[name][0] for name in programs}) as workers:
        for name, worker in workers.items():
            asked = {"words": [*target.words, *PROGRAMS[name][1]], "every": 32_768}
            asked |= {"measure": target.measure, "target": target.value}
            asked |= {"levels": levels, "confirmed": _CONFIRMED * levels}
            worker.prepare(asked | {"work": "learning", "limit": limit})
            worker.wait()  # one after another, as preparing takes memory
        for seed in range(seeds):
            for name, worker in workers.items():
                rows.append({"program": name, "seed": seed, **worker.turn(seed=seed)})
                keep(rows, [table(target, rows, limit)])
    return rows, [table(target, rows, limit)]


def table(target: Target, rows: list[dict[str, Any]], limit: float) -> Table:
    """Return a table of trainings."""
    columns = [
        "program",
        "seeds that got there",
        "CPU seconds, median",
        "at 95%",
        "decisions a CPU second",
    ]
    told = Table(target.title, columns)
    for name, (_, _, what) in PROGRAMS.items():
        own = [row for row in rows if row["program"] == name]
        if not own:
            continue
        taken = sorted(row["cpu_seconds"] if row["reached"] else math.inf for row in own)
        low, high = interval(taken)
        speed = sum(row["decisions"] for row in own) / sum(row["cpu_seconds"] for row in own)
        told.rows.append(
            [
                f"{name}: {what}",
                f"{sum(row['reached'] for row in own)} of {len(own)}",
                _seconds(_middle(taken)),
                f"{_seconds(low)} to {_seconds(high)}",
                f"{speed:,.0f}",
            ]
        )
    told.note = (
        f"CoinRun, easy levels, {target.levels}, not counted. A test that is passed is confirmed "
        f"on {_CONFIRMED} times as many other levels, or was luck. Who is not there after "
        f"{limit:g} CPU seconds, or at the recipe's last decision, has given up and counts as "
        "never. All have the hyperparameters of the first, which were tuned for it and not for the "
        "others. The interval is the median's, from order statistics, whatever the distribution; "
        "under six seeds there is none, and it is the lowest and the highest."
    )
    return told


def interval(values: list[float]) -> tuple[float, float]:
    """Return the narrowest pair of sorted values that holds their median with 95%, or the ends."""
    n, below = len(values), 0.0
    low = 0
    for k in range(n // 2):  # P(the median is below the k-th of n) = P(Binomial(n, 1/2) <= k)
        below += math.comb(n, k) / 2**n
        if below > 0.025:
            break
        low = k
    return values[low], values[n - 1 - low]


def _middle(values: list[float]) -> float:
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def _seconds(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.1f}"
