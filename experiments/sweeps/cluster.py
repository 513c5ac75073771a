"""Workers as jobs of a cluster: an array of Slurm jobs, through submitit.

Each job is one worker.  Before its time is up, or when another job preempts it, it saves what it
trains, and is queued again by submitit; its successor goes on from there.  The jobs need nobody to
wait for them: the command that submitted them may end.

`submitit_local` starts the same jobs as processes of this machine, to try things out.

Public names: `require_cluster`, `submit`, `Submitted`, `wait`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.processes import process_here

from ..training.shell import COMMAND
from .launchers import SLURM, environment, is_queued, thread_variables

if TYPE_CHECKING:
    from .claims import Claim
    from .config import ClusterConfig
    from .plan import Plan

_JOBS = "jobs"
"""Folder in the ledger's for what submitit notes, and what jobs print."""
_MOST_TIMEOUTS = 100_000
_POLL = 1.0  # seconds
_ASK_EVERY = 15.0  # seconds between two questions to Slurm
_PATIENCE = 7 * 24 * 3600.0
"""Seconds after which jobs of which no sign was seen are taken for gone, where Slurm cannot be
asked."""


def require_cluster(launcher: str) -> None:
    """Refuse to submit jobs where that cannot be done.

    Raises:
        UserError: saying what is missing.
    """
    if importlib.util.find_spec("submitit") is None:
        raise UserError(
            f"launcher={launcher} needs the package submitit, which is not installed: pip install "
            "'misgen[slurm]', or leave launcher=local"
        )
    if launcher == SLURM and shutil.which("sbatch") is None:
        raise UserError(
            f"launcher={launcher} needs Slurm's command sbatch, which is not found here: start the "
            "sweep where jobs are submitted, or leave launcher=local"
        )


class _Job:
    """What a job does: the work of one worker."""

    def __init__(self, folder: str, plan: str, workers: int, command: str) -> None:
        self._folder = folder
        self._plan = plan
        self._workers = workers
        self._command = command

    def __call__(self) -> None:
        """Work until nothing is left."""
        from misgen.agents.resume import save_running

        from .plan import read_plan
        from .worker import work

        os.environ[COMMAND] = self._command
        # Slurm sends SIGTERM before it ends a job for good.
        signal.signal(signal.SIGTERM, lambda *_: save_running())
        work(read_plan(Path(self._folder), self._plan), self._workers, linger=False)

    def checkpoint(self) -> Any:
        """Save what is being trained, and return the job that goes on; called by submitit."""
        import submitit

        from misgen.agents.resume import save_running

        save_running()
        return submitit.helpers.DelayedSubmission(self)


@dataclass(frozen=True)
class Submitted:
    """Jobs that were submitted."""

    launcher: str
    jobs: tuple[Any, ...]
    """submitit's."""
    sessions: tuple[Claim, ...]
    """What the ledger notes of them."""

    @property
    def name(self) -> str:
        """The number of the array, or of the one job."""
        return _number(self.jobs[0])

    def are_over(self) -> bool:
        """Return whether none of them runs, or waits to, any more."""
        if self.launcher == SLURM:
            return is_queued(self.name) is False
        return all(job.done() for job in self.jobs)


def submit(plan: Plan, workers: int, launcher: str) -> Submitted:
    """Submit jobs that do what is left of a sweep.

    Args:
        plan: the sweep.
        workers: how many jobs.
        launcher: `slurm` or `submitit_local`.

    Raises:
        UserError: if they are refused.
    """
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    config = plan.config
    into = plan.ledger.path / _JOBS
    cluster = "slurm" if launcher == SLURM else "local"
    executor = submitit.AutoExecutor(
        str(into.absolute()), cluster=cluster, slurm_max_num_timeout=_MOST_TIMEOUTS
    )
    executor.update_parameters(**_parameters(config.cluster, config.threads, plan.folder.name))
    job = _Job(str(plan.folder), plan.file, workers, plan.command)
    try:
        with environment(thread_variables(config.threads)), executor.batch():
            jobs = [executor.submit(job) for _ in range(workers)]
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
        told = " ".join(str(getattr(error, "stderr", None) or error).split())[-300:]
        raise UserError(
            f"the jobs were refused ({told}): change cluster.*, and start again"
        ) from None
    return Submitted(launcher, tuple(jobs), _note(plan, jobs, launcher))


def _number(job: Any) -> str:
    return str(job.job_id).partition("_")[0]


def _note(plan: Plan, jobs: Sequence[Any], launcher: str) -> tuple[Claim, ...]:
    """Note in the ledger that jobs see to the sweep: one note for an array, one for a process."""
    told: dict[str, Any] = {"launcher": launcher, "beat": _PATIENCE / 12}
    ledger, number = plan.ledger, _number(jobs[0])
    if launcher == SLURM:
        name = f"{launcher}-{number}"
        return (ledger.open_job_session(name, **told, job=number, jobs=len(jobs)),)
    return tuple(
        ledger.open_job_session(
            f"{launcher}-{_number(job)}", **told, jobs=1, **process_here(int(_number(job)))
        )
        for job in jobs
    )


def wait(submitted: Submitted, show: Callable[[], object], is_over: Callable[[], bool]) -> None:
    """Wait until jobs are over, or everything is done."""
    asked = time.monotonic()
    while not is_over():
        show()
        time.sleep(_POLL)
        if time.monotonic() - asked > (_ASK_EVERY if submitted.launcher == SLURM else _POLL):
            asked = time.monotonic()
            if submitted.are_over():
                break
    for session in submitted.sessions:
        session.release()


def _parameters(cluster: ClusterConfig, threads: int, name: str) -> dict[str, Any]:
    """Return what submitit is told of each job; what begins with `slurm_` is Slurm's alone."""
    told = {
        "name": f"misgen-{name}",
        "timeout_min": cluster.minutes,
        "cpus_per_task": threads,
        "nodes": 1,
        "tasks_per_node": 1,
        "slurm_mem": f"{round(1024 * cluster.memory)}MB",
        "slurm_partition": cluster.partition,
        "slurm_account": cluster.account,
        "slurm_qos": cluster.qos,
        "slurm_signal_delay_s": cluster.notice,
        "slurm_additional_parameters": {"requeue": True, **cluster.options},
        "slurm_setup": [f"export {k}={v}" for k, v in thread_variables(threads).items()],
    }
    return {key: value for key, value in told.items() if value is not None}
