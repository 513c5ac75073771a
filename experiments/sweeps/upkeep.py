"""Looking after a sweep: repeating what failed, adding cells, clearing away.

Public names: `retry`, `add`, `clean`, `Cleared`.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from misgen.envs.core.errors import UserError

from ..training.run_folder import DONE, find_runs
from . import ledger as known_as
from .config import SweepConfig
from .ledger import Cell
from .plan import Plan, write_plan
from .states import chosen, sessions, states

_REPEATED = ("failed", "paused", "lost")


@dataclass(frozen=True)
class Cleared:
    """What was cleared away."""

    leftovers: int = 0
    """Files of processes that are gone, and training states that nobody needs."""
    agents: tuple[str, ...] = ()
    """Runs that are not in the sweep's grid."""


def retry(plan: Plan, word: str = "") -> list[Cell]:
    """Make what failed, stopped or was lost to be done again; return these cells.

    Args:
        plan: the sweep.
        word: of which cells (`chosen`); all, if none is given.
    """
    found = states(plan)
    again = [one.cell for one in chosen(found, word) if one.state in _REPEATED]
    for cell in again:
        plan.ledger.forget(cell.run, known_as.FAILED, known_as.PAUSED)
    plan.ledger.clear_claims(cell.run for cell in again)
    return again


def add(
    plan: Plan,
    seeds: int | None,
    correlations: Sequence[float],
    check: Callable[[SweepConfig], object],
) -> Plan:
    """Add cells to a sweep, and return its plan; whoever works on it takes them on.

    Args:
        plan: the sweep.
        seeds: how many seeds each correlation is to have; none: as many as it has.
        correlations: further ones.
        check: refuses a sweep that cannot be made.

    Raises:
        UserError: if that would add nothing, or take cells away.
    """
    config = plan.config
    seeds = config.seeds if seeds is None else seeds
    new = [one for one in dict.fromkeys(correlations) if one not in config.correlations]
    if seeds < config.seeds:
        raise UserError(
            f"seeds={seeds} is fewer than the {config.seeds} that the sweep has: cells are only "
            "added here; give a larger number"
        )
    if seeds == config.seeds and not new:
        raise UserError(
            f"{plan.folder} has these cells already (correlations={config.correlations}, "
            f"seeds={config.seeds}): give a larger seeds=..., or other correlations=[...]"
        )
    larger = dataclasses.replace(config, seeds=seeds, correlations=[*config.correlations, *new])
    check(larger)
    listed = ",".join(map(repr, larger.correlations))
    own = [w for w in plan.words if not re.match(r"\+*(seeds|correlations)=", w)]
    words = [*own, f"correlations=[{listed}]", f"seeds={seeds}"]
    return write_plan(larger, words, (plan.file, *plan.extends), plan.command)


def clean(plan: Plan, left_out: bool = False) -> Cleared:
    """Clear away what nobody needs: leftovers of dead processes, states of finished trainings.

    Args:
        plan: the sweep.
        left_out: also remove the agents that are not in its grid.

    Raises:
        UserError: if somebody works on the sweep.
    """
    busy = [one.holder.words for one in states(plan) if one.state == "running" and one.holder]
    busy += [one.words for one in sessions(plan)]
    if busy:
        raise UserError(f"{plan.folder} is being worked on ({busy[0]}): clean it when that is over")
    before = _files(plan.folder)
    plan.ledger.clear_claims(cell.run for cell in plan.cells)
    plan.ledger.tidy()
    for path in plan.ledger.path.glob("plan-*.json"):
        if path.name != plan.file:
            path.unlink(missing_ok=True)
    for folder in find_runs(plan.folder):
        folder.tidy(finished=folder.marked(DONE, folder.path.name.rpartition("-")[2]))
    gone = len(before - _files(plan.folder))
    agents = [folder for folder in find_runs(plan.folder) if folder.path.name not in _names(plan)]
    if left_out:
        for folder in agents:
            shutil.rmtree(folder.path)
    return Cleared(gone, tuple(folder.path.name for folder in agents))


def _names(plan: Plan) -> set[str]:
    return {cell.name for cell in plan.cells}


def _files(folder: Path) -> set[Path]:
    """Return the files in a sweep's folder, its runs' and its ledger's."""
    return {path for path in [*folder.glob("*"), *folder.glob("*/*"), *folder.glob("*/.*")]}
