"""The trained agents of a population: the runs of a sweep, and trainings that were cut short.

Public names: `Training`, `check`, `finished`, `missing_runs`, `short_runs`, `sweep_of`,
`train_missing`, `SHORT`.
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from misgen.envs.core.errors import UserError

from ...sweeps import sweep as sweep_runs
from ...sweeps.config import SweepConfig, read_config
from ...training.checks import require_trainable
from ...training.config import TrainConfig
from ...training.run_folder import DONE, find_runs
from ...training.settings import compose
from ...training.trained_run import TrainedRun

SHORT = "short"
"""What the name of the sweep of short trainings ends with."""


class Training(Protocol):
    """What is trained; see `population.PopulationConfig`."""

    @property
    def sweep(self) -> tuple[str, ...]:
        """Words after `misgen sweep`."""
        ...

    @property
    def short_steps(self) -> tuple[int, ...]:
        """Environment steps of the short trainings."""
        ...

    @property
    def short_correlations(self) -> tuple[float, ...]:
        """Their correlations."""
        ...


def check(config: Training) -> None:
    """Refuse a training that could not be made, or is none.

    Raises:
        UserError: naming the setting.
    """
    sweep = sweep_of(config)
    sweep_runs.check(sweep)
    agent, known = sweep.runs[0].agent, dict[int, int]()
    for steps in config.short_steps:
        if not 1 <= steps < agent.total_steps:
            raise UserError(
                f"population.short_steps={list(config.short_steps)}: {steps} is not shorter than "
                f"the other trainings, of {agent.total_steps} decisions: give smaller ones, or "
                "population.short_steps=[]"
            )
        real = agent.whole_rollouts(steps)
        if real in known:
            raise UserError(
                f"population.short_steps={list(config.short_steps)}: {known[real]} and {steps} are "
                f"both {real // agent.rollout} rollouts of {agent.rollout} decisions, and so one "
                "agent: give numbers further apart"
            )
        known[real] = steps
    for run in short_runs(config, sweep):
        require_trainable(run)


def missing_runs(config: Training) -> list[TrainConfig]:
    """Return the training runs of the population that are not finished."""
    sweep = sweep_of(config)
    known = finished(sweep.folder)
    return [run for run in [*sweep.runs, *short_runs(config, sweep)] if run.hash not in known]


def train_missing(config: Training) -> None:
    """Train what is missing, by the sweep that makes it (and evaluates it as the sweep says)."""
    sweep = sweep_of(config)
    missing = {run.hash for run in missing_runs(config)}
    if any(run.hash in missing for run in sweep.runs):
        sweep_runs.run(sweep, [*config.sweep])
    for steps in config.short_steps:
        words = _short_words(config, sweep, steps)
        short = read_config(compose("sweep", words), words)
        if any(run.hash in missing for run in short.runs):
            sweep_runs.run(short, words)


def sweep_of(config: Training) -> SweepConfig:
    """Return the sweep of the trained agents."""
    return _sweep(config.sweep)


@lru_cache(maxsize=8)
def _sweep(words: tuple[str, ...]) -> SweepConfig:
    return read_config(compose("sweep", list(words)), list(words))


def short_runs(config: Training, sweep: SweepConfig) -> list[TrainConfig]:
    """Return the short trainings: as the others until they stop, so that no rate is annealed."""
    found = []
    for steps, correlation in itertools.product(config.short_steps, config.short_correlations):
        run = sweep.run(correlation, 0)
        agent = dataclasses.replace(run.agent, total_steps=steps, anneal=False)
        found.append(dataclasses.replace(run, agent=agent, name=f"{sweep.name}-{SHORT}"))
    return found


def _short_words(config: Training, sweep: SweepConfig, steps: int) -> list[str]:
    kept = [w for w in config.sweep if w.partition("=")[0] not in _REPLACED]
    listed = ",".join(map(repr, config.short_correlations))
    return [
        *kept,
        f"agent.total_steps={steps}",
        "agent.anneal=false",
        f"correlations=[{listed}]",
        "seeds=1",
        f"name={sweep.name}-{SHORT}",
    ]


_REPLACED = ("agent.total_steps", "agent.anneal", "correlations", "seeds", "name")


def finished(sweep: Path) -> dict[str, str]:
    """Return the finished runs of a sweep: path by the hash of their settings.

    Looked for in its folder, and in those whose names go on after its own.  Hashes are of the
    stored settings as they are read today, so that a setting that was added since, and has its
    default, changes nothing.
    """
    found: dict[str, str] = {}
    for folder in [*sweep.parent.glob(f"{sweep.name}-*"), sweep]:
        for one in find_runs(folder):
            if (one.path / DONE).is_file():
                found[TrainedRun.read(one).config.hash] = str(one.path)
    return found
