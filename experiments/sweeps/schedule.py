"""Which cell is next, and how long the rest will take.

The longest jobs come first (Graham's rule: no schedule is more than a third longer than the best
one).  A training is longer than an evaluation, so that where few trainings are left they begin
before evaluations that can wait; before that, an agent is evaluated as soon as it is trained.

Public names: `TRAINING`, `EVALUATION`, `Task`, `choose`, `Left`, `Pace`, `time_left`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from .ledger import Cell, Known

TRAINING, EVALUATION = "training", "evaluation"
_FEW = 2
"""Trainings for each worker that are few: they come before evaluations."""
_LATEST = 2
"""For each worker: how many of the latest cells say how long the others take."""


@dataclass(frozen=True)
class Task:
    """What a worker does next."""

    cell: Cell
    stage: str
    """`training` or `evaluation`."""


def choose(
    cells: Iterable[Cell],
    seen: Known,
    workers: int,
    done_of: Callable[[Cell], float] = lambda cell: 0.0,
    leave: Collection[str] = (),
) -> Task | None:
    """Return what to do next; None if all is done, or others are at it.

    Args:
        cells: of the sweep.
        seen: what is known of them.
        workers: how many there are.
        done_of: how much of a cell's training an earlier start has done, 0 to 1.
        leave: runs that are to be left alone.
    """
    no = seen.done | seen.failed | seen.paused | seen.claims.keys() | set(leave)
    free = [cell for cell in cells if cell.run not in no]
    untrained = [cell for cell in free if cell.run not in seen.trained]
    trained = [cell for cell in free if cell.run in seen.trained]
    if untrained and not (trained and len(untrained) > _FEW * workers):
        return Task(min(untrained, key=done_of), TRAINING)
    return Task(trained[0], EVALUATION) if trained else None


@dataclass(frozen=True)
class Left:
    """What is left of a cell."""

    training: float
    """How much of its training, 0 to 1."""
    evaluation: float
    """How much of its evaluation."""


@dataclass(frozen=True)
class Pace:
    """How long a whole training and a whole evaluation take, in seconds; NaN where unknown."""

    training: float
    evaluation: float

    def seconds(self, left: Left) -> float:
        """Return how long the rest of a cell takes one worker; NaN where that is unknown."""
        parts = ((left.training, self.training), (left.evaluation, self.evaluation))
        return sum(share * whole for share, whole in parts if share)


def typical(latest: Sequence[float], running: Sequence[tuple[float, float]], workers: int) -> float:
    """Return how long a job takes, from those that ended and those that run.

    Args:
        latest: seconds that finished jobs took, in the order in which they ended.
        running: of jobs that run, how long they would take as they go now, and how much of them is
            done, 0 to 1: as much do they count, where a finished one counts 1.
        workers: how many there are.

    Returns:
        The weighted mean; NaN if nothing is known.
    """
    ended = [(seconds, 1.0) for seconds in latest[-_LATEST * workers :]]
    known = [(seconds, weight) for seconds, weight in [*ended, *running] if weight > 0]
    total = sum(weight for _, weight in known)
    return sum(seconds * weight for seconds, weight in known) / total if total else math.nan


def time_left(rest: Iterable[float], workers: int) -> float:
    """Return how long workers need for the rests of cells, the longest first; NaN if unknown."""
    jobs = sorted(rest, reverse=True)
    if any(math.isnan(job) for job in jobs):
        return math.nan
    ends = [0.0] * max(1, workers)
    for job in jobs:
        heapq.heapreplace(ends, ends[0] + job)
    return max(ends)
