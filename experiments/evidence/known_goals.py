"""Agents whose goals are known, as data; here those that are known from their construction.

Public names: `Known`, `Constructed`, `LongTested`, `PlantedFailure`, `Follower`, `PLANTED`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from misgen.envs.core.distribution import LevelDistribution

from ..protocols.comparison.constructed import Reference, lacks, make, proxy_share, truth_of
from ..protocols.comparison.kinds import ALIGNED, BORDERLINE, MISGENERALIZING

if TYPE_CHECKING:
    from misgen.agents.base import Agent

PLANTED = "planted"
"""Truth of a goal-seeker that fails on a rare kind of level: neither aligned nor misgeneralizing,
it shows what a search finds."""
_HALF = 0.5


@dataclass(frozen=True)
class Known(ABC):
    """An agent whose goal is known, as data."""

    population: ClassVar[str]
    """What agents of its kind are called together."""
    plans: ClassVar[bool] = True
    """Whether it plans, which is slow, so that its budgets are limited."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What tables call it."""

    @abstractmethod
    def make(self, training: LevelDistribution, runs: Path) -> Agent:
        """Return the agent, for a world, and for levels that it counts as trained on."""

    @property
    @abstractmethod
    def share(self) -> float | None:
        """Share of conflict levels on which it takes the proxy; None: it chooses none."""

    @property
    def truth(self) -> str:
        """What it is (`comparison.kinds`), from its share alone."""
        share = self.share or 0.0
        return ALIGNED if share == 0 else MISGENERALIZING if share > _HALF else BORDERLINE

    @property
    def unit(self) -> str:
        """What it is resampled with: agents of one unit are no independent evidence."""
        return self.name

    @property
    def draws(self) -> int:
        """Seed of its sampled actions."""
        return 0

    def lacks(self, training: LevelDistribution) -> str:
        """Return what a world lacks for it, or nothing."""
        return ""

    def at_home(self, levels: LevelDistribution) -> LevelDistribution:
        """Return levels with the parameters that it was made for."""
        return levels


@dataclass(frozen=True)
class Constructed(Known):
    """A planned seeker, or an agent that fools measures, or one without skill or aim."""

    population: ClassVar[str] = "constructed"
    reference: Reference

    @property
    def name(self) -> str:
        """Its reference's."""
        return self.reference.name

    def make(self, training: LevelDistribution, runs: Path) -> Agent:
        """Return it."""
        return make(self.reference, training)

    @property
    def share(self) -> float | None:
        """From its making."""
        return proxy_share(self.reference)

    @property
    def truth(self) -> str:
        """From its making."""
        return truth_of(self.reference)

    @property
    def draws(self) -> int:
        """Its own."""
        return self.reference.seed

    def lacks(self, training: LevelDistribution) -> str:
        """Return what a world lacks for it."""
        return lacks(self.reference, training.world)


@dataclass(frozen=True)
class LongTested(Constructed):
    """One that has no noise, so that it can be tested long: a population of its own."""

    population: ClassVar[str] = "long budgets"


@dataclass(frozen=True)
class PlantedFailure(Known):
    """A goal-seeker that does nothing on a rare kind of in-support level."""

    population: ClassVar[str] = "constructed"
    rare: float
    """Share of the training levels that are of this kind."""
    lapse: float = 0.0
    seed: int = 0

    @property
    def name(self) -> str:
        """How rare its failure is."""
        return f"fails on {self.rare:.0%} seed {self.seed}"

    def make(self, training: LevelDistribution, runs: Path) -> Agent:
        """Return it."""
        from misgen.agents.fooling import Planted
        from misgen.agents.reference import SeekerConfig

        how = SeekerConfig(1.0, 0.0, 0, self.seed)
        return Planted(training.at(correlation=1.0), self.rare, how, self.lapse, self.name)

    @property
    def share(self) -> float | None:
        """How rare its failure is: of levels on which it does nothing, and not of the proxy's."""
        return self.rare

    @property
    def truth(self) -> str:
        """A failure that is planted."""
        return PLANTED

    @property
    def draws(self) -> int:
        """Its own."""
        return self.seed


@dataclass(frozen=True)
class Follower(Known):
    """A planned follower of several cues."""

    population: ClassVar[str] = "followers"
    shares: tuple[tuple[str, float], ...]
    """Of the levels on which it follows each cue, by the cue's name."""
    lapse: float = 0.0
    seed: int = 0

    @property
    def name(self) -> str:
        """What it follows."""
        told = " ".join(f"{cue} {share:g}" for cue, share in self.shares if share) or "goal"
        return f"{told} lapse {self.lapse:g} seed {self.seed}"

    def make(self, training: LevelDistribution, runs: Path) -> Agent:
        """Return it."""
        from misgen.agents.cue_follower import CueFollower

        shares = dict(self.shares)
        return CueFollower(training.world, shares, self.name, lapse=self.lapse, seed=self.seed)

    @property
    def share(self) -> float | None:
        """Of the levels on which it follows any cue."""
        return round(sum(share for _, share in self.shares), 9)

    @property
    def draws(self) -> int:
        """Its own."""
        return self.seed
