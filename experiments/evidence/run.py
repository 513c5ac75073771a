"""Train and evaluate what a question asks for: its arms are sweeps.

Public names: `check`, `carry_out`, `sweep_of`, `words_of`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache

from ..sweeps import sweep
from ..sweeps.config import SweepConfig, read_config
from ..training.settings import compose
from .config import EvidenceConfig
from .question import Arm

STEP = 2
"""Training seeds by which the arms of a stage grow."""


def words_of(config: EvidenceConfig, arm: Arm, seeds: int | None = None) -> list[str]:
    """Return the settings of `misgen sweep` that train and evaluate an arm."""
    listed = ",".join(map(repr, arm.correlations))
    return [
        *arm.words,
        f"correlations=[{listed}]",
        f"seeds={seeds or config.seeds_of(arm)}",
        f"name={config.question}-{arm.name}",
        f"runs={config.runs}",
    ]


def sweep_of(config: EvidenceConfig, arm: Arm, seeds: int | None = None) -> SweepConfig:
    """Return an arm as a sweep of so many training seeds; none: of all that are asked for."""
    return _read(tuple([*words_of(config, arm, seeds), f"jobs={config.jobs}"]))


@lru_cache(maxsize=256)
def _read(words: tuple[str, ...]) -> SweepConfig:
    return read_config(compose("sweep", list(words)), list(words))


def check(config: EvidenceConfig) -> None:
    """Refuse what could not be trained or evaluated, before anything is begun.

    Raises:
        UserError: naming the setting.
    """
    for stage in config.stages:
        for arm in stage:
            ends = tuple({arm.correlations[0]: 0, arm.correlations[-1]: 0})
            few = dataclasses.replace(arm, correlations=ends)  # the others differ in nothing else
            sweep.check(sweep_of(config, few))


def carry_out(config: EvidenceConfig) -> Iterator[list[str]]:
    """Train and evaluate what is not done yet, some seeds at a time.

    Others may do so at the same time: each run is done once.

    Yields:
        After every sweep, the names of its runs that could not be done.

    Raises:
        UserError: if a folder cannot be written to, or jobs cannot be started.
    """
    for arm, seeds in _order(config):
        one = sweep_of(config, arm, seeds)
        failed = sweep.run(one, words_of(config, arm, seeds))
        yield [folder.path.name for folder in failed]


def _order(config: EvidenceConfig) -> Iterator[tuple[Arm, int]]:
    """Yield arms and their seeds so far: the arms of a stage grow together."""
    for stage in config.stages:
        most = max(config.seeds_of(arm) for arm in stage)
        for so_far in [*range(STEP, most, STEP), most]:
            for arm in stage:
                seeds = min(so_far, config.seeds_of(arm))
                if seeds == so_far or so_far - seeds < STEP:
                    yield arm, seeds
