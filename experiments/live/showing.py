"""What a game looks like on a page: a picture, where its cells are, and what its signs mean.

Public names: `View`, `legend_of`, `actions_of`.
"""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from misgen.envs.core.boards.grid_world import GridWorld
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.level_text.painting import brushes, paint
from misgen.envs.core.level_text.scene import scene
from misgen.envs.core.level_text.writing import level_rows

from ..levels.game import ONE, Game

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from misgen.envs.core.level import Level
    from misgen.envs.core.world import World

_ARROWS = ("↙", "←", "↖", "↓", "·", "↑", "↘", "→", "↗")
_WORDS = ("left, down", "left", "left, up", "down", "stay", "up", "right, down", "right",
          "right, up")  # fmt: skip
"""Of Procgen's first nine actions; the others press keys that do nothing here."""
_STAY = 4
_THUMB = 24
"""Pixels of a cell in the legend."""
_LEAST, _MOST = 64, 1400
_MOST_OF_PART = 312
"""Height of a picture of a part of a level: its textures are painted anew for each level."""
_STEP = 8
"""Pixels: sizes are rounded to multiples, as textures are made for each size."""


@dataclass
class View:
    """The size of the picture that a page has room for, and what it looks at."""

    width: int = 640
    height: int = 640
    shift: tuple[float, float] = (0.0, 0.0)
    """Cells by which the picture's middle lies off the agent, where it shows a part of a level."""

    def resize(self, width: float, height: float) -> None:
        """Take the room that a page has, in pixels."""
        self.width, self.height = (
            int(np.clip(size, _LEAST, _MOST)) // _STEP * _STEP for size in (width, height)
        )

    def of(self, game: Game) -> dict[str, Any]:
        """Return a picture of what a game shows now: `image`, and `cells`, what of it that is.

        Of a world that draws none, `map` alone: the level as rows of signs.
        """
        world, state = game.world, game.engine.states[0]
        height, width = self.height, self.width
        if isinstance(world, GridWorld):
            height = width = min(height, width)
        elif height > _MOST_OF_PART:
            height, width = _MOST_OF_PART, width * _MOST_OF_PART // height // _STEP * _STEP
        try:
            pixels = world.picture(state, height, width, self.shift)
        except UserError:
            rows = scene(world, state, game.level)
            return {"map": rows, "cells": [0, 0, len(rows[0]), len(rows)]}
        cells = world.in_picture(state, height, width, self.shift)
        rows, columns = game.level.tiles.shape
        part = not isinstance(world, GridWorld) and (cells[2] < columns or cells[3] < rows)
        return {"image": _png(pixels), "cells": list(cells), "part": part}


def legend_of(world: World, level: Level) -> list[dict[str, Any]]:
    """Return each sign of a world's levels, what it means, and what it looks like.

    A picture is missing of what nobody sees in the game.
    """
    found = [{"sign": sign, "meaning": meaning} for sign, meaning in brushes(world).items()]
    if not world.runs_any_level:
        return found
    try:
        spots = _spots(world, level)
        ground = [_looks(world, level, spot) for spot in spots]
    except UserError:
        return found  # the world draws no pictures
    shown = dict(_standing(world, level))
    for entry in found:
        sign = entry["sign"]
        looks = _looks(world, level, shown[sign]) if sign in shown else None
        if looks is None:
            looks = _painted(world, level, spots, sign)
        seen = looks is not None and not any(np.array_equal(looks, one) for one in ground)
        if looks is not None and (seen or entry is found[0]):
            entry["image"] = _png(looks)
    return found


def actions_of(world: World) -> list[dict[str, Any]]:
    """Return the actions that differ: which number to send, Procgen's code, and words for it."""
    found: dict[int, dict[str, Any]] = {}
    for index, code in enumerate(world.action_codes.tolist()):
        same = code if code < len(_ARROWS) else _STAY
        entry = {"index": index, "code": same, "sign": _ARROWS[same], "words": _WORDS[same]}
        found.setdefault(same, entry).setdefault("all", []).append(index)
    return list(found.values())


def _spots(world: World, level: Level) -> list[tuple[int, int]]:
    """Return free cells that a picture of a level's start shows whole, at most three."""
    rows, columns = level.tiles.shape
    left, bottom, across, up = world.in_picture(_start(world, level), _THUMB, _THUMB)
    free = next(iter(world.symbols.tiles))
    marked = {level.goal_cell, level.proxy_cell, level.conflict_cell}
    marked |= {(int(one["x"]), int(one["y"])) for one in level.entities}
    start = int(level.start[0]), int(level.start[1])
    near = {(start[0] + dx, start[1] + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1, 2)}
    spots = [
        (x, y)
        for y in range(max(0, int(np.ceil(bottom))), min(rows, int(bottom + up)))
        for x in range(max(0, int(np.ceil(left))), min(columns, int(left + across)))
        if level.tiles[y, x] == free and (x, y) not in marked | near
    ]
    return [spots[k * len(spots) // 3] for k in range(min(3, len(spots)))]


def _standing(world: World, level: Level) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield signs that stand on a level, and a cell of each that a picture of its start shows."""
    left, bottom, across, up = world.in_picture(_start(world, level), _THUMB, _THUMB)
    rows = level_rows(level, world)
    for y, x in np.ndindex(level.tiles.shape):
        if left <= x <= left + across - 1 and bottom <= y <= bottom + up - 1:
            yield rows[len(rows) - 1 - y][x], (x, y)


def _painted(
    world: World, level: Level, spots: list[tuple[int, int]], sign: str
) -> NDArray[np.uint8] | None:
    """Return what a sign looks like that is put into one of some cells; None if it cannot be."""
    for spot in spots:
        with contextlib.suppress(UserError):  # the rules want other things beside it there
            return _looks(world, paint(level, world, spot, sign), spot)
    return None


def _looks(world: World, level: Level, spot: tuple[int, int]) -> NDArray[np.uint8]:
    """Return what a cell of a level looks like, uint8 [_THUMB, _THUMB, 3]."""
    state = _start(world, level)
    size = round(world.in_picture(state, _THUMB, _THUMB)[2] * _THUMB)
    pixels = world.picture(state, size, size)
    left, bottom, across, up = world.in_picture(state, size, size)
    x = round((spot[0] - left) / across * size)
    y = round((bottom + up - spot[1] - 1) / up * size)
    return np.ascontiguousarray(pixels[y : y + _THUMB, x : x + _THUMB])


def _start(world: World, level: Level) -> np.void:
    states = np.zeros(1, world.state_dtype)
    world.load(states, ONE, LevelBatch.stack([level], world.level_dtype))
    return states[0]


def _png(pixels: NDArray[np.uint8]) -> str:
    """Return a picture as an address that holds it whole."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
