"""The replays of a sweep: picked by rule, played again, and held against what is stored.

Public names: `Replays`, `record`, `of_one_run`, `MOST`, `LARGEST`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch

from ...evaluation.conditions import ALIGNED, CONFLICT, Condition
from ...evaluation.config import EvaluateConfig
from ...evaluation.evaluate_run import agent_of, conditions_of
from ...training.settings import typed
from ...training.trained_run import TrainedRun
from .packing import Watched, encoded, packed
from .taping import Tape, tape
from .typical import Pick, pick, pick_levels, played

if TYPE_CHECKING:
    from ..results import Results, Run

MOST = 200
"""Episodes of a report, each with its twin, unless another number is asked for."""
LARGEST = 4_500_000
"""Bytes that they may take in a page."""
_HELD = ("steps", "outcome", "goal_at", "proxy_at")
"""Columns in which a replay has to be as stored."""


@dataclass(frozen=True)
class Replays:
    """What a page shows of episodes."""

    data: str
    """What the player reads; empty where there is nothing to watch."""
    count: int = 0
    values: bool = False
    """Whether some agent's critic could be asked."""
    other: int = 0
    """How many came out other than they are stored."""
    missing: tuple[str, ...] = ()
    """Why some cannot be watched, a sentence each."""
    too_large: int = 0
    """How many were left out, as the page would become too large."""


def of_one_run(results: Results, name: str) -> Results:
    """Return the results of one run of a sweep.

    Raises:
        UserError: if it does not count there.
    """
    from ...evaluation.metrics import seed_table, summary_table

    runs = [run for run in results.runs if run.name == name]
    if not runs:
        why = dict(results.unfinished).get(name, "it is not of this sweep")
        raise UserError(f"{name} cannot be watched: {why}")
    episodes = results.episodes_of(runs[0])
    seeds = seed_table(episodes, results.margins)
    return replace(results, runs=runs, episodes=episodes, by_seed=seeds, table=summary_table(seeds))


def record(
    results: Results, most: int = MOST, *, levels: Sequence[int] = (), trust: bool = False
) -> Replays:
    """Return the typical episodes of a sweep, each with its aligned twin.

    Args:
        results: of the sweep.
        most: how many to take.
        levels: ids to take instead of typical ones.
        trust: make agents that were trained elsewhere again, which runs their code.
    """
    picks = pick_levels(results, levels)[:most] if levels else pick(results, most)
    of_run: dict[int, list[Pick]] = {}
    for one in picks:
        of_run.setdefault(one.run, []).append(one)
    found: dict[Pick, Watched] = {}
    missing: dict[str, list[str]] = {}
    for number, own in of_run.items():
        run = results.runs[number]
        try:
            found |= {one.pick: one for one in _watched(results, run, own, trust)}
        except UserError as error:
            missing.setdefault(str(error), []).append(run.name)
    watched = [found[one] for one in picks if one in found]
    told = tuple(f"{', '.join(names)}: {why}" for why, names in missing.items())
    if not watched:
        return Replays("", missing=told)
    data, kept = _that_fit(results, watched)
    other = sum(not one.as_stored for one in watched[:kept])
    values = any(twin.values for one in watched[:kept] for twin in one.tapes)
    return Replays(data, kept, values, other, told, len(watched) - kept)


def _that_fit(results: Results, watched: Sequence[Watched]) -> tuple[str, int]:
    """Return as many episodes as fit into a page, packed, and how many these are."""
    agents = [_told_of(results, run) for run in results.runs]
    kept = len(watched)
    while True:
        data = encoded(packed(results.world, agents, watched[:kept]))
        if len(data) <= LARGEST or kept == 1:
            return data, kept
        kept = max(1, min(kept - 1, int(kept * LARGEST / len(data))))


def _told_of(results: Results, run: Run) -> dict[str, Any]:
    verdicts = {
        place: results.verdicts[run.correlation, place, results.modes[0]][run.seed].name
        for place in results.placements
        if run.seed in results.verdicts.get((run.correlation, place, results.modes[0]), {})
    }
    return {"rho": results.rho[run.correlation], "seed": run.seed, "verdicts": verdicts}


def _watched(results: Results, run: Run, picks: Sequence[Pick], trust: bool) -> list[Watched]:
    """Play the picks of one agent again.

    Raises:
        UserError: if it cannot be asked, or its levels are not there any more.
    """
    trained = TrainedRun.read(run.folder)
    config = _settings(run.summary.get("config", {}), trust)
    where = conditions_of(trained, config)
    agent = agent_of(trained, where, config)
    levels = [(_level(where, ALIGNED, one), _level(where, CONFLICT, one)) for one in picks]
    world = where[-1].distribution.world
    batch = LevelBatch.stack([level for pair in levels for level in pair], world.level_dtype)
    mode: Any = results.modes[0]
    tapes = tape(agent, world, batch, actions=mode, seed=config.seed)
    stored = played(results, run)
    return [
        Watched(one, pair, twins, _as_stored(stored, one, twins))
        for one, pair, twins in zip(
            picks, levels, zip(tapes[::2], tapes[1::2], strict=True), strict=True
        )
    ]


def _settings(settings: Mapping[str, Any], trust: bool) -> EvaluateConfig:
    """Return an evaluation's settings.

    Raises:
        UserError: if they do not say which levels it was of.
    """
    if str(settings.get("levels", "")).startswith("made by hand"):
        raise UserError("levels made by hand are not kept with an evaluation")
    return typed(EvaluateConfig, {**settings, "threads": 1, "trust": trust}, "evaluation.")


def _level(where: Sequence[Condition], name: str, one: Pick) -> Any:
    """Return a twin of the level that was picked."""
    import numpy as np

    for condition in where:
        if (condition.name, condition.distribution.placement) == (name, one.placement):
            return condition.distribution.levels(np.array([one.level]))[0]
    raise UserError(f"the evaluation has no {name} levels with placement {one.placement}")


def _as_stored(stored: pl.DataFrame, one: Pick, twins: tuple[Tape, Tape]) -> bool:
    """Return whether twins went as the evaluation has them."""
    rows = stored.filter(placement=one.placement, level_id=one.level)
    for condition, twin in zip((ALIGNED, CONFLICT), twins, strict=True):
        row = rows.filter(condition=condition).to_dicts()
        if len(row) != 1 or any(row[0][name] != twin.result[name] for name in _HELD):
            return False
    return True
