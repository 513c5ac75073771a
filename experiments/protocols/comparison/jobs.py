"""Run every protocol on every agent once, in parallel.

Public names: `score_all`, `write_tables`, `check`.

A job is one trained agent's truth, or one protocol on one agent; its result is a file in `jobs/`,
named by the hash of all that it depends on, so that a second start resumes where the first one
stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from misgen.envs.core.distribution import IdRange, require_disjoint
from misgen.envs.core.errors import UserError

from ...sweeps.pool import side_by_side
from ...training.checks import require_room
from ...training.config import config_hash
from ...training.run_folder import read_json, write_json, write_parquet, write_text
from ..base import make_method
from ..spec import Protocol
from . import population, trained
from .config import CompareConfig
from .kinds import CONSTRUCTED, TRAINED
from .population import Member
from .power_tables import (
    SCORES,
    comparison_table,
    curve_table,
    difference_table,
    square_table,
    support_of,
)
from .truth import TruthConfig, find_truth, truth_by_making

AGENTS, TABLE, ALL_SCORES = "agents.csv", "comparison.csv", "scores.parquet"
CURVE, DIFFERENCES, SQUARE = "curve.csv", "differences.csv", "two_by_two.csv"
_JOBS = "jobs"
_SHOWN = 20  # names in a message
_VERSION = 2
"""Rises when the same protocol gives other numbers for another reason than its own."""


@dataclass(frozen=True)
class Job:
    """One piece of work, as data: an agent's truth, or a protocol on it."""

    member: Member
    truth: TruthConfig | None
    protocol: Protocol | None
    budgets: tuple[int, ...]
    replicate: int
    seed: int
    trust: bool = False

    @property
    def file(self) -> str:
        """Name of the file that its result is kept in."""
        what = self.truth.hash if self.truth else ""
        if self.protocol:
            what = config_hash(
                {"protocol": self.protocol.hash, "budgets": self.budgets,
                 "replicate": self.replicate, "seed": self.seed, "version": _VERSION}
            )  # fmt: skip
        kind = self.protocol.name if self.protocol else "truth"
        return f"{kind}-{what}-{self.member.key}.json"

    @property
    def work(self) -> int:
        """About how long it takes, in arbitrary units: the longest begin first."""
        weight = 10 if self.member.is_planned else 1
        if self.truth:
            return 13 * self.truth.levels
        assert self.protocol is not None
        if self.protocol.most is not None:  # it costs more than episodes
            weight = 100
        return weight * max(self.budgets)


def score_all(config: CompareConfig, protocols: list[Protocol]) -> pl.DataFrame:
    """Train, find the truth, and run every protocol on every agent, unless it is done.

    Returns:
        `SCORES`.

    Raises:
        UserError: if there are no agents, or a job failed.
    """
    if config.population.train and trained.missing_runs(config.population):
        trained.train_missing(config.population)
    agents = _chosen(config)
    for member in agents:
        _require_new_levels(member.training.ids, config, protocols)
    folder = Path(config.folder)
    jobs = list(_jobs(agents, config, protocols))
    _run([job for job in jobs if not (folder / _JOBS / job.file).is_file()], folder, config.jobs)
    results = [(job, read_json(folder / _JOBS / job.file, "start again")) for job in jobs]
    truths = {
        m.name: dataclasses.asdict(truth_by_making(m.reference))
        for m in agents
        if m.population == CONSTRUCTED and m.reference
    }
    truths |= {job.member.name: found for job, found in results if job.truth}
    rows = [
        row
        for job, found in results
        if job.protocol
        for row in _rows(job, found, truths[job.member.name], config)
    ]
    into = config.results.path
    into.mkdir(parents=True, exist_ok=True)
    _write_agents(agents, truths, into)
    keys = ("population", "support", "protocol", "agent", "replicate", "budget")
    table = pl.DataFrame(rows, SCORES).sort(keys)
    write_parquet(into / ALL_SCORES, table)
    return table


def write_tables(scores: pl.DataFrame, config: CompareConfig) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Write the tables; return comparison.csv, and agents.csv."""
    rate, folder = config.false_alarms, config.results.path
    table = comparison_table(scores, rate, config.resamples)
    tables = {
        TABLE: table,
        CURVE: curve_table(scores, rate),
        DIFFERENCES: difference_table(scores, rate, config.resamples),
        SQUARE: square_table(table),
    }
    for name, one in tables.items():
        write_text(folder / name, one.write_csv())
    return table, pl.read_csv(folder / AGENTS, glob=False)


def read_curve(config: CompareConfig) -> pl.DataFrame:
    """Return curve.csv."""
    return pl.read_csv(config.results.path / CURVE, glob=False)


def check(config: CompareConfig, protocols: list[Protocol]) -> None:
    """Refuse a comparison of which something could not be done.

    Raises:
        UserError: naming the setting.
    """
    folder = Path(config.folder)
    require_room(folder, "runs", folder.parent)
    for protocol in protocols:
        make_method(protocol)
    population.check(config.population)
    runs = trained.sweep_of(config.population).runs
    runs[0].world.shifts(config.truth.placements)
    for run in runs:  # seeds have training levels of their own
        _require_new_levels(run.distribution.ids, config, protocols)
    _matching(population.member_names(config.population), config.agents)


def _matching(names: list[str], words: tuple[str, ...] | None) -> list[str]:
    """Return the names that hold one of some words.

    Raises:
        UserError: for a word that none holds.
    """
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    for word in words or ():
        if not any(word in name for name in names):
            raise UserError(f"agents: {word!r} matches no agent: use words in {shown}")
    return [name for name in names if words is None or any(word in name for word in words)]


def _chosen(config: CompareConfig) -> list[Member]:
    """Return the agents that are compared.

    Raises:
        UserError: if there are none.
    """
    everybody = population.members(config.population)
    chosen = set(_matching([member.name for member in everybody], config.agents))
    return [member for member in everybody if member.name in chosen]


def _require_new_levels(trained: IdRange, config: CompareConfig, protocols: list[Protocol]) -> None:
    """Refuse protocols and truths that would test an agent on levels that it was trained on."""
    truth = config.truth
    ranges = {"training": trained}
    ranges["truth"] = IdRange(truth.first_level, truth.first_level + truth.levels)
    for protocol in protocols:
        ranges[protocol.name] = protocol.ids(config.replicates - 1)
    require_disjoint(ranges)


def _jobs(agents: list[Member], config: CompareConfig, protocols: list[Protocol]) -> Iterator[Job]:
    """Yield all that is to be done."""
    for member in agents:
        if member.population == TRAINED:
            yield Job(member, config.truth, None, (), 0, 0)
        for protocol in protocols:
            budgets = _affordable(member, protocol, config)
            for replicate in range(config.replicates):
                seed = config.seed + member.seed
                yield Job(member, None, protocol, budgets, replicate, seed, config.trust)


def _affordable(member: Member, protocol: Protocol, config: CompareConfig) -> tuple[int, ...]:
    """Return the budgets that a protocol makes sense for with this agent, at least one."""
    most = config.planned_most if member.is_planned else max(config.budgets)
    kept = tuple(b for b in protocol.affordable(config.budgets) if b <= most)
    return kept or (min(protocol.most or most, most, min(config.budgets)),)


def _run(jobs: list[Job], folder: Path, processes: int) -> None:
    """Do jobs, the longest first.

    Raises:
        UserError: if one failed; what the others found is kept.
    """
    from ...training.progress import counter, episode_progress

    if not jobs:
        return
    (folder / _JOBS).mkdir(parents=True, exist_ok=True)
    ordered = sorted(jobs, key=lambda job: -job.work)
    with episode_progress(f"{len(jobs)} jobs") as show:
        count = counter(show, sum(job.work for job in jobs))
        count(0)
        into = str(folder / _JOBS)
        for job, _, error in side_by_side(_do, ordered, into, processes=processes):
            if error is not None:
                raise UserError(
                    f"{job.file} failed ({error!r}): finished work is kept, and the"
                    " same command resumes from here"
                ) from error
            count(job.work)


def _do(job: Job, folder: str) -> None:
    """Do one job and write its result."""
    subject = job.member.subject()
    if job.truth:
        found = find_truth(subject, job.truth)
        write_json(Path(folder) / job.file, dataclasses.asdict(found))
        return
    assert job.protocol is not None
    evidence = make_method(job.protocol, job.trust).run(
        subject, job.protocol, budgets=job.budgets, replicate=job.replicate, seed=job.seed
    )
    points = [dataclasses.asdict(point) for point in evidence.points]
    write_json(Path(folder) / job.file, {"reason": evidence.reason, "points": points})


def _rows(
    job: Job, found: dict[str, Any], truth: Mapping[str, Any], config: CompareConfig
) -> Iterator[dict[str, Any]]:
    """Yield the scores of a job, carried on to budgets that this agent could not afford.

    A protocol that cannot be run on an agent says nothing of it at any budget.
    """
    assert job.protocol is not None
    protocol, member = job.protocol, job.member
    wanted = protocol.affordable(config.budgets) or job.budgets
    points = {point["budget"]: point for point in found["points"]}
    nothing = {"score": None, "low": None, "high": None, "episodes": 0, "seconds": 0.0}
    for budget in wanted:
        point = points.get(budget) or (points[max(points)] if points else nothing)
        yield {
            "population": member.population,
            "support": support_of(member.training.correlation),
            "protocol": protocol.name,
            "protocol_hash": protocol.hash,
            "in_support": protocol.in_support,
            "told_proxy": protocol.told_proxy,
            "agent": member.name,
            "unit": member.unit,
            "truth": truth["kind"],
            "proxy_share": truth["share"],
            "replicate": job.replicate,
            "run": not found["reason"],
            **{name: point[name] for name in nothing},
            "budget": budget,
            "carried": bool(points) and budget not in points,
            "note": found["reason"] or point.get("note", ""),
        }


def _write_agents(agents: list[Member], truths: dict[str, dict[str, Any]], folder: Path) -> None:
    """Write agents.csv: each agent with its truth and what that rests on."""
    rows = []
    for member in agents:
        truth = truths[member.name]
        numbers = {
            f"{name} {placement}": value
            for placement, one in truth["placements"].items()
            for name, value in one.items()
        }
        rows.append(
            {
                "population": member.population,
                "agent": member.name,
                "unit": member.unit,
                "truth": truth["kind"],
                "proxy_share": truth["share"],
                "told_by": truth["by"],
                "training_correlation": member.training.correlation,
                "episodes": truth["episodes"],
                "seconds": truth["seconds"],
                **numbers,
            }
        )
    write_text(folder / AGENTS, pl.DataFrame(rows, infer_schema_length=None).write_csv())
