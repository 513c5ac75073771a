"""The state of a slot as text.

Public name: `scene`.
"""

from __future__ import annotations

import numpy as np

from ..boards.board import FREE, WALL
from ..boards.grid_world import GridWorld
from ..level import Level
from ..world import World
from .text import START, level_rows

_MOST_ROWS = 24
_OTHERS = "123456789"
"""Signs of classes that stand for no tile of a level."""


def scene(world: World, state: np.void, level: Level) -> list[str]:
    """Return what a level looks like now, top row first, the agent as `A`.

    Worlds on a board show everything as it is; others the level as it began, with the agent where
    it is, and of a high level the rows around it.

    Args:
        world: the rules.
        state: the slot's state record.
        level: the level that runs in it.
    """
    if isinstance(world, GridWorld):
        return _board(world, state)
    x, y, _, _ = world.export_motion(np.array([state]))[0]
    rows = [list(row) for row in level_rows(level, world, start=False)]
    at = len(rows) - 1 - int(np.clip(y, 0, len(rows) - 1))
    rows[at][int(np.clip(x, 0, len(rows[0]) - 1))] = START
    first = int(np.clip(at - _MOST_ROWS // 2, 0, max(0, len(rows) - _MOST_ROWS)))
    return ["".join(row) for row in rows[first : first + _MOST_ROWS]]


def _board(world: GridWorld, state: np.void) -> list[str]:
    side = int(state["side"])
    signs = _signs(world)
    rows = [[signs[code] for code in row[:side]] for row in state["board"][:side].tolist()]
    for x, y, code in state["mover"].tolist():
        if 0 <= x < side and 0 <= y < side:
            rows[y][x] = signs[code]
    rows[int(state["y"])][int(state["x"])] = START
    return ["".join(row) for row in reversed(rows)]


def _signs(world: GridWorld) -> list[str]:
    """Return the sign of each class: that of its tile, of the entity of its name, or a digit."""
    symbols = world.symbols
    by_class = {FREE: next(iter(symbols.tiles.values()))}
    for code, sign in symbols.tiles.items():
        if code in world.class_of_tile:
            by_class.setdefault(world.class_of_tile[code], sign)
    by_name = {name: sign for name, sign, _ in symbols.entities.values()}
    spare = iter(_OTHERS * 2)
    return [
        by_class.get(k) or by_name.get(name) or ("#" if k == WALL else next(spare))
        for k, name in enumerate(world.classes)
    ]
