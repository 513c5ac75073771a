"""What a question is: sweeps as data, and an analysis of what they leave.

Public names: `Question`, `Size`, `Arm`, `Found`, `QUESTIONS`, `question_of`, `evaluation_words`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import one_of

from ..evaluation.config import EvaluateConfig

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

SIZES = ("smoke", "lab", "full")
"""From a minute to what a machine can do in days; each question says what each of them takes."""
QUESTIONS = {
    "langosco_figure_2": "how rarely may the coin be moved in training? (CoinRun)",
    "phase_diagram": "frequency of conflicts, their variety, or time: what decides a seed?",
    "langosco_figure_4": "how large must the cheese's region be? (Maze I)",
    "maze_2": "shape or colour: which feature is followed? (Maze II)",
    "keys_and_chests": "are keys gathered for their own sake?",
    "follow_the_leader": "is a leader followed into mistakes, and worse than random?",
}
"""The folders here, and in a line what each asks."""
_INTERNAL = ".config:QUESTION"


@dataclass(frozen=True)
class Arm:
    """One sweep of a question: training runs that differ in correlation and seed alone."""

    name: str
    """Tells its sweep's folder from those of the others."""
    words: tuple[str, ...]
    """Settings of `misgen sweep`, but for correlations, seeds and name."""
    correlations: tuple[float, ...]
    factors: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the table of seeds by which the arms of a question differ."""
    seeds: int | None = None
    """Training seeds at each correlation; none: as many as the size says."""


@dataclass(frozen=True)
class Size:
    """How much of a question is carried out."""

    seeds: int
    """Training seeds at each correlation."""
    stages: tuple[tuple[Arm, ...], ...]
    """Arms in the order in which they are trained.  A stage's arms grow together, some seeds at a
    time, so that what is there when it is stopped is a whole picture with fewer seeds."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms of all stages."""
        return tuple(arm for stage in self.stages for arm in stage)


@dataclass(frozen=True, eq=False)
class Found:
    """What an analysis makes of the table of seeds."""

    tables: Mapping[str, pl.DataFrame]
    """Small tables by name, each a CSV file."""
    paragraph: str
    """What was found, and how sure, from the numbers alone."""
    details: tuple[str, ...] = ()
    """The same of single settings, a line each."""
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tables that the page shows, and which of their columns."""


@dataclass(frozen=True, eq=False)
class Question:
    """One question, and how it is answered."""

    name: str
    """Its folder in `experiments/evidence/`."""
    title: str
    asks: str
    """The question, in a sentence or two."""
    sizes: Mapping[str, Size]
    """By name: `SIZES`."""
    analyse: Callable[[pl.DataFrame], Found]
    """From the table of seeds (`collected`); pure."""
    draw: Callable[[pl.DataFrame, Found], Figure]
    limits: tuple[str, ...]
    """What the results do not show, a sentence each."""
    of_run: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    """What else the analysis needs of one run, from its agent's episodes; with `placement`."""
    more: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame] | None = None
    """More columns, by `run` and `placement`, from the table of seeds and `of_run` of all runs
    (with their `run`)."""


def question_of(name: str) -> Question:
    """Return a question by its name.

    Raises:
        UserError: if there is none of that name.
    """
    one_of("question", name, QUESTIONS)
    module, _, attribute = _INTERNAL.partition(":")
    return getattr(importlib.import_module(f".{name}{module}", __package__), attribute)


def evaluation_words(placements: tuple[str, ...], **settings: Any) -> tuple[str, ...]:
    """Return settings of a sweep's evaluations: sampled actions, planned seekers beside."""
    usual = EvaluateConfig()
    told = {"actions": "[sampled]", "repeats": usual.repeats, **settings}
    quoted = ",".join(f"'{one}'" if "(" in one else one for one in placements)
    words = [f"evaluate.{name}={value}" for name, value in told.items()]
    return (*words, f"evaluate.shift.placements=[{quoted}]")
