"""The divergence surface: capability shifts crossed with goal shifts.

Capability shifts are other values of the world's parameters, one parameter at a time; goal shifts
are the correlation of the test levels, and where the goal goes.  The agent of a run, or all agents
of a sweep, play every crossing.  surfaces/<hash>/ in the run's or sweep's folder, a folder for each
set of settings, then holds surface.json (capability, goal and divergence at every crossing, with
intervals, over training seeds and for each) and surface.parquet (one row an episode;
docs/columns.md has its columns).

All is played under the rule of training, unless another is asked for.  Capability is reaching the
goal or the proxy; goal is reaching the goal; divergence is how much further the goal fell than the
capability, both from the aligned levels of the same ids without a capability shift, which are
played whatever correlations are asked for.

Public names: `run_surface`, `surface_table`, `surface_seeds`, `crossings`, `Crossing`, `SURFACE`,
`EPISODES`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError, did_you_mean
from misgen.envs.core.placement import ALL

from ..training.checks import require_room
from ..training.config import config_hash
from ..training.run_folder import DONE, provenance, write_json, write_parquet
from ..training.trained_at import rho_table
from ..training.trained_run import TrainedRun, run_or_sweep
from . import result_folders
from .config import EvaluateConfig, ShiftConfig
from .level_means import LevelMeans
from .quantities import Quantity
from .result_folders import place
from .seed_tables import NUMBERS, Numbers, tables_of
from .statistics import divergence

if TYPE_CHECKING:
    from misgen.agents.base import Agent
    from misgen.envs.core.world import World

    from .rollout import Actions
    from .statistics import Bounds

SURFACE, EPISODES = "surface.json", "surface.parquet"
SCHEMA_VERSION = 3
AS_TRAINED = ""
"""Parameter of the crossing at which no capability shift is made."""
LABELS = pl.Schema(
    {
        "train_correlation": pl.Float64,
        "train_seed": pl.Int32,
        "parameter": pl.String,
        "value": pl.Float64,
        "placement": pl.String,
        "test_correlation": pl.Float64,
    }
)
"""What a surface's episodes have beside `rollout.SCHEMA`; docs/columns.md says what each means."""
MEASURES: Mapping[str, Bounds] = {
    "capability": (0.0, 1.0),
    "goal": (0.0, 1.0),
    "divergence": (-1.0, 1.0),
}
"""Range of each measure."""
KEYS = pl.Schema({name: dtype for name, dtype in LABELS.items() if name != "train_seed"})
"""Columns that tell recipes and crossings apart."""
_CROSSING = [name for name in KEYS if name != "train_correlation"]
CELLS = pl.Schema({**KEYS, **NUMBERS})
"""Columns of `surface_table`."""


@dataclass(frozen=True)
class Crossing:
    """A capability shift crossed with a goal shift."""

    parameter: str
    """Of the world; `AS_TRAINED` for none."""
    value: float
    """Its value; the training's, for none."""
    levels: LevelDistribution
    """The test levels: their world, correlation and placement."""


def run_surface(config: EvaluateConfig, show: Callable[[int, int], object]) -> Path:
    """Play all crossings, write the surface, and return the folder that it was written to.

    Args:
        config: with `shift.parameters`; its `run` names a finished run or a sweep.
        show: called with the number of crossings that were played so far, and of all.

    Raises:
        UserError: if no run is finished, or a parameter or value is impossible.
    """
    from misgen.agents.spec import weights_checksum
    from misgen.agents.threads import tune_process

    tune_process(config.threads)
    players = [_Player.of(TrainedRun.read(one), config) for one in run_or_sweep(config.run)]
    for player in players:
        require_room(player.run.folder.path, "run", config.run)
    require_room(Path(config.run), "run", config.run)
    for player in players:
        player.agent  # noqa: B018  loaded now, or refused
    todo = [(one, crossing) for one in players for crossing in crossings(one.levels, config.shift)]
    tables = []
    for player, crossing in todo:
        tables.append(player.play(crossing))
        show(len(tables), len(todo))
    episodes = pl.concat(tables)
    settings = config.science | {"levels": str(players[0].levels.ids)}
    policies = {one.run.folder.path.name: weights_checksum(one.run.folder.path) for one in players}
    key = config_hash({"config": settings, "policies": sorted(policies.values())})
    into = place(Path(config.run), result_folders.SURFACE, key)
    with into.lock():
        into.unmark(DONE)
        digest = write_parquet(into.path / EPISODES, episodes)
        write_json(
            into.path / SURFACE,
            {
                "schema_version": SCHEMA_VERSION,
                **provenance(),
                "config": settings,
                "runs": list(policies),
                "policies": policies,
                "episodes_sha256": digest,
                "levels": str(players[0].levels.ids),
                "on_proxy": {
                    "trained": sorted({one.run.config.world.on_proxy for one in players}),
                    "played": sorted({one.levels.world.on_proxy for one in players}),
                },
                "trained_at": rho_table(one.run.config for one in players),
                "cells": surface_table(episodes).to_dicts(),
                "seeds": surface_seeds(episodes).to_dicts(),
            },
        )
        into.mark(DONE, key)
    return into.path


def crossings(levels: LevelDistribution, shift: ShiftConfig) -> Iterator[Crossing]:
    """Yield the crossings of a shift, first those without a capability shift.

    Args:
        levels: the test levels as in training.
        shift: what is varied.

    Raises:
        UserError: for a parameter that the world does not have, or an impossible value.
    """
    placements = levels.world.shifts(shift.placements)
    goals = [
        levels.at(correlation=correlation, placement=placement)
        for correlation in sorted(shift.correlations, reverse=True)
        for placement in (placements if correlation < 1 else placements[:1])
    ]
    if all(one.correlation < 1 for one in goals):  # divergence is measured from there
        aligned = levels.at(correlation=1.0, placement=placements[0])
        yield Crossing(AS_TRAINED, 0.0, aligned)
    yield from (Crossing(AS_TRAINED, 0.0, one) for one in goals)
    for parameter, values in _varied(levels.world, shift).items():
        trained = _trained_value(levels.world, parameter)
        for value in sorted({*values} - {trained}):
            world = _with(levels.world, parameter, value)
            yield from (Crossing(parameter, value, one.at(world=world)) for one in goals)


def _varied(world: World, shift: ShiftConfig) -> dict[str, list[float]]:
    """Return the values of the parameters that are varied; `all`: of those that have some.

    Those that are given, or else those that the world says.
    """
    known_values = {**world.capability_values, **shift.capability}
    if ALL not in shift.parameters:
        for name in shift.parameters:
            if name in world.capability and not known_values.get(name):
                raise UserError(
                    f"shift.parameters names {name}, and shift.capability.{name} no value: give "
                    f"shift.capability.{name}=[...] one or more"
                )
        return {name: list(known_values.get(name, ())) for name in shift.parameters}
    found = {name: list(known_values[name]) for name in known_values if name in world.capability}
    if not found:
        known = ", ".join(world.capability) or "none"
        raise UserError(
            f"shift.parameters=[{ALL}] finds no parameter to vary in {world.name}, whose "
            "capability "
            f"parameters are {known}: give values, +shift.capability.<name>=[...]"
        )
    return found


def surface_table(episodes: pl.DataFrame) -> pl.DataFrame:
    """Return every measure at every crossing, over training seeds: `CELLS`.

    Args:
        episodes: of all runs: `LABELS`, `rollout.SCHEMA`.
    """
    return tables_of(_numbers(episodes), KEYS, MEASURES)[0]


def surface_seeds(episodes: pl.DataFrame) -> pl.DataFrame:
    """Return every measure of each training seed: `CELLS` and `train_seed`.

    Args:
        episodes: as for `surface_table`.
    """
    return tables_of(_numbers(episodes), KEYS, MEASURES)[1]


def _numbers(episodes: pl.DataFrame) -> Iterator[Numbers]:
    """Yield what each training seed's measures are estimated from, crossing by crossing."""
    agents = episodes.group_by("train_correlation", "train_seed", maintain_order=True)
    for (correlation, seed), own in agents:
        base = own.filter(pl.col("parameter") == AS_TRAINED, pl.col("test_correlation") == 1)
        for key, cell in own.group_by(_CROSSING, maintain_order=True):
            keys = {"train_correlation": correlation, **dict(zip(_CROSSING, key, strict=True))}
            yield Numbers(keys, int(seed), _quantities(base, cell))


def _quantities(base: pl.DataFrame, cell: pl.DataFrame) -> dict[str, Quantity]:
    levels = np.sort(cell["level_id"].unique().to_numpy())
    here = LevelMeans.of(cell, levels)
    before = LevelMeans.of(base.filter(pl.col("level_id").is_in(levels.tolist())), levels)
    known = ~np.isnan(before.goal)
    fell = {
        "goal_before": before.goal,
        "goal_after": here.goal,
        "capable_before": before.capable,
        "capable_after": here.capable,
    }
    paired = {name: np.where(known, values, np.nan) for name, values in fell.items()}
    return {
        "capability": Quantity(here.capable),
        "goal": Quantity(here.goal),
        "divergence": Quantity(paired, divergence),
    }


@dataclass(frozen=True)
class _Player:
    """An agent that plays crossings."""

    run: TrainedRun
    levels: LevelDistribution
    """The test levels, all as in training but for `on_proxy`."""
    config: EvaluateConfig

    @classmethod
    def of(cls, run: TrainedRun, config: EvaluateConfig) -> _Player:
        """Return a player on the run's test levels."""
        test = run.test_ids(config.levels)
        if config.shift.levels:
            test = test.first(config.shift.levels)
        trained = run.config.distribution
        return cls(run, trained.at(world=trained.world.under(config.on_proxy), ids=test), config)

    @cached_property
    def agent(self) -> Agent:
        """The run's agent, for observations and actions as in training."""
        from misgen.agents.checkpoint import load_agent

        spaces = self.levels.world.observation_space, self.levels.world.action_space
        return load_agent(self.run.folder.path, *spaces, trust=self.config.trust)

    def play(self, crossing: Crossing) -> pl.DataFrame:
        """Return an episode on each level of a crossing that has a place for the goal."""
        from .rollout import run_levels

        levels, config = crossing.levels, self.config
        played = run_levels(
            self.agent,
            levels,
            levels.conflict_ids() if levels.correlation < 1 else levels.ids_to_play(),
            actions=cast("Actions", config.actions[0]),
            seed=config.seed,
            num_slots=config.num_slots,
        )
        labels = {
            "train_correlation": float(self.run.config.correlation),
            "train_seed": self.run.config.seed,
            "parameter": crossing.parameter,
            "value": float(crossing.value),
            "placement": levels.placement,
            "test_correlation": float(levels.correlation),
        }
        columns = [pl.lit(v, LABELS[k]).alias(k) for k, v in labels.items()]
        return played.select(*columns, pl.all())


def _trained_value(world: World, parameter: str) -> float:
    if parameter not in world.capability:
        known = ", ".join(world.capability) or "none"
        raise UserError(
            f"shift.capability.{parameter} is not a capability parameter of {world.name}: use one "
            f"of {known}"
            f"{did_you_mean(parameter, world.capability)}"
        )
    return float(getattr(world, parameter))


def _with(world: World, parameter: str, value: float) -> World:
    """Return the world with another value, of the parameter's own type."""
    kind = type(getattr(world, parameter))
    if kind(value) != value:
        raise UserError(f"shift.capability.{parameter}={value} must be a whole number")
    return dataclasses.replace(world, **{parameter: kind(value)})
