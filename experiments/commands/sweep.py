"""Train and evaluate at several correlations, and report: misgen sweep [key=value ...].

For every correlation and training seed an agent is trained and evaluated, in one-thread jobs side
by side; then runs/<name>/report.html shows what came out.  What is done already is not repeated: a
sweep that was stopped, or that now asks for more seeds, goes on from where it is.

Examples:
  misgen sweep                                         CoinRun, 4 correlations x 2 seeds
  misgen sweep seeds=5 correlations=[1,0.99] jobs=8
  misgen sweep env.mode=easy placement=anywhere name=easy-anywhere
  misgen sweep preset=smoke                            a minute, to see that it works

Settings (misgen sweep --cfg prints them all with their values)
  correlations  the correlations to train at
  seeds         how many training seeds at each
  jobs          jobs side by side (default: one for each CPU core)
  name          folder of the sweep in runs (default: <world>-<preset>)
  evaluate.*    as for misgen evaluate, for example evaluate.accident_repeats=5
  ...           and all of misgen train
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from misgen.agents.config import DEFAULT_ALGORITHM
from misgen.envs.core.errors import UserError, in_range
from misgen.envs.core.processes import (
    ended_together,
    group_options,
    is_alive,
    stopping_cleanly,
)

from ..evaluation.chosen import key_of, settings_of
from ..evaluation.config import EvaluateConfig
from ..training.config import TrainConfig, compose, typed
from ..training.overrides import hydra_words, keys_of, refuse_unused
from ..training.run_folder import DONE, SWEEP, RunFolder, provenance, write_json
from ..training.shell import shell_words
from ..training.trained_run import TrainedRun
from .common import COMMAND

_POLL = 0.5  # seconds
_PARENT = "MISGEN_SWEEP_PID"
_OWN_KEYS = ("correlations", "seeds", "jobs", "name", "evaluate")
_SURFACE = "a sweep's evaluations are no surface: misgen evaluate shift=surface run=<the sweep>"
_UNUSED = {
    "correlation": "a sweep trains at several: give correlations=[1,0.9]",
    "seed": "a sweep trains at several: seeds=3 stands for the seeds 0, 1 and 2",
    "evaluate.run": "a sweep evaluates the runs that it trains",
    "launcher": "a sweep runs its jobs itself: give jobs=2",
    "hydra": "a sweep runs its jobs itself: give jobs=2",
    **{
        f"evaluate.shift.{name}": _SURFACE
        for name in ("parameters", "capability", "correlations", "levels")
    },
}
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


@dataclass(frozen=True)
class SweepConfig:
    """A sweep over correlations and training seeds."""

    train: dict[str, Any]
    """Settings of a training run, as for `TrainConfig`."""
    evaluate: EvaluateConfig
    """Settings of each evaluation."""
    correlations: list[float]
    """The correlations to train at."""
    name: str
    """Folder of the sweep."""
    seeds: int = 2
    """Training seeds 0 to seeds - 1 at each correlation."""
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    """One-thread jobs side by side."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("seeds", self.seeds, 1, 10_000)
        in_range("jobs", self.jobs, 1, 10_000)
        if not self.correlations or len(set(self.correlations)) < len(self.correlations):
            raise UserError(
                f"correlations={self.correlations} must name one or more, each once: "
                "for example correlations=[1,0.9]"
            )
        _ = self.runs

    @property
    def runs(self) -> list[TrainConfig]:
        """The training runs, in the order they start."""
        pairs = itertools.product(self.correlations, range(self.seeds))
        return [self.run(correlation, seed) for correlation, seed in pairs]

    def run(self, correlation: float, seed: int) -> TrainConfig:
        """Return the training run of one correlation and seed."""
        changes = {"correlation": correlation, "seed": seed, "name": self.name}
        return typed(TrainConfig, {**self.train, **changes})

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return Path(self.train["runs"]) / self.name


def main(argv: list[str]) -> int:
    """Run the command."""
    from .common import multirun, print_config

    if "--jobs-of-sweep" in argv:
        return multirun("sweep", "misgen.experiments.commands.sweep:run_job", argv[1:], None)
    refuse_unused("sweep", argv, _UNUSED)
    if "--cfg" in argv:
        return print_config("sweep", argv)
    config = read_config(compose("sweep", argv), argv)
    check(config, argv)
    with stopping_cleanly(), RunFolder(config.folder).lock():
        failed = run(config, argv)
    if failed:
        names = ", ".join(folder.path.name for folder in failed)
        print(
            f"not done: {names}; {config.folder / 'sweep.log'} says why; start the sweep again to "
            "go on from here",
            file=sys.stderr,
        )
    if len(failed) < len(config.runs):
        from .report import print_report, write_report

        report = write_report(config.folder)
        print_report(config.folder)
        print(f"report: {report}")
    return 1 if failed else 0


def read_config(plain: dict[str, Any], argv: list[str]) -> SweepConfig:
    """Return the sweep that a composed config describes."""
    own = {key: plain.pop(key) for key in _OWN_KEYS}
    if own["name"] is None:
        preset = keys_of(argv).get("preset", "lab").strip("'\"")
        algorithm = plain["agent"].get("algorithm", DEFAULT_ALGORITHM)
        learner = "" if algorithm == DEFAULT_ALGORITHM else f"-{algorithm}"
        own["name"] = f"{plain['env']['name']}-{preset}{learner}"
    if own["jobs"] is None:
        del own["jobs"]
    return typed(SweepConfig, {"train": plain, **own})


def check(config: SweepConfig, argv: list[str]) -> None:
    """Refuse a sweep of which a training or an evaluation could not be made.

    Raises:
        UserError: naming the setting.
    """
    from ..evaluation.checks import require_evaluable, require_trainable

    for word in argv:
        if word.partition("=")[0].lstrip("+~") == "launcher":
            raise UserError(
                f"{word} is not for a sweep, which has jobs=... side by side: give that"
            )
    require_trainable(config.run(config.correlations[0], 0))
    for correlation in config.correlations:
        require_evaluable(config.run(correlation, 0), config.evaluate, sweep=True)


def run(config: SweepConfig, argv: list[str]) -> list[RunFolder]:
    """Train and evaluate whatever is not done; return the runs that are still not.

    Raises:
        UserError: if the folder cannot be written to.
    """
    from .train import run_folder

    started = time.monotonic()
    runs = config.runs
    folders = [run_folder(one) for one in runs]
    write_json(
        config.folder / SWEEP,
        {
            **provenance(),
            "correlations": config.correlations,
            "seeds": config.seeds,
            "train": runs[0].science,
            "evaluate": config.evaluate.science,
            "evaluation": key_of(settings_of(TrainedRun(folders[0], runs[0], {}), config.evaluate)),
            "runs": [folder.path.name for folder in folders],
        },
    )
    _tidy(folders, runs)
    todo = [f for f, one in zip(folders, runs, strict=True) if not _complete(f, one, config)]
    if todo:
        _compile(config)
        _run_jobs(config, argv, folders)
        _tidy(folders, runs)
        _add_wall_time(config.folder / SWEEP, time.monotonic() - started)
    return [f for f, one in zip(folders, runs, strict=True) if not _complete(f, one, config)]


def _tidy(folders: list[RunFolder], runs: list[TrainConfig]) -> None:
    """Remove what killed jobs left in the folders of the runs."""
    for folder, one in zip(folders, runs, strict=True):
        folder.tidy(finished=folder.marked(DONE, one.hash))


def run_job(plain: dict[str, Any]) -> None:
    """Train and evaluate as one job of the sweep; what is done is left alone."""
    from .evaluate import evaluate_run
    from .train import train

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


def _complete(folder: RunFolder, run: TrainConfig, config: SweepConfig) -> bool:
    from .evaluate import is_evaluated

    return folder.marked(DONE, run.hash) and is_evaluated(folder, config.evaluate)


def _compile(config: SweepConfig) -> None:
    """Compile the kernels once, so that the jobs find them compiled."""
    import numpy as np

    distribution = config.runs[0].distribution
    engine = distribution.world.make_engine(1)
    engine.load(np.zeros(1, np.int64), distribution.levels(np.zeros(1, np.int64)))
    engine.step(np.zeros(1, np.int64))
    engine.observe()


def _run_jobs(config: SweepConfig, argv: list[str], folders: list[RunFolder]) -> None:
    """Run hydra's multirun with the joblib launcher in a process of its own, and watch it."""
    from ..sweeps.watch import watch

    passed = [
        w
        for w in argv
        if w.lstrip("+").partition("=")[0] not in ("correlations", "seeds", "jobs", "name")
    ]
    passed = hydra_words("sweep", passed)
    command = [
        *(sys.executable, "-m", "misgen.experiments.commands.sweep", "--jobs-of-sweep", "-m"),
        *passed,
        "launcher=joblib",
        f"hydra.launcher.n_jobs={config.jobs}",
        f"name={config.name}",
        f"correlation={','.join(map(repr, config.correlations))}",
        f"seed={','.join(map(str, range(config.seeds)))}",
    ]
    command_line = shell_words("misgen", *sys.argv[1:])
    own = {_PARENT: str(os.getpid()), COMMAND: command_line}
    environment = {**os.environ, **_ONE_THREAD, **own}
    with (config.folder / "sweep.log").open("ab") as log:
        jobs = subprocess.Popen(command, env=environment, stdout=log, stderr=log, **group_options())
        with ended_together(jobs):
            watch(folders, config.train["agent"]["total_steps"], lambda: jobs.poll() is None)


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


def _add_wall_time(path: Path, seconds: float) -> None:
    from ..training.run_folder import read_json

    write_json(path, {**read_json(path, ""), "wall_seconds": seconds})


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("sweep", main))
