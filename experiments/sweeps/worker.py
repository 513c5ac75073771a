"""A worker: a process that trains and evaluates one agent after the other, until none is left.

What takes a process seconds, importing, loading compiled kernels and planned facts, it does once.
Each cell begins with the same seeds and with nothing of the one before it, so that its results are
those of a process of its own.

Public names: `work`, `fail`, `share_done`, `WORK`, `LOST`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import signal
import threading
import time
import traceback
from pathlib import Path

from misgen.envs.core.errors import UserError, plain_sentence
from misgen.envs.core.processes import is_alive, on_windows, stopping_cleanly

from ..evaluation.evaluate_run import evaluate_run
from ..evaluation.tracked_evaluation import track_evaluation
from ..training.run_folder import DONE as TRAINED_MARK
from ..training.run_folder import STATE, STATUS, Busy, read_json
from ..training.terminal import prepare_streams
from ..training.train import train
from .claims import Heart
from .ledger import DONE, FAILED, MOST_TRIES, PAUSED, TRAINED, Cell, Known, Ledger
from .looks import verdict_if_any
from .plan import Plan, read_plan
from .schedule import EVALUATION, TRAINING, Task, choose

WORK = "MISGEN_SWEEP_WORK"
"""Environment variable, JSON: the sweep's `folder`, the name of its `plan`, how many `workers`
there are, and the `parent`, the process that started this one and with which it ends."""
LOST = 76
"""Exit status of a worker whose claim was taken by another one while it did not answer."""
_LOG = logging.getLogger(__name__)
_POLL, _LONGEST_POLL = 0.5, 10.0  # seconds
_BUSY = 20.0  # seconds after which a run that another command writes to is looked at again
_PATIENCE = 30.0  # seconds to save what is trained once the parent is gone


def work(plan: Plan, workers: int, linger: bool = True) -> None:
    """Do whatever cell of a sweep is free, until none is left.

    Args:
        plan: the sweep's.
        workers: how many workers there are.
        linger: wait while others are at work, as what they train is to be evaluated.
    """
    heart = Heart(lambda: os._exit(LOST))
    try:
        _Worker(plan, workers, linger, heart).run()
    finally:
        heart.stop()


class _Worker:
    """What a worker keeps in mind."""

    def __init__(self, plan: Plan, workers: int, linger: bool, heart: Heart) -> None:
        self._workers = workers
        self._linger = linger
        self._heart = heart
        self._tried: set[str] = set()
        self._busy: dict[str, float] = {}
        self._shares: dict[str, float] = {}
        self._plan = plan

    def run(self) -> None:
        """Work until nothing is left."""
        pause = _POLL
        while True:
            self._plan = self._plan.grown()
            seen = self._ledger.look()
            task = choose(self._plan.cells, seen, self._workers, self._share, self._leave())
            task = task or self._inherited(seen)
            if task is not None:
                pause = _POLL
                self._take(task, seen)
            elif self._is_over(seen):
                return
            else:
                time.sleep(pause * random.uniform(0.8, 1.2))
                pause = min(1.5 * pause, _POLL * max(2, self._workers), _LONGEST_POLL)

    @property
    def _ledger(self) -> Ledger:
        return self._plan.ledger

    def _leave(self) -> set[str]:
        now = time.monotonic()
        return self._tried | {run for run, until in self._busy.items() if until > now}

    def _share(self, cell: Cell) -> float:
        """Return how much of a training an earlier start has done."""
        if cell.run not in self._shares:
            self._shares[cell.run] = share_done(self._plan, cell)
        return self._shares[cell.run]

    def _inherited(self, seen: Known) -> Task | None:
        """Return a cell of a process that is gone; give up one that many processes died of."""
        for cell in self._plan.cells:
            if cell.run not in seen.claims or cell.run in seen.done | seen.failed | self._leave():
                continue
            holder = self._ledger.holder(cell.run, seen)
            if holder.is_alive:
                continue
            stage = EVALUATION if cell.run in seen.trained else TRAINING
            if seen.claims[cell.run] < MOST_TRIES:
                return Task(cell, stage)
            error = f"{MOST_TRIES} processes died of it, the last one of {holder.words}"
            fail(self._plan, cell, stage, error)
        return None

    def _is_over(self, seen: Known) -> bool:
        """Return whether there will be nothing to do any more."""
        if any(until > time.monotonic() for until in self._busy.values()):
            return False
        if not self._linger:
            return True
        closed = seen.done | seen.failed | seen.paused
        return not any(
            cell.run in seen.claims and cell.run not in closed for cell in self._plan.cells
        )

    def _take(self, task: Task, seen: Known) -> None:
        """Do a task, unless somebody else was first."""
        claim = self._ledger.claim(task.cell.run, seen)
        if claim is None:
            time.sleep(random.uniform(0, 0.1))
            return
        self._ledger.touch_sessions()
        with self._heart.keeping(claim):
            try:
                self._do(task)
            except Busy:
                self._busy[task.cell.run] = time.monotonic() + _BUSY
            except UserError as error:
                self._failed(task, plain_sentence(error))
            except (Exception, MemoryError) as error:
                traceback.print_exc()
                self._failed(task, f"{type(error).__name__}: {error}")

    def _do(self, task: Task) -> None:
        """Train, or evaluate; what is done is left alone."""
        cell, began = task.cell, time.monotonic()
        folder = self._plan.run_folder(cell)
        if task.stage == TRAINING:
            run = self._plan.run(cell)
            before = share_done(self._plan, cell)
            if not train(run).marked(TRAINED_MARK, run.hash):  # stop_after
                self._ledger.note(cell.run, PAUSED)
                return
            seconds = (time.monotonic() - began) / max(0.01, 1 - before)
            folder.status(phase="trained")  # first, as who reads the note may be done before us
            self._ledger.note(cell.run, TRAINED, seconds=seconds)
            return
        evaluate_run(folder, self._plan.config.evaluate)
        track_evaluation(folder, self._plan.config.evaluate, self._plan.run(cell).logger)
        folder.status(phase="done")
        seconds = time.monotonic() - began
        self._ledger.note(cell.run, DONE, seconds=seconds, verdict=verdict_if_any(self._plan, cell))

    def _failed(self, task: Task, error: str) -> None:
        if not fail(self._plan, task.cell, task.stage, error):
            self._tried.add(task.cell.run)


def fail(plan: Plan, cell: Cell, stage: str, error: str) -> bool:
    """Note that a cell failed, and the command that repeats it; return False on a full disk."""
    _LOG.error("%s: %s failed: %s", cell.name, stage, error)
    with contextlib.suppress(UserError):
        command = plan.repeats(cell, stage)
        plan.ledger.note(cell.run, FAILED, stage=stage, error=error, command=command)
        return True
    return False


def share_done(plan: Plan, cell: Cell) -> float:
    """Return how much of a training an earlier start has done, 0 to 1, by its status file."""
    folder = plan.run_folder(cell).path
    if not (folder / STATE).exists():
        return 0.0
    try:
        status = read_json(folder / STATUS, "")
    except UserError:
        return 0.0
    total = status.get("total_steps") or 0
    return min(1.0, (status.get("steps") or 0) / total) if total > 0 else 0.0


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, even if it was killed."""

    def look() -> None:
        while is_alive(parent):
            time.sleep(_POLL)
        if not on_windows():
            os.kill(os.getpid(), signal.SIGTERM)  # the main thread saves what it has
            time.sleep(_PATIENCE)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def _main() -> int:
    """Work as the environment says; what goes wrong is told in the sweep's log."""
    prepare_streams()
    given = json.loads(os.environ[WORK])
    try:
        with stopping_cleanly():
            _end_with(given["parent"])
            work(read_plan(Path(given["folder"]), given["plan"]), given["workers"])
    except KeyboardInterrupt:
        return 130
    except UserError as error:
        raise SystemExit(f"misgen sweep: {plain_sentence(error)}") from None
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
