"""What a sweep is: training runs over correlations and seeds, and how each is evaluated.

Public names: `SweepConfig`, `read_config`.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from misgen.agents.config import DEFAULT_ALGORITHM
from misgen.envs.core.errors import UserError, in_range

from ..evaluation.config import EvaluateConfig
from ..training.config import TrainConfig
from ..training.overrides import keys_of, schema
from ..training.settings import typed

_OWN_KEYS = ("correlations", "seeds", "jobs", "name", "evaluate")


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
