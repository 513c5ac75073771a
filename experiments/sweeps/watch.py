"""Showing how far a sweep is, and how long the rest will take.

Public names: `Watch`, `Seen`, `see`, `estimate`.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError

from ..training.by_value import ByValue
from ..training.run_folder import STATUS, RunFolder, read_json
from . import ledger as known
from .plan import Plan
from .schedule import Left, Pace, time_left, typical

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from .ledger import Cell, Known

_LOOK_EVERY = 1.0  # seconds
_LINE_EVERY = 20.0  # seconds, where there is no terminal
_MOST_ROWS = 24
"""Cells that are all shown; of more, those that run."""
_TRAINING, _EVALUATING = "training", "evaluating"


@dataclass(frozen=True, eq=False)
class Seen(ByValue):
    """How far a run is."""

    name: str
    phase: str
    done: float
    """Part of the training, or of the evaluation, that is done, 0 to 1."""
    rate: float
    """Decisions a second, while training."""
    success: float
    """Share of recent training episodes that reached the goal; NaN where unknown."""

    @property
    def line(self) -> str:
        """What to show beside the name."""
        if self.phase == _EVALUATING and self.done:
            return f"{self.phase}  {self.done:4.0%}"
        if self.phase != _TRAINING:
            return self.phase
        return f"{self.done:4.0%}  {self.rate:>8,.0f} steps/s  success {self.success:4.0%}"


def see(folder: RunFolder, total_steps: int, began: float) -> Seen:
    """Return how far a run is that somebody works on, by its status file."""
    name = folder.path.name.rsplit("-", 1)[0]
    status = _status(folder)
    if status.get("time", 0.0) < began:
        return Seen(name, "waiting", 0.0, 0.0, math.nan)
    if status.get("phase") == _EVALUATING:
        total = status.get("total_episodes") or 0
        share = min(1.0, (status.get("episodes") or 0) / total) if total > 0 else 0.0
        return Seen(name, _EVALUATING, share, 0.0, math.nan)
    return Seen(
        name,
        status.get("phase") or "starting",
        status["steps"] / total_steps if "steps" in status else float("phase" in status),
        status.get("steps_per_second", 0.0),
        status.get("success", math.nan),
    )


class Watch:
    """Shows a sweep while it runs: a table in a terminal, lines now and then elsewhere."""

    def __init__(self, plan: Plan, workers: int) -> None:
        self._plan = plan
        self._workers = workers
        self._began = time.time()
        self._timed: dict[tuple[str, str], float] = {}
        self._first: dict[tuple[str, str], tuple[float, float]] = {}
        self._looked = self._told = -math.inf
        self._live: Live | None = None

    def __enter__(self) -> Watch:
        from rich.live import Live

        from ..training.terminal import make_console

        console = make_console(stderr=True)
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._looked = -math.inf
        if self._live is not None:
            self.show()
            self._live.stop()

    def show(self) -> None:
        """Show how far the sweep is, if it is time to."""
        now = time.monotonic()
        every = _LOOK_EVERY if self._live else _LINE_EVERY
        if now - self._looked < every:
            return
        self._looked = now
        noted, cells = self._look()
        summary = self._summary(noted, cells)
        if self._live is not None:
            self._live.update(_table(summary, self._rows(noted, cells)), refresh=True)
            return
        print(f"[{summary}]", file=sys.stderr, flush=True)
        for one in cells.values():
            print(f"  {one.name}: {one.line}", file=sys.stderr, flush=True)

    def tell(self, text: str) -> None:
        """Say something beside it."""
        print(text, file=sys.stderr, flush=True)

    def _look(self) -> tuple[Known, dict[str, Seen]]:
        """Return what the ledger says, and how far the cells are that somebody works on."""
        self._plan = self._plan.grown()
        noted = self._plan.ledger.look()
        steps = int(self._plan.config.train["agent"]["total_steps"])
        cells = {}
        for run in noted.claims:
            cell = self._plan.by_run.get(run)
            if cell and run not in noted.done:
                cells[run] = see(self._plan.run_folder(cell), steps, self._began)
        for kind, runs in ((known.TRAINED, noted.trained), (known.DONE, noted.done)):
            own = runs & self._plan.by_run.keys()
            for run in own - {run for run, of in self._timed if of == kind}:
                seconds = self._plan.ledger.told(run, kind).get("seconds")
                self._timed[run, kind] = math.nan if seconds is None else float(seconds)
        return noted, cells

    def _summary(self, noted: Known, cells: Mapping[str, Seen]) -> str:
        own = self._plan.by_run.keys()
        text = f"{len(noted.done & own)} of {len(own)} agents done"
        if failed := len(noted.failed & own - noted.done):
            text += f", {failed} failed"
        pace = self._pace(cells)
        seconds = estimate(own - noted.failed - noted.paused, noted, cells, pace, self._workers)
        return f"{text}{_in_words(seconds, pace)}"

    def _pace(self, cells: Mapping[str, Seen]) -> Pace:
        """Return how long trainings and evaluations take."""
        found = []
        for phase, kind in ((_TRAINING, known.TRAINED), (_EVALUATING, known.DONE)):
            ended = [s for (_, of), s in self._timed.items() if of == kind and s == s]
            going = [self._whole(run, one) for run, one in cells.items() if one.phase == phase]
            found.append(typical(ended, [one for one in going if one], self._workers))
        return Pace(*found)

    def _whole(self, run: str, seen: Seen) -> tuple[float, float] | None:
        """Return how long a job would take as it goes, and how much of it that was seen of."""
        now, share = time.monotonic(), seen.done
        first, had = self._first.setdefault((run, seen.phase), (now, share))
        gone = share - had
        return ((now - first) / gone, gone) if gone > 0.01 else None

    def _rows(self, noted: Known, cells: Mapping[str, Seen]) -> list[Seen]:
        if len(self._plan.cells) > _MOST_ROWS:
            return list(cells.values())
        return [cells.get(cell.run) or _still(cell, noted) for cell in self._plan.cells]


def estimate(
    runs: set[str], noted: Known, cells: Mapping[str, Seen], pace: Pace, workers: int
) -> float:
    """Return in how many seconds all is done; NaN where it cannot be known yet.

    Args:
        runs: those that are to be done.
        noted: what the ledger says.
        cells: how far those are that somebody works on.
        pace: how long trainings and evaluations take.
        workers: how many there are.
    """
    rest = []
    for run in runs - noted.done:
        seen = cells.get(run)
        trained = run in noted.trained
        done = seen.done if seen and seen.phase in (_TRAINING, _EVALUATING) else 0.0
        left = Left(0.0, 1.0 - done * trained) if trained else Left(1.0 - done, 1.0)
        rest.append(pace.seconds(left))
    return time_left(rest, workers)


def _in_words(seconds: float, pace: Pace) -> str:
    if seconds == seconds:
        return f", about {_duration(seconds)} left" if seconds else ""
    if pace.training == pace.training:
        return ", no evaluation has been timed yet"
    return ""


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _still(cell: Cell, noted: Known) -> Seen:
    """Return the state of a cell that nobody works on."""
    name = cell.name.rpartition("-")[0]
    states = {"done": noted.done, "failed": noted.failed, "paused": noted.paused}
    for state, runs in states.items():
        if cell.run in runs:
            return Seen(name, state, 1.0, 0.0, math.nan)
    state = "trained, to be evaluated" if cell.run in noted.trained else "waiting"
    return Seen(name, state, 0.0, 0.0, math.nan)


def _status(folder: RunFolder) -> dict[str, Any]:
    try:
        status = read_json(folder.path / STATUS, "")
    except UserError:
        return {}
    return {key: value for key, value in status.items() if value is not None}


def _table(summary: str, seen: Sequence[Seen]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=summary, box=None, title_justify="left")
    table.add_column("run")
    table.add_column("")
    for one in seen:
        style = {"waiting": "dim", "done": "green", "failed": "red"}.get(one.phase, "")
        table.add_row(escape(one.name), escape(one.line), style=style)
    return table
