"""What more slots, more levels and more agents cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from misgen.envs.core.errors import UserError

from .evaluation import AGENT
from .peers.registry import at_work
from .tables import Table, millions, rate, spread, take_turns

SLOTS = (1, 8, 64, 256, 1024, 4096)
LEVELS = (100, 1000, 10_000)
AGENTS = (1, 2, 4)
_SWEEP = ["preset=smoke", "env=cheese_on_a_dish", "correlations=[1.0]", "jobs=1"]


def measure(
    seconds: float, repeats: int, keep: Callable[[dict[str, Any], list[Table]], object]
) -> tuple[dict[str, Any], list[Table]]:
    """Return the figures and a table for each of the three.

    Args:
        seconds: length of a turn.
        repeats: turns of each.
        keep: called with what is there so far.
    """
    rows: dict[str, Any] = {}
    tables: list[Table] = []
    for name, of in (("slots", _slots), ("levels", _levels), ("agents", _agents)):
        rows[name], table = of(seconds, repeats)
        tables.append(table)
        keep(rows, tables)
    return rows, tables


def _slots(seconds: float, repeats: int) -> tuple[Any, Table]:
    world = {"work": "frames", "threads": 1, "world": "coinrun", "mode": "easy"}
    world |= {"action_set": "distinct", "action_repeat": 3}
    programs = {str(slots): {**world, "slots": slots} for slots in SLOTS}
    with at_work(dict.fromkeys(programs, "ours")) as workers:
        found = take_turns(workers, programs, [{"seconds": seconds}] * repeats)
    table = Table(
        "Cost against slots",
        ["slots", "decisions a CPU second", "microseconds a step of all slots"],
        note="CoinRun as the lab preset plays it (three frames a decision), random actions.",
    )
    for slots, turns in found.items():
        rates = [rate(turn) for turn in turns]
        each = [1e6 * int(slots) / one for one in rates]
        table.rows.append([f"{int(slots):,}", millions(rates), spread(each)])
    return found, table


def _levels(seconds: float, repeats: int) -> tuple[Any, Table]:
    work = {"work": "evaluated", "run": AGENT}
    programs = {str(count): {**work, "levels": count} for count in LEVELS}
    with at_work(dict.fromkeys(programs, "ours")) as workers:
        found = take_turns(workers, programs, [{}] * min(repeats, 3))
    table = Table(
        "Cost against levels",
        ["levels", "CPU seconds", "levels a CPU second"],
        note=f"The evaluator, {AGENT}, the most probable action each time, one thread.",
    )
    for count, turns in found.items():
        for turn in turns:
            del turn["outcomes"], turn["steps"]
        taken = spread([turn["cpu_seconds"] for turn in turns], "{:.2f}")
        table.rows.append([f"{int(count):,}", taken, spread([rate(turn) for turn in turns])])
    return found, table


def _agents(seconds: float, repeats: int) -> tuple[Any, Table]:
    found: list[dict[str, Any]] = []
    for _ in range(min(repeats, 3)):
        found += [_sweep(count) for count in AGENTS]
    table = Table(
        "Cost against agents",
        ["agents", "CPU seconds", "CPU seconds an agent"],
        note="A whole sweep, from the command to the report: " + " ".join(_sweep_words(1)) + ".",
    )
    for count in AGENTS:
        taken = [row["cpu_seconds"] for row in found if row["agents"] == count]
        each = [one / count for one in taken]
        table.rows.append([str(count), spread(taken, "{:.1f}"), spread(each, "{:.1f}")])
    return found, table


def _sweep(count: int) -> dict[str, Any]:
    """Train and evaluate some agents, and return what it took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "misgen.experiments.commands.sweep",
            *_sweep_words(count)[2:],
        ]
        before, begin = os.times(), time.perf_counter()
        command.append(f"runs={folder}")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"the sweep failed: {done.stderr.strip()}")
        after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    return {"agents": count, "cpu_seconds": cpu, "seconds": time.perf_counter() - begin}


def _sweep_words(count: int) -> list[str]:
    return ["misgen", "sweep", *_SWEEP, f"seeds={count}"]
