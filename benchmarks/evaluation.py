"""Levels a second of the evaluator, beside a loop over levels as in the paper's code."""

from __future__ import annotations

from typing import Any

from .peers.registry import at_work
from .tables import Table, rate, ratio, spread, take_turns

AGENT = "zoo:coinrun-rho1-seed0"
_MANY = 2000


def measure(policy: str | None, levels: int, repeats: int) -> tuple[dict[str, Any], list[Table]]:
    """Return what every turn of both found, and a table of it.

    Args:
        policy: folder of the agent that plays; without it, one that comes with misgen.
        levels: how many the loop plays.
        repeats: turns of each.
    """
    work = {"run": policy or AGENT, "levels": levels}
    programs = {
        "one level at a time": {**work, "work": "one_by_one"},
        "misgen": {**work, "work": "evaluated"},
        f"misgen, {_MANY:,} levels": {**work, "work": "evaluated", "levels": _MANY},
    }
    with at_work(dict.fromkeys(programs, "ours")) as workers:
        found = take_turns(workers, programs, [{}] * repeats)
    same = [
        _same(*pair) for pair in zip(found["one level at a time"], found["misgen"], strict=True)
    ]
    for turns in found.values():
        for turn in turns:
            del turn["outcomes"], turn["steps"]
    slow = [rate(turn) for turn in found["one level at a time"]]
    table = Table(
        f"Evaluation: {work['run']}, levels a CPU second",
        ["program", "levels", "levels a CPU second", "times", "levels a second"],
        note="One thread, the most probable action each time, levels in conflict. The loop makes "
        "an environment for each level and asks the network about one observation at a time "
        f"(stable-baselines3's predict). Of its {levels:,} episodes {min(same):,} end with the "
        "same outcome after as many decisions as ours.",
    )
    for name, turns in found.items():
        rates = [rate(turn) for turn in turns]
        wall = [rate(turn, "seconds") for turn in turns]
        cells = [spread(rates), ratio(rates, slow), spread(wall)]
        table.rows.append([name, f"{turns[0]['done']:,}", *cells])
    return {"turns": found, "same_episodes": same}, [table]


def _same(one: dict[str, Any], other: dict[str, Any]) -> int:
    """Return in how many levels two turns came to the same."""
    pairs = zip(one["outcomes"], one["steps"], other["outcomes"], other["steps"], strict=True)
    return sum((a, n) == (b, m) for a, n, b, m in pairs)
