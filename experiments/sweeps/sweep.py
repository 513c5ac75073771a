"""Train and evaluate at several correlations: what is not done yet.

Public names: `check`, `run`, `note`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Sequence

from ..evaluation.checks import require_evaluable
from ..evaluation.evaluate_run import is_evaluated
from ..training.checks import require_trainable
from ..training.config import TrainConfig
from ..training.run_folder import DONE, SWEEP, RunFolder, provenance, read_json, write_json
from ..training.shell import shell_words
from ..training.train import run_folder
from . import ledger as known
from .cluster import require_cluster, submit, wait
from .config import SweepConfig
from .launchers import LOCAL
from .local import run_workers
from .looks import next_look
from .plan import Plan, write_plan
from .watch import Watch


def check(config: SweepConfig) -> None:
    """Refuse a sweep of which a training or an evaluation could not be made.

    Raises:
        UserError: naming the setting.
    """
    if config.launcher != LOCAL:
        require_cluster(config.launcher)
    require_trainable(config.run(config.correlations[0], 0))
    for correlation in config.correlations:
        require_evaluable(config.run(correlation, 0), config.evaluate, sweep=True)


def run(
    config: SweepConfig, words: Sequence[str], elsewhere: Collection[str] = ()
) -> list[RunFolder]:
    """Train and evaluate whatever is not done; return the runs that are still not.

    Others may work on the same sweep at the same time, here or elsewhere: each cell is done once.

    Args:
        config: the sweep.
        words: its settings, as they are given after `misgen sweep`.
        elsewhere: names of runs that are done elsewhere, and are not to be done here.

    Raises:
        UserError: if the folder cannot be written to, or jobs cannot be started.
    """
    plan = write_plan(config, words)
    left = _run_once(plan, elsewhere)
    while config.until and not left and (following := next_look(plan, config.until)):
        plan = write_plan(following, words, (plan.file, *plan.extends), plan.command)
        left = _run_once(plan, elsewhere)
    return left


def _run_once(plan: Plan, elsewhere: Collection[str]) -> list[RunFolder]:
    """Do what is left of a plan; return the runs that are still not done."""
    started, config = time.monotonic(), plan.config
    note(plan)
    todo = _correct(plan, elsewhere)
    if todo:
        _launch(plan, min(config.jobs, len(todo)))
        for folder, one in todo:
            folder.tidy(finished=folder.marked(DONE, one.hash))
        _add_wall_time(plan, time.monotonic() - started)
    plan.ledger.tidy()
    return [folder for folder, one in todo if not _complete(folder, one, config)]


def _launch(plan: Plan, workers: int) -> None:
    """Have workers do what is left, and wait for them unless they need nobody."""
    config = plan.config
    if config.launcher == LOCAL:
        _compile(config)
        with Watch(plan, workers) as watch:
            run_workers(plan, workers, watch.show, watch.tell)
        return
    submitted = submit(plan, workers, config.launcher)
    if not config.cluster.wait:
        return
    with Watch(plan, workers) as watch:
        try:
            wait(submitted, watch.show, lambda: _is_over(plan))
        except KeyboardInterrupt:
            status = shell_words("misgen", "sweep", "status", plan.folder)
            watch.tell(f"the jobs go on without this command: {status}")
            raise


def _is_over(plan: Plan) -> bool:
    """Return whether nothing of a sweep is left to do."""
    seen = plan.ledger.look()
    return plan.by_run.keys() <= seen.done | seen.failed | seen.paused


def note(plan: Plan) -> None:
    """Write down what the sweep's report is about."""
    config = plan.config
    write_json(
        plan.folder / SWEEP,
        {
            **provenance(),
            "correlations": config.correlations,
            "seeds": max(map(config.seeds_of, config.correlations)),
            "train": config.runs[0].science,
            "evaluate": config.evaluate.science,
            "evaluation": plan.evaluation,
            "runs": [cell.name for cell in plan.cells],
            **({"until": dataclasses.asdict(config.until)} if config.until else {}),
        },
    )


def _correct(plan: Plan, elsewhere: Collection[str]) -> list[tuple[RunFolder, TrainConfig]]:
    """Make the ledger say what is done, here or elsewhere; return the runs that are not.

    What failed or stopped before is to be done again.
    """
    ledger, todo, seen = plan.ledger, [], plan.ledger.look()
    for cell, one in zip(plan.cells, plan.config.runs, strict=True):
        folder, away = run_folder(one), cell.name in elsewhere
        trained = away or folder.marked(DONE, one.hash)
        done = away or (trained and is_evaluated(folder, plan.config.evaluate))
        if cell.run not in seen.claims and not away:
            folder.tidy(finished=trained)
        for kind, holds, noted in (
            (known.TRAINED, trained, cell.run in seen.trained),
            (known.DONE, done, cell.run in seen.done),
        ):
            if holds and not noted:
                ledger.note(cell.run, kind)
                if kind == known.DONE and not away:  # whoever did it was gone before saying so
                    folder.status(phase="done")
            elif noted and not holds:
                ledger.forget(cell.run, kind)
        if cell.run in seen.failed | seen.paused:
            ledger.forget(cell.run, known.FAILED, known.PAUSED)
        if not done:
            todo.append((folder, one))
    ledger.clear_claims(cell.run for cell in plan.cells)
    return todo


def _complete(folder: RunFolder, run: TrainConfig, config: SweepConfig) -> bool:
    return folder.marked(DONE, run.hash) and is_evaluated(folder, config.evaluate)


def _compile(config: SweepConfig) -> None:
    """Compile the kernels once, so that the workers find them compiled."""
    import numpy as np

    distribution = config.runs[0].distribution
    engine = distribution.world.make_engine(1)
    engine.load(np.zeros(1, np.int64), distribution.levels(np.zeros(1, np.int64)))
    engine.step(np.zeros(1, np.int64))
    engine.observe()


def _add_wall_time(plan: Plan, seconds: float) -> None:
    path = plan.folder / SWEEP
    write_json(path, {**read_json(path, ""), "wall_seconds": seconds})
