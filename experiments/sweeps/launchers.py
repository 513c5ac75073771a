"""Where the jobs of a sweep can run, and what Slurm tells of them.

Public names: `LOCAL`, `SLURM`, `SUBMITIT_LOCAL`, `LAUNCHERS`, `thread_variables`,
`environment`, `job_here`, `is_queued`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping

LOCAL, SLURM, SUBMITIT_LOCAL = "local", "slurm", "submitit_local"
LAUNCHERS = (LOCAL, SLURM, SUBMITIT_LOCAL)
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment variables that limit a process to so many threads."""
    return dict.fromkeys(_THREADS, str(threads))


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while: processes that are started meanwhile inherit them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def job_here() -> str | None:
    """Return the number of the Slurm job that this process belongs to, if it does."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def is_queued(job: str) -> bool | None:
    """Return whether a job of Slurm's runs or waits; None where Slurm cannot be asked."""
    if shutil.which("squeue") is None:
        return None
    words = ["squeue", "--noheader", "--jobs", job, "--format", "%T"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if told.returncode:  # of one that is long gone, Slurm says that the id is none
        return False if "Invalid job id" in told.stderr else None
    return bool(told.stdout.split())
