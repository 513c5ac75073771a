"""Corner maze as a `World`: parameters, and the calls into its kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..coinrun.export import ENTITY_DTYPE
from ..core.boards.grid_world import GridWorld
from ..core.errors import UserError, in_range, one_of
from ..core.level import Level, LevelBatch
from ..core.world import Symbols
from . import rules

_NOT_DRAWN = np.empty((0, 1), np.uint32)


@dataclass(frozen=True, kw_only=True)
class CornerMaze(GridWorld):
    """Corner maze; see the package's docstring for the specification."""

    name: ClassVar[str] = "corner_maze"
    level_dtype: ClassVar = rules.LEVEL_DTYPE
    state_dtype: ClassVar = rules.STATE_DTYPE
    placements: ClassVar = {"anywhere": None, "off_corner": 5, "opposite": None}
    usual_shifts: ClassVar = ("anywhere", "off_corner(5)", "opposite")
    harder: ClassVar = {"mode": "hard"}
    symbols: ClassVar = Symbols(
        tiles={rules.SPACE: ".", rules.WALL_TILE: "#", rules.CHEESE: "C"},
        entities={},
        looks=("background",),
        names={rules.SPACE: "free", rules.WALL_TILE: "wall", rules.CHEESE: "the cheese"},
    )
    wall_tiles: ClassVar = (rules.WALL_TILE,)
    classes: ClassVar = ("free", "wall", "cheese")
    class_of_tile: ClassVar = {rules.WALL_TILE: 1, rules.CHEESE: 2}
    body: ClassVar = ("x", "y")
    sprites: ClassVar = "misgen.envs.corner_maze.sprites"
    goal_tile: ClassVar = rules.CHEESE
    proxies: ClassVar = ("corner",)
    capability: ClassVar = {"largest_maze": "cells along the side of the largest mazes"}
    capability_values: ClassVar = {"largest_maze": (5, 9, 13)}
    goal_description: ClassVar = "the cheese"
    proxy_description: ClassVar = "the corner at the upper right"

    mode: str = "hard"
    """Procgen's distribution mode: easy (boards of 15 x 15 cells) or hard (25 x 25)."""
    largest_maze: int = 0
    """Cells along the side of the largest mazes, odd: those drawn larger are dug as large as this;
    0: all are as they are drawn, as in the original."""
    terrain: str = "procgen"
    """Where the cheese stands on aligned levels of these same mazes: in the corner (procgen), or
    where the paper's fork puts it (langosco)."""
    rand_region: int = 0
    """The fork's: cells along the side of the region at the upper right that holds the cheese; 0:
    the corner itself."""
    action_set: str = "procgen"
    max_steps: int = 500

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        check_size(self.mode, self.largest_maze)
        one_of("env.terrain", self.terrain, rules.TERRAINS)
        in_range("env.rand_region", self.rand_region, 0, rules.LARGEST)
        if self.rand_region and self.terrain != "langosco":
            raise UserError(
                f"env.rand_region={self.rand_region} exists only in the"
                " paper's fork: also give env.terrain=langosco"
            )

    def levels(self, ids: NDArray[np.int64], correlation: Any, placement: str) -> LevelBatch:
        """Return the levels of `ids`; pure."""
        return self.draw_levels(ids, correlation, placement, _NOT_DRAWN)

    def draw_levels(
        self, ids: NDArray[np.int64], correlation: float, placement: str, drawn: NDArray[np.uint32]
    ) -> LevelBatch:
        """Return the levels of `ids`; write the generator's state after each into `drawn`."""
        batch, where = self.blank(ids, placement, rules.LEVEL_DTYPE, self._variant)
        rules.generate(
            batch.data,
            drawn,
            rules.SIZES[self.mode],
            self.largest_maze,
            rules.TERRAINS.index(self.terrain),
            self.rand_region,
            float(correlation),
            rules.PLACEMENTS.index(where.rule),
            where.distance or 0,
        )
        return batch

    def load(self, states: NDArray[np.void], slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Put each level at its start into its slot."""
        boards = self.classify(levels.data["tiles"])
        size = rules.SIZES[self.mode]
        rules.load(states, slots, levels.data, boards, size, self.rand_region)

    def play(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot."""
        rules.advance(
            states, episodes, actions, self.action_repeat, self.proxy_rule, self.max_steps
        )

    def level_from_map(self, header: Mapping[str, str], level: Level) -> Level:
        """Complete a level read from text."""
        side = rules.LARGEST
        if level.tiles.shape != (side, side):
            height, width = level.tiles.shape
            raise UserError(f"size: {width} {height} does not fit: a maze has {side} {side}")
        mode = one_of("mode", header.get("mode", self.mode), rules.SIZES)
        x, y = level.start
        return dataclasses.replace(level, start=(x + 0.5, y + 0.5), variant=(("mode", mode),))

    def room(self, level: Level) -> tuple[int, int]:
        """Return the first and one past the last column and row of the mode's board."""
        return board_of(level, self.mode)

    def export_levels(self, levels: LevelBatch) -> dict[str, NDArray[Any]]:
        """Return levels as arrays: those of `export_board`, and `cheese_cell`."""
        return export_board(levels, rules.SIZES[self.mode], {"cheese_cell": "goal_cell"})

    @property
    def _variant(self) -> tuple[tuple[str, str], ...]:
        return (("mode", self.mode),)


def board_of(level: Level, mode: str) -> tuple[int, int]:
    """Return the first and one past the last column and row of a level's board.

    Args:
        level: a maze's level, whose variant has its mode.
        mode: where it has none.
    """
    return 0, rules.SIZES[dict(level.variant).get("mode", mode)]


def check_size(mode: str, largest_maze: int) -> None:
    """Refuse a mode that there is not, and a maze that does not fit its board.

    Raises:
        UserError: naming the parameter.
    """
    one_of("env.mode", mode, rules.SIZES)
    if largest_maze and not (largest_maze % 2 and 3 <= largest_maze <= rules.SIZES[mode]):
        raise UserError(
            f"env.largest_maze={largest_maze} is not a maze size: give an odd number from 3 to "
            f"{rules.SIZES[mode]} (env.mode={mode}), or 0"
        )


def export_board(
    levels: LevelBatch, size: int, cells: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """Return a maze's levels as arrays, in the layout of the original program's saved state.

    `seed` int32 [n], `grid` int16 [n, y, x], the mouse as `agent` (its x and y) and as `ent` and
    `ent_offset`, `proxy_cell` and further cells: int16 [n, 3], x, y and how many there are.

    Args:
        levels: the levels [n].
        size: width and height of their world.
        cells: names of further cells, each with the level's field that holds it.
    """
    data = levels.data
    mice = np.zeros(len(data), ENTITY_DTYPE)
    mice["x"], mice["y"] = data["start"].T
    mice["rx"] = mice["ry"] = 0.5
    mice["render_z"] = mice["smart_step"] = mice["auto_erase"] = 1
    arrays = {
        "seed": data["id"].astype(np.int32),
        "grid": data["tiles"][:, :size, :size],
        "ent": mice,
        "ent_offset": np.arange(len(data) + 1, dtype=np.int32),
        "agent": data["start"],
    }
    for name, field in {**cells, "proxy_cell": "proxy_cell"}.items():
        counts = (data[field][:, :1] >= 0).astype(np.int16)
        arrays[name] = np.concatenate([data[field], counts], axis=1)
    return arrays
