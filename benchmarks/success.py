"""CPU seconds of training until an agent seeks the goal, ours beside others' PPO on the same world.

All train on the same levels, half of them in conflict, with the same hyperparameters and layers as
wide, and are tested alike (`peers.judge`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
WORDS = ["preset=lab", "correlation=0.5"]
TARGET = 0.5


def measure(
    programs: tuple[str, ...],
    seeds: int,
    limit: float,
    levels: int,
    keep: Callable[[list[dict[str, Any]], list[Table]], object],
) -> tuple[list[dict[str, Any]], list[Table]]:
    """Train every seed with every program, a seed of each in turns.

    Args:
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
            asked = {"words": [*WORDS, *PROGRAMS[name][1]], "every": 32_768, "levels": levels}
            worker.prepare(asked | {"work": "learning", "target": TARGET, "limit": limit})
            worker.wait()  # one after another, as preparing takes memory
        for seed in range(seeds):
            for name, worker in workers.items():
                rows.append({"program": name, "seed": seed, **worker.turn(seed=seed)})
                keep(rows, [table(rows, limit)])
    return rows, [table(rows, limit)]


def table(rows: list[dict[str, Any]], limit: float) -> Table:
    """Return a table of trainings."""
    columns = [
        "program",
        "seeds that got there",
        "CPU seconds, median",
        "at 95%",
        "decisions a CPU second",
    ]
    told = Table(f"Training until the pull is {TARGET:g}", columns)
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
        "CoinRun, easy levels, coins anywhere, correlation 0.5, one thread; tested every 32,768 "
        "decisions on twins that no training sees, not counted. Who is not there after "
        f"{limit:g} CPU seconds, or at the recipe's last decision, has given up and counts as "
        "never. The interval is the median's, from order statistics, whatever the distribution; "
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
