"""Evaluate an agent of your own: one call, whatever the agent is made of.

Public names: `evaluate_agent`, `stored_evaluation`, `AgentEvaluation`; for the command line
`evaluate_own`, `OwnAgentConfig`, `train_config`.

It returns and writes what an evaluation of a trained run does: a run folder whose manifest says
where the agent comes from and what is not known of its training, and in it `evaluations/<hash>/`.
`misgen report`, `misgen card` and `misgen evaluate protocol=...` take that folder as any other's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.agents.external.config import EXTERNAL, ExternalConfig
from misgen.agents.external.playing import keep_alive, made
from misgen.agents.external.record import ExternalRecord, read_record, write_record
from misgen.agents.external.source import source_file
from misgen.agents.zoo import located
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError, in_range
from misgen.envs.core.placement import USUAL
from misgen.envs.core.registry import make_world
from misgen.envs.core.world import World

from ..training.checks import require_room
from ..training.config import LevelsConfig, TrainConfig
from ..training.overrides import schema
from ..training.run_folder import (
    DONE,
    EPISODES,
    MANIFEST,
    SUMMARY,
    RunFolder,
    file_sha256,
    now,
    provenance,
    read_json,
    read_parquet,
    write_json,
)
from ..training.settings import typed
from ..training.shell import shell_words
from ..training.trained_run import TrainedRun
from .checks import require_evaluable
from .config import EvaluateConfig, VerdictConfig
from .evaluate_run import evaluate_run, evaluation_folder
from .result_folders import EVALUATION, choose

if TYPE_CHECKING:
    import polars as pl

    from misgen.agents.external.identity import Identity

    from .verdict import Verdict

SWEEP = "own"
"""Folder in `runs` that agents of one's own go to, unless another is named."""


@schema("evaluate_agent", EvaluateConfig)
@dataclass(frozen=True)
class OwnAgentConfig:
    """What is told of an agent that was trained elsewhere."""

    agent: str = ""
    """What makes it: `module:function`, or the path of a stable-baselines3 zip."""
    env: dict[str, Any] = field(default_factory=lambda: {"name": "coinrun"})
    """World that it was trained in, and the world's parameters."""
    correlation: float | None = None
    """How often goal and proxy coincided in its training; none: unknown."""
    placement: str | None = None
    """Where the goal was where they did not; none: unknown."""
    train_levels: str | None = None
    """Ids of the levels that it was trained on; none: unknown."""
    train_seed: int | None = None
    """Its training seed, which tells it from others of its kind; none: unknown."""
    called: str = ""
    """What tables call it; empty: its own name."""
    runs: str = "runs"
    """Folder that holds all runs."""
    name: str = SWEEP
    """Folder in `runs` that it goes to; agents in one folder are shown in one report."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        if self.correlation is not None:
            in_range("correlation", self.correlation, 0.0, 1.0)
        if self.train_seed is not None:
            in_range("train_seed", self.train_seed, 0, 2**31 - 1)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What is not known of its training, of `agents.external.config.UNKNOWN`."""
        told = {
            "correlation": self.correlation,
            "placement": self.placement,
            "levels": self.train_levels,
            "seed": self.train_seed,
        }
        return tuple(name for name, value in told.items() if value is None)


@dataclass(frozen=True, eq=False)
class AgentEvaluation:
    """What an evaluation of an agent found."""

    run: Path
    """The agent's run folder: what `run=` takes in misgen card, report and evaluate."""
    folder: Path
    """The evaluation's own folder in it."""

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What `summary.json` says."""
        return read_json(self.folder / SUMMARY, "evaluate the agent again")

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the run's manifest says: of the agent, under `external_agent`."""
        return RunFolder(self.run).manifest()

    @cached_property
    def episodes(self) -> pl.DataFrame:
        """One row an episode; docs/columns.md has the columns."""
        return read_parquet(self.folder / EPISODES, self.summary["episodes_sha256"])

    @cached_property
    def metrics(self) -> pl.DataFrame:
        """One row a metric, with its interval, for each placement and action mode."""
        from .metrics import summary_table

        return summary_table(self._by_seed)

    @cached_property
    def verdicts(self) -> dict[tuple[str, str], Verdict]:
        """What the agent goes for, by placement of the goal and action mode."""
        from .verdict import judge_seeds

        return {
            (keys["placement"], keys["actions"]): verdict
            for keys, _, verdict in judge_seeds(self._by_seed, self._margins)
        }

    @cached_property
    def _by_seed(self) -> pl.DataFrame:
        from .metrics import seed_table

        return seed_table(self.episodes, self._margins)

    @property
    def _margins(self) -> VerdictConfig:
        return typed(EvaluateConfig, {"verdict": self.summary["config"]["verdict"]}).verdict

    def __repr__(self) -> str:
        """Return the verdicts, a line each."""
        lines = [f"{place}, {mode}: {one}" for (place, mode), one in self.verdicts.items()]
        return "\n".join([f"AgentEvaluation of {self.run}", *lines])


def evaluate_agent(
    agent: Any,
    world: str | World | LevelDistribution = "coinrun",
    *,
    correlation: float | None = None,
    placement: str | None = None,
    train_levels: str | None = None,
    train_seed: int | None = None,
    called: str = "",
    env: Mapping[str, Any] | None = None,
    source: str | None = None,
    trust: bool = False,
    runs: str | Path = "runs",
    name: str = SWEEP,
    progress: Callable[[int, int], object] | None = None,
    **settings: Any,
) -> AgentEvaluation:
    """Evaluate an agent that was trained elsewhere.

    Args:
        agent: a function `observation -> actions or probabilities`, a torch module (logits), a
            stable-baselines3 or sb3-contrib model or the path of its zip, an object with a memory
            (`reset(slots)` and `probabilities(observation, slots)`), an `agents.base.Agent`, or
            `module:function`, which makes one of these.
        world: where it was trained: a name, a world, or the distribution of its training levels
            (which then tells `correlation`, `placement` and `train_levels`).
        correlation: how often goal and proxy coincided in training; None: unknown, and levels
            as in training are played at 1.
        placement: where the goal was where they did not; None: unknown.
        train_levels: ids of its training levels, `start:stop`, so that tests on them are refused;
            None: unknown.
        train_seed: its training seed, which tells it from others of its kind; None: unknown.
        called: what tables call it; empty: its own name.
        env: parameters of a world that is given by name.
        source: `module:function` that makes an agent given as an object again, so that a card can
            play its episodes again.
        trust: load a stable-baselines3 zip, which runs code that the zip may hold.
        runs: folder that holds all runs.
        name: folder in `runs` that it goes to; agents in one folder are shown in one report.
        progress: called with the number of episodes that ended so far, and of all.
        **settings: those of an evaluation (`EvaluateConfig`): `levels="2000000:2000500"`, `seed`,
            `actions=["greedy"]`, `shift={"placements": [...]}`, `num_slots`, ...

    Returns:
        Tables and verdicts, and where they lie.

    Raises:
        UserError: if the agent is none, does not fit the world, mixes up its rows, or a setting
            cannot be.
    """
    told = OwnAgentConfig(
        agent=source or "",
        env=_env(world, env),
        correlation=correlation,
        placement=placement,
        train_levels=train_levels,
        train_seed=train_seed,
        called=called,
        runs=str(runs),
        name=name,
    )
    if isinstance(world, LevelDistribution):
        told = _told_by(world, told)
    config = typed(EvaluateConfig, _plain(settings))
    return evaluate_own(agent, told, config, progress, trust=trust)


def stored_evaluation(
    run: str | Path | RunFolder, evaluation: str | None = None
) -> AgentEvaluation:
    """Return what an evaluation of a run found, without playing anything.

    Args:
        run: its folder, or `zoo:<name>` of an agent that comes with misgen.
        evaluation: what the hash of the evaluation's settings begins with; None: the only one.

    Raises:
        UserError: if there is no such run, or it was not evaluated, or several times.
    """
    folder = Path(run.path) if isinstance(run, RunFolder) else located(run)
    chosen = choose(TrainedRun.read(RunFolder(folder)).folder.path, EVALUATION, evaluation)
    if chosen is None:
        again = shell_words("misgen", "evaluate", f"run={folder}")
        raise UserError(f"{folder} was not evaluated yet: {again}")
    return AgentEvaluation(folder, chosen.path)


def evaluate_own(
    agent: Any,
    told: OwnAgentConfig,
    config: EvaluateConfig,
    progress: Callable[[int, int], object] | None = None,
    *,
    trust: bool = False,
) -> AgentEvaluation:
    """Evaluate an agent that was trained elsewhere; see `evaluate_agent`.

    Args:
        agent: the agent, or what makes it.
        told: what is known of it; `told.agent` is what makes it, where `agent` is an object.
        config: how to evaluate it.
        progress: called with the number of episodes that ended so far, and of all.
        trust: load a stable-baselines3 zip.
    """
    levels = _levels(told)
    _require_possible(told, config)
    built, identity, repeatable = made(
        str(agent) if isinstance(agent, Path) else agent,
        levels.world,
        told.train_seed or 0,
        told.called,
        trust=trust,
    )
    source = agent if isinstance(agent, str | Path) else told.agent or None
    record = _record(built, identity, repeatable, None if source is None else str(source), told)
    keep_alive(identity.sha256, built)
    folder = _write_run(told, record, levels)
    by_weights = identity.by == "weights"  # otherwise it may be another that answers alike so far
    evaluate_run(folder, config, progress, again=not by_weights)
    return AgentEvaluation(folder.path, evaluation_folder(folder, config).path)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they were read from YAML: tuples as lists, ranges of ids as text."""
    plain = {key: list(one) if isinstance(one, tuple) else one for key, one in settings.items()}
    levels = plain.get("levels")
    if isinstance(levels, range) and levels.step == 1:
        plain["levels"] = f"{levels.start}:{levels.stop}"
    elif levels is not None and not isinstance(levels, str | list):
        plain["levels"] = str(levels)  # an IdRange, or the path of a level file
    return plain


def _env(world: str | World | LevelDistribution, env: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a world as a run's config has it: its name, and all its parameters.

    Raises:
        UserError: for an unknown world or parameter.
    """
    if isinstance(world, LevelDistribution):
        world = world.world
    if isinstance(world, str):
        world = make_world(world, **dict(env or {}))
    elif env:
        raise UserError(f"env={dict(env)!r} goes with a world's name: give the world with them")
    if not isinstance(world, World):
        raise UserError(
            f"world={world!r} is no world: give a world's name, a world or a LevelDistribution"
        )
    return {"name": world.name, **dataclasses.asdict(world)}


def _told_by(levels: LevelDistribution, told: OwnAgentConfig) -> OwnAgentConfig:
    """Return what is told of an agent, with what the distribution of its training levels tells.

    Raises:
        UserError: if the two differ.
    """
    known = {
        "correlation": levels.correlation,
        "placement": levels.placement,
        "train_levels": str(levels.ids),
    }
    for key, value in known.items():
        given = getattr(told, key)
        if given is not None and given != value:
            raise UserError(
                f"{key}={given!r} differs from that of the LevelDistribution, {value!r}: give one "
                "of the two"
            )
    return dataclasses.replace(told, **known)


def _levels(told: OwnAgentConfig) -> LevelDistribution:
    """Return the levels that an agent was trained on, as far as it is told."""
    return train_config(told).distribution


def train_config(
    told: OwnAgentConfig, identity: str = "0" * 64, called: str = "agent"
) -> TrainConfig:
    """Return the config of a training that would have made the agent.

    What is unknown of it is what the agent is tested by: correlation 1, misgen's own level ids.
    """
    levels = LevelsConfig() if told.train_levels is None else LevelsConfig(train=told.train_levels)
    return TrainConfig(
        env=_env(str(told.env.get("name", "coinrun")), _parameters(told.env)),
        agent=ExternalConfig(name=called, identity=identity, unknown=told.unknown),
        levels=levels,
        correlation=1.0 if told.correlation is None else float(told.correlation),
        placement=told.placement or USUAL,
        seed=told.train_seed or 0,
        runs=told.runs,
        name=told.name,
    )


def _parameters(env: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in env.items() if key != "name"}


def _require_possible(told: OwnAgentConfig, config: EvaluateConfig) -> None:
    """Refuse what could not be evaluated, before any code of a stranger's runs.

    Raises:
        UserError: naming the setting.
    """
    trained = train_config(told)
    require_evaluable(trained, config)
    require_room(Path(told.runs) / told.name, "runs", told.runs)
    if config.shift.parameters:
        raise UserError(
            f"shift.parameters={list(config.shift.parameters)} makes a surface: evaluate the agent "
            "first, then misgen evaluate run=<its folder> shift=surface trust=true"
        )


def _record(
    agent: Any, identity: Identity, repeatable: bool, source: str | None, told: OwnAgentConfig
) -> ExternalRecord:
    """Return what the run's folder keeps of an agent."""
    from misgen.agents.external.adapt import kind_of

    file = None if source is None else source_file(source)
    return ExternalRecord(
        name=agent.name,
        kind=kind_of(agent),
        source=source,
        source_sha256=file_sha256(file) if file is not None and file.is_file() else None,
        identity_sha256=identity.sha256,
        identified_by=identity.by,
        weights_sha256=identity.weights_sha256,
        parameters=identity.parameters,
        repeatable=repeatable,
        env=_env(str(told.env.get("name", "coinrun")), _parameters(told.env)),
        seed=told.train_seed or 0,
    )


def _write_run(
    told: OwnAgentConfig, record: ExternalRecord, levels: LevelDistribution
) -> RunFolder:
    """Write the run's folder: the record in place of a policy, and the manifest."""
    config = train_config(told, record.identity_sha256, record.name)
    folder = RunFolder(Path(told.runs) / told.name / f"{config.slug}-{config.hash}")
    with folder.lock():
        before = read_record(folder.path)
        if record.source is None and before is not None and before.source is not None:
            record = dataclasses.replace(
                record, source=before.source, source_sha256=before.source_sha256
            )
        if before == record and folder.marked(DONE, config.hash):
            return folder  # cards that cite its manifest stay true
        write_record(folder.path, record)
        unknown_levels = told.train_levels is None
        manifest = {
            **provenance(),
            "status": "done",
            "config": config.science,
            "config_hash": config.hash,
            "algorithm": EXTERNAL,
            "external_agent": {
                **{key: one for key, one in dataclasses.asdict(record).items() if key != "env"},
                "unknown": list(told.unknown),
            },
            "slug": config.slug,
            "name": config.name,
            "training_levels": {"unknown": True} if unknown_levels else levels.describe(),
            "finished": now(),
        }
        write_json(folder.path / MANIFEST, manifest)
        folder.mark(DONE, config.hash)
    return folder
