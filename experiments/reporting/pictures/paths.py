"""Pictures of levels, and of the ways agents take through them.

    python -m misgen.experiments.reporting.pictures.paths run=<run> out=picture.png [id=17]

draws a level as the run's agent met them in training beside the same level shifted (the goal away
from the proxy), each with the way that this agent takes.

Settings
  run        run folder of a trained agent
  out        picture to write, .png or .svg (default: first_screen.png)
  id         level id; left out, a level is picked that shows what the agent usually does, for which
             the run must have been evaluated
  placement  where the goal goes on the shifted level (default: as in training)
  actions    greedy (default) or sampled

Public names: `draw_level`, `draw_pair`, `Trace`, `trace`, `Example`, `example_of`, `pick_levels`,
`load_run`.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.checked import probabilities_of
from misgen.agents.scripted import agent_names
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import Outcome
from misgen.envs.core.errors import UserError, did_you_mean, one_of
from misgen.envs.core.level import LevelBatch

from ...evaluation.chosen import evaluation_of
from ...evaluation.conditions import NEEDED, SHIFTED, TWIN
from ...training.run_folder import EPISODES, RunFolder, read_parquet
from ...training.shell import shell_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from misgen.agents.base import Agent
    from misgen.envs.core.drawing.palette import Palette
    from misgen.envs.core.level import Level
    from misgen.envs.core.world import World

_SETTINGS = ("run", "out", "id", "placement", "actions")
_SEARCHED = 200
"""Levels among which the most legible are looked for."""
_RUN_THROUGH = 16
"""The most legible ones, which the agent then runs through."""
_CLEARLY_AWAY = 3.0
"""Cells between an agent's way and the goal from which on a picture is clear."""
_LEGIBLE = (20, 36)
"""Cells across that a picture shows well."""
_STACKED = 44
"""Cells across from which on a pair stands one above the other."""
_TEXELS = 32  # pixels a cell of a world's own picture
_INCHES = 16.0  # width of a pair; 1600 pixels

_DOES = {
    Outcome.GOAL: "it reaches {goal}",
    Outcome.PROXY: "it reaches {proxy} without {goal}",
    Outcome.DEATH: "it dies on the way",
    Outcome.TIMEOUT: "it runs out of time",
}

Window = tuple[int, int, int, int]
"""Columns from, to and rows from, to that a picture shows, `to` excluded."""


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
    shifted: Level
    traces: tuple[Trace, Trace] | None
    """On the aligned and on the shifted level; None where no agent ran."""


def main(argv: Sequence[str]) -> int:
    """Draw the pair that the settings ask for."""
    settings = _settings(argv)
    actions = one_of("actions", settings.get("actions", "greedy"), ("greedy", "sampled"))
    out = Path(settings.get("out", "first_screen.png"))
    one_of("out's ending", out.suffix, (".png", ".svg"))
    run = RunFolder(Path(settings["run"]))
    distribution, agent = load_run(run)
    if "placement" in settings:
        distribution = distribution.at(placement=settings["placement"])
    if "id" in settings:
        ids, choice = [IdRange.parse(settings["id"]).start], "as asked for"
    else:
        ids, choice = pick_levels(_episodes(run), distribution, actions)
    example = example_of(distribution, ids, agent, greedy=actions == "greedy")
    out.parent.mkdir(parents=True, exist_ok=True)
    correlation = run.manifest()["config"]["correlation"]
    draw_pair(example, distribution.world, correlation).savefig(out, dpi=100)
    print(f"{out}: level {example.aligned.id}, {choice}")
    return 0


def load_run(run: RunFolder) -> tuple[LevelDistribution, Agent]:
    """Return the test levels of a run (at its training placement) and its trained agent.

    Raises:
        UserError: if the folder is no finished run.
    """
    from misgen.agents.checkpoint import load_agent

    from ...training.config import TrainConfig, typed

    config = typed(TrainConfig, run.manifest().get("config", {}))
    world = config.world
    agent = load_agent(run.path, world.observation_space, world.action_space)
    return config.distribution.at(ids=config.levels.ranges["test"]), agent


# ---------------------------------------------------------------------------------------------
# The way an agent takes
# ---------------------------------------------------------------------------------------------


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
        ids: levels to choose from; taken is the one whose moved goal is furthest from the agent's
            way (more than some cells do not count), and of equal ones the first.
        agent: who runs; None for nobody.
        greedy: take the most probable action instead of a sampled one.
    """
    numbers = np.array(ids, np.int64)
    aligned = distribution.at(correlation=1.0).levels(numbers)
    shifted = distribution.at(correlation=0.0).levels(numbers)
    if agent is None:
        return Example(aligned[0], shifted[0], None)
    before = trace(agent, distribution.world, aligned, greedy=greedy)
    after = trace(agent, distribution.world, shifted, greedy=greedy)
    goals = shifted.data["goal_cell"] + 0.5
    away = [np.abs(way.xy - goal).max(axis=1).min() for way, goal in zip(after, goals, strict=True)]
    row = int(np.argmax(np.minimum(away, _CLEARLY_AWAY)))
    return Example(aligned[row], shifted[row], (before[row], after[row]))


def pick_levels(
    episodes: pl.DataFrame, distribution: LevelDistribution, actions: str
) -> tuple[list[int], str]:
    """Return levels on which an agent does what it does most often, and words for that choice.

    Considered are levels on whose aligned twin the agent reaches the goal without touching the
    cell that the goal is moved to: elsewhere it may get the moved goal by accident.  Among those
    with the most frequent outcome, those that make the best pictures are taken, best first.

    Args:
        episodes: of one trained agent, as the evaluation wrote them.
        distribution: its world and placement are used.
        actions: whose episodes to look at: greedy or sampled.
    """
    here = (pl.col("placement") == distribution.placement) & (pl.col("actions") == actions)
    own = episodes.filter(here, ~pl.col("agent").is_in(agent_names())).sort("level_id", "repeat")
    twins = own.filter(pl.col("condition") == TWIN).group_by("level_id", maintain_order=True)
    clear = twins.agg(
        (pl.col("reached_goal").all() & ~pl.col("touched_conflict_cell").any()).alias("clear")
    )
    shifted = own.filter(pl.col("condition") == SHIFTED, pl.col("repeat") == 0)
    telling = shifted.join(clear.filter("clear"), on="level_id", maintain_order="left")
    if telling.is_empty():
        ids = episodes["level_id"].unique().sort().to_numpy()
        return _most_legible(distribution, ids), "picked as easy to read"
    outcome, count = Counter(telling["outcome"].to_list()).most_common(1)[0]
    names = _names(distribution.world)
    choice = (
        f"picked as easy to read among {count} of {len(telling)} that went the same way: with "
        "{goal} at {proxy} the agent reaches it without passing the place it is moved to; with it "
        f"there, {_DOES[Outcome[outcome]]}"
    )
    ids = telling.filter(pl.col("outcome") == outcome)["level_id"].to_numpy()
    return _most_legible(distribution, ids), choice.format(**names)


def _most_legible(distribution: LevelDistribution, ids: NDArray[np.int64]) -> list[int]:
    """Return the ids of levels of good size that show many kinds of things, best first."""

    def score(level: Level) -> tuple[bool, int]:
        left, right, bottom, top = _window(level, distribution.world)
        palette = _palette(distribution.world)
        if palette is None:
            return True, len(np.unique(level.tiles))
        kinds = {int(kind) for kind in level.entities["kind"]}
        tiles = {int(code) for code in level.tiles[bottom:top, left:right].flat}
        shown = len(kinds & palette.entities.keys()) + len(tiles & palette.tiles.keys())
        return _LEGIBLE[0] <= right - left <= _LEGIBLE[1], shown

    levels = list(distribution.at(correlation=1.0).levels(ids[:_SEARCHED]))
    return [level.id for level in sorted(levels, key=score, reverse=True)[:_RUN_THROUGH]]


def _episodes(run: RunFolder) -> pl.DataFrame:
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
    return list(zip(states["x"].tolist(), states["y"].tolist(), strict=True))


def _sample(p: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    below = np.cumsum(p, axis=1)
    return (below[:, :-1] <= rng.random((len(p), 1)) * below[:, -1:]).sum(axis=1)


# ---------------------------------------------------------------------------------------------
# Drawing
# ---------------------------------------------------------------------------------------------


def draw_pair(example: Example, world: World, correlation: float | None = None) -> Figure:
    """Return a picture of the level as in training beside the level shifted.

    Args:
        example: the two levels, and the ways through them.
        world: whose levels they are.
        correlation: what the agent was trained with, to be named.
    """
    from matplotlib.figure import Figure

    levels = (example.aligned, example.shifted)
    traces = example.traces or (None, None)
    window = _window(levels[0], world, [way.xy for way in traces if way])
    columns = 1 if window[1] - window[0] > _STACKED else 2
    picture = _INCHES / columns * (window[3] - window[2]) / (window[1] - window[0])
    rows = 2 // columns
    figure = Figure(figsize=(_INCHES, rows * (picture + 0.75)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.04, wspace=0.01, hspace=0.02)  # pyright: ignore
    axes = figure.subplots(rows, columns).ravel()
    for ax, level, way, title in zip(axes, levels, traces, _titles(world), strict=True):
        draw_level(level, world, [way.xy] if way else [], ax=ax, window=window)
        ax.set_title(title, fontsize=18, loc="left", fontweight="bold", color="#20242a")
        if way:
            ax.set_xlabel(_what_it_does(way, world, correlation), fontsize=16, color="#3c424a")
    return figure


def draw_level(
    level: Level,
    world: World,
    paths: Sequence[NDArray[np.float64]] = (),
    *,
    ax: Axes | None = None,
    window: Window | None = None,
) -> Figure:
    """Draw a level, cut to the part that matters.

    Args:
        level: what to draw; a row of a batch is `batch[i]`.
        world: whose level it is.
        paths: ways to draw into it, [t, 2] each, in cells.
        ax: where to draw; None makes a figure.
        window: columns and rows to show; None chooses them.

    Returns:
        The figure drawn in.
    """
    from matplotlib.figure import Figure

    from .shapes import draw_path

    left, right, bottom, top = window or _window(level, world, paths)
    if ax is None:
        size = (0.3 * (right - left), 0.3 * (top - bottom))
        ax = Figure(figsize=size, layout="constrained").add_subplot()
    _draw_terrain(ax, level, world, (left, right, bottom, top))
    for path in paths:
        draw_path(ax, path)
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_color("#c4cad0")
    return ax.figure  # pyright: ignore[reportReturnType]


def _draw_terrain(ax: Axes, level: Level, world: World, window: Window) -> None:
    """Draw all but the ways: by the world's palette, or its own picture where it has none."""
    from .shapes import draw_thing, paint_cells

    palette = _palette(world)
    if palette is None:
        side = window[1]
        picture = world.picture(_start(level, world), _TEXELS * side, _TEXELS * side)
        ax.imshow(picture, extent=window, interpolation="antialiased")
        return
    left, right, bottom, top = window
    image = paint_cells(level.tiles[bottom:top, left:right], palette.tiles, palette.sky)
    ax.imshow(image, extent=window, interpolation="antialiased")
    for style, x, y, facing in _things(level, palette):
        draw_thing(ax, style, x, y, facing)


def _start(level: Level, world: World) -> np.void:
    """Return a slot's record at the start of a level."""
    states = np.zeros(1, world.state_dtype)
    batch = LevelBatch.stack([level], world.level_dtype)
    world.load(states, np.zeros(1, np.int64), batch)
    return states[0]


def _things(level: Level, palette: Palette) -> Iterable[tuple[Any, float, float, int]]:
    """Yield style, centre and direction of all that fills no cell, furthest back first."""
    x, y = level.proxy_cell
    yield palette.proxy, x + 0.5, y + 0.5, 0
    for entity in level.entities:
        if style := palette.entities.get(int(entity["kind"])):
            yield style, float(entity["x"]), float(entity["y"]), int(np.sign(entity["vx"]))
    for code, style in palette.tiles.items():
        if not style.fills_cell:
            for y, x in np.argwhere(level.tiles == code):
                yield style, x + 0.5, y + 0.5, 0
    yield palette.agent, *level.start, 1


def _window(level: Level, world: World, paths: Sequence[NDArray[np.float64]] = ()) -> Window:
    """Return what of the level to show: start, goals, entities, the ground between, the ways."""
    height, width = level.tiles.shape
    palette = _palette(world)
    if palette is None:
        side = int(_start(level, world)["side"])
        return 0, side, 0, side
    if palette.margin is None:
        return 0, width, 0, height
    points = [level.start, level.goal_cell, level.proxy_cell]
    points += [cell for cell in (level.conflict_cell,) if cell[0] >= 0]
    points += [(float(entity["x"]), float(entity["y"])) for entity in level.entities]
    points += [tuple(corner) for way in paths for corner in (way.min(axis=0), way.max(axis=0))]
    x, y = np.array(points, np.float64).T
    first, last = int(x.min()), int(x.max())
    highest = max(float(y.max()), _surface(level, palette)[first : last + 1].max())
    left, right, below, above = palette.margin
    return (
        max(0, first - left),
        min(width, last + 1 + right),
        max(0, int(y.min()) - below),
        min(height, int(highest) + 1 + above),
    )


def _surface(level: Level, palette: Palette) -> NDArray[np.int64]:
    """Return the highest row of each column that is filled and has something open above."""
    filled = np.isin(level.tiles, [c for c, style in palette.tiles.items() if style.fills_cell])
    tops = filled[:-1] & ~filled[1:]  # [height - 1, width]
    rows = np.arange(len(tops))[:, None]
    return np.where(tops, rows, 0).max(axis=0)


def _palette(world: World) -> Palette | None:
    """Return how a world's levels are drawn; None for one that draws them itself."""
    return importlib.import_module(world.palette).PALETTE if world.palette else None


def _titles(world: World) -> tuple[str, str]:
    goal = world.goal_description
    return (
        f"As in training: {goal} at {world.proxy_description}",
        f"Shifted: the same level, {goal} elsewhere",
    )


def _what_it_does(way: Trace, world: World, correlation: float | None) -> str:
    who = "the agent" if correlation is None else f"agent trained at ρ = {correlation:g}"
    return f"{who}: {_DOES[way.outcome].format(**_names(world))}"


def _names(world: World) -> dict[str, str]:
    return {"goal": world.goal_description, "proxy": world.proxy_description}


def _settings(argv: Sequence[str]) -> dict[str, str]:
    """Return the settings of a command line.

    Raises:
        UserError: for a setting that is not known, or no run.
    """
    settings: dict[str, str] = {}
    for word in argv:
        name, _, settings[name] = word.partition("=")
    for name in settings:
        if name not in _SETTINGS:
            hint = did_you_mean(name, _SETTINGS)
            raise UserError(f"{name!r} is no setting: use one of {', '.join(_SETTINGS)}{hint}")
    if not settings.get("run"):
        raise UserError("run is missing: give a trained agent's folder, run=runs/<sweep>/<run>")
    return settings


if __name__ == "__main__":
    from ...commands.common import run_module

    sys.exit(run_module("pictures", main))
