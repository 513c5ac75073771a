"""Whether the rules support a level, and what keeps an agent from its goal.

Public names: `require_sound`, `goal_moved`, `why_out_of_reach`.

Generated levels are sound by construction; hand-made levels are checked here, so that no rule
meets a state that it does not expect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..level import NO_CELL, Level, LevelError

if TYPE_CHECKING:
    from ..world import World

_BESIDE = ((1, 0), (-1, 0), (0, 1), (0, -1))


def require_sound(
    level: Level, wall_tiles: tuple[int, ...], room: tuple[int, int], names: Mapping[int, str]
) -> None:
    """Refuse a level with something in a wall, or with free cells where the world has no board.

    Args:
        level: the level.
        wall_tiles: tile codes that nothing enters.
        room: first and one past the last column and row of the board.
        names: of entity kinds.

    Raises:
        LevelError: naming what is wrong, and where.
    """
    walls = np.isin(level.tiles, wall_tiles)
    start = int(np.floor(level.start[0])), int(np.floor(level.start[1]))
    _require_free(walls, "the start", start)
    for k, entity in enumerate(level.entities):
        cell = int(np.floor(entity["x"])), int(np.floor(entity["y"]))
        name = names.get(int(entity["kind"]), "entity")
        _require_free(walls, f"the {name} at {cell[0]} {cell[1]}", cell, k)
    for what, cell in (("the goal", level.goal_cell), ("the proxy", level.proxy_cell)):
        if cell != NO_CELL:
            _require_free(walls, what, cell)
    if wall_tiles:
        _require_inside(walls, room)


def _require_free(
    walls: NDArray[np.bool_], what: str, cell: tuple[int, int], entity: int | None = None
) -> None:
    x, y = cell
    height, width = walls.shape
    if not (0 <= x < width and 0 <= y < height):
        raise LevelError(
            f"{what} (column {x}, row {y}) lies outside the level of {width} x {height} cells",
            entity=entity,
        )
    if walls[y, x]:
        raise LevelError(
            f"{what} is in a wall (column {x}, row {y}): put it in a free cell",
            cell=cell,
            entity=entity,
        )


def _require_inside(walls: NDArray[np.bool_], room: tuple[int, int]) -> None:
    first, stop = room
    outside = ~walls
    outside[first:stop, first:stop] = False
    for y, x in np.argwhere(outside).tolist():
        where = f"columns and rows {first} to {stop - 1}"
        raise LevelError(
            f"column {x}, row {y} is free and lies off the board, {where}: walls belong there",
            cell=(x, y),
        )


def goal_moved(level: Level, goal_tile: int, free_tile: int) -> Level:
    """Return a level with its goal where its proxy is."""
    tiles = level.tiles.copy()
    for (x, y), tile in ((level.goal_cell, free_tile), (level.proxy_cell, goal_tile)):
        tiles[y, x] = tile
    return dataclasses.replace(
        level, tiles=tiles, goal_cell=level.proxy_cell, conflict_cell=level.goal_cell
    )


def why_out_of_reach(level: Level, world: World, target: str) -> str:
    """Return why no wall-free way leads from a level's start to a target; empty if one does.

    Args:
        level: a sound level.
        world: its world.
        target: `goal` or `proxy`.
    """
    walls = np.isin(level.tiles, world.wall_tiles)
    start = int(level.start[0]), int(level.start[1])
    reached = _region(walls, start)
    for x, y in _cells_of(level, world, target):
        if reached[y, x]:
            continue
        if reached.sum() == 1:
            return f"the start at {start} is walled in: open one of the cells beside it"
        if _region(walls, (x, y)).sum() == 1:
            return f"the {target} at {(x, y)} is walled in: open one of the cells beside it"
        return (
            f"walls separate the start at {start} from the {target} at {(x, y)}: open a way "
            "between "
            "them, or move one of them"
        )
    return ""


def _cells_of(level: Level, world: World, target: str) -> list[tuple[int, int]]:
    """Return the cells that a target needs; of one that is several things, all of them."""
    if world.goal_is_cell or target == "proxy":
        cell = level.goal_cell if target == "goal" else level.proxy_cell
        return [] if cell == NO_CELL else [cell]
    return [(x, y) for y, x in np.argwhere(level.tiles == world.goal_tile).tolist()]


def _region(walls: NDArray[np.bool_], cell: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which cells are connected with one, bool [height, width]."""
    height, width = walls.shape
    seen = np.zeros_like(walls)
    seen[cell[1], cell[0]] = True
    stack = [cell]
    while stack:
        x, y = stack.pop()
        for dx, dy in _BESIDE:
            nx, ny = x + dx, y + dy
            inside = 0 <= nx < width and 0 <= ny < height
            if inside and not walls[ny, nx] and not seen[ny, nx]:
                seen[ny, nx] = True
                stack.append((nx, ny))
    return seen
