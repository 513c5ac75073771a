"""What a question is: work as data, in arms, and an analysis of the rows that it leaves.

An arm is a sweep (`swept.Sweep`), or other pieces of work (`pieces.Pieces`).

Public names: `Question`, `Size`, `Arm`, `Collected`, `Found`, `QUESTIONS`, `OVER_SEEDS`,
`question_of`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from misgen.envs.core.errors import one_of

from .columns import COLUMNS

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from .config import EvidenceConfig

SIZES = ("smoke", "lab", "full")
"""From a minute to what a machine can do in days; each question says what each of them takes."""
QUESTIONS = {
    "langosco_figure_2": "how rarely may the coin be moved in training? (CoinRun)",
    "phase_diagram": "frequency of conflicts, their variety, or time: what decides a seed?",
    "langosco_figure_4": "how large must the cheese's region be? (Maze I)",
    "maze_2": "shape or colour: which feature is followed? (Maze II)",
    "keys_and_chests": "are keys gathered for their own sake?",
    "actor_and_critic": "do actor and critic go for the same thing? (CoinRun)",
    "follow_the_leader": "is a leader followed into mistakes, and worse than random?",
    "level_replay": "do levels chosen by regret mend it, where conflicts are rare?",
    "detection": "which evaluation detects misgeneralization?",
    "identifiability": "can tests within the support tell what is pursued?",
    "anticipation": "what does a test see that was told some of the cues?",
    "compute": "is compute a proxy for what an agent goes for?",
    "emergence": "when does an agent come to go for the goal?",
    "inheritance": "what goal does an heir of another's agent have?",
}
"""The folders here, and in a line what each asks."""
OVER_SEEDS = (
    "A share of seeds has the interval of Clopper and Pearson, a mean over seeds one that "
    "holds for any distribution of seeds; a single seed's is over levels alone, and says "
    "nothing of other seeds."
)
"""What the intervals are where training seeds are the unit."""
_INTERNAL = ".config:QUESTION"


@dataclass(frozen=True, eq=False)
class Collected:
    """What is done of an arm."""

    planned: int
    """Pieces of work that there are to be."""
    done: int
    rows: list[dict[str, Any]]
    """Their rows of the question's table."""
    beside: list[pl.DataFrame] = field(default_factory=list)
    """What `Question.of_run` made of each."""
    work_done: float = 0.0
    work_left: float = 0.0
    """How much work that is, and what is left, in any unit that pieces of one question share."""


class Arm(Protocol):
    """A part of a question: pieces of work, each of which is done once and leaves rows."""

    @property
    def name(self) -> str:
        """Tells its folder from those of the others."""
        ...

    @property
    def factors(self) -> Mapping[str, Any]:
        """Columns of the question's table by which its arms differ."""
        ...

    @property
    def seeds(self) -> int | None:
        """How many seeds it has; none: as many as the size says."""
        ...

    def told(self, config: EvidenceConfig) -> str:
        """Return the command that does this arm alone."""
        ...

    def check(self, config: EvidenceConfig) -> None:
        """Refuse what could not be done, before anything is begun.

        Raises:
            UserError: naming the setting.
        """
        ...

    def runs(self, config: EvidenceConfig) -> list[str]:
        """Return what the table's column `run` calls its pieces of work."""
        ...

    def carry_out(self, config: EvidenceConfig, seeds: int) -> list[str]:
        """Do what is not done of so many seeds; return the names of the pieces that failed."""
        ...

    def collect(self, config: EvidenceConfig) -> Collected:
        """Return what is done of all seeds."""
        ...


@dataclass(frozen=True)
class Size:
    """How much of a question is carried out."""

    seeds: int
    """Seeds of an arm; of a sweep, training seeds at each correlation."""
    stages: tuple[tuple[Arm, ...], ...]
    """Arms in the order in which they are done.  A stage's arms grow together, some seeds at a
    time, so that what is there when it is stopped is a whole picture with fewer seeds."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms of all stages."""
        return tuple(arm for stage in self.stages for arm in stage)


@dataclass(frozen=True, eq=False)
class Found:
    """What an analysis makes of a question's table."""

    tables: Mapping[str, pl.DataFrame]
    """Small tables by name, each a CSV file."""
    paragraph: str
    """What was found, and how sure, from the numbers alone."""
    details: tuple[str, ...] = ()
    """The same of single settings, a line each."""
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tables that the page shows, and which of their columns."""
    rows: Mapping[str, pl.Expr] = field(default_factory=dict)
    """Which of their rows; of those that are not named: all."""


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
    """From its table (`collected`); pure."""
    draw: Callable[[pl.DataFrame, Found], Figure]
    limits: tuple[str, ...]
    """What the results do not show, a sentence each."""
    columns: Mapping[str, Any] = field(default_factory=lambda: COLUMNS)
    """Of its table, with their types (`columns_with`)."""
    table: str = "seeds"
    """What its table is called."""
    each: str = "training seed"
    """What a row of it is."""
    counts: str = "training runs"
    """What its pieces of work are."""
    caption: str = (
        "Dots are training seeds, larger marks their means or shares, bars 95% intervals."
    )
    """What the figure's marks are."""
    how_sure: str = OVER_SEEDS
    """What the intervals are."""
    of_run: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    """What else the analysis needs of one run of a sweep, from its agent's episodes; with
    `placement`."""
    more: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame] | None = None
    """More columns, by `run` and `placement`, from the table and `of_run` of all runs (with their
    `run`)."""


def question_of(name: str) -> Question:
    """Return a question by its name.

    Raises:
        UserError: if there is none of that name.
    """
    one_of("question", name, QUESTIONS)
    module, _, attribute = _INTERNAL.partition(":")
    return getattr(importlib.import_module(f".{name}{module}", __package__), attribute)
