"""Settings of `misgen evidence`.

Public names: `EvidenceConfig`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from misgen.envs.core.errors import UserError, in_range, one_of

from .question import QUESTIONS, SIZES, Arm, Question, Size, question_of


@dataclass(frozen=True)
class EvidenceConfig:
    """A question, how much of it, and where its results go."""

    question: str = ""
    """Which one: a folder of `experiments/evidence/`."""
    size: str = "lab"
    """How much: smoke, lab, full."""
    arms: str | None = None
    """Only these of its arms, by name, with commas between; none: all."""
    seeds: int | None = None
    """Seeds 0 to seeds - 1 of each arm; none: as many as the size says."""
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    """One-thread jobs side by side."""
    train: bool = True
    """Do what is missing; false: make tables of what is done."""
    runs: str = "runs"
    """Folder that holds all runs."""
    out: str | None = None
    """Folder of tables, figure and page; none: in `runs`."""
    earlier: str | None = None
    """Folder of such results, as made before or elsewhere: what they hold is not done again."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        if not self.question:
            raise UserError(f"question is missing: give one of {', '.join(QUESTIONS)}")
        one_of("question", self.question, QUESTIONS)
        one_of("size", self.size, SIZES)
        in_range("jobs", self.jobs, 1, 10_000)
        if self.seeds is not None:
            in_range("seeds", self.seeds, 1, 10_000)
        _ = self.stages

    @property
    def asked(self) -> Question:
        """The question."""
        return question_of(self.question)

    @property
    def chosen(self) -> Size:
        """The size."""
        return self.asked.sizes[self.size]

    @property
    def stages(self) -> tuple[tuple[Arm, ...], ...]:
        """The arms that are asked for, by stages."""
        if self.arms is None:
            return self.chosen.stages
        known = [arm.name for arm in self.chosen.arms]
        wanted = [one_of("arms", name.strip(), known) for name in self.arms.split(",")]
        left = [tuple(arm for arm in stage if arm.name in wanted) for stage in self.chosen.stages]
        return tuple(stage for stage in left if stage)

    @property
    def chosen_arms(self) -> list[Arm]:
        """The arms that are asked for."""
        return [arm for stage in self.stages for arm in stage]

    @property
    def folder(self) -> Path:
        """Where tables, figure and page go."""
        usual = Path(self.runs) / f"{self.question}-{self.size}"
        return usual if self.out is None else Path(self.out)

    def seeds_of(self, arm: Arm) -> int:
        """Return how many training seeds an arm has at each correlation."""
        return self.seeds or arm.seeds or self.chosen.seeds
