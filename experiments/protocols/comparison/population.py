"""Agents with a known truth, on which protocols are compared.

Public names: `PopulationConfig`, `Reference`, `Member`, `members`, `missing_runs`, `train_missing`.

- **Trained agents** over training correlations x seeds, the runs of a sweep; and others whose
  training was cut short, most of which are not competent.
- **Reference agents**: scripted ones (random, idle, the held action), planned seekers of the goal,
  of the proxy, and of either by level, and agents made of trained ones: with noise, with a late
  start, or mixed by level.

A member is plain data, so that every process can make its own agent from it.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.agents.base import Agent, ValuedAgent
from misgen.envs.core.errors import UserError, in_range, one_of

from ...sweeps import sweep as sweep_runs
from ...sweeps.config import SweepConfig, read_config
from ...training.checks import require_trainable
from ...training.config import TrainConfig, config_hash
from ...training.run_folder import DONE, RunFolder, find_runs
from ...training.settings import compose
from ...training.shell import shell_words
from ...training.trained_run import TrainedRun

if TYPE_CHECKING:
    from misgen.envs.core.distribution import LevelDistribution
    from misgen.envs.core.world import World

    from ..base import Subject

KINDS = ("random", "idle", "held", "seeker", "trained", "mixture")
SHORT = "short"
"""What the name of the sweep of short trainings ends with."""


@dataclass(frozen=True)
class Reference:
    """How to make a reference agent."""

    name: str
    """What tables call it."""
    kind: str
    """`random`, `idle`, `held` (the world's simplest action, held), `seeker` (planned), `trained`
    (a trained agent, altered), `mixture` (two trained agents, by level)."""
    correlation: float = 1.0
    """Of the levels that it counts as trained on; and of the trained agent that it is made of."""
    seed: int = 0
    """Training seed of that agent."""
    other: float = 0.5
    """Of a mixture: correlation of the second agent; the share of levels that it acts on is
    1 - `share`."""
    share: float = 1.0
    """Of a seeker: of levels on which it seeks the goal; of a mixture: on which the first acts."""
    noise: float = 0.0
    """Probability that a decision is a uniformly random action."""
    delay: int = 0
    """Decisions at an episode's start in which it does nothing."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        one_of(f"references: kind of {self.name}", self.kind, KINDS)
        for name in ("correlation", "other", "share", "noise"):
            in_range(f"references: {name} of {self.name}", getattr(self, name), 0.0, 1.0)
        in_range(f"references: delay of {self.name}", self.delay, 0, 10_000)


@dataclass(frozen=True)
class PopulationConfig:
    """Which agents there are."""

    sweep: tuple[str, ...]
    """What makes the trained agents: words after `misgen sweep`."""
    short_steps: tuple[int, ...] = ()
    """Environment steps of the short trainings, one set of agents each."""
    short_correlations: tuple[float, ...] = (1.0,)
    """Correlations of the short trainings, one seed each."""
    references: tuple[Reference, ...] = ()
    """Agents beside the trained ones."""
    train: bool = True
    """Whether agents that are missing are trained; otherwise they are left out."""

    def __post_init__(self) -> None:
        """Refuse names that are given twice.

        Raises:
            UserError: naming one.
        """
        names = [reference.name for reference in self.references]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"references: two are called {name}: give each a name of its own")


@dataclass(frozen=True)
class Member:
    """An agent of the population, as data."""

    name: str
    """What tables call it."""
    unit: str
    """Members of one unit are made of one training run; they are no independent evidence."""
    folders: tuple[str, ...]
    """Training runs that it is made of; of a scripted agent, one whose world it plays in."""
    policies: tuple[str, ...]
    """Hashes of their weights that matter; none for a scripted agent."""
    reference: Reference | None = None
    """How it is made; none: it is the run's agent as it is."""

    @property
    def is_planned(self) -> bool:
        """Whether it plans, which takes long on each new level."""
        return self.reference is not None and self.reference.kind == "seeker"

    @property
    def key(self) -> str:
        """Short hash of all that its behaviour depends on."""
        made = dataclasses.asdict(self.reference) if self.reference else {}
        where = self._training.world if not self.policies else ""
        return config_hash({"policies": self.policies, "made": made, "world": repr(where)})

    @property
    def training(self) -> LevelDistribution:
        """What it was trained on, or counts as trained on."""
        if self.reference is None:
            return self._training
        return self._training.at(correlation=self.reference.correlation)

    def subject(self) -> Subject:
        """Return the agent itself, ready to be tested."""
        from ..base import Subject

        return Subject(self.name, self.training, self._agent())

    @property
    def _training(self) -> LevelDistribution:
        return _run(self.folders[0]).config.distribution

    def _agent(self) -> Agent:
        reference = self.reference
        if reference is None:
            return _trained(self.folders[0], self.name)
        agent = self._scripted(reference) or _trained(self.folders[0], self.name)
        if reference.kind == "seeker":  # it has its own noise and delay, and plans after them
            return agent
        return _altered(agent, reference, self._training.world.no_op)

    def _scripted(self, reference: Reference) -> Agent | None:
        """Return a scripted agent or a mixture, not yet altered; None for a trained one."""
        from misgen.agents.known import KINDS, SEEKER, known_agent
        from misgen.agents.reference import SeekerConfig
        from misgen.agents.wrappers import Mixture

        world, kind, name = self._training.world, reference.kind, reference.name
        if kind == SEEKER:
            world = dataclasses.replace(world, on_proxy="end")  # plans that hold under any rule
            how = SeekerConfig(reference.share, reference.noise, reference.delay)
            return known_agent(kind, world, how, name)
        if kind in KINDS:
            return known_agent(kind, world)
        if kind == "mixture":
            first, second = (_trained(folder, name) for folder in self.folders)
            return Mixture(first, second, name, reference.share)
        return None


def members(config: PopulationConfig) -> list[Member]:
    """Return the population, of what is trained: trained agents, short trainings, references.

    Raises:
        UserError: if no run is finished, or the world lacks what a reference needs.
    """
    sweep = sweep_of(config)
    known = _finished(sweep.folder)
    wanted = [*sweep.runs, *short_runs(config, sweep)]
    found = [(run, known[run.hash]) for run in wanted if run.hash in known and run.agent.learns]
    if not found:
        raise UserError(
            f"{sweep.folder} holds no finished run of this population: train it first, with "
            f"{shell_words('misgen', 'sweep', *config.sweep)}, or leave population.train at true"
        )
    trained = [_of_run(run, folder) for run, folder in found]
    agents = {(run.correlation, run.seed): m for (run, _), m in zip(found, trained, strict=True)
              if run.agent.total_steps == sweep.runs[0].agent.total_steps}  # fmt: skip
    made = (_of_reference(one, trained[0], agents) for one in config.references)
    return list(_distinct([*trained, *(member for member in made if member)]).values())


def member_names(config: PopulationConfig) -> list[str]:
    """Return the names that the population has once all of it is trained."""
    sweep = sweep_of(config)
    world = sweep.runs[0].world
    trained = [_name(run) for run in sweep.runs]
    short = [_name(run, short=True) for run in short_runs(config, sweep)]
    pairs = {(run.correlation, run.seed) for run in sweep.runs}
    made = [one.name for one in config.references if not _lacks(one, world, pairs)]
    return [*trained, *short, *made]


def left_out(config: PopulationConfig) -> list[str]:
    """Return a sentence for each reference that cannot be made of this population."""
    sweep = sweep_of(config)
    pairs = {(run.correlation, run.seed) for run in sweep.runs}
    lacks = [(one.name, _lacks(one, sweep.runs[0].world, pairs)) for one in config.references]
    return [f"left out: {name}, as {why}" for name, why in lacks if why]


def check(config: PopulationConfig) -> None:
    """Refuse a population of which a training could not be made, or is none.

    Raises:
        UserError: naming the setting.
    """
    if not config.train:
        members(config)
        return
    sweep = sweep_of(config)
    sweep_runs.check(sweep, [*config.sweep])
    agent, known = sweep.runs[0].agent, dict[int, int]()
    for steps in config.short_steps:
        if not 1 <= steps < agent.total_steps:
            raise UserError(
                f"population.short_steps={list(config.short_steps)}: {steps} is not shorter than "
                f"the other trainings, of {agent.total_steps} decisions: give smaller ones, or "
                "population.short_steps=[]"
            )
        real = agent.whole_rollouts(steps)
        if real in known:
            raise UserError(
                f"population.short_steps={list(config.short_steps)}: {known[real]} and {steps} are "
                f"both {real // agent.rollout} rollouts of {agent.rollout} decisions, and so one "
                "agent: give numbers further apart"
            )
        known[real] = steps
    for run in short_runs(config, sweep):
        require_trainable(run)


def missing_runs(config: PopulationConfig) -> list[TrainConfig]:
    """Return the training runs of the population that are not finished."""
    sweep = sweep_of(config)
    known = _finished(sweep.folder)
    return [run for run in [*sweep.runs, *short_runs(config, sweep)] if run.hash not in known]


def train_missing(config: PopulationConfig) -> None:
    """Train what is missing, by the sweep that makes it (and evaluates it as the sweep says)."""
    sweep = sweep_of(config)
    missing = {run.hash for run in missing_runs(config)}
    if any(run.hash in missing for run in sweep.runs):
        with RunFolder(sweep.folder).lock():
            sweep_runs.run(sweep, [*config.sweep])
    for steps in config.short_steps:
        words = _short_words(config, sweep, steps)
        short = read_config(compose("sweep", words), words)
        if any(run.hash in missing for run in short.runs):
            with RunFolder(short.folder).lock():
                sweep_runs.run(short, words)


@lru_cache(maxsize=8)
def sweep_of(config: PopulationConfig) -> SweepConfig:
    """Return the sweep of the trained agents."""
    words = list(config.sweep)
    return read_config(compose("sweep", words), words)


def short_runs(config: PopulationConfig, sweep: SweepConfig) -> list[TrainConfig]:
    """Return the short trainings: as the others until they stop, so that no rate is annealed."""
    found = []
    for steps, correlation in itertools.product(config.short_steps, config.short_correlations):
        run = sweep.run(correlation, 0)
        agent = dataclasses.replace(run.agent, total_steps=steps, anneal=False)
        found.append(dataclasses.replace(run, agent=agent, name=f"{sweep.name}-{SHORT}"))
    return found


def _short_words(config: PopulationConfig, sweep: SweepConfig, steps: int) -> list[str]:
    kept = [w for w in config.sweep if w.partition("=")[0] not in _REPLACED]
    listed = ",".join(map(repr, config.short_correlations))
    return [
        *kept,
        f"agent.total_steps={steps}",
        "agent.anneal=false",
        f"correlations=[{listed}]",
        "seeds=1",
        f"name={sweep.name}-{SHORT}",
    ]


_REPLACED = ("agent.total_steps", "agent.anneal", "correlations", "seeds", "name")


def _finished(sweep: Path) -> dict[str, str]:
    """Return the finished runs of a sweep: path by the hash of their settings.

    Looked for in its folder, and in those whose names go on after its own.  Hashes are of the
    stored settings as they are read today, so that a setting that was added since, and has its
    default, changes nothing.
    """
    found: dict[str, str] = {}
    for folder in [*sweep.parent.glob(f"{sweep.name}-*"), sweep]:
        for one in find_runs(folder):
            if (one.path / DONE).is_file():
                found[TrainedRun.read(one).config.hash] = str(one.path)
    return found


def _distinct(found: list[Member]) -> dict[str, Member]:
    """Return members by what they do: of two that do the same, the first."""
    distinct: dict[str, Member] = {}
    for member in found:
        made = dataclasses.asdict(member.reference) if member.reference else {}
        where = [] if member.policies else [repr(member.training.world)]
        made.pop("name", None)
        distinct.setdefault(config_hash({"of": [member.policies, made, where]}), member)
    return distinct


def _lacks(reference: Reference, world: World, pairs: set[tuple[float, int]]) -> str:
    """Return what is missing to make a reference, or nothing."""
    wanted = [(correlation, reference.seed) for correlation in _parents(reference)]
    for correlation, seed in wanted:
        if (correlation, seed) not in pairs:
            return f"no agent is trained at correlation {correlation:g} with seed {seed}"
    if reference.kind == "seeker" and not world.planner:
        return f"{world.name} has no planner"
    if reference.kind == "held" and world.held_action is None:
        return f"{world.name} has no action that is held"
    return ""


def _parents(reference: Reference) -> list[float]:
    """Return the correlations of the trained agents that a reference is made of."""
    if reference.kind == "mixture":
        return [reference.correlation, reference.other]
    return [reference.correlation] if reference.kind == "trained" else []


def _name(run: TrainConfig, short: bool = False) -> str:
    steps = f"-steps{run.agent.total_steps}" if short else ""
    return f"rho{run.correlation:g}-seed{run.seed}{steps}"


def _of_run(run: TrainConfig, folder: str) -> Member:
    name = _name(run, short=Path(folder).parent.name.endswith(SHORT))
    return Member(name, name, (folder,), (_weights(folder),))


def _of_reference(
    reference: Reference, any_run: Member, agents: dict[tuple[float, int], Member]
) -> Member | None:
    """Return a reference agent; None where what it needs is not there."""
    world = any_run.training.world
    if _lacks(reference, world, set(agents)):
        return None
    if reference.kind in ("trained", "mixture"):
        wanted = [(correlation, reference.seed) for correlation in _parents(reference)]
        bases = [agents[key] for key in wanted]
        return Member(
            reference.name, bases[0].unit, tuple(base.folders[0] for base in bases),
            tuple(base.policies[0] for base in bases), reference,
        )  # fmt: skip
    unit = f"{reference.kind}-{reference.share:g}" if reference.kind == "seeker" else reference.kind
    return Member(reference.name, unit, any_run.folders, (), reference)


def _altered(agent: Agent, reference: Reference, no_op: int) -> Agent:
    from misgen.agents.wrappers import PerturbedAgent, PerturbedValuedAgent

    options: dict[str, Any] = {"noise": reference.noise, "delay": reference.delay, "no_op": no_op}
    if reference.kind == "trained" and isinstance(agent, ValuedAgent):
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
