"""Workers on this machine, side by side, each a process with one thread.

They are started once and work until nothing is left.  One that dies, as the system kills what takes
too much memory, fails the cell that it worked on, and another takes its place.

Public names: `run_workers`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import IO, Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import open_append
from misgen.envs.core.processes import end_groups, group_options, stopping_cleanly, this_process

from ..training.shell import COMMAND, command_line
from . import worker
from .claims import Heart
from .launchers import LOCAL, thread_variables
from .ledger import Ledger
from .plan import Plan
from .schedule import EVALUATION, TRAINING

LOG = "sweep.log"
_POLL = 0.25  # seconds
_PATIENCE = 60.0  # seconds that workers have to save what they do
_MOST_IDLE_DEATHS = 3
"""Workers that may end badly without a cell before none is started any more."""


def run_workers(
    plan: Plan,
    workers: int,
    show: Callable[[], object] = lambda: None,
    tell: Callable[[str], object] = lambda text: None,
) -> None:
    """Have workers do what is left of a sweep.

    Args:
        plan: the sweep.
        workers: how many, side by side.
        show: called a few times a second meanwhile.
        tell: called with a sentence when they are told to stop.

    Raises:
        UserError: if workers end before they take anything on.
    """
    heart = Heart(lambda: None)
    session = plan.ledger.open_session(jobs=workers, launcher=LOCAL)
    with heart.keeping(session), _log_of(plan) as log, stopping_cleanly():
        pool = _Pool(plan, workers, log)
        try:
            while pool.look_after():
                show()
                time.sleep(_POLL)
        finally:
            heart.stop()
            if pool.runs:
                tell("saving what is being trained ...")
                pool.end()


def _log_of(plan: Plan) -> IO[bytes]:
    """Return the file that workers write to.

    Raises:
        UserError: if there cannot be one.
    """
    path = plan.folder / LOG
    try:
        return open_append(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written to ({error.strerror}): make room for it there"
        ) from None


class _Pool:
    """The workers of this machine."""

    def __init__(self, plan: Plan, workers: int, log: IO[bytes]) -> None:
        self._plan = plan
        self._count = workers
        self._log = log
        self._idle_deaths = 0
        self._processes = [self._start() for _ in range(workers)]

    def look_after(self) -> bool:
        """Replace workers that died; return whether any is at work."""
        for place, process in enumerate(self._processes):
            status = process.poll()
            if status is None or status in _EXPECTED:
                continue
            self._bury(process, status)
            self._processes[place] = self._start()
        return self.runs

    @property
    def runs(self) -> bool:
        """Whether any is at work."""
        return any(process.poll() is None for process in self._processes)

    def end(self) -> None:
        """End all, after they have saved what they do."""
        end_groups(self._processes, _PATIENCE)

    def _start(self) -> subprocess.Popen[Any]:
        plan = self._plan
        work = {"folder": str(plan.folder), "plan": plan.file, "workers": self._count}
        work["parent"] = os.getpid()
        own = {worker.WORK: json.dumps(work), COMMAND: command_line()}
        return subprocess.Popen(
            [sys.executable, "-m", worker.__name__],
            env={**os.environ, **thread_variables(1), **own},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            **group_options(),
        )

    def _bury(self, process: subprocess.Popen[Any], status: int) -> None:
        """Fail the cell that a dead worker was at.

        Raises:
            UserError: if workers keep dying before they take one.
        """
        why = _why(status)
        if status == worker.LOST or _fail_cell_of(process.pid, self._plan, why):
            return
        self._idle_deaths += 1
        if self._idle_deaths > _MOST_IDLE_DEATHS:
            raise UserError(
                f"workers of the sweep end before they begin ({why}): "
                f"{self._plan.folder / LOG} says why"
            )


_EXPECTED = (0, 130, -signal.SIGTERM, -signal.SIGINT)
"""How workers end that found nothing left, or were told to stop."""


def _fail_cell_of(pid: int, plan: Plan, why: str) -> bool:
    """Note a failure of the cell that a process of this machine has claimed; False: it had none."""
    ledger: Ledger = plan.ledger
    seen, machine = ledger.look(), this_process()["machine"]
    for run in seen.claims:
        told = ledger.holder(run, seen).told
        if (told.get("pid"), told.get("machine")) == (pid, machine) and run in plan.by_run:
            stage = EVALUATION if run in seen.trained else TRAINING
            if run not in seen.done:
                worker.fail(plan, plan.by_run[run], stage, f"its process {why}")
            ledger.claim_file(run, seen.claims[run]).unlink(missing_ok=True)
            return True
    return False


def _why(status: int) -> str:
    """Return how a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    more = ", as the system does where memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{more}"
