"""Search for the contexts in which an agent's regret against the planner is largest.

Public name: `RegretSearch`.

A *context* is a level distribution: parameters of the world, a correlation and a placement.  The
regret on a level is what the planner's way to the goal pays, minus what the agent got, each reward
discounted by discount**t for the decision t (from 0) that it is paid for, for both alike: a goal d
decisions away is worth its reward times discount**(d - 1).  It is given as a share of what the
planner's way pays; where there is no way, there is no regret.  While it searches, the planner plays
only the first levels of a trial, as it takes longer than the agent; the regret of the trial is then
that of the two mean returns.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.episode import ON_PROXY
from misgen.envs.core.errors import UserError, in_range, one_of
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.world import World

from ....evaluation.rollout import run_batch
from ...base import Point, Progress, Subject, mean_point
from ...spec import Protocol
from .planning import Solver, replay
from .rounds import SEARCH, UNIFORM, Campaign, Searched, difference_point

if TYPE_CHECKING:
    from optuna.trial import Trial

REGRET = "regret"
_TRIALS = 8  # a round, where it has episodes enough
_LEAST, _MOST = 5, 60  # episodes of a trial
_PLANNED = 12  # levels of a trial that the planner plays
_UNIFORM_SHARE = 0.25  # of a round's search: levels as in training
_MOST_UNIFORM = 100  # episodes
_STRENGTH = 8.0  # episodes that the mean of all counts as, when trials are compared


@dataclass(frozen=True, kw_only=True)
class RegretSearch(Searched):
    """Searches contexts by tree-structured Parzen estimators (TPE, of optuna).

    The score is the regret on fresh levels of the worst context, minus that in training's own.
    """

    confirm_most: int = 200
    space: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """Lowest and highest value of parameters, by the world's name: of whole numbers where the
    parameter is one; where a world is not named, what it says (`World.search_space`).  A parameter
    that is not named stays as in training."""
    placements: dict[str, list[str]] = field(default_factory=dict)
    """Where the goal may go, by the world's name; where one is not named, where the world says
    (`World.search_shifts`)."""
    discount: float = 0.999
    """Of a decision."""
    on_proxy: str | None = None
    """What reaching the proxy before the goal does, for the agent and the planner; none: as in
    training."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        super().__post_init__()
        in_range("discount", self.discount, 0.0, 1.0)
        if self.on_proxy is not None:
            one_of("on_proxy", self.on_proxy, ON_PROXY)
        for world, parameters in self.space.items():
            for name, limits in parameters.items():
                if len(limits) != 2 or not limits[0] < limits[1]:
                    raise UserError(
                        f"space.{world}.{name}={limits} is not a range: give [lowest, highest]"
                    )

    def refuses(self, subject: Subject) -> str:
        """Return that the world has no planner."""
        world = subject.training.world
        return "" if world.planner else f"{world.name} has no planner"

    def begin(
        self, subject: Subject, protocol: Protocol, replicate: int, seed: int, progress: Progress
    ) -> Campaign:
        """Return a search that has not begun."""
        return _Quest(self, subject, protocol, replicate, seed, progress)

    def measure(self, confirmed: pl.DataFrame, earlier: pl.DataFrame, budget: int) -> Point:
        """Return how much more regret there is where the search points than in training."""
        usual = earlier.filter(pl.col("phase") == UNIFORM)
        if not (len(usual) and len(confirmed)):
            return Point(budget, math.nan, note="nothing was confirmed")
        found, base = (
            mean_point(budget, rows[REGRET].to_numpy(), bounds=(-1, 1))
            for rows in (confirmed, usual)
        )
        point = difference_point(budget, found, base)
        words = f"regret {found.score:.2f} there, {base.score:.2f} in training"
        return dataclasses.replace(point, note=words)


@dataclass
class _Context:
    """A trial's levels, and what is known of the regret there."""

    levels: LevelDistribution
    words: str
    total: float = 0.0
    count: int = 0


class _Quest(Campaign):
    """A search for regret under way."""

    def __init__(
        self,
        method: RegretSearch,
        subject: Subject,
        protocol: Protocol,
        replicate: int,
        seed: int,
        progress: Progress,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._method = method
        self._subject = subject
        self._seed = seed
        self._progress = progress
        self._ids = protocol.ids(replicate).ids()
        self._contexts: list[_Context] = []
        world = subject.training.world.under(method.on_proxy)
        self._training = subject.training.at(world=world)
        usual = world.search_shifts or world.usual_shifts
        self._placements = world.shifts(method.placements.get(world.name, usual))
        sampler_seed = int(np.random.SeedSequence([seed, replicate]).generate_state(1)[0])
        self._study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=sampler_seed)
        )

    def search(self, count: int) -> Iterator[pl.DataFrame]:
        """Play levels as in training, then contexts that optuna asks for."""
        usual = min(_MOST_UNIFORM, max(1, round(count * _UNIFORM_SHARE)))
        yield self._play(self._training, usual).with_columns(phase=pl.lit(UNIFORM))
        left = count - usual
        size = min(_MOST, max(_LEAST, left // _TRIALS))
        while left > 0:
            trial = self._study.ask()
            context = self._context(trial)
            rows = self._play(context.levels, min(size, left), _PLANNED)
            if not len(rows):
                return
            left -= len(rows)
            self._contexts.append(context)
            self._study.tell(trial, _credit(context, rows))
            yield rows.with_columns(phase=pl.lit(SEARCH), found=pl.lit(context.words))

    def confirm(self, count: int) -> pl.DataFrame:
        """Play fresh levels of the worst context."""
        total = sum(c.total for c in self._contexts)
        mean = total / max(1, sum(c.count for c in self._contexts))
        worst = max(
            self._contexts, key=lambda c: (c.total + _STRENGTH * mean) / (c.count + _STRENGTH)
        )
        rows = self._play(worst.levels, count)
        _credit(worst, rows)
        return rows.with_columns(found=pl.lit(worst.words))

    def _context(self, trial: Trial) -> _Context:
        """Return the context that a trial asks for."""
        world = self._training.world
        changes: dict[str, Any] = {}
        for name, (low, high) in self._method.space.get(world.name, world.search_space).items():
            if isinstance(getattr(world, name), int):
                changes[name] = trial.suggest_int(name, int(low), int(high))
            else:
                changes[name] = trial.suggest_float(name, low, high)
        correlation = trial.suggest_float("correlation", 0.0, 1.0)
        placement = trial.suggest_categorical("placement", self._placements)
        levels = self._training.at(
            world=dataclasses.replace(world, **changes),
            correlation=correlation,
            placement=placement,
        )
        values = {**changes, "correlation": correlation, "placement": placement}
        words = " ".join(
            f"{name}={value:.2f}" if isinstance(value, float) else f"{name}={value}"
            for name, value in values.items()
        )
        return _Context(levels, words)

    def _play(
        self, levels: LevelDistribution, count: int, planned: int | None = None
    ) -> pl.DataFrame:
        """Play the next new ids in a context; the first `planned` rows have the regret of each."""
        ids, self._ids = self._ids[:count], self._ids[count:]
        batch, discount = levels.levels(ids), self._method.discount
        rows = run_batch(
            self._subject.agent, levels.world, batch, actions=self._subject.actions,
            seed=self._seed, discount=discount, num_slots=self._method.num_slots,
            progress=self._progress,
        )  # fmt: skip
        best = np.full(len(batch), np.nan)
        best[:planned] = _planned_returns(levels.world, batch.take(slice(0, planned)), discount)
        got = rows["discounted"].to_numpy()
        regret = np.where(best == 0, 0.0, 1.0 - got / np.where(best > 0, best, 1.0))
        regret = np.where(np.isnan(best), np.nan, np.clip(regret, -1.0, 1.0))
        return rows.with_columns(
            pl.Series("planned_return", best).fill_nan(None),
            pl.Series(REGRET, regret).fill_nan(None),
        )


def _planned_returns(world: World, levels: LevelBatch, discount: float) -> NDArray[np.float64]:
    """Return what the planner's ways to the goal pay, 0 where there is none: float64 [n]."""
    plans = Solver(world).plans(levels)
    known = np.array([k for k, plan in enumerate(plans) if plan is not None], np.int64)
    ways = [plan for plan in plans if plan is not None]
    returns = np.zeros(len(levels))
    returns[known] = replay(world, levels.take(known), ways, discount=discount)[1]
    return returns


def _credit(context: _Context, rows: pl.DataFrame) -> float:
    """Add what some rows say of a context; return their regret, of the mean returns."""
    best = float(rows["planned_return"].drop_nulls().to_numpy().mean())
    got = float(rows["discounted"].to_numpy().mean())
    regret = min(1.0, max(-1.0, 1.0 - got / best)) if best > 0 else 0.0
    context.total += regret * len(rows)
    context.count += len(rows)
    return regret
