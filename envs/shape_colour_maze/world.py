"""Shape-colour maze as a `World`: parameters, and the calls into its kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.boards.grid_world import GridWorld
from ..core.errors import UserError, in_range, one_of
from ..core.level import Level, LevelBatch, LevelError
from ..core.modality import GRID
from ..core.placement import ALL, USUAL
from ..core.world import Observation, Symbols
from ..corner_maze.rules import LARGEST, SIZES, SPACE, TERRAINS, WALL_TILE
from ..corner_maze.world import board_of, check_size, export_board
from . import rules

_NOT_DRAWN = np.empty((0, 1), np.uint32)
_SHAPE_PLANE = 1


@dataclass(frozen=True, kw_only=True)
class ShapeColourMaze(GridWorld):
    """Shape-colour maze; see the package's docstring for the specification."""

    name: ClassVar[str] = "shape_colour_maze"
    level_dtype: ClassVar = rules.LEVEL_DTYPE
    state_dtype: ClassVar = rules.STATE_DTYPE
    placements: ClassVar = dict.fromkeys(rules.PLACEMENTS)
    usual_shifts: ClassVar = ("colour", "pattern", "each")
    harder: ClassVar = {"mode": "hard"}
    symbols: ClassVar = Symbols(
        tiles={SPACE: ".", WALL_TILE: "#", rules.LINE: "L", rules.GEM: "G", rules.STAR: "S"},
        entities={},
        looks=("background",),
        names={
            SPACE: "free",
            WALL_TILE: "wall",
            rules.LINE: "the line",
            rules.GEM: "a gem of the line's colour in training (one at most)",
            rules.STAR: "a star of the line's pattern; needs cues: colour_pattern (one at most)",
        },
    )
    wall_tiles: ClassVar = (WALL_TILE,)
    single_tiles: ClassVar = (rules.GEM, rules.STAR)
    refused_marks: ClassVar = {
        "X": "draw what the proxy is, a gem G or a star S",
        "c": "goal and conflict goal are one, the line L; leave it out",
    }
    goal_tile: ClassVar = rules.LINE
    proxy_tiles: ClassVar = (rules.GEM, rules.STAR)
    proxy_moves: ClassVar = True
    goal_moves: ClassVar = False
    proxies: ClassVar = ("colour", "pattern")
    capability: ClassVar = {"largest_maze": "cells along the side of the largest mazes"}
    capability_values: ClassVar = {"largest_maze": (5, 9, 13)}
    classes: ClassVar = (
        "free",
        "wall",
        "yellow striped line",
        "red striped line",
        "yellow plain line",
        "red plain line",
        "yellow plain gem",
        "blue striped star",
    )
    class_of_tile: ClassVar = {}
    features: ClassVar = (
        (0, 1, 0, 0, 0, 0, 0, 0),  # free, wall
        (0, 0, 1, 1, 1, 1, 2, 3),  # shape: none, line, gem, star
        (0, 0, 1, 2, 1, 2, 1, 3),  # colour: none, yellow, red, blue
        (0, 0, 1, 1, 2, 2, 2, 1),  # pattern: none, striped, plain
    )
    body: ClassVar = ("x", "y")
    sprites: ClassVar = "misgen.envs.shape_colour_maze.sprites"
    goal_description: ClassVar = "the line"
    proxy_description: ClassVar = (
        "what has the colour (or the pattern) that the line has in training"
    )

    mode: str = "hard"
    """Procgen's distribution mode: easy (boards of 15 x 15 cells) or hard (25 x 25)."""
    largest_maze: int = 0
    """Cells along the side of the largest mazes, odd: those drawn larger are dug as large as this;
    0: all are as they are drawn, as in the original."""
    terrain: str = "langosco"
    """procgen or langosco: the fork's mazes are Procgen's, so that both mean the same."""
    cues: str = "colour"
    """What of the line has a training value: its colour, as in the paper (colour), or its colour
    and its pattern (colour_pattern)."""
    shape_sight: int = 0
    """Cells from the mouse within which `grid` shows shapes; 0: everywhere.  Colours and patterns
    show from anywhere."""
    action_set: str = "procgen"
    max_steps: int = 500

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        check_size(self.mode, self.largest_maze)
        one_of("env.terrain", self.terrain, TERRAINS)
        one_of("env.cues", self.cues, rules.CUES)
        in_range("env.shape_sight", self.shape_sight, 0, LARGEST)

    def shifts(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return placements as they are written in results; without patterns only colours part."""
        if self.cues == "colour_pattern":
            return super().shifts(names)
        return super().shifts(["colour" if name in (USUAL, ALL) else name for name in names])

    @classmethod
    def bare(cls, data: NDArray[np.void]) -> NDArray[np.void]:
        """Return copies of levels (records [n]) without what differs between twins: decoys too."""
        bare = super().bare(data)
        bare["tiles"][np.isin(bare["tiles"], cls.proxy_tiles)] = SPACE
        return bare

    def levels(self, ids: NDArray[np.int64], correlation: Any, placement: str) -> LevelBatch:
        """Return the levels of `ids`; pure."""
        return self.draw_levels(ids, correlation, placement, _NOT_DRAWN)

    def draw_levels(
        self, ids: NDArray[np.int64], correlation: Any, placement: str, drawn: NDArray[np.uint32]
    ) -> LevelBatch:
        """Return the levels of `ids`; write the generator's state after each into `drawn`."""
        batch, where = self.blank(ids, placement, rules.LEVEL_DTYPE, self._variant)
        if not isinstance(correlation, Mapping):
            correlation = dict.fromkeys(self.proxies, correlation)
        if where.rule == "pattern" and not self._cue_bits & rules.PATTERN:
            raise UserError("placement=pattern needs patterns: also give env.cues=colour_pattern")
        rules.generate(
            batch.data,
            drawn,
            SIZES[self.mode],
            self.largest_maze,
            self._cue_bits,
            float(correlation["colour"]),
            float(correlation["pattern"]),
            rules.PLACEMENTS.index(where.rule),
        )
        return batch

    def load(self, states: NDArray[np.void], slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Put each level at its start into its slot."""
        rules.load(states, slots, levels.data, SIZES[self.mode], self._cue_bits)

    def play(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot."""
        rules.advance(
            states, episodes, actions, self.action_repeat, self.proxy_rule, self.max_steps
        )

    def observe(self, states: NDArray[np.void], slots: NDArray[np.int64]) -> Observation:
        """Return what the agents in `slots` see, in fresh arrays."""
        seen = super().observe(states, slots)
        if self.shape_sight and self.modality is GRID:
            planes = seen[GRID.seen].reshape(len(slots), -1, self.view, self.view)
            planes[:, _SHAPE_PLANE, self._too_far] = 0
        return seen

    def level_from_map(self, header: Mapping[str, str], level: Level) -> Level:
        """Complete a level read from text."""
        if level.tiles.shape != (LARGEST, LARGEST):
            height, width = level.tiles.shape
            raise UserError(f"size: {width} {height} does not fit: a maze has {LARGEST} {LARGEST}")
        variant = {key: header.get(key, getattr(self, key)) for key in ("mode", "cues")}
        one_of("mode", variant["mode"], SIZES)
        one_of("cues", variant["cues"], rules.CUES)
        x, y = level.start
        return dataclasses.replace(level, start=(x + 0.5, y + 0.5), variant=tuple(variant.items()))

    def room(self, level: Level) -> tuple[int, int]:
        """Return the first and one past the last column and row of the mode's board."""
        return board_of(level, self.mode)

    def require_sound(self, level: Level) -> None:
        """Refuse a level that the rules cannot honour; a star means nothing without patterns."""
        super().require_sound(level)
        cues = dict(level.variant).get("cues", self.cues)
        for y, x in np.argwhere(level.tiles == rules.STAR).tolist():
            if cues != "colour_pattern":
                raise LevelError(
                    f"a star S has the line's pattern, which is no cue with cues: {cues}: write "
                    "cues: colour_pattern, or take it away",
                    cell=(x, y),
                )

    def aligned_twin(self, level: Level) -> Level:
        """Return the level without gem and star."""
        tiles = level.tiles.copy()
        tiles[np.isin(tiles, self.proxy_tiles)] = SPACE
        return dataclasses.replace(level, tiles=tiles, proxy_cell=level.goal_cell)

    def export_levels(self, levels: LevelBatch) -> dict[str, NDArray[Any]]:
        """Return levels as arrays: `export_board`'s, `goal_cell`, `variant_cell` (the gem)."""
        arrays = export_board(levels, SIZES[self.mode], {"goal_cell": "goal_cell"})
        gems = np.full((len(levels), 3), (-1, -1, 0), np.int16)
        for k, y, x in np.argwhere(levels.data["tiles"] == rules.GEM):
            gems[k] = x, y, 1
        return {**arrays, "variant_cell": gems}

    @property
    def _variant(self) -> tuple[tuple[str, str], ...]:
        return (("mode", self.mode), ("cues", self.cues))

    @property
    def _cue_bits(self) -> int:
        return rules.COLOUR | (rules.PATTERN if self.cues == "colour_pattern" else 0)

    @cached_property
    def _planes(self) -> NDArray[np.uint8]:
        count = 4 if self.cues == "colour_pattern" else 3
        return np.array(self.features[:count], np.uint8)

    @cached_property
    def _too_far(self) -> NDArray[np.bool_]:
        """Cells of the window, bool [view, view], in which no shape is made out."""
        away = np.abs(np.arange(self.view) - self.view // 2)
        return np.maximum(away[:, None], away[None, :]) > self.shape_sight
