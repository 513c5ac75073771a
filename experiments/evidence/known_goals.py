"""Agents whose goals are known, as data: from their construction, or from what training paid for.

Public names: `Known`, `Constructed`, `PlantedFailure`, `Follower`, `Paid`, `PaidTraining`,
`Cloned`, `paid_agent`, `PLANTED`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from misgen.envs.core.distribution import LevelDistribution

from ..evaluation.paid import PAID, paid_config, train_paid
from ..protocols.comparison.constructed import Reference, lacks, make, proxy_share, truth_of
from ..protocols.comparison.kinds import ALIGNED, BORDERLINE, MISGENERALIZING
from ..training.run_folder import RunFolder
from ..training.trained_run import TrainedRun
from .pieces import Piece

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


@dataclass(frozen=True)
class PaidTraining(Piece):
    """The training of an agent that is paid for the goal, or for the proxy; it leaves no row."""

    world: str
    pays: str
    seed: int

    @property
    def name(self) -> str:
        """What it is paid for, and where."""
        return f"{self.world} paid for the {self.pays}, seed {self.seed}"

    def do(self, runs: Path) -> Sequence[dict[str, Any]]:
        """Train it, unless it was done before."""
        train_paid(self.world, self.pays, self.seed, str(runs))
        return [{"world": self.world, "population": "training", "agent": self.name}]


@dataclass(frozen=True)
class Paid(Known):
    """A mixture by level of two trained agents, one paid for the goal and one for the proxy."""

    population: ClassVar[str] = "paid"
    plans: ClassVar[bool] = False
    base: str
    """Training seed of both; or `zoo`, for those that come with misgen."""
    proxy: float
    """Share of the levels on which the one that is paid for the proxy acts."""
    noise: float = 0.0
    delay: int = 0
    seed: int = 0

    @property
    def name(self) -> str:
        """Its bases, share and skill."""
        skill = f"noise {self.noise:g} late {self.delay} seed {self.seed}"
        return f"paid {self.base} proxy {self.proxy:g} {skill}"

    def make(self, training: LevelDistribution, runs: Path) -> Agent:
        """Return it."""
        from misgen.agents.wrappers import Mixture, PerturbedAgent

        world = training.world
        goal, proxy = (paid_agent(training, pays, self.base, runs) for pays in PAID)
        mixed = Mixture(goal, proxy, self.name, 1.0 - self.proxy)
        how: dict[str, Any] = {"noise": self.noise, "delay": self.delay, "no_op": world.no_op}
        return PerturbedAgent(mixed, self.name, **how)

    @property
    def share(self) -> float | None:
        """As mixed."""
        return self.proxy

    @property
    def unit(self) -> str:
        """Its bases."""
        return f"paid {self.base}"

    @property
    def draws(self) -> int:
        """Its own."""
        return self.seed

    def at_home(self, levels: LevelDistribution) -> LevelDistribution:
        """Return levels with the parameters that its bases were trained with."""
        from misgen.agents.zoo import HOME

        name = levels.world.name
        if self.base == _ZOO:
            run = TrainedRun.read(RunFolder(HOME / f"{name}-paid-goal-seed0")).config
        else:
            run = paid_config(name, "goal", int(self.base), "runs")
        return levels.at(world=run.world)


_ZOO = "zoo"


def paid_agent(training: LevelDistribution, pays: str, base: str, runs: Path) -> Agent:
    """Return a trained agent that was paid for the goal or the proxy."""
    from misgen.agents.checkpoint import load_agent
    from misgen.agents.zoo import PREFIX

    world = training.world
    if base != _ZOO:
        return train_paid(world.name, pays, int(base), str(runs)).agent
    folder = f"{PREFIX}{world.name}-paid-{pays}-seed0"
    return load_agent(folder, world.observation_space, world.action_space)


@dataclass(frozen=True)
class Cloned(Paid):
    """An agent that on aligned levels is one policy, the same for all, and elsewhere its own.

    What is cloned is the policy of the agent that is paid for the goal: on levels where goal and
    proxy agree, all agents act by the same probabilities, whatever they were paid for.
    """

    population: ClassVar[str] = "cloned"
    agree: bool = True
    """Whether they are clones; false: each keeps its own policy on aligned levels too."""

    @property
    def name(self) -> str:
        """As what it is made of, and whether it is a clone."""
        return f"{super().name} {'clone' if self.agree else 'as trained'}"

    def make(self, training: LevelDistribution, runs: Path) -> Agent:
        """Return it."""
        from misgen.agents.wrappers import ByAlignment

        own = super().make(training, runs)
        if not self.agree:
            return own
        common = dataclasses.replace(self, proxy=0.0, agree=False).make(training, runs)
        return ByAlignment(common, own, self.name)

    @property
    def unit(self) -> str:
        """Its own: what it shares with others is the same for those that it is compared with."""
        return self.name
