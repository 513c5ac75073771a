"""Replay a sample of stored episodes, to check that this agent made them on these levels.

An episode is keyed by seed, level, repeat and decision, so anyone with the policy gets the same
one, bit for bit.  The hash of the file that holds them decides which are replayed: the same for
everyone, and others as soon as a byte of the file changes.  Before that, every row of an
evaluation is checked without playing: the levels, repeats and labels that there must be, and that
the columns of a row agree with one another.

Beside the agent's own, episodes of random play at its number of decisions are played again, and of
planned seekers; and what was found of the agent as a device is found again.

Public names: `ALL`, `REPLAY`, `Replayed`, `parse_replay`, `replay_evaluation`, `replay_protocol`,
`not_replayed`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.external.playing import why_not_playable
from misgen.agents.external.record import read_record
from misgen.agents.scripted import make_agent
from misgen.envs.core.episode import Outcome
from misgen.envs.core.errors import UserError

from ..evaluation.conditions import (
    AGENT,
    EPISODES,
    FLOOR,
    IN_DISTRIBUTION,
    RANDOM,
    REFERENCE,
    Condition,
    Job,
    agent_jobs,
    conditions,
)
from ..evaluation.config import EvaluateConfig
from ..evaluation.references import Reference, reference_episodes, reference_jobs
from ..evaluation.rollout import SCHEMA, run_levels
from ..training.settings import typed
from ..training.trained_run import TrainedRun

if TYPE_CHECKING:
    from misgen.agents.base import Agent

    from ..protocols.spec import Protocol

ALL = 2**62
"""As `replay`: every episode."""
REPLAY = 64
"""Episodes of each condition, placement, action mode and player played again by default."""
WHOLE = 2000
"""Episodes up to which a protocol is run again whole, whatever `replay` is (but 0)."""
_KEYS = ("role", "agent", "noise", "condition", "placement", "on_proxy", "actions")
_PLANNED = 8
"""Of each planned seeker's episodes, how many are planned again by default: slow."""
_SAME = 1e-6
"""Probabilities that differ by less are equal."""
_NULL = ("goal_at", "proxy_at", "cell_first")
"""Columns that may be empty."""


@dataclass(frozen=True)
class Replayed:
    """How much was played again; all of it came out as stored."""

    played: int = 0
    of: int = 0

    def __add__(self, other: Replayed) -> Replayed:
        """Return both together."""
        return Replayed(self.played + other.played, self.of + other.of)


def parse_replay(text: str) -> int:
    """Return how many episodes to play again: a number, or `all`.

    Raises:
        UserError: for anything else.
    """
    if text == "all":
        return ALL
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UserError(f"replay={text!r} is not allowed: give a number of episodes, or all")
    return int(text)


def replay_evaluation(
    run: TrainedRun, settings: Mapping[str, Any], episodes: pl.DataFrame, sha256: str, replay: int
) -> Replayed:
    """Hold an evaluation's episodes against its settings, and play some again.

    Args:
        run: whose evaluation it is.
        settings: those of the evaluation.
        episodes: what is stored.
        sha256: of the file that stores them; decides which are played again.
        replay: how many of each condition, placement, action mode and player; 0: nothing is
            checked.

    Raises:
        UserError: if they are not what this agent does on these levels.
    """
    if not replay:
        return Replayed(0, len(episodes))
    config = typed(EvaluateConfig, {**settings, "threads": 1}, "evaluation.")
    where = conditions(run.config.distribution, run.test_ids(config.levels), config)
    agent = _agent(run, where, config)
    _require_columns(episodes)
    _require_labels(run, episodes)
    _require_agreement(episodes, run.config.world.goal_moves)
    groups = {key: table for key, table in episodes.group_by(*_KEYS, maintain_order=True)}
    parts = list(_parts(agent, where, config))
    if len(parts) != len(groups):
        raise UserError(
            f"the stored episodes have {len(groups)} combinations of {', '.join(_KEYS)}, and the "
            f"evaluation's settings give {len(parts)}: {_AGAIN}"
        )
    played = 0
    for part in parts:
        stored = groups.get(part.key)
        if stored is None:
            raise UserError(f"there are no stored episodes of {part}: {_AGAIN}")
        _require_levels(part, stored)
        if part.is_silent:
            continue
        most = replay if part.role != REFERENCE or replay >= ALL else min(replay, _PLANNED)
        sample = _sample(stored, sha256, "/".join(map(str, part.key)), most)
        if part.role == FLOOR:
            sample = _with_limits(sample, groups[part.own_key])
        _require_same(part, sample, config.seed)
        played += len(sample)
    if not isinstance(agent, _Silent):
        _require_devices(episodes, agent, where, config)
    return Replayed(played, len(episodes))


@dataclass(frozen=True)
class _Part:
    """Episodes that an evaluation has: of one player, under one condition, in one mode."""

    role: str
    job: Job
    """Whose agent plays; of random play, what the agent played."""
    reference: Reference | None = None
    """The planned seeker that plays instead."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Values of `_KEYS`."""
        levels, name, noise, actions = self.condition.distribution, self.job.agent.name, 0.0, ""
        if self.role == FLOOR:
            name = RANDOM
        if self.reference:
            name, noise = self.reference.name, self.reference.noise
            actions = "sampled" if noise else "greedy"
        rule = levels.world.on_proxy
        where = self.condition.name, levels.placement, rule, actions or self.job.actions
        return self.role, name, noise, *where

    @property
    def own_key(self) -> tuple[Any, ...]:
        """Values of `_KEYS` of the agent's own episodes on the same levels."""
        return replace(self, role=AGENT, reference=None).key

    @property
    def condition(self) -> Condition:
        """Which levels."""
        return self.job.condition

    @property
    def is_silent(self) -> bool:
        """Whether the player cannot be asked."""
        return self.role == AGENT and isinstance(self.job.agent, _Silent)

    def __str__(self) -> str:
        """Return what it is in words."""
        _, name, noise, condition, place, rule, actions = self.key
        noisy = f" with noise {noise:g}" if noise else ""
        return f"{name}{noisy}, {condition} ({place}, on_proxy={rule}), {actions} actions"

    def levels(self) -> tuple[NDArray[np.int64], int]:
        """Return the levels that are played, and how often each is."""
        ids = np.sort(self.condition.ids)
        return (self.reference.ids(ids), 1) if self.reference else (ids, self.job.repeats)

    def play(self, rows: pl.DataFrame, repeat: int, seed: int) -> pl.DataFrame:
        """Play some of the levels again.

        Args:
            rows: stored episodes of one repeat, by level; of random play, with `limit`.
            repeat: its number.
            seed: of the evaluation.
        """
        ids, levels = rows["level_id"].to_numpy(), self.condition.distribution
        if self.reference:
            return reference_episodes(levels, self.reference, ids)
        agent, actions, limits = self.job.agent, self.job.actions, None
        if self.role == FLOOR:
            agent = make_agent(RANDOM, int(levels.world.action_space.n), levels.world.no_op)
            actions, limits = "sampled", rows["limit"].cast(pl.Int32).to_numpy()
        return run_levels(
            agent, levels, ids, actions=actions, first_repeat=repeat, seed=seed, num_slots=128,
            limits=limits,
        )  # fmt: skip


def _agent(run: TrainedRun, where: list[Condition], config: EvaluateConfig) -> Agent:
    """Return the agent, or what stands for one that cannot be asked."""
    from ..evaluation.evaluate_run import agent_of

    record = read_record(run.folder.path)
    if record and not_replayed(run.folder.path):
        return _Silent(record.name)
    return agent_of(run, where, config)


def _parts(agent: Agent, where: list[Condition], config: EvaluateConfig) -> Iterator[_Part]:
    """Yield all that an evaluation with these settings has."""
    for job in agent_jobs(agent, where, config):
        yield _Part(AGENT, job)
        yield _Part(FLOOR, job)
    for condition in where if config.references else ():
        if condition.name != IN_DISTRIBUTION and condition.distribution.world.planner:
            for reference in reference_jobs(condition):
                yield _Part(REFERENCE, Job(agent, condition, "greedy"), reference)


def replay_protocol(
    run: TrainedRun, protocol: Protocol, stored: Mapping[str, Any], rows: pl.DataFrame, replay: int
) -> Replayed:
    """Run a protocol again, and hold its rows against the stored ones.

    One of few episodes is run whole; of a larger one, or one that searches long, the first episodes
    are.

    Args:
        run: whose agent it was run on.
        protocol: what was run.
        stored: what its main file says.
        rows: what it scored.
        replay: how many episodes; 0: none.

    Raises:
        UserError: if this agent gives other rows.
    """
    from ..protocols.run import play

    settings = stored["config"]
    most = max(settings["budgets"])
    if not replay or not_replayed(run.folder.path):
        return Replayed(0, most)
    cheap = protocol.most is None and most <= WHOLE
    budget = most if cheap else min(most, replay)
    found = play(protocol, run, {**settings, "budgets": [budget]}).details
    known = rows.filter(pl.col("order") < budget) if "order" in rows.columns else rows
    if not _equal(found, known):
        raise UserError(
            f"protocol {protocol.name}: when run again on this agent, it gives other rows"
            f" than those that are stored{_first(found, known)}: {_AGAIN}"
        )
    return Replayed(budget, most)


def not_replayed(folder: Path) -> str:
    """Return why the episodes of a run's agent cannot be played again here; empty: they can.

    Those of an agent that was trained elsewhere can be where it can be made again, and is trusted.
    """
    record = read_record(folder)
    why = why_not_playable(record) if record else ""
    return f"The agent's own episodes were not played again: {why}." if why else ""


class _Silent:
    """Stands for an agent that cannot be asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self, slots: Any, levels: Any) -> None:
        """Refuse to play."""
        raise UserError(f"agent {self.name!r} cannot be asked: evaluate it again")

    def probabilities(self, observation: Any, engine: Any) -> Any:
        """Refuse to play."""
        raise UserError(f"agent {self.name!r} cannot be asked: evaluate it again")


_AGAIN = "they were changed, or made by another agent or version; make them again"


def _require_columns(episodes: pl.DataFrame) -> None:
    expected = dict(EPISODES)
    if dict(episodes.schema) != expected:
        wrong = sorted(
            name
            for name in expected.keys() | set(episodes.columns)
            if episodes.schema.get(name) != expected.get(name)
        )
        raise UserError(f"the stored episodes have other columns ({', '.join(wrong)}): {_AGAIN}")


def _require_labels(run: TrainedRun, episodes: pl.DataFrame) -> None:
    """Refuse episodes that say they are of another training."""
    config = run.config
    own = {
        "train_correlation": float(config.correlation),
        "train_placement": config.distribution.placement,
        "train_on_proxy": config.world.on_proxy,
        "train_seed": config.seed,
    }
    for name, value in own.items():
        others = episodes.filter(pl.col(name).ne_missing(value))
        if len(others):
            raise UserError(
                f"{len(others)} of the stored episodes have {name}={others[name][0]}, and the run "
                f"has {value}: {_AGAIN}"
            )


def _require_agreement(episodes: pl.DataFrame, is_cell: bool) -> None:
    """Refuse rows whose columns contradict one another.

    Args:
        episodes: what is stored.
        is_cell: whether the goal is a cell, so that it is known whether that was touched.
    """
    goal, proxy, died = pl.col("reached_goal"), pl.col("reached_proxy"), pl.col("died")
    follows = (
        pl.when(goal)
        .then(pl.lit(Outcome.GOAL.name))
        .when(proxy)
        .then(pl.lit(Outcome.PROXY.name))
        .when(died)
        .then(pl.lit(Outcome.DEATH.name))
        .otherwise(pl.lit(Outcome.TIMEOUT.name))
    )
    rules = {
        "outcome is not what reached_goal, reached_proxy and died say": (
            pl.col("outcome").cast(pl.String) != follows
        ),
        "the goal was reached, and goal_fraction is not 1": goal & (pl.col("goal_fraction") != 1),
        "the proxy was reached, and proxy_fraction is not 1": (
            proxy & (pl.col("proxy_fraction") != 1)
        ),
        "a fraction is outside [0, 1]": ~(
            pl.col("goal_fraction").is_between(0, 1) & pl.col("proxy_fraction").is_between(0, 1)
        ),
        "a column is empty": pl.any_horizontal(
            pl.col(name).is_null() for name in SCHEMA if name not in _NULL
        ),
        "cell_first is not empty only where the goal is no cell": (
            pl.col("cell_first").is_null() == is_cell
        ),
        "goal_at or proxy_at is not what reached_goal and reached_proxy say": (
            (pl.col("goal_at").is_not_null() != goal) | (pl.col("proxy_at").is_not_null() != proxy)
        ),
        "first is not what goal_at and proxy_at say": _other_first(),
    }
    for what, rule in rules.items():
        wrong = episodes.filter(rule.fill_null(True))
        if len(wrong):
            raise UserError(
                f"{len(wrong)} of the stored episodes are inconsistent ({what}; the first is "
                f"of level {wrong['level_id'][0]}): {_AGAIN}"
            )


def _other_first() -> pl.Expr:
    """Return whether `first` contradicts when goal and proxy were reached; at once, either fits."""
    goal, proxy = pl.col("goal_at"), pl.col("proxy_at")
    earlier = {
        "goal": goal.is_not_null() & (proxy.is_null() | (goal <= proxy)),
        "proxy": proxy.is_not_null() & (goal.is_null() | (proxy <= goal)),
        "neither": goal.is_null() & proxy.is_null(),
    }
    first = pl.col("first")
    return ~pl.any_horizontal((first == name) & fits for name, fits in earlier.items())


def _require_levels(part: _Part, stored: pl.DataFrame) -> None:
    """Refuse episodes left out, added or doubled."""
    ids, repeats = part.levels()
    wanted = pl.DataFrame(
        {"level_id": np.repeat(ids, repeats)}, schema={"level_id": pl.Int64}
    ).with_columns(pl.Series("repeat", list(range(repeats)) * len(ids), dtype=pl.Int16))
    own = stored.select("level_id", "repeat").sort("level_id", "repeat")
    if not own.equals(wanted):
        raise UserError(
            f"the stored episodes of {part} are {len(own)} on "
            f"{own['level_id'].n_unique()} levels, and not the {len(wanted)}, one for each level "
            f"and repeat, that its settings give: {_AGAIN}"
        )
    correlation = float(part.condition.distribution.correlation)
    if not (stored["test_correlation"] == correlation).all():
        raise UserError(f"the stored episodes of {part} have another correlation: {_AGAIN}")


def _sample(stored: pl.DataFrame, sha256: str, label: str, count: int) -> pl.DataFrame:
    """Return rows that a file's hash chooses."""
    if count >= len(stored):
        return stored
    seed = hashlib.sha256(f"{sha256}/{label}".encode()).digest()
    rng = np.random.default_rng(list(seed))
    return stored[np.sort(rng.choice(len(stored), count, replace=False))]


def _with_limits(sample: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Return episodes of random play with the agent's decisions on the same levels as `limit`."""
    limits = own.select("level_id", "repeat", pl.col("steps").alias("limit"))
    return sample.join(limits, on=["level_id", "repeat"], how="left", maintain_order="left")


def _require_same(part: _Part, sample: pl.DataFrame, seed: int) -> None:
    """Play some episodes again, and refuse them if a column differs."""
    is_cell = part.condition.distribution.world.goal_moves
    for (repeat,), rows in sample.group_by("repeat", maintain_order=True):
        rows = rows.sort("level_id")
        found = part.play(rows, int(repeat), seed)  # pyright: ignore[reportArgumentType]
        if not is_cell:
            found = found.with_columns(cell_first=pl.lit(None, pl.Boolean))
        known = rows.select(SCHEMA.names())
        if not _equal(found, known):
            who = "the agent does" if part.role == AGENT else f"{part.key[1]} does"
            raise UserError(
                f"when replayed, {who} not do what is stored for {part}{_first(found, known)}: "
                f"{_AGAIN}"
            )


def _require_devices(
    episodes: pl.DataFrame, agent: Agent, where: list[Condition], config: EvaluateConfig
) -> None:
    """Ask again whether a device explains the agent's episodes, and refuse other answers."""
    from ..evaluation.aims import add_devices

    bare = episodes.with_columns(device=pl.lit(None, pl.Float64))
    found = add_devices(bare, agent, where, config)["device"]
    known = episodes["device"]
    wrong = (found.is_null() != known.is_null()) | ((found - known).abs() > _SAME).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise UserError(
            f"when asked again, a device explains the agent's episode on level "
            f"{episodes['level_id'][row]} with probability {found[row]}, and {known[row]} is "
            f"stored (device): {_AGAIN}"
        )


def _equal(found: pl.DataFrame, known: pl.DataFrame) -> bool:
    """Return whether tables are the same: names, types and every value, NaN like NaN."""
    return found.schema == known.schema and found.equals(known)


def _first(found: pl.DataFrame, known: pl.DataFrame) -> str:
    """Return the first difference of two tables, in words."""
    if found.columns != known.columns:
        return " (other columns)"
    if len(found) != len(known):
        return f" ({len(known)} rows are stored, {len(found)} come out)"
    for name in known.columns:
        differs = found[name].ne_missing(known[name])
        if differs.any():
            row = int(differs.arg_max() or 0)
            level = f"level {known['level_id'][row]}: " if "level_id" in known.columns else ""
            return f" ({level}{name} is {known[name][row]} there, and {found[name][row]} now)"
    return " (other types)"
