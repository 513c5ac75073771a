"""What a sweep is: training runs over correlations and seeds, and how each is evaluated.

Public names: `SweepConfig`, `ClusterConfig`, `read_config`, `UNTIL`.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from misgen.agents.config import DEFAULT_ALGORITHM
from misgen.envs.core.errors import UserError, in_range, one_of
from misgen.envs.core.placement import USUAL

from ..evaluation.config import EvaluateConfig
from ..evaluation.until import UntilConfig
from ..training.config import LevelsConfig, TrainConfig
from ..training.overrides import keys_of, schema
from ..training.settings import typed
from .launchers import LAUNCHERS, LOCAL
from .words import OWN_KEYS

UNTIL = "until"
"""In place of a number of seeds: as many as it takes."""


@dataclass(frozen=True)
class ClusterConfig:
    """What each job of a cluster is given."""

    minutes: int = 720
    """Its time limit; one whose time is up saves, and is queued again."""
    memory: float = 4.0
    """Gigabytes."""
    partition: str | None = None
    """Slurm's partition; none: its default."""
    account: str | None = None
    """Slurm's account."""
    qos: str | None = None
    """Slurm's quality of service."""
    notice: int = 120
    """Seconds before the end of its time at which a job is told to save."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further options of sbatch, by name: cluster.options={constraint: cpu}."""
    wait: bool = True
    """Show how far the sweep is until it is done, and report; the jobs do not need it."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("cluster.minutes", self.minutes, 1, 1_000_000)
        in_range("cluster.memory", self.memory, 0.1, 100_000)
        in_range("cluster.notice", self.notice, 1, 86_400)


@schema("sweep", TrainConfig)
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
    until: UntilConfig | None = None
    """With `seeds=until`: when a correlation has seeds enough."""
    more_seeds: dict[str, int] = field(default_factory=dict)
    """Of correlations (as text) that have more seeds than `seeds`: how many."""
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    """One-thread jobs side by side."""
    launcher: str = LOCAL
    """Where the jobs run: local, slurm, submitit_local."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """What each job is given; of launcher=slurm and submitit_local."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("seeds", self.seeds, 1, 10_000)
        in_range("jobs", self.jobs, 1, 10_000)
        one_of("launcher", self.launcher, LAUNCHERS)
        if not self.correlations or len(set(self.correlations)) < len(self.correlations):
            raise UserError(
                f"correlations={self.correlations} must name one or more, each once: "
                "for example correlations=[1,0.9]"
            )
        for correlation in self.correlations:  # seeds differ in what cannot be wrong
            self.run(correlation, self.seeds - 1)

    @cached_property
    def runs(self) -> list[TrainConfig]:
        """The training runs, in the order of correlations and seeds."""
        return [
            self.run(correlation, seed)
            for correlation in self.correlations
            for seed in range(self.seeds_of(correlation))
        ]

    def seeds_of(self, correlation: float) -> int:
        """Return how many seeds a correlation has."""
        return max(self.seeds, self.more_seeds.get(repr(correlation), 0))

    def run(self, correlation: float, seed: int) -> TrainConfig:
        """Return the training run of one correlation and seed."""
        levels, placement = self._levels, self.train.get("placement", USUAL)
        return dataclasses.replace(
            self._first, correlation=correlation, seed=seed, levels=levels, placement=placement
        )

    @cached_property
    def _first(self) -> TrainConfig:
        """A training, with which the others have most settings in common."""
        own = {"correlation": self.correlations[0], "seed": 0, "name": self.name}
        return typed(TrainConfig, {**self.train, **own})

    @cached_property
    def _levels(self) -> LevelsConfig:
        """The levels as they are given: `own` is written out for each seed."""
        return typed(LevelsConfig, self.train.get("levels") or {}, "levels.")

    @property
    def threads(self) -> int:
        """Threads of each job of a cluster."""
        return max(self._first.agent.threads, self.evaluate.threads)

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return Path(self.train["runs"]) / self.name


def read_config(plain: dict[str, Any], argv: list[str]) -> SweepConfig:
    """Return the sweep that a composed config describes."""
    own = {key: plain.pop(key) for key in OWN_KEYS}
    if own["seeds"] == UNTIL:
        own["seeds"] = typed(UntilConfig, own["until"], "until.").first
    else:
        del own["until"]
    if own["name"] is None:
        preset = keys_of(argv).get("preset", "lab").strip("'\"")
        algorithm = plain["agent"].get("algorithm", DEFAULT_ALGORITHM)
        learner = "" if algorithm == DEFAULT_ALGORITHM else f"-{algorithm}"
        own["name"] = f"{plain['env']['name']}-{preset}{learner}"
    if own["jobs"] is None:
        del own["jobs"]
    return typed(SweepConfig, {"train": plain, **own})
