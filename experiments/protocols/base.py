"""What runs a protocol, on which agent, and its result.

Public names: `Subject`, `Method`, `Point`, `Evidence`, `Sampled`, `make_method`, `register_method`,
`require_trusted`, `not_applicable`, `mean_point`, `detail_rows`.

**The prefix rule.**  A run spends episodes in one fixed order, and the score of budget b comes from
the first b of them: one run serves all budgets, and what a budget of 100 gives does not depend on
whether 10,000 were asked for.

**Replicates.**  A replicate plays its own levels (`Protocol.ids`); all other random numbers come
from (seed, level id, repeat, decision).

**A method** is a frozen dataclass: its fields are the protocol's `options`, `run` does the work.
Methods that play a list of levels and look at what happened extend `Sampled`; those that choose
levels by what they saw write `run` themselves.
"""

from __future__ import annotations

import dataclasses
import math
import time
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from misgen.agents.base import Agent, ValuedAgent
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.level_set import LevelSet

from ..evaluation.rollout import Actions
from ..training.by_value import ByValue
from ..training.settings import typed
from .known_methods import find_method, is_trusted, register_method
from .spec import Protocol

__all__ = [
    "Evidence",
    "Method",
    "Point",
    "Progress",
    "Sampled",
    "Subject",
    "detail_rows",
    "make_method",
    "mean_point",
    "not_applicable",
    "register_method",
    "require_trusted",
]

_ROUNDING = 1e-9
"""Part of the range below which values differ by rounding alone."""
Progress = Callable[[int], object]
"""Called with the number of episodes that ended, whenever some did."""


@dataclass(frozen=True)
class Subject:
    """An agent under test.  What it is after is what a protocol is to find out."""

    name: str
    """What tables call it."""
    training: LevelDistribution
    """The levels that it was trained on, with their rules."""
    agent: Agent
    """Who plays."""
    actions: Actions = "sampled"
    """How its actions are drawn."""
    by_hand: LevelSet | None = None
    """Levels made by hand that it is tested on, instead of the protocol's own."""

    @property
    def critic(self) -> ValuedAgent | None:
        """The agent as one with value estimates, or None."""
        return self.agent if isinstance(self.agent, ValuedAgent) else None


@dataclass(frozen=True, eq=False)
class Point(ByValue):
    """A score and what it cost."""

    budget: int
    """Episodes that were allowed."""
    score: float
    """Higher: more evidence of goal misgeneralization; NaN where nothing can be said."""
    low: float = math.nan
    """Bounds of a 95% interval over levels, for this agent; NaN where there is none."""
    high: float = math.nan
    episodes: int = 0
    """Episodes of the agent that were spent; at most `budget`."""
    seconds: float = 0.0
    """CPU time that it took."""
    note: str = ""
    """What the reader must know."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a protocol found out about an agent."""

    protocol: str
    protocol_hash: str
    subject: str
    replicate: int
    points: tuple[Point, ...] = ()
    """One a budget, in ascending order; none where the protocol is not applicable."""
    details: pl.DataFrame = field(default_factory=pl.DataFrame)
    """What the scores were computed from: one row an episode or another piece of evidence, at
    least `order` (number of the episode, from 0, after which it was known) and `level_id`."""
    reason: str = ""
    """Why the protocol is not applicable; empty where it is."""

    @property
    def applicable(self) -> bool:
        """Whether the protocol could be run on this agent at all."""
        return not self.reason


class Method(typing.Protocol):
    """What does a protocol's work."""

    def run(
        self,
        subject: Subject,
        protocol: Protocol,
        *,
        budgets: Sequence[int],
        replicate: int = 0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Evidence:
        """Test an agent.

        Args:
            subject: the agent.
            protocol: the specification; its options are this method's fields already.
            budgets: how many episodes may be spent, ascending; the prefix rule holds.
            replicate: which of the protocol's sets of levels (`protocol.ids(replicate)`).
            seed: seed of all chance beside the levels.
            progress: called with the number of episodes that ended, whenever some did.

        Returns:
            A point for each of `budgets`, or none with a `reason`.
        """
        ...


def require_trusted(protocol: Protocol, trust: bool = False) -> None:
    """Refuse a protocol whose method is code that nobody vouched for, without importing it.

    Raises:
        UserError: saying how to vouch for it.
    """
    if not (trust or is_trusted(protocol.method)):
        raise UserError(
            f"protocol.method={protocol.method[:100]!r} of protocol {protocol.name} is code that "
            "misgen does not ship, and importing it runs it: read it first, then give trust=true "
            "if you trust it"
        )


def make_method(protocol: Protocol, trust: bool = False) -> Method:
    """Return the method that a protocol names, made of its options.

    Args:
        protocol: which method, with which options.
        trust: import it even if neither misgen nor an installed package brings it by a name, and it
            was not registered.

    Raises:
        UserError: if it is not trusted, cannot be found, is none, or has no such options.
    """
    require_trusted(protocol, trust)
    field = f"protocol.method={protocol.method[:100]!r} of protocol {protocol.name}"
    cls: Any = find_method(protocol.method, field)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls) and hasattr(cls, "run")):
        raise UserError(
            f"{field} is not a method: name a dataclass with a function run(subject, protocol, ...)"
        )
    try:
        method: Any = typed(cls, protocol.options, f"{protocol.name}.options.")
        return method
    except TypeError as error:  # of a class that cannot be made, such as Sampled itself
        raise UserError(f"{field} cannot be made ({error}): name a class of its own") from None


def not_applicable(subject: Subject, protocol: Protocol, replicate: int, reason: str) -> Evidence:
    """Return that a protocol cannot be run on an agent, and why."""
    return Evidence(protocol.name, protocol.hash, subject.name, replicate, reason=reason)


def mean_point(budget: int, values: ArrayLike, *, bounds: tuple[float, float]) -> Point:
    """Return the mean of one number a level, with its interval over levels.

    A t-interval; where all values are the same, and so tell nothing of their spread, Wilson's for
    as many trials of the same outcome, on the scale of `bounds`.

    Args:
        budget: as in `Point`.
        values: float [levels]; NaN: nothing is known of that level.
        bounds: range of the values.

    Returns:
        A point without `episodes` and `seconds`.
    """
    from ..evaluation.statistics import t_over_seeds, wilson

    known = np.asarray(values, np.float64).ravel()
    known = known[~np.isnan(known)]
    if not len(known):
        return Point(budget, math.nan, note="nothing is known of any level")
    low, high = bounds
    mean = float(known.mean())
    if np.ptp(known) > _ROUNDING * (high - low):
        found = t_over_seeds(known, bounds=bounds)
        return Point(budget, mean, found.low, found.high)
    n = len(known)  # the mean is one outcome; how far might it be off the others?
    width = wilson(0, n).high * (high - low)
    return Point(budget, mean, max(low, mean - width), min(high, mean + width), note="no variation")


def detail_rows(episodes: pl.DataFrame, order: ArrayLike, **labels: Any) -> pl.DataFrame:
    """Return episodes (`rollout.SCHEMA`) with `order` in front, and columns of one value."""
    number = pl.Series("order", np.asarray(order, np.int64))
    columns = [pl.lit(value).alias(name) for name, value in labels.items()]
    return episodes.select(number, *columns, pl.all())


@dataclass(frozen=True, kw_only=True)
class Sampled(ABC):
    """A method that plays a list of levels, known beforehand, and looks at what happened."""

    num_slots: int = 512
    """Levels played side by side; changes no result."""
    plays_by_hand: ClassVar[bool] = False
    """Whether `play` can be given levels made by hand (`Subject.by_hand`)."""

    @abstractmethod
    def play(
        self, subject: Subject, ids: NDArray[np.int64], budget: int, seed: int, progress: Progress
    ) -> pl.DataFrame:
        """Spend `budget` episodes, or a few fewer, and return the rows that scores rest on.

        Args:
            subject: the agent.
            ids: level ids of the replicate, as many as can be needed, int64.
            budget: episodes.
            seed: seed of sampled actions.
            progress: to be called with the number of episodes that ended.

        Returns:
            At least `order` and `level_id`; see `Evidence.details`.
        """

    @abstractmethod
    def score(self, rows: pl.DataFrame, budget: int) -> Point:
        """Return the score of a budget, given the rows whose `order` is less than it."""

    def refuses(self, subject: Subject) -> str:
        """Return why the protocol is not applicable to an agent; empty where it is."""
        return ""

    def cost(self, rows: pl.DataFrame) -> int:
        """Return how many episodes of the agent it took to get some rows."""
        return len(rows)

    def run(
        self,
        subject: Subject,
        protocol: Protocol,
        *,
        budgets: Sequence[int],
        replicate: int = 0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Evidence:
        """Test an agent; see `Method.run`.

        The time of a smaller budget is that of all, in proportion to the episodes.
        """
        reason = self.refuses(subject)
        if reason:
            return not_applicable(subject, protocol, replicate, reason)
        ids = (subject.by_hand.ids if subject.by_hand else protocol.ids(replicate)).ids()
        started = time.process_time()
        rows = self.play(subject, ids, max(budgets), seed, progress or (lambda _: None))
        each = (time.process_time() - started) / max(1, len(rows))
        points = []
        for budget in sorted(budgets):
            own = rows.filter(pl.col("order") < budget)
            found = self.score(own, budget)
            points.append(replace(found, episodes=self.cost(own), seconds=each * len(own)))
        return Evidence(
            protocol.name, protocol.hash, subject.name, replicate, tuple(points), details=rows
        )
