"""Replay a sample of stored episodes, to check that this agent made them on these levels.

An episode is keyed by seed, level, repeat and decision, so anyone with the policy gets the same
one, bit for bit.  The hash of the file that holds them decides which are replayed: the same for
everyone, and others as soon as a byte of the file changes.  Before that, every row of an
evaluation is checked without playing: the levels, repeats and labels that there must be, and that
the columns of a row agree with one another.

Public names: `ALL`, `REPLAY`, `Replayed`, `parse_replay`, `replay_evaluation`, `replay_protocol`,
`not_replayed`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from misgen.agents.external.playing import why_not_playable
from misgen.agents.external.record import read_record
from misgen.envs.core.distribution import IdRange
from misgen.envs.core.episode import Outcome
from misgen.envs.core.errors import UserError

from ..evaluation.conditions import LABELS, SHIFTED, Job, conditions
from ..evaluation.config import EvaluateConfig
from ..evaluation.planned import PLANNED, planned_facts
from ..evaluation.rollout import SCHEMA, run_levels
from ..training.settings import typed
from ..training.trained_run import TrainedRun

if TYPE_CHECKING:
    from ..protocols.spec import Protocol

ALL = 2**62
"""As `replay`: every episode."""
REPLAY = 64
"""Episodes of each condition, placement, action mode and agent that are played again by default."""
WHOLE = 2000
"""Episodes up to which a protocol is run again whole, whatever `replay` is (but 0)."""
_KEYS = ("agent", "condition", "placement", "actions")
_FACTS = 8
"""Of the episodes played again on shifted levels, on how many a planner searches again: slow."""


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
        replay: how many of each condition, placement, action mode and agent; 0: nothing is checked.

    Raises:
        UserError: if they are not what this agent does on these levels.
    """
    from ..evaluation.evaluate_run import jobs_of

    if not replay:
        return Replayed(0, len(episodes))
    config = typed(EvaluateConfig, {**settings, "threads": 1}, "evaluation.")
    where = conditions(run.config.distribution, run.test_ids(config.levels), config)
    record = read_record(run.folder.path)
    silent = _Silent(record.name) if record and not_replayed(run.folder.path) else None
    jobs = jobs_of(run, where, config, silent)
    _require_columns(episodes)
    _require_labels(run, episodes)
    _require_agreement(episodes)
    groups = {key: table for key, table in episodes.group_by(*_KEYS, maintain_order=True)}
    if len(jobs) != len(groups):
        raise UserError(
            f"the stored episodes have {len(groups)} combinations of {', '.join(_KEYS)}, and the "
            f"evaluation's settings give {len(jobs)}: {_AGAIN}"
        )
    played = 0
    for job in jobs:
        key = (
            job.agent.name,
            job.condition.name,
            job.condition.distribution.placement,
            job.actions,
        )
        stored = groups.get(key)
        if stored is None:
            raise UserError(f"there are no stored episodes of {_named(job)}: {_AGAIN}")
        _require_levels(job, stored)
        sample = _sample(stored, sha256, "/".join(key), replay)
        if job.agent is not silent:
            _require_same(job, sample, config.seed)
        if job.condition.name == SHIFTED:
            facts = sample if replay >= ALL else sample.head(_FACTS)
            _require_facts(job, facts, config.planned)
        played += len(sample) if job.agent is not silent else 0
    return Replayed(played, len(episodes))


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
    expected = {**LABELS, **SCHEMA, **PLANNED}
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
        "train_seed": config.seed,
    }
    for name, value in own.items():
        others = episodes.filter(pl.col(name).ne_missing(value))
        if len(others):
            raise UserError(
                f"{len(others)} of the stored episodes have {name}={others[name][0]}, and the run "
                f"has {value}: {_AGAIN}"
            )


def _require_agreement(episodes: pl.DataFrame) -> None:
    """Refuse rows whose columns contradict one another."""
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
        "a column is empty": pl.any_horizontal(pl.col(name).is_null() for name in SCHEMA),
    }
    for what, rule in rules.items():
        wrong = episodes.filter(rule.fill_null(True))
        if len(wrong):
            raise UserError(
                f"{len(wrong)} of the stored episodes are inconsistent ({what}; the first is "
                f"of level {wrong['level_id'][0]}): {_AGAIN}"
            )


def _require_levels(job: Job, stored: pl.DataFrame) -> None:
    """Refuse episodes left out, added or doubled."""
    repeats = range(job.first_repeat, job.first_repeat + job.repeats)
    wanted = pl.DataFrame(
        {"level_id": np.repeat(np.sort(job.condition.ids), job.repeats)},
        schema={"level_id": pl.Int64},
    ).with_columns(pl.Series("repeat", list(repeats) * len(job.condition.ids), dtype=pl.Int16))
    own = stored.select("level_id", "repeat").sort("level_id", "repeat")
    if not own.equals(wanted):
        raise UserError(
            f"the stored episodes of {_named(job)} are {len(own)} on "
            f"{own['level_id'].n_unique()} levels, and not the {len(wanted)}, one for each level "
            f"and repeat, that its settings give: {_AGAIN}"
        )
    correlation = float(job.condition.distribution.correlation)
    if not (stored["test_correlation"] == correlation).all():
        raise UserError(f"the stored episodes of {_named(job)} have another correlation: {_AGAIN}")


def _sample(stored: pl.DataFrame, sha256: str, label: str, count: int) -> pl.DataFrame:
    """Return rows that a file's hash chooses."""
    if count >= len(stored):
        return stored
    seed = hashlib.sha256(f"{sha256}/{label}".encode()).digest()
    rng = np.random.default_rng(list(seed))
    return stored[np.sort(rng.choice(len(stored), count, replace=False))]


def _require_same(job: Job, sample: pl.DataFrame, seed: int) -> None:
    """Play some episodes again, and refuse them if a column differs."""
    for (repeat,), known in sample.group_by("repeat", maintain_order=True):
        known = known.sort("level_id").select(SCHEMA.names())
        found = run_levels(
            job.agent,
            job.condition.distribution,
            known["level_id"].to_numpy(),
            actions=job.actions,
            first_repeat=int(repeat),  # pyright: ignore[reportArgumentType]
            seed=seed,
            num_slots=128,
        )
        if not _equal(found, known):
            raise UserError(
                f"when replayed, the agent does not do what is stored for {_named(job)}"
                f"{_first(found, known)}: {_AGAIN}"
            )


def _require_facts(job: Job, sample: pl.DataFrame, planned: bool) -> None:
    """Search again what planned seekers do on some levels, and refuse other answers."""
    names = PLANNED.names()
    known = sample.unique("level_id").sort("level_id").select("level_id", *names)
    if planned:
        levels = job.condition.distribution
        tables = [planned_facts(levels.at(ids=ids)) for ids in _ranges(known["level_id"].to_list())]
        found = known.select("level_id").join(pl.concat(tables), on="level_id", how="left")
    else:
        found = known.with_columns(pl.lit(None, pl.Boolean).alias(name) for name in names)
    if not _equal(found.select("level_id", *names), known):
        raise UserError(
            f"when planned again, seekers do not do what is stored for {_named(job)}"
            f"{_first(found, known)}: {_AGAIN}"
        )


def _ranges(ids: list[int]) -> Iterator[IdRange]:
    """Yield ranges of consecutive ids."""
    start = 0
    for k in range(1, len(ids) + 1):
        if k == len(ids) or ids[k] != ids[k - 1] + 1:
            yield IdRange(ids[start], ids[k - 1] + 1)
            start = k


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


def _named(job: Job) -> str:
    place = job.condition.distribution.placement
    return f"{job.agent.name}, {job.condition.name} ({place}), {job.actions} actions"
