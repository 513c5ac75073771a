"""Native engine and untouched Procgen side by side: same levels, same actions, every float.

Public names: `verify`, `Report`, `on_procgen`.

Each level is compared as Procgen generates it itself, in all bytes of its saved state but the
random generators; then in play, frame by frame: what moves, the reward, and the end.  On a conflict
level play begins after its goal was moved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.distribution import LevelDistribution
from ..core.engine import Engine
from ..core.errors import UserError
from ..core.level import LevelBatch
from ..core.world import World
from .coinrun import ProcgenCoinRun
from .engine import OnProcgen, one_thread
from .library import Games
from .saved_state import GENERATORS, SavedState

ACTIONS = ("random", "to the right")
"""What is done in each of a level's episodes."""
_BLOCK = 32  # levels at a time: the twins' motion takes a megabyte an episode
_RIGHT = (7, 8)


@dataclass
class Report:
    """What was compared, and how it differs."""

    world: OnProcgen
    levels: int = 0
    moved: int = 0
    """How many of the levels were played with a moved goal."""
    episodes: int = 0
    frames: int = 0
    goals: int = 0
    ends: int = 0
    """Episodes that the goal or a death ended, the goals among them."""
    differences: list[str] = field(default_factory=list)
    """A sentence for each level and episode that differs: the first difference in it."""

    def __str__(self) -> str:
        """Return it in a few lines."""
        moved = f", played on {self.moved:,} with the goal moved" if self.moved else ""
        text = (
            f"{self.world.game}, {self.world.mode}: {self.levels:,} levels as generated (tiles, "
            f"entities, looks){moved}; {self.episodes:,} episodes ({', '.join(ACTIONS)}) of "
            f"{self.frames:,} frames, {self.ends:,} ended by goal ({self.goals:,}) or death: "
            f"{', '.join(self.world.motion(np.zeros(0, self.world.state_dtype)))}, reward and end"
        )
        found = len(self.differences)
        return f"{text}\n{f'{found:,} DIFFERENCES' if found else 'no difference'}"


def on_procgen(world: World) -> OnProcgen:
    """Return the original behind `world`: itself, or the native world's counterpart.

    An agent that knows the native grid sees the grid there too.

    Raises:
        UserError: if there is none, or the original does not have the world's parameters.
    """
    if isinstance(world, OnProcgen):
        return world
    if world.name != ProcgenCoinRun.native:
        raise UserError(
            f"env={world.name!r} is not available in the original Procgen: use env=coinrun, "
            "env=procgen_coinrun or env=procgen_maze"
        )
    values: dict[str, Any] = {"observation": "grid"}
    values |= {f.name: getattr(world, f.name) for f in dataclasses.fields(world)}
    return ProcgenCoinRun(**values)


def verify(
    distribution: LevelDistribution, progress: Callable[[int], object] | None = None
) -> Report:
    """Compare all levels of a distribution of a world on Procgen.

    Args:
        distribution: the levels; action repeat, time-out and `on_proxy` are the original's.
        progress: called with the number of levels done, whenever one is.

    Raises:
        UserError: if Procgen is not installed.
    """
    world = _as_original(on_procgen(distribution.world))
    report = Report(world)
    template = SavedState(Games(world.game, world.mode, 1, threads=0).get_state(0))
    for ids in distribution.ids.parts(_BLOCK):
        block = distribution.at(world=world).levels(ids)
        twins = distribution.at(world=world, correlation=1.0).levels(block.ids)
        with one_thread():
            runs = _run_native(world, block)
        for k, level_id in enumerate(block.ids):
            games = Games(world.game, world.mode, 1, threads=0, start=int(level_id))
            _compare_start(report, games, template, twins, k)
            start = games.get_state(0)
            if world.goal_moves_always or not block.aligned[k]:
                start = world.start_state(template, block, k)
                report.moved += 1
            for run in runs:
                games.set_state(0, start)
                _compare_run(report, games, run, k, int(level_id))
            games.close()
            report.levels += 1
            if progress:
                progress(1)
    return report


@dataclass(frozen=True, eq=False)
class _Run:
    """One episode on each of n levels, as the native engine plays it."""

    name: str
    actions: NDArray[np.int64]
    """[n, frames]"""
    motion: list[dict[str, NDArray[Any]]]
    """At each frame's start, [n, ...] each."""
    reward: NDArray[np.float32]
    """[n, frames]"""
    done: NDArray[np.bool_]
    """[n, frames]"""
    length: NDArray[np.int64]
    """[n] frames until the end."""


def _run_native(world: OnProcgen, levels: LevelBatch) -> list[_Run]:
    """Play every level once with each kind of actions."""
    runs = []
    for name in ACTIONS:
        n, frames = len(levels), world.max_steps
        actions = np.stack([_actions(int(i), name, frames) for i in levels.ids])
        engine = Engine(world, n)
        engine.load(np.arange(n), levels)
        reward, done = np.zeros((n, frames), np.float32), np.zeros((n, frames), np.bool_)
        motion = [world.motion(engine.states)]
        for t in range(frames):
            done[engine.step(actions[:, t]), t] = True
            reward[:, t] = engine.episodes["reward"]
            motion.append(world.motion(engine.states))
            if not engine.episodes["running"].any():
                break
        length = engine.episodes["frames"].astype(np.int64)
        runs.append(_Run(name, actions, motion, reward, done, length))
    return runs


def _actions(level_id: int, name: str, frames: int) -> NDArray[np.int64]:
    """Return actions of the original's code [frames], each held for 1 to 4 frames."""
    rng = np.random.default_rng([7, level_id, ACTIONS.index(name)])
    drawn = rng.integers(0, 15, frames)
    if name != "random":
        drawn = np.where(rng.random(frames) < 0.7, rng.choice(_RIGHT, frames), drawn)
    return np.repeat(drawn, rng.integers(1, 5, frames))[:frames]


def _compare_start(
    report: Report, games: Games, template: SavedState, twins: LevelBatch, k: int
) -> None:
    """Compare a level that Procgen has just generated with the aligned one of ours."""
    theirs = SavedState(games.get_state(0))
    ours = SavedState(report.world.start_state(template, twins, k))
    for state in (theirs, ours):
        for name in ("level_seed_low", "level_seed_high"):
            state[name][0] = 0
        if report.world.goal_moves_always:
            grid = state["grid"]
            grid[grid == report.world.goal_tile] = next(iter(report.world.symbols.tiles))
    if theirs.without_generators() != ours.without_generators():
        names = ", ".join(sorted(set(theirs.differing(ours)) - set(GENERATORS)))
        report.differences.append(f"level {twins.ids[k]} as generated: {names or 'other fields'}")


def _compare_run(report: Report, games: Games, run: _Run, k: int, level_id: int) -> None:
    """Play one episode again in a game that stands at its start."""
    report.episodes += 1
    where = f"level {level_id}, {run.name}"
    for t in range(int(run.length[k])):
        for difference in _frame_differences(report, games, run, k, t):
            report.differences.append(f"{where}, frame {t}: {difference}")
            return
        report.frames += 1
    last = int(run.length[k]) - 1
    report.ends += last + 1 < report.world.max_steps
    report.goals += bool(run.reward[k, last] > 0)


def _frame_differences(report: Report, games: Games, run: _Run, k: int, t: int) -> Iterator[str]:
    """Compare what moves before frame `t`, play it, and compare reward and end."""
    theirs = report.world.saved_motion(SavedState(games.get_state(0)))
    for name, values in theirs.items():
        ours = run.motion[t][name][k]
        if not np.array_equal(ours, values):
            yield f"{name} {ours[ours != values]}, not {values[ours != values]}"
    games.act(run.actions[k, t : t + 1])
    reward, done = float(run.reward[k, t]), bool(run.done[k, t])
    if games.reward[0] != reward or games.first[0] != done:
        yield (
            f"reward {reward:g}, end {done}, not {games.reward[0]:g}, {bool(games.first[0])} "
            f"(action {run.actions[k, t]})"
        )


def _as_original(world: OnProcgen) -> OnProcgen:
    """Return the world with the original's time-out, one frame a decision, 15 actions."""
    defaults: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(world)}
    names = {"action_set", "action_repeat", "max_steps", "on_proxy"} & set(defaults)
    return dataclasses.replace(world, **{name: defaults[name] for name in names})
