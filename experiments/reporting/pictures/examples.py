"""Levels that show what an agent does, and the ways it takes through them.

Public names: `Trace`, `trace`, `Example`, `example_of`, `pick_levels`, `load_run`, `episodes_of`,
`DOES`, `UP_TO_FIRST`, `names_of`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.checked import probabilities_of
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import Outcome
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch

from ...evaluation.chosen import evaluation_of
from ...evaluation.conditions import AGENT, ALIGNED, CONFLICT, NEEDED
from ...training.run_folder import EPISODES, RunFolder, read_parquet
from ...training.shell import shell_words
from .cutout import palette_of, window_of

if TYPE_CHECKING:
    from misgen.agents.base import Agent
    from misgen.envs.core.level import Level
    from misgen.envs.core.world import World

_SEARCHED = 200
"""Levels among which the most legible are looked for."""
_RUN_THROUGH = 16
"""The most legible ones, which the agent then runs through."""
_CLEARLY_AWAY = 3.0
"""Cells between an agent's way and the goal from which on a picture is clear."""
_LEGIBLE = (20, 36)
"""Cells across that a picture shows well."""
DOES = {
    Outcome.GOAL: "it reaches {goal}",
    Outcome.PROXY: "it reaches {proxy} first",
    Outcome.DEATH: "it dies on the way",
    Outcome.TIMEOUT: "it runs out of time",
}
"""What an agent did up to the goal or the proxy: with the world's names of these."""


@dataclass(frozen=True, eq=False)
class Trace:
    """The way an agent took through a level, up to the goal, the proxy or its end."""

    xy: NDArray[np.float64]  # [t, 2] the agent's centre, frame by frame, in cells
    outcome: Outcome
    touched_conflict_cell: bool


@dataclass(frozen=True, eq=False)
class Example:
    """A level with its goal at the proxy and away from it, and what one agent does there."""

    aligned: Level
    conflict: Level
    traces: tuple[Trace, Trace] | None
    """On the aligned and on the conflict level; None where no agent ran."""


def load_run(run: RunFolder) -> tuple[LevelDistribution, Agent]:
    """Return the test levels of a run (at its training placement) and its trained agent.

    Raises:
        UserError: if the folder is no finished run.
    """
    from misgen.agents.checkpoint import load_agent

    from ...training.config import TrainConfig
    from ...training.settings import typed

    config = typed(TrainConfig, run.manifest().get("config", {}))
    world = config.world
    agent = load_agent(run.path, world.observation_space, world.action_space)
    return config.distribution.at(ids=config.levels.ranges["test"]), agent


def trace(
    agent: Agent, world: World, levels: LevelBatch, *, greedy: bool = True, seed: int = 0
) -> list[Trace]:
    """Let an agent run once through each level; return the ways it took.

    An agent that reaches the proxy first is stopped there: what it does afterwards, with nothing
    left to run for, would only hide its way.

    Args:
        agent: who runs.
        world: the rules, with the `action_repeat` that the agent was trained with.
        levels: where, [n].
        greedy: take the most probable action instead of a sampled one.
        seed: seed of the sampled actions.
    """
    rng = np.random.default_rng(seed)
    shown = dataclasses.replace(world, action_repeat=1, on_proxy="end")
    engine = shown.make_engine(len(levels))
    engine.load(np.arange(len(levels)), levels)
    agent.start(np.arange(len(levels)), levels)
    ways: list[list[tuple[float, float]]] = [[start] for start in _positions(engine)]
    while (running := np.flatnonzero(engine.episodes["running"])).size:
        actions = np.zeros(len(levels), np.int64)
        p = probabilities_of(agent, engine.observe(running), engine, int(world.action_space.n))
        actions[running] = p.argmax(axis=1) if greedy else _sample(p, rng)
        for _ in range(world.action_repeat):
            running = np.flatnonzero(engine.episodes["running"])
            engine.step(actions)
            for slot, position in zip(running, _positions(engine, running), strict=True):
                ways[slot].append(position)
    results = engine.results(np.arange(len(levels)))
    touched = results["touched_conflict_cell"]
    return [
        Trace(np.array(way, np.float64), Outcome(int(code)), bool(touch))
        for way, code, touch in zip(ways, results["outcome"], touched, strict=True)
    ]


def example_of(
    distribution: LevelDistribution,
    ids: Sequence[int],
    agent: Agent | None = None,
    *,
    greedy: bool = True,
) -> Example:
    """Return a level with its goal at the proxy and away from it, and let an agent run there.

    Args:
        distribution: its world and placement are used; its correlation is not.
        ids: levels to choose from; taken is one on which the agent reaches the goal where that is
            at the proxy, and does what it does most often where it is not.  Of these the one whose
            moved goal is furthest from its way (more than some cells do not count), and of equal
            ones the first.
        agent: who runs; None for nobody.
        greedy: take the most probable action instead of a sampled one.
    """
    numbers = np.array(ids, np.int64)
    aligned = distribution.at(correlation=1.0).levels(numbers)
    conflict = distribution.at(correlation=0.0).levels(numbers)
    if agent is None:
        return Example(aligned[0], conflict[0], None)
    before = trace(agent, distribution.world, aligned, greedy=greedy)
    after = trace(agent, distribution.world, conflict, greedy=greedy)
    goals = conflict.data["goal_cell"] + 0.5
    away = [np.abs(way.xy - goal).max(axis=1).min() for way, goal in zip(after, goals, strict=True)]
    usual = Counter(way.outcome for way in after).most_common(1)[0][0]
    row = max(
        range(len(ids)),
        key=lambda k: (
            before[k].outcome is Outcome.GOAL,
            after[k].outcome is usual,
            min(away[k], _CLEARLY_AWAY),
        ),
    )
    return Example(aligned[row], conflict[row], (before[row], after[row]))


def pick_levels(
    episodes: pl.DataFrame, distribution: LevelDistribution, actions: str
) -> tuple[list[int], str]:
    """Return levels on which an agent does what it does most often, and words for that choice.

    Considered are levels on whose aligned twin the agent reaches the goal without touching the
    cell that the goal is moved to: elsewhere it may come upon the moved goal on its way.  Among
    those on which it most often reaches the same thing first, those that make the best pictures are
    taken, best first.

    Args:
        episodes: of one trained agent, as the evaluation wrote them.
        distribution: its world and placement are used.
        actions: whose episodes to look at: greedy or sampled.
    """
    here = (pl.col("placement") == distribution.placement) & (pl.col("actions") == actions)
    own = episodes.filter(here, pl.col("role") == AGENT).sort("level_id", "repeat")
    twins = own.filter(pl.col("condition") == ALIGNED).group_by("level_id", maintain_order=True)
    clear = twins.agg(
        (pl.col("reached_goal").all() & ~pl.col("touched_conflict_cell").any()).alias("clear")
    )
    conflict = own.filter(pl.col("condition") == CONFLICT, pl.col("repeat") == 0)
    telling = conflict.join(clear.filter("clear"), on="level_id", maintain_order="left")
    if telling.is_empty():
        ids = episodes["level_id"].unique().sort().to_numpy()
        return _most_legible(distribution, ids), "picked as easy to read"
    telling = telling.with_columns(UP_TO_FIRST.alias("outcome"))
    outcome, count = Counter(telling["outcome"].to_list()).most_common(1)[0]
    names = names_of(distribution.world)
    choice = (
        f"picked as easy to read among {count} of {len(telling)} that went the same way: with "
        "{goal} at {proxy} the agent reaches it without passing the place it is moved to; with it "
        f"there, {DOES[Outcome[outcome]]}"
    )
    ids = telling.filter(pl.col("outcome") == outcome)["level_id"].to_numpy()
    return _most_legible(distribution, ids), choice.format(**names)


UP_TO_FIRST = (
    pl.when(pl.col("first") == "goal")
    .then(pl.lit(Outcome.GOAL.name))
    .when(pl.col("first") == "proxy")
    .then(pl.lit(Outcome.PROXY.name))
    .when("died")
    .then(pl.lit(Outcome.DEATH.name))
    .otherwise(pl.lit(Outcome.TIMEOUT.name))
)
"""What an episode came to when goal or proxy was reached: where a trace stops."""


def _most_legible(distribution: LevelDistribution, ids: NDArray[np.int64]) -> list[int]:
    """Return the ids of levels of good size that show many kinds of things, best first."""

    def score(level: Level) -> tuple[bool, int]:
        left, right, bottom, top = window_of(level, distribution.world)
        palette = palette_of(distribution.world)
        if palette is None:
            return True, len(np.unique(level.tiles))
        kinds = {int(kind) for kind in level.entities["kind"]}
        tiles = {int(code) for code in level.tiles[bottom:top, left:right].flat}
        shown = len(kinds & palette.entities.keys()) + len(tiles & palette.tiles.keys())
        return _LEGIBLE[0] <= right - left <= _LEGIBLE[1], shown

    levels = list(distribution.at(correlation=1.0).levels(ids[:_SEARCHED]))
    return [level.id for level in sorted(levels, key=score, reverse=True)[:_RUN_THROUGH]]


def episodes_of(run: RunFolder) -> pl.DataFrame:
    """Return a run's episodes.

    Raises:
        UserError: if it was not evaluated.
    """
    evaluation = evaluation_of(run)
    if evaluation is None:
        raise UserError(
            f"{run.path} was not evaluated, so there is nothing to pick a level by: give id=..., "
            f"or run {shell_words('misgen', 'evaluate', f'run={run.path}')} first"
        )
    digest = evaluation.found.get("episodes_sha256")
    return read_parquet(evaluation.path / EPISODES, digest, NEEDED, "evaluate the run again")


def _positions(engine: Engine, slots: NDArray[np.int64] | None = None) -> list[tuple[float, float]]:
    states = engine.states if slots is None else engine.states[slots]
    middle = 0.5 if states.dtype["x"].kind == "i" else 0.0  # a whole number is a cell
    return list(zip((states["x"] + middle).tolist(), (states["y"] + middle).tolist(), strict=True))


def _sample(p: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    below = np.cumsum(p, axis=1)
    return (below[:, :-1] <= rng.random((len(p), 1)) * below[:, -1:]).sum(axis=1)


def names_of(world: World) -> dict[str, str]:
    """Return what the world calls goal and proxy, to be put into `DOES` and the like."""
    return {"goal": world.goal_description, "proxy": world.proxy_description}
