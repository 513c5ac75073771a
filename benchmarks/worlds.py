"""Frames/s of every registered world side by side, with each observation that it has.

Run as `python -m benchmarks only=worlds`; settings are those of `benchmarks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.modality import MODALITIES
from misgen.envs.core.registry import entries, make_world

if TYPE_CHECKING:
    from rich.table import Table

SLOTS = 256


def distributions(with_procgen: bool) -> dict[str, LevelDistribution]:
    """Return the levels that each world is measured on, by its name and observation.

    Args:
        with_procgen: worlds on Procgen too, which must be installed.
    """
    found: dict[str, LevelDistribution] = {}
    for name, (package, _) in entries().items():
        for observation in MODALITIES:
            if package.endswith(".procgen") and not with_procgen:
                continue
            try:
                world = make_world(name, observation=observation)
            except UserError:  # it does not have that one
                continue
            found[f"{name} {observation}"] = LevelDistribution(world, 0.5)
    return found


def worlds_table(rows: list[dict]) -> Table:
    """Return a table of the worlds: frames/s, and what the process's own time gives."""
    from rich.table import Table

    title = f"Every world: {SLOTS} environments, one thread, random actions: frames/s"
    table = Table(title=title, min_width=78)
    table.add_column("world")
    for observation in MODALITIES:
        table.add_column(observation, justify="right")
        table.add_column("a CPU second", justify="right")
    rates = {
        row["program"]: (f"{row['frames_per_second']:,.0f}", f"{row['frames_per_cpu_second']:,.0f}")
        for row in rows
    }
    for name in entries():
        cells = [rates.get(f"{name} {observation}", ("", "")) for observation in MODALITIES]
        if any(cell[0] for cell in cells):
            table.add_row(name, *[text for cell in cells for text in cell])
    return table
