"""What worlds on a square board with walls in some layout share.

Public names: `WalledWorld`, `LARGEST`, `FREE_TILE`, `WALL_TILE`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError, in_range, one_of
from ..level import Level, LevelBatch, LevelError
from .grid_world import GridWorld
from .layouts import LAYOUTS

SMALLEST, LARGEST = 5, 25
"""Cells along a side of the board, its border of walls included."""
FREE_TILE, WALL_TILE = 0, 1
"""Tile codes; a level's tiles are `LARGEST` x `LARGEST`, and wall beyond the board."""


@dataclass(frozen=True, kw_only=True)
class WalledWorld(GridWorld):
    """A world whose board is a square of walls, from the lower left corner of its level's tiles."""

    class_of_tile: ClassVar[Mapping[int, int]] = {}
    any_size: ClassVar[bool] = True
    wall_tiles: ClassVar[tuple[int, ...]] = (WALL_TILE,)
    map_rules: ClassVar[tuple[str, ...]] = (
        "The board is a square of env.size cells from the lower left corner; its outermost rows",
        "and columns, and whatever lies beyond them, are walls.",
    )
    body: ClassVar[tuple[str, ...]] = ("x", "y")
    layouts: ClassVar[tuple[str, ...]] = LAYOUTS
    """Those that the world can be laid out in."""
    capability: ClassVar[Mapping[str, str]] = {"size": "cells along a side of the board; odd"}
    capability_values: ClassVar[Mapping[str, tuple[float, ...]]] = {"size": (7, 9, 11, 13)}

    size: int = 13
    """Cells along a side of the board, its border of walls included; odd."""
    layout: str = "blocks"
    """Walls within: none (open), in a quarter of the cells (blocks), a grid with three quarters of
    its passages (edges), or a maze with one way to everywhere (tree)."""
    max_steps: int = 128

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        in_range("env.size", self.size, SMALLEST, LARGEST)
        if self.size % 2 == 0:
            raise UserError(f"env.size={self.size} is even: give an odd number of cells")
        one_of("env.layout", self.layout, self.layouts)

    def level_from_map(self, header: Mapping[str, str], level: Level) -> Level:
        """Complete a level read from text: a map of any size that fits the board."""
        height, width = level.tiles.shape
        tiles = np.full((LARGEST, LARGEST), WALL_TILE, np.int16)
        tiles[:height, :width] = level.tiles[:LARGEST, :LARGEST]
        inside = np.zeros_like(tiles, np.bool_)
        inside[1 : self.size - 1, 1 : self.size - 1] = True
        if max(height, width) > LARGEST or (tiles[~inside] != WALL_TILE).any():
            raise LevelError(
                f"not everything lies within the border of a board of env.size={self.size}: "
                f"put walls around it, or give another size, up to {LARGEST}",
                cell=_outside(tiles, inside),
            )
        x, y = level.start
        return dataclasses.replace(level, tiles=tiles, start=(x + 0.5, y + 0.5))

    def room(self, level: Level) -> tuple[int, int]:
        """Return the first and one past the last column and row within the border."""
        return 1, self.size - 1

    def export_levels(self, levels: LevelBatch) -> dict[str, NDArray[Any]]:
        """Return levels as arrays: `seed` [n], `grid` [n, y, x], `cheese_cell`, `proxy_cell`.

        A cell is x, y and how many there are; `agent` is the mouse's x, y (float32 [n, 2]).
        """
        data = levels.data
        arrays = {
            "seed": data["id"].astype(np.int32),
            "grid": data["tiles"][:, : self.size, : self.size],
            "agent": data["start"],
        }
        for name, field in (("cheese_cell", "goal_cell"), ("proxy_cell", "proxy_cell")):
            counts = (data[field][:, :1] >= 0).astype(np.int16)
            arrays[name] = np.concatenate([data[field], counts], axis=1)
        return arrays

    def hide(self, tiles: NDArray[np.uint8], plane: int, sight: int) -> None:
        """Take out of one plane of windows what lies more than `sight` cells away, in place.

        Args:
            tiles: uint8 [n, planes * view, view], as `observe` returns it.
            plane: which one.
            sight: cells, counted along rows, columns and diagonals alike.
        """
        away = np.abs(np.arange(self.view) - self.view // 2)
        too_far = np.maximum(away[:, None], away[None, :]) > sight
        planes = tiles.reshape(len(tiles), -1, self.view, self.view)
        planes[:, plane, too_far] = 0


def _outside(tiles: NDArray[np.int16], inside: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Return the first cell off the board that is no wall."""
    for y, x in np.argwhere((tiles != WALL_TILE) & ~inside).tolist():
        return x, y
    return None
