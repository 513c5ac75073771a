"""Frames a second of every registered world side by side, with each observation that it has."""

from __future__ import annotations

from typing import Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.modality import MODALITIES
from misgen.envs.core.registry import entries, make_world
from misgen.envs.procgen.library import installed

from .peers.registry import at_work
from .tables import Table, millions, rate, take_turns

SLOTS = 256


def measure(seconds: float, repeats: int) -> tuple[list[dict[str, Any]], list[Table]]:
    """Return what every turn of every world found, and a table of it."""
    rows: list[dict[str, Any]] = []
    columns = ["world", *(f"{name}" for name in MODALITIES)]
    table = Table(f"Every world: {SLOTS} environments, frames a CPU second", columns)
    table.note = "One thread, random actions, half of the levels in conflict, levels included."
    for name in _names():
        kinds = [kind for kind in MODALITIES if _has(name, kind)]
        work = {"work": "frames", "slots": SLOTS, "threads": 1, "world": name}
        programs = {kind: {**work, "observation": kind} for kind in kinds}
        with at_work(dict.fromkeys(programs, "ours")) as workers:
            found = take_turns(workers, programs, [{"seconds": seconds}] * repeats)
        rows.append({"world": name, "turns": found})
        shown = {kind: millions([rate(turn) for turn in turns]) for kind, turns in found.items()}
        table.rows.append([name, *(shown.get(kind, "") for kind in MODALITIES)])
    return rows, [table]


def _names() -> list[str]:
    """Return the worlds that can be made here."""
    there = installed() is not None
    return [
        name
        for name, (package, _) in entries().items()
        if there or not package.endswith(".procgen")
    ]


def _has(world: str, observation: str) -> bool:
    try:
        make_world(world, observation=observation)
    except UserError:
        return False
    return True
