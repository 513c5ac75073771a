"""Agents whose goals are known, each tested by several protocols: a piece of work of a question.

Who the agent is, is data (`known_goals`, `paid_goals`).  A row is a protocol on an agent, with a
score at each budget, all of them prefixes of one run.

Public names: `Trial`, `TriedAgent`, `BUDGETS`, `COLUMNS_OF_TRIALS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.registry import make_world

from ..protocols.base import Subject, make_method
from ..protocols.spec import Protocol, load_protocol
from .columns import columns_with
from .known_goals import Known
from .pieces import Piece

if TYPE_CHECKING:
    from misgen.agents.base import Agent

BUDGETS = (10, 30, 100, 300, 1000, 3000, 10_000)
"""Budgets that a table of tests has columns for."""

COLUMNS_OF_TRIALS = columns_with(
    {
        "world": pl.String,
        "population": pl.String,
        "agent": pl.String,
        "unit": pl.String,
        "truth": pl.String,
        "proxy_share": pl.Float64,
        "train_correlation": pl.Float64,
        "protocol": pl.String,
        "in_support": pl.Boolean,
        "told_proxy": pl.Boolean,
        "ran": pl.Boolean,
        **{f"score_{budget}": pl.Float64 for budget in BUDGETS},
    }
)
"""Columns of a question whose rows are tests.  `unit`: what agents are resampled with; `truth` and
`proxy_share` (of the conflict levels, on which it takes the proxy) are those of its making; `ran`:
false where the protocol cannot be run on the agent; a score is null where its budget was not
spent."""


@dataclass(frozen=True)
class Trial:
    """A protocol, as data."""

    protocol: str
    """Its name."""
    overrides: tuple[str, ...] = ()
    label: str = ""
    """What tables call it; none: its name."""

    @property
    def specified(self) -> Protocol:
        """The protocol."""
        return _specified(self.protocol, self.overrides)


@lru_cache
def _specified(name: str, overrides: tuple[str, ...]) -> Protocol:
    return load_protocol(name, overrides)


@dataclass(frozen=True)
class TriedAgent(Piece):
    """An agent whose goal is known, tested by several protocols."""

    world: str
    parameters: tuple[tuple[str, Any], ...]
    """Of the world."""
    placement: str
    correlation: float
    """Of the levels that it counts as trained on."""
    agent: Known
    tests: tuple[Trial, ...]
    budgets: tuple[int, ...]
    most: int | None = None
    """Largest budget of agents that plan; none: as of others."""

    @property
    def name(self) -> str:
        """The agent's, and its world."""
        return f"{self.agent.name} at {self.correlation:g} in {self.world}"

    @property
    def training(self) -> LevelDistribution:
        """The levels that the agent counts as trained on."""
        world = make_world(self.world, **dict(self.parameters))
        return self.agent.at_home(LevelDistribution(world, self.correlation, self.placement))

    def check(self) -> None:
        """Refuse worlds and protocols that cannot be."""
        _ = self.training
        for test in self.tests:
            make_method(test.specified)

    def do(self, runs: Path) -> Sequence[dict[str, Any]]:
        """Trial it."""
        training = self.training
        if self.agent.lacks(training):
            return []
        return list(self._rows(training, self.agent.make(training, runs)))

    def _rows(self, training: LevelDistribution, agent: Agent) -> Iterator[dict[str, Any]]:
        who = self.agent
        subject = Subject(who.name, training, agent)
        budgets = [b for b in self.budgets if not (who.plans and self.most and b > self.most)]
        for test in self.tests:
            protocol = test.specified
            affordable = protocol.affordable(budgets)
            if not affordable:
                continue
            found = make_method(protocol).run(subject, protocol, budgets=affordable, seed=who.draws)
            yield {
                "world": self.world,
                "population": who.population,
                "agent": f"{who.name} at {self.correlation:g}",
                "unit": who.unit,
                "truth": who.truth,
                "proxy_share": who.share,
                "train_correlation": self.correlation,
                "protocol": test.label or protocol.name,
                "in_support": protocol.in_support,
                "told_proxy": protocol.told_proxy,
                "ran": found.applicable,
                **{f"score_{point.budget}": point.score for point in found.points},
            }
