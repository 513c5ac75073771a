"""The state of each cell of a sweep, from any machine that sees its folder.

One listing of the ledger tells it; files are read only of cells that somebody works on, and of
those that failed.

Public names: `CellState`, `states`, `chosen`, `count`, `sessions`, `STATES`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from misgen.envs.core.errors import UserError

from ..training.run_folder import DONE as MARK
from ..training.run_folder import STATUS, read_json
from .claims import Holder
from .ledger import FAILED, Cell, Known
from .plan import Plan

STATES = ("running", "lost", "failed", "paused", "queued", "missing", "done")
"""`lost`: its process is gone; `queued`: somebody who is at work will come to it."""
_EVALUATIONS = "evaluations"
_LOST = "its process ended without a word, as where memory runs out or a machine is lost"


@dataclass(frozen=True)
class CellState:
    """How it stands with a cell."""

    cell: Cell
    state: str
    """One of `STATES`."""
    trained: bool = False
    holder: Holder | None = None
    """Who works on it, or did."""
    error: str = ""
    """Why it failed, or is lost."""
    command: str = ""
    """What repeats what failed."""
    phase: str = ""
    """What is being done, and how much of it."""


def states(plan: Plan) -> list[CellState]:
    """Return the state of each cell, in the plan's order."""
    known = plan.ledger.look()
    begun = _begun(plan)
    waiting = "queued" if sessions(plan, known) else "missing"
    return [_state(plan, cell, known, cell.name in begun, waiting) for cell in plan.cells]


def chosen(found: Sequence[CellState], word: str) -> list[CellState]:
    """Return the cells whose run's name holds a word, or whose hash begins with it.

    Raises:
        UserError: if there is none.
    """
    fitting = [one for one in found if word in one.cell.name]
    if not fitting:
        shown = ", ".join(one.cell.name for one in found[:5])
        raise UserError(
            f"cell={word} is no cell of the sweep: give a part of a name, as in {shown}"
        )
    return fitting


def sessions(plan: Plan, known: Known | None = None) -> list[Holder]:
    """Return who sees to the sweep at the moment."""
    return plan.ledger.sessions(known or plan.ledger.look())


def _state(plan: Plan, cell: Cell, known: Known, begun: bool, waiting: str) -> CellState:
    run = cell.run
    trained = run in known.trained
    if run in known.done and begun:
        return CellState(cell, "done", True)
    if run in known.claims:
        holder = plan.ledger.holder(run, known)
        if holder.is_alive:
            return CellState(cell, "running", trained, holder, phase=_phase(plan, cell))
        if run not in known.failed:
            return CellState(cell, "lost", trained, holder, _LOST, phase=_phase(plan, cell))
    if run in known.failed:
        told = plan.ledger.told(run, FAILED)
        error, command = told.get("error") or "unknown", told.get("command") or ""
        stage = told.get("stage")
        return CellState(cell, "failed", trained, None, error, command, stage or "")
    if begun and not trained:  # as an earlier version leaves it, or misgen train
        trained, evaluated = _marks(plan, cell)
        if evaluated:
            return CellState(cell, "done", True)
    return CellState(cell, "paused" if run in known.paused else waiting, trained and begun)


def _begun(plan: Plan) -> set[str]:
    """Return the names in the sweep's folder, among them the runs that were begun."""
    try:
        return set(os.listdir(plan.folder))
    except OSError:
        return set()


def _marks(plan: Plan, cell: Cell) -> tuple[bool, bool]:
    """Return whether a run is marked as trained, and as evaluated as this sweep evaluates."""
    folder = plan.run_folder(cell)
    trained = folder.marked(MARK, cell.run)
    return trained, trained and (folder.path / _EVALUATIONS / plan.evaluation / MARK).is_file()


def _phase(plan: Plan, cell: Cell) -> str:
    """Return what is done of a cell, by its status file."""
    try:
        status = read_json(plan.run_folder(cell).path / STATUS, "")
    except UserError:
        return "starting"
    phase = str(status.get("phase") or "starting")
    names = {"training": ("steps", "total_steps"), "evaluating": ("episodes", "total_episodes")}
    done, total = (status.get(name) for name in names.get(phase, ("", "")))
    share = done / total if done is not None and total else math.nan
    return phase if math.isnan(share) else f"{phase} {min(1.0, share):.0%}"


def count(found: Sequence[CellState]) -> dict[str, int]:
    """Return how many cells are in each state; of those in none, nothing."""
    counts = {state: sum(one.state == state for one in found) for state in STATES}
    return {state: number for state, number in counts.items() if number}
