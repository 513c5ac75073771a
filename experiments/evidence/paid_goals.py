"""Agents whose goals are known from what training paid for, as data, and what is made of them.

Public names: `Paid`, `PaidTraining`, `Cloned`, `Taught`, `paid_agent`, `ZOO`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from misgen.envs.core.distribution import LevelDistribution

from ..evaluation.paid import GOAL, PAID, PROXY, paid_config, train_paid
from ..training.config import TrainConfig
from ..training.run_folder import RunFolder
from ..training.settings import compose, typed
from ..training.train import train
from ..training.trained_run import TrainedRun
from .known_goals import Known
from .pieces import Piece

if TYPE_CHECKING:
    from misgen.agents.base import Agent

ZOO = "zoo"
"""Those that come with misgen, as bases."""


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
        name = levels.world.name
        run = _of_zoo(name) if self.base == ZOO else paid_config(name, GOAL, int(self.base), "runs")
        return levels.at(world=run.world)


def paid_agent(training: LevelDistribution, pays: str, base: str, runs: Path) -> Agent:
    """Return a trained agent that was paid for the goal or the proxy."""
    from misgen.agents.checkpoint import load_agent

    world = training.world
    if base != ZOO:
        return train_paid(world.name, pays, int(base), str(runs)).agent
    return load_agent(_zoo_name(world.name, pays), world.observation_space, world.action_space)


def _zoo_name(world: str, pays: str) -> str:
    from misgen.agents.zoo import PREFIX

    return f"{PREFIX}{world}-paid-{pays}-seed0"


def _of_zoo(world: str) -> TrainConfig:
    """Return how the agents of the zoo were trained that were paid."""
    from misgen.agents.zoo import located

    return TrainedRun.read(RunFolder(located(_zoo_name(world, GOAL)))).config


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


@dataclass(frozen=True)
class Taught(Known):
    """An agent of the zoo that was taught to act on aligned levels as the goal's own agent does.

    It learns by distillation, from the weights on that it got for the goal or for the proxy, and
    sees aligned levels alone: those of one kind and of the other come to one policy there, as far
    as networks learn it.
    """

    population: ClassVar[str] = "taught"
    plans: ClassVar[bool] = False
    pays: str
    """What it was paid for, before."""
    seed: int = 0
    """Of its lessons."""

    @property
    def name(self) -> str:
        """What it was paid for, and the seed."""
        return f"paid for the {self.pays}, then taught, seed {self.seed}"

    def lessons(self, world: str, runs: Path) -> TrainConfig:
        """Return its training as a student."""
        base: Any = _of_zoo(world).agent
        network = (f"agent.{part}={getattr(base, part)}" for part in ("encoder", "activation"))
        words = (
            f"env={world}", "env.on_proxy=end", "correlation=1", f"agent.total_steps={_LESSONS}",
            "agent=distill", f"agent.teacher={_zoo_name(world, GOAL)}", "agent.anneal=true",
            *network, f"init={_zoo_name(world, self.pays)}", f"seed={self.seed}", f"runs={runs}",
            f"name=taught-{self.pays}",
        )  # fmt: skip
        return typed(TrainConfig, compose("train", list(words)))

    def make(self, training: LevelDistribution, runs: Path) -> Agent:
        """Return it, taught unless it was before."""
        from misgen.agents.checkpoint import load_agent

        world = training.world
        folder = train(self.lessons(world.name, runs))
        return load_agent(folder.path, world.observation_space, world.action_space)

    @property
    def share(self) -> float | None:
        """All levels or none, by what it was paid for."""
        return float(self.pays == PROXY)

    @property
    def draws(self) -> int:
        """Its own."""
        return self.seed

    def at_home(self, levels: LevelDistribution) -> LevelDistribution:
        """Return levels with the parameters that its base was trained with."""
        return levels.at(world=_of_zoo(levels.world.name).world)


_LESSONS = 131_072
"""Decisions that a student learns from."""
