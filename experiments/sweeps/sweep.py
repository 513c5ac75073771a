"""Train and evaluate at several correlations: what is not done yet.

Public names: `check`, `run`.
"""

from __future__ import annotations

import time
from pathlib import Path

from misgen.envs.core.errors import UserError

from ..evaluation.checks import require_evaluable
from ..evaluation.chosen import key_of, settings_of
from ..evaluation.evaluate_run import is_evaluated
from ..training.checks import require_trainable
from ..training.config import TrainConfig
from ..training.run_folder import DONE, SWEEP, RunFolder, provenance, read_json, write_json
from ..training.train import run_folder
from ..training.trained_run import TrainedRun
from .config import SweepConfig
from .sweep_jobs import require_launcher, run_jobs


def check(config: SweepConfig, argv: list[str]) -> None:
    """Refuse a sweep of which a training or an evaluation could not be made.

    Raises:
        UserError: naming the setting.
    """
    for word in argv:
        if word.partition("=")[0].lstrip("+~") == "launcher":
            raise UserError(
                f"{word} is not for a sweep, which runs jobs=... in parallel: use that instead"
            )
    require_trainable(config.run(config.correlations[0], 0))
    for correlation in config.correlations:
        require_evaluable(config.run(correlation, 0), config.evaluate, sweep=True)


def run(config: SweepConfig, argv: list[str]) -> list[RunFolder]:
    """Train and evaluate whatever is not done; return the runs that are still not.

    Raises:
        UserError: if the folder cannot be written to, or jobs cannot be started.
    """
    started = time.monotonic()
    runs = config.runs
    folders = [run_folder(one) for one in runs]
    if not all(_complete(f, one, config) for f, one in zip(folders, runs, strict=True)):
        require_launcher()
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
        run_jobs(config, argv, folders)
        _tidy(folders, runs)
        _add_wall_time(config.folder / SWEEP, time.monotonic() - started)
    return [f for f, one in zip(folders, runs, strict=True) if not _complete(f, one, config)]


def _tidy(folders: list[RunFolder], runs: list[TrainConfig]) -> None:
    """Remove what killed jobs left in the folders of the runs."""
    for folder, one in zip(folders, runs, strict=True):
        folder.tidy(finished=folder.marked(DONE, one.hash))


def _complete(folder: RunFolder, run: TrainConfig, config: SweepConfig) -> bool:
    return folder.marked(DONE, run.hash) and is_evaluated(folder, config.evaluate)


def _compile(config: SweepConfig) -> None:
    """Compile the kernels once, so that the jobs find them compiled."""
    import numpy as np

    distribution = config.runs[0].distribution
    engine = distribution.world.make_engine(1)
    engine.load(np.zeros(1, np.int64), distribution.levels(np.zeros(1, np.int64)))
    engine.step(np.zeros(1, np.int64))
    engine.observe()


def _add_wall_time(path: Path, seconds: float) -> None:
    write_json(path, {**read_json(path, ""), "wall_seconds": seconds})
