"""Look after a sweep, from any machine that sees its folder: misgen sweep status [runs/<sweep>].

  misgen sweep status   how far it is: each cell (a training and its evaluation) is missing, queued,
                        running (where, since when), lost (its process is gone), failed (why, and
                        the command that repeats it), paused by stop_after, or done; and with
                        seeds=until, what is decided on each correlation, after how many seeds
  misgen sweep retry    do again what failed, was paused or lost
  misgen sweep add      add cells: seeds=10, correlations=[0.7]
  misgen sweep clean    remove what killed processes left behind

Without a folder, it is the sweep in runs/ that was written to last.  Where a sweep is at work, it
takes on what retry and add leave to do; otherwise they go on with the sweep here, as misgen sweep
does, unless start=false.

Settings
  cell          of status and retry: a part of the names of the cells that are meant
  all           of status: list every cell (all=true)
  seeds, correlations    of add: how many seeds there are to be, and further correlations
  left_out      of clean: also delete the agents that are no longer in the sweep's grid
  jobs          of retry and add: parallel jobs
  start         of retry and add: start=false leaves the work to others

Examples:
  misgen sweep status
  misgen sweep status runs/coinrun-lab all=true
  misgen sweep retry runs/coinrun-lab cell=rho0.9-seed3
  misgen sweep add runs/coinrun-lab seeds=10
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError, did_you_mean

from ..sweeps.plan import Plan, read_plan
from ..sweeps.states import CellState, chosen, count, sessions, states
from ..training.run_folder import SWEEP
from ..training.shell import shell_words
from ..training.terminal import make_console

if TYPE_CHECKING:
    from rich.console import Console

_SETTINGS = {
    "status": ("cell", "all"),
    "retry": ("cell", "jobs", "start"),
    "add": ("seeds", "correlations", "jobs", "start"),
    "clean": ("left_out",),
}
_MOST = 20
"""Cells that are listed of each state, unless all are asked for."""
_NOT_LISTED = ("done", "queued", "missing")


def main(argv: Sequence[str]) -> int:
    """Run `status`, `retry`, `add` or `clean`."""
    action, *words = argv
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return 0
    folder, given = _read(action, words)
    plan = read_plan(folder)
    return {"status": _status, "retry": _retry, "add": _add, "clean": _clean}[action](plan, given)


def _status(plan: Plan, given: dict[str, Any]) -> int:
    found, console = states(plan), make_console()
    if given.get("cell"):
        found = chosen(found, given["cell"])
    every = given.get("all") or bool(given.get("cell"))
    counts = count(found)
    told = ", ".join(f"{number} {state}" for state, number in counts.items())
    console.print(f"{plan.folder}: {len(found)} cells: {told}", soft_wrap=True)
    for state in counts:
        if state not in _NOT_LISTED or every:
            _list(console, state, [one for one in found if one.state == state], bool(every))
    _print_decisions(console, plan)
    for session in sessions(plan):
        jobs = session.told.get("jobs")
        console.print(f"at work: {session.words}, {jobs} jobs", soft_wrap=True)
    if counts.keys() & {"failed", "lost", "paused"}:
        console.print(_next(plan), markup=False, soft_wrap=True)
    return 0


def _print_decisions(console: Console, plan: Plan) -> None:
    """Print what a sweep with seeds=until has decided so far, or is to decide."""
    if not (told := plan.plain.get("until")):
        return
    from ..evaluation.until import UntilConfig
    from ..sweeps.looks import noted_decisions
    from ..training.settings import typed

    rule = typed(UntilConfig, told, f"{plan.folder}: until.")
    console.print(f"seeds=until: {rule}", markup=False, soft_wrap=True)
    for correlation, found in noted_decisions(plan, rule).items():
        console.print(f"  \u03c1 = {correlation:g}: {found}", markup=False, soft_wrap=True)


def _list(console: Console, state: str, cells: list[CellState], every: bool) -> None:
    shown = cells if every else cells[:_MOST]
    console.print(f"{state}:")
    for one in shown:
        about = [one.phase, one.error]
        if one.holder is not None:
            about += [one.holder.words, f"last sign of life {one.holder.age:.0f} s ago"]
        text = ", ".join(word for word in about if word)
        console.print(f"  {one.cell.name}{': ' if text else ''}{text}", soft_wrap=True)
        if one.command:
            console.print(f"    {one.command}", soft_wrap=True)
    if len(shown) < len(cells):
        console.print(f"  and {len(cells) - len(shown)} more (all=true lists them)")


def _retry(plan: Plan, given: dict[str, Any]) -> int:
    from ..sweeps.upkeep import retry

    cells = retry(plan, given.get("cell", ""))
    print(f"to be done again: {', '.join(cell.name for cell in cells) or 'nothing'}")
    return _go_on(plan, given)


def _add(plan: Plan, given: dict[str, Any]) -> int:
    from ..sweeps.sweep import check, note
    from ..sweeps.upkeep import add

    if given.keys() <= {"jobs", "start"}:
        raise UserError("nothing is to be added: give seeds=10, or correlations=[0.7]")
    larger = add(plan, given.get("seeds"), given.get("correlations") or [], check)
    note(larger)
    print(f"added: {len(larger.cells) - len(plan.cells)} cells; there are {len(larger.cells)}")
    return _go_on(larger, given)


def _clean(plan: Plan, given: dict[str, Any]) -> int:
    from ..sweeps.upkeep import clean

    remove = bool(given.get("left_out"))
    cleared = clean(plan, remove)
    print(f"removed: {cleared.leftovers} files that nobody needs")
    if cleared.agents:
        names = ", ".join(cleared.agents)
        what = "removed" if remove else "kept, though not in the grid (left_out=true removes them)"
        print(f"{what}: {names}")
    return 0


def _next(plan: Plan) -> str:
    """Return the command that does what is left."""
    return f"next: {shell_words('misgen', 'sweep', 'retry', plan.folder)}"


def _go_on(plan: Plan, given: dict[str, Any]) -> int:
    """Leave what is to be done to those who are at work, or do it."""
    at_work = sessions(plan)
    if at_work:
        print(f"{at_work[0].words} is at work on it, and takes that on")
        return 0
    if given.get("start") is False:
        print(_next(plan))
        return 0
    from .sweep_run import finish

    config = plan.config
    if given.get("jobs"):
        config = dataclasses.replace(config, jobs=given["jobs"])
    return finish(config, plan.words)


def _read(action: str, words: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    """Return the folder and the settings that are given.

    Raises:
        UserError: for what is no setting, or no value of one.
    """
    folders, given = [], {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or Path(word).exists():
            folders.append(Path(word))
        elif key not in _SETTINGS[action]:
            raise UserError(
                f"{key} is no setting of misgen sweep {action}: use one of "
                f"{', '.join(_SETTINGS[action])}{did_you_mean(key, _SETTINGS[action])}"
            )
        else:
            given[key] = _value(key, text)
    if len(folders) > 1:
        raise UserError(f"{folders[1]} is a second folder: misgen sweep {action} takes one")
    return (folders[0] if folders else _newest(Path("runs"))), given


def _value(key: str, text: str) -> Any:
    """Return the value of a setting.

    Raises:
        UserError: naming what it must be.
    """
    if key == "cell":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if key in ("all", "left_out", "start"):
        fits, what = isinstance(value, bool), "true or false"
    elif key == "correlations":
        fits = isinstance(value, list) and all(type(one) in (int, float) for one in value)
        what = "a list of numbers, such as [0.7,0.3]"
        value = [float(one) for one in value] if fits and value else value
    else:
        fits, what = type(value) is int and value > 0, "a whole number from 1"
    if not fits:
        raise UserError(f"{key}={text} must be {what}")
    return value


def _newest(runs: Path) -> Path:
    """Return the sweep in `runs` that was started last.

    Raises:
        UserError: if there is none.
    """
    found = list(runs.glob(f"*/{SWEEP}"))
    if not found:
        raise UserError(f"{runs} holds no sweep: give the folder of one, or run misgen sweep first")
    return max(found, key=lambda path: path.stat().st_mtime).parent


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("sweep", main))
