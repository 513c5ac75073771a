"""The jobs of a sweep, side by side in a process of their own: hydra's multirun with joblib.

Public names: `run_jobs`, `run_job`, `require_launcher`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

from misgen.envs.core.errors import UserError, plain_sentence
from misgen.envs.core.processes import (
    ended_together,
    group_options,
    is_alive,
    stopping_cleanly,
)

from ..evaluation.evaluate_run import evaluate_run
from ..training import multirun
from ..training.overrides import hydra_words
from ..training.run_folder import DONE, RunFolder
from ..training.shell import COMMAND, command_line
from ..training.terminal import prepare_streams
from ..training.train import train
from .config import SweepConfig, read_config
from .watch import watch

_POLL = 0.5  # seconds
_PARENT, _WORDS = "MISGEN_SWEEP_PID", "MISGEN_SWEEP_JOBS"
"""Environment variables of the jobs: the sweep's process, and their settings, as JSON."""
_ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "POLARS_MAX_THREADS",
    )
}


def require_launcher() -> None:
    """Refuse to start jobs where what runs them side by side is not installed.

    Raises:
        UserError: saying what to install.
    """
    if not multirun.is_installed("joblib"):
        raise UserError(
            "a sweep needs the package hydra-joblib-launcher, which is not installed: pip install "
            "'misgen[sweep]'"
        )


def run_jobs(config: SweepConfig, argv: list[str], folders: list[RunFolder]) -> None:
    """Run hydra's multirun with the joblib launcher in a process of its own, and watch it."""
    passed = [
        w
        for w in argv
        if w.lstrip("+").partition("=")[0] not in ("correlations", "seeds", "jobs", "name")
    ]
    passed = hydra_words("sweep", passed)
    words = [
        *passed,
        "launcher=joblib",
        f"hydra.launcher.n_jobs={config.jobs}",
        f"name={config.name}",
        f"correlation={','.join(map(repr, config.correlations))}",
        f"seed={','.join(map(str, range(config.seeds)))}",
    ]
    own = {_PARENT: str(os.getpid()), _WORDS: json.dumps(words), COMMAND: command_line()}
    command = [sys.executable, "-m", __name__]
    environment = {**os.environ, **_ONE_THREAD, **own}
    with (config.folder / "sweep.log").open("ab") as log:
        jobs = subprocess.Popen(command, env=environment, stdout=log, stderr=log, **group_options())
        with ended_together(jobs):
            watch(folders, config.train["agent"]["total_steps"], lambda: jobs.poll() is None)


def run_job(plain: dict[str, Any]) -> None:
    """Train and evaluate as one job of the sweep; what is done is left alone."""
    _stop_with_sweep()
    correlation, seed = plain["correlation"], plain["seed"]
    config = read_config(plain, [f"preset={plain.get('preset', '')}"])
    run = config.run(correlation, seed)
    folder = train(run)
    if not folder.marked(DONE, run.hash):  # stop_after: the sweep's next start goes on
        return
    folder.status(phase="evaluating")
    evaluate_run(folder, config.evaluate)
    folder.status(phase="done")


def _stop_with_sweep() -> None:
    """End this job's process when the sweep's process is gone, even if it was killed."""
    parent = int(os.environ.get(_PARENT, "0"))
    if not parent:
        return

    def look() -> None:
        while is_alive(parent):
            time.sleep(_POLL)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def _main() -> None:
    """Run the jobs that the environment names; what goes wrong is told in the sweep's log."""
    prepare_streams()
    words = json.loads(os.environ[_WORDS])
    try:
        with stopping_cleanly():
            told = multirun.run_jobs("sweep", f"{__spec__.name}:run_job", words, None)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except UserError as error:
        raise SystemExit(f"misgen sweep: {plain_sentence(error)}") from None
    if told:
        raise SystemExit("\n".join(f"misgen sweep: {text}" for text in told))


if __name__ == "__main__":
    _main()
