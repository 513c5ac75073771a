"""Levels written as text: the map's signs, and the list of entities.

Public names: `level_to_text`, `level_rows`, `goal_sign`, `START`, `PROXY`, `CONFLICT`, `SIDES`.
"""

from __future__ import annotations

import itertools

import numpy as np

from ..level import NO_CELL, Level
from ..world import World
from .sections import FORMAT

START, PROXY, CONFLICT = "A", "X", "c"
"""Signs that mean the same in every world."""
SIDES = ("left", "right")


def level_to_text(level: Level, world: World, notes: tuple[str, ...] = ()) -> str:
    """Return the level as text; `level_from_text` gives back an equal level.

    Args:
        level: the level.
        world: its world.
        notes: lines for people, put as comments before the map.
    """
    # An `own_id` comes of the content and is found again from it.
    header = {"world": level.world, "id": max(level.id, -1), **dict(level.variant)}
    header["look"] = " ".join(map(str, level.look))
    height, width = level.tiles.shape
    header["size"] = f"{width} {height}"
    lines = [FORMAT, *(f"{key}: {value}" for key, value in header.items())]
    lines += [f"# {note}".rstrip() for note in notes]
    lines.append("map:")
    for row, group in itertools.groupby(level_rows(level, world)):
        count = len(list(group))
        lines.append(_shorten(row) + (f"  x{count}" if count > 1 else ""))
    lines.append("entities:")
    lines += [_entity_line(entity, world) for entity in level.entities]
    return "\n".join(lines) + "\n"


def level_rows(level: Level, world: World, *, start: bool = True) -> list[str]:
    """Return a map's rows, top first, each as long as the level is wide.

    Args:
        level: the level.
        world: its world.
        start: whether to show where the agent starts.
    """
    symbols = world.symbols
    space = next(iter(symbols.tiles))
    grid = [[symbols.tiles[int(code)] for code in row] for row in level.tiles]
    for entity in level.entities:
        x, y = int(entity["x"]), int(entity["y"])
        if level.tiles[y, x] == space:
            grid[y][x] = symbols.entities[int(entity["kind"])][1 + _side(entity)]
    x, y = level.proxy_cell
    shown = int(level.tiles[y, x]) in world.proxy_tiles or PROXY in world.refused_marks
    for char, (x, y) in (
        (CONFLICT, level.conflict_cell),
        (PROXY, NO_CELL if shown else level.proxy_cell),
        (START, (int(level.start[0]), int(level.start[1])) if start else NO_CELL),
        (goal_sign(world), level.goal_cell),
    ):
        if (x, y) != NO_CELL:
            grid[y][x] = char
    return ["".join(row) for row in reversed(grid)]


def _shorten(row: str) -> str:
    return row.rstrip(row[-1]) + row[-1]


def _entity_line(entity: np.void, world: World) -> str:
    name = world.symbols.entities[int(entity["kind"])][0]
    at = " ".join(_place(entity[axis]) for axis in ("x", "y"))
    return f"{name} {at} {SIDES[_side(entity)]} {int(entity['theme'])}"


def _place(centre: np.float32) -> str:
    """Return the cell of an entity that is in its middle, else where exactly its centre is."""
    cell = int(centre)
    return str(cell) if centre == cell + 0.5 else str(centre)


def _side(entity: np.void) -> int:
    return int(entity["vx"] > 0)


def goal_sign(world: World) -> str:
    """Return the sign of a world's goal."""
    return world.symbols.tiles[world.goal_tile]
