"""A test that a person takes, and its evaluation: that of an agent.

Public names: `PersonTest`, `evaluate_person`, `FIRST`, `FEWEST_TO_TELL`.

Levels that nobody has seen are played as twins, aligned and in conflict, in an order that tells
nothing.  What the person did is then played again by the evaluator (`agents.recorded`), beside the
floor and planned seekers, and gives the same tables as any agent's.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from misgen.agents.recorded import RecordedAgent
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError, in_range

from ..evaluation.config import EvaluateConfig, ShiftConfig
from ..evaluation.evaluate_agent import OwnAgentConfig, evaluate_own
from ..levels.game import Game
from ..reporting.evaluation_summary import ROWS, cases_of, number_of, sentences

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import World

FEWEST_TO_TELL = 20
"""Pairs of levels below which a person's numbers are called too few."""
FIRST = 2_000_000
"""The first of the levels that trainings leave to tests."""
_BLOCK, _MOST = 500, 100
"""Levels that are looked at for some in which the goal can move; the most that a test has."""


@dataclass
class PersonTest:
    """Levels that a person plays, each as twins.

    Attributes:
        world: the rules.
        placement: where the goal is in conflict.
        person: what tables call them.
        ids: the levels.
        left: those still to be played, with the correlation that makes each twin.
        plays: actions of the episodes that ended, as `RecordedAgent` takes them.
    """

    world: World
    placement: str
    person: str
    ids: list[int]
    left: list[tuple[int, float]]
    plays: dict[tuple[int, bytes], list[int]] = field(default_factory=dict)
    done: list[tuple[int, float]] = field(default_factory=list)

    @classmethod
    def of(
        cls, world: World, placement: str, person: str, count: int, seed: int, first: int = FIRST
    ) -> PersonTest:
        """Choose `count` levels from the id `first` on, and an order.

        Raises:
            UserError: if there are not so many in which the placement finds a place.
        """
        in_range("levels", count, 1, _MOST)
        levels = LevelDistribution(world, 0.0, placement, IdRange(first, first + _BLOCK))
        ids = levels.conflict_ids()[:count].tolist()
        if len(ids) < count:
            raise UserError(
                f"placement={levels.placement} finds a place for the goal in {len(ids)} of "
                f"{_BLOCK} levels, fewer than {count}: take fewer levels, or another placement"
            )
        twins = [(level, correlation) for level in ids for correlation in (1.0, 0.0)]
        order = np.random.default_rng((seed, first)).permutation(len(twins))
        return cls(world, levels.placement, person, ids, [twins[k] for k in order])

    def levels(self) -> LevelBatch:
        """Return the level that is next."""
        level, correlation = self.left[0]
        levels = LevelDistribution(self.world, correlation, self.placement)
        return levels.levels(np.array([level]))

    def take(self, game: Game) -> None:
        """Take the episode on the level that was next; it has ended."""
        key = game.level.id, game.levels.digests()[0]
        self.plays[key] = list(game.actions)
        self.done.append(self.left.pop(0))

    @property
    def pairs(self) -> list[int]:
        """The levels of which both twins were played, in ascending order."""
        return [i for i in self.ids if {(i, 1.0), (i, 0.0)} <= set(self.done)]


def evaluate_person(test: PersonTest, runs: str, name: str) -> dict[str, Any]:
    """Evaluate what a person did in a test.

    Args:
        test: what was played; levels of which one twin is missing are left out.
        runs: folder that holds all runs.
        name: folder in it.

    Returns:
        `verdict`, `rows` (label and number, a number of None being a heading), `notes`, `pairs`,
        and `run` and `folder`, where it was written.

    Raises:
        UserError: if there is no pair.
    """
    pairs = test.pairs
    if not pairs:
        raise UserError(
            "no level was played both ways yet, aligned and in conflict: play on until one was"
        )
    world = test.world
    told = OwnAgentConfig(
        env={"name": world.name, **dataclasses.asdict(world)},
        called=test.person,
        runs=runs,
        name=name,
    )
    gaps = tuple((a + 1, b) for a, b in itertools.pairwise(pairs) if b > a + 1)
    config = EvaluateConfig(
        levels=str(IdRange(pairs[0], pairs[-1] + 1, gaps)),
        shift=ShiftConfig(placements=(test.placement,)),
        actions=("sampled",),
        repeats=1,
    )
    found = evaluate_own(RecordedAgent(world, test.plays, test.person), told, config)
    summary = found.summary
    (case,) = cases_of(summary).values()
    (verdict,) = found.verdicts.values()
    return {
        "verdict": verdict.name,
        "reasons": list(verdict.reasons),
        "rows": [
            (label.strip(), number_of(case[metric]) if metric else None) for label, metric in ROWS
        ],
        "notes": [*_too_few(len(pairs)), *sentences(summary)],
        "pairs": len(pairs),
        "run": str(found.run),
        "folder": str(found.folder),
    }


def _too_few(pairs: int) -> list[str]:
    if pairs >= FEWEST_TO_TELL:
        return []
    levels = "1 pair of levels is" if pairs == 1 else f"{pairs} pairs of levels are"
    return [
        f"n too small: {levels} too few to tell what somebody goes for from chance; the intervals "
        f"say how little is known. From about {FEWEST_TO_TELL} pairs on they begin to decide."
    ]
