"""Pictures of levels, and of the paths that agents take through them.

Public names: `draw_level`, `draw_pair`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.episode import Outcome

from .cutout import Window, palette_of, start_of, window_of
from .examples import DOES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from misgen.envs.core.drawing.palette import Palette
    from misgen.envs.core.level import Level
    from misgen.envs.core.world import World

    from .examples import Example, Trace

_STACKED = 44
"""Cells across from which on a pair stands one above the other."""
_TEXELS = 32  # pixels a cell of a world's own picture
_LINE = 76  # letters of a line below a picture
_INCHES = 16.0  # width of a pair; 1600 pixels


def draw_pair(example: Example, world: World, correlation: float | None = None) -> Figure:
    """Return a picture of the aligned level beside its conflict twin.

    Args:
        example: the two levels, and the ways through them.
        world: whose levels they are.
        correlation: what the agent was trained with, to be named.
    """
    from matplotlib.figure import Figure

    levels = (example.aligned, example.conflict)
    traces = example.traces or (None, None)
    window = window_of(levels[0], world, [way.xy for way in traces if way])
    columns = 1 if window[1] - window[0] > _STACKED else 2
    picture = _INCHES / columns * (window[3] - window[2]) / (window[1] - window[0])
    rows = 2 // columns
    figure = Figure(figsize=(_INCHES, rows * (picture + 0.75)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.04, wspace=0.01, hspace=0.02)  # pyright: ignore
    axes = figure.subplots(rows, columns).ravel()
    told = _what_they_do(example.traces, world, correlation) if example.traces else ("", "")
    for ax, level, way, title, does in zip(axes, levels, traces, _titles(world), told, strict=True):
        draw_level(level, world, [way.xy] if way else [], ax=ax, window=window)
        ax.set_title(title, fontsize=18, loc="left", fontweight="bold", color="#20242a")
        ax.set_xlabel(fill(does, _LINE), fontsize=16, color="#20242a")
    if palette_of(world) is not None and world.goal_moves:
        _label(axes[1], world.goal_description, levels[1].goal_cell)
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

    left, right, bottom, top = window or window_of(level, world, paths)
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

    palette = palette_of(world)
    if palette is None:
        side = window[1]
        picture = world.picture(start_of(level, world), _TEXELS * side, _TEXELS * side)
        ax.imshow(picture, extent=window, interpolation="antialiased")
        return
    left, right, bottom, top = window
    image = paint_cells(level.tiles[bottom:top, left:right], palette.tiles, palette.sky)
    ax.imshow(image, extent=window, interpolation="antialiased")
    for style, x, y, facing in _things(level, palette):
        draw_thing(ax, style, x, y, facing)


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


def _titles(world: World) -> tuple[str, str]:
    if not _is_moved(world):
        return "Goal and proxy coincide", "The same level, the two apart"
    goal = world.goal_description
    return f"{_capital(goal)} at {world.proxy_description}", f"The same level, {goal} elsewhere"


def _is_moved(world: World) -> bool:
    """Return whether what makes a conflict level is that the goal stands elsewhere."""
    return world.goal_moves and not world.proxy_moves


def _what_they_do(
    ways: Sequence[Trace], world: World, correlation: float | None
) -> tuple[str, str]:
    """Return who took the two ways, and where they led: in words that need no explanation."""
    who = {
        None: "The agent",
        1.0: "An agent that was trained on such levels alone",
        0.0: "An agent that was trained on no such level",
    }.get(correlation, f"An agent that was trained with {correlation or 0:.0%} such levels")
    goal, proxy = world.goal_description, world.proxy_description
    does = dict(DOES)
    if _is_moved(world):
        does[Outcome.PROXY] = "it reaches {proxy} without {goal}"
    told = [does[way.outcome].format(goal=goal, proxy=proxy) for way in ways]
    return f"{who}: {told[0]}", f"The same agent: {told[1]}"


def _label(ax: Axes, text: str, cell: tuple[int, int]) -> None:
    """Write what stands in a cell above it."""
    ax.annotate(
        text, (cell[0] + 0.5, cell[1] + 0.5), (0, 30), textcoords="offset points", ha="center",
        fontsize=14, fontweight="bold", color="#20242a", zorder=7, annotation_clip=False,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "#c4cad0"},
        arrowprops={"arrowstyle": "-", "color": "#20242a"},
    )  # fmt: skip


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
