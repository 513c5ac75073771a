"""Agents with a known truth, on which protocols are compared.

Public names: `PopulationConfig`, `Member`, `members`, `member_names`, `left_out`, `check`.

There are two populations, which are reported apart:

- **constructed** agents (`constructed`): what they are is known from their making;
- **trained** agents: the runs of a sweep, others whose training was cut short, and agents made of
  trained ones, with noise, with a late start, or mixed by level.  What they are is found by an
  exhaustive evaluation (`truth`).

A member is plain data, so that every process can make its own agent from it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.agents.base import Agent, ValuedAgent
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError

from ...evaluation.statistics.detection import BETWEEN
from ...training.config import TrainConfig, config_hash
from ...training.run_folder import RunFolder
from ...training.shell import shell_words
from ...training.trained_run import TrainedRun
from . import trained
from .constructed import MIXTURE, ConstructedConfig, Reference, constructed, lacks, make
from .constructed import TRAINED as ALTERED
from .kinds import CONSTRUCTED, TRAINED
from .trained import SHORT, finished, short_runs, sweep_of

if TYPE_CHECKING:
    from misgen.envs.core.world import World

    from ..base import Subject


@dataclass(frozen=True)
class PopulationConfig:
    """Which agents there are."""

    sweep: tuple[str, ...]
    """What makes the trained agents: words after `misgen sweep`."""
    short_steps: tuple[int, ...] = ()
    """Environment steps of the short trainings, one set of agents each."""
    short_correlations: tuple[float, ...] = (1.0,)
    """Correlations of the short trainings, one seed each."""
    constructed: ConstructedConfig = field(default_factory=ConstructedConfig)
    """A grid of agents whose goal is known from their making."""
    references: tuple[Reference, ...] = ()
    """Agents beside the trained ones and those of the grid."""
    train: bool = True
    """Whether agents that are missing are trained; otherwise they are left out."""

    def __post_init__(self) -> None:
        """Refuse names that are given twice.

        Raises:
            UserError: naming one.
        """
        names = [reference.name for reference in self.made]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"references: two are called {name}: give each a name of its own")

    @property
    def made(self) -> tuple[Reference, ...]:
        """All agents that are no runs."""
        return (*constructed(self.constructed), *self.references)


@dataclass(frozen=True)
class Member:
    """An agent of the population, as data."""

    name: str
    """What tables call it."""
    unit: str
    """Of a trained agent its recipe: members of one unit are no independent evidence.  Of a
    mixture, those of both agents that it is made of (`detection.clusters`).  A constructed one has
    its own."""
    training: LevelDistribution
    """What it was trained on, or counts as trained on."""
    folders: tuple[str, ...] = ()
    """Training runs that it is made of."""
    policies: tuple[str, ...] = ()
    """Hashes of their weights."""
    reference: Reference | None = None
    """How it is made; none: it is the run's agent as it is."""

    @property
    def population(self) -> str:
        """Which of the two it belongs to."""
        return TRAINED if self.folders else CONSTRUCTED

    @property
    def is_planned(self) -> bool:
        """Whether it plans, which takes long on each new level."""
        return not self.folders and "seeker" in str(self.reference and self.reference.kind)

    @property
    def seed(self) -> int:
        """What is added to the seed of its actions: constructed copies differ in it alone."""
        return self.reference.seed if self.reference and not self.folders else 0

    @property
    def key(self) -> str:
        """Short hash of all that its behaviour depends on."""
        where = repr((self.training.world, self.training.placement)) if not self.policies else ""
        return config_hash({"policies": self.policies, "made": self._made, "world": where})

    @property
    def does(self) -> str:
        """Short hash that two members share who do the same on every level."""
        made = {k: v for k, v in self._made.items() if k not in ("correlation", "other", "seed")}
        return self.key if not self.folders else config_hash({"of": [self.policies, made]})

    @property
    def _made(self) -> dict[str, Any]:
        made = dataclasses.asdict(self.reference) if self.reference else {}
        return {key: value for key, value in made.items() if key != "name"}

    def subject(self) -> Subject:
        """Return the agent itself, ready to be tested."""
        from ..base import Subject

        return Subject(self.name, self.training, self._agent())

    def _agent(self) -> Agent:
        from misgen.agents.wrappers import Mixture

        reference = self.reference
        if reference is not None and not self.folders:
            return make(reference, self.training)
        first, *others = [_trained(folder, self.name) for folder in self.folders]
        if reference is None:
            return first
        for other in others:
            first = Mixture(first, other, self.name, reference.share)
        return _altered(first, reference, self.training.world.no_op)


def members(config: PopulationConfig) -> list[Member]:
    """Return the population, of what is trained: trained agents, short trainings, others.

    Agents that do the same are one: trainings that end with the same weights, say.

    Raises:
        UserError: if there is nobody.
    """
    sweep = sweep_of(config)
    known = finished(sweep.folder)
    wanted = [*sweep.runs, *short_runs(config, sweep)]
    found = [(run, known[run.hash]) for run in wanted if run.hash in known and run.agent.learns]
    own = [_of_run(run, folder) for run, folder in found]
    agents = {(run.correlation, run.seed): m for (run, _), m in zip(found, own, strict=True)
              if run.agent.total_steps == sweep.runs[0].agent.total_steps}  # fmt: skip
    training = sweep.runs[0].distribution
    made = [_of_reference(one, training, agents) for one in config.made]
    everybody = list(distinct([*own, *(member for member in made if member)]).values())
    if not everybody:
        raise UserError(
            f"{sweep.folder} holds no finished run of this population: train it first, with "
            f"{shell_words('misgen', 'sweep', *config.sweep)}, or leave population.train at true"
        )
    return everybody


def distinct(found: list[Member]) -> dict[str, Member]:
    """Return members by what they do: of two that do the same, the first."""
    by_deed: dict[str, Member] = {}
    for member in found:
        by_deed.setdefault(member.does, member)
    return by_deed


def member_names(config: PopulationConfig) -> list[str]:
    """Return the names that the population has once all of it is trained."""
    sweep = sweep_of(config)
    own = [_name(run) for run in sweep.runs]
    short = [_name(run, short=True) for run in short_runs(config, sweep)]
    pairs = {(run.correlation, run.seed) for run in sweep.runs}
    world = sweep.runs[0].world
    return [*own, *short, *(one.name for one in config.made if not _lacks(one, world, pairs))]


def left_out(config: PopulationConfig) -> list[str]:
    """Return a sentence for each reference that cannot be made of this population."""
    sweep = sweep_of(config)
    pairs = {(run.correlation, run.seed) for run in sweep.runs}
    lacking = [(one.name, _lacks(one, sweep.runs[0].world, pairs)) for one in config.made]
    by_reason: dict[str, list[str]] = {}
    for name, why in lacking:
        by_reason.setdefault(why, []).append(name)
    return [f"left out: {', '.join(n)}, as {why}" for why, n in by_reason.items() if why]


def check(config: PopulationConfig) -> None:
    """Refuse a population of which a training could not be made, or which is nobody.

    Raises:
        UserError: naming the setting.
    """
    if config.train:
        trained.check(config)
    else:
        members(config)


def _lacks(reference: Reference, world: World, pairs: set[tuple[float, int]]) -> str:
    """Return what is missing to make a reference, or nothing."""
    for correlation in _parents(reference):
        if (correlation, reference.seed) not in pairs:
            return f"no agent is trained at correlation {correlation:g} with seed {reference.seed}"
    return lacks(reference, world)


def _parents(reference: Reference) -> list[float]:
    """Return the correlations of the trained agents that a reference is made of."""
    if reference.kind == MIXTURE:
        return [reference.correlation, reference.other]
    return [reference.correlation] if reference.kind == ALTERED else []


def _name(run: TrainConfig, short: bool = False) -> str:
    return f"rho{run.correlation:g}-seed{run.seed}{_steps(run, short)}"


def _steps(run: TrainConfig, short: bool) -> str:
    return f"-steps{run.agent.total_steps}" if short else ""


def _of_run(run: TrainConfig, folder: str) -> Member:
    short = Path(folder).parent.name.endswith(SHORT)
    recipe = f"rho{run.correlation:g}{_steps(run, short)}"
    levels = _run(folder).config.distribution
    return Member(_name(run, short), recipe, levels, (folder,), (_weights(folder),))


def _of_reference(
    reference: Reference, training: LevelDistribution, agents: dict[tuple[float, int], Member]
) -> Member | None:
    """Return a reference agent; None where what it needs is not there."""
    if _lacks(reference, training.world, set(agents)):
        return None
    training = training.at(correlation=reference.correlation)
    if reference.is_constructed:
        return Member(reference.name, reference.name, training, reference=reference)
    bases = [agents[correlation, reference.seed] for correlation in _parents(reference)]
    return Member(
        reference.name,
        BETWEEN.join(dict.fromkeys(base.unit for base in bases)),
        training,
        tuple(base.folders[0] for base in bases),
        tuple(base.policies[0] for base in bases),
        reference,
    )


def _altered(agent: Agent, reference: Reference, no_op: int) -> Agent:
    from misgen.agents.wrappers import PerturbedAgent, PerturbedValuedAgent

    options: dict[str, Any] = {"noise": reference.noise, "delay": reference.delay, "no_op": no_op}
    if reference.kind == ALTERED and isinstance(agent, ValuedAgent):
        return PerturbedValuedAgent(agent, reference.name, **options)
    return PerturbedAgent(agent, reference.name, **options)


@lru_cache(maxsize=64)
def _run(folder: str) -> TrainedRun:
    return TrainedRun.read(RunFolder(Path(folder)))


def _trained(folder: str, name: str) -> Agent:
    from misgen.agents.checkpoint import load_agent

    world = _run(folder).config.world
    return load_agent(Path(folder), world.observation_space, world.action_space, name=name)


def _weights(folder: str) -> str:
    from ...training.run_folder import read_json

    return str(read_json(Path(folder) / "policy.json", "train the agent again")["weights_sha256"])
