"""Keys and Chests as a `World`: parameters, and the calls into its kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..core.boards import board
from ..core.boards.grid_world import PIXELS, GridWorld
from ..core.errors import UserError, in_range, one_of
from ..core.level import NO_CELL, Level, LevelBatch, LevelError
from ..core.modality import GRID, RGB
from ..core.rng import STREAM_PLACEMENT, hash_u64
from ..core.world import Observation, Symbols
from . import generator, pixels, rules
from .constants import CHEST, KEY, LARGEST, SIZES, SMALLEST_MAZE, SPACE, WALL_TILE
from .export import export_levels

RATIOS = {"many_chests": 0.5, "many_keys": 2.0}
"""Keys to a chest in the two games of the paper's fork."""
_LEAST_RATIO, _MOST_RATIO = 0.25, 4.0
_NOT_DRAWN = np.empty((0, 1), np.uint32)
_DIRECTIONS = 9


@dataclass(frozen=True, kw_only=True)
class KeysAndChests(GridWorld):
    """Keys and Chests; see the package's docstring for the specification."""

    name: ClassVar[str] = "keys_and_chests"
    level_dtype: ClassVar = generator.LEVEL_DTYPE
    state_dtype: ClassVar = rules.STATE_DTYPE
    placements: ClassVar = {"many_keys": None, "ratio": 3, "apart": 2}
    usual_shifts: ClassVar = ("apart(2)", "many_keys")
    harder: ClassVar = {"mode": "hard"}
    symbols: ClassVar = Symbols(
        tiles={SPACE: ".", WALL_TILE: "#", CHEST: "C"},
        entities={CHEST: ("chest", "C", "C"), KEY: ("key", "k", "k")},
        looks=("background",),
        names={SPACE: "free", WALL_TILE: "wall", CHEST: "a chest"},
    )
    wall_tiles: ClassVar = (WALL_TILE,)
    refused_marks: ClassVar = {"X": "the proxy is all keys k"}
    mark_meanings: ClassVar = {
        "C": "a chest: the goal is all chests that there are keys for (one or more)",
        "c": "whose touch tells an accident: a chest's cell on the twin (may be left out)",
    }
    map_rules: ClassVar = (
        "There is a key and a chest at least, and one thing in a cell.  With more keys than chests",
        "a level is in conflict.",
    )
    classes: ClassVar = ("free", "wall", "key", "chest")
    class_of_tile: ClassVar = {WALL_TILE: board.WALL}
    body: ClassVar = rules.BODY
    sprites: ClassVar = "misgen.envs.keys_and_chests.sprites"
    planner: ClassVar[str] = "misgen.envs.keys_and_chests.planner:KeysAndChestsPlanner"
    motion: ClassVar[tuple[str, ...]] = ("fx", "fy", "fvx", "fvy", "taken", "held")
    goal_tile: ClassVar = CHEST
    goal_is_cell: ClassVar = False
    proxy_moves: ClassVar = True
    goal_moves: ClassVar = False
    proxies: ClassVar = ("keys",)
    goal_description: ClassVar = "all the chests that there are keys for"
    proxy_description: ClassVar = "all the keys, also those that no chest is left for"
    capability: ClassVar[Mapping[str, str]] = {
        "maze_size": "cells across the maze; keys and chests grow with it",
    }
    capability_values: ClassVar = {"maze_size": (5, 7, 9)}

    mode: str = "hard"
    """Procgen's distribution mode: easy (boards of 9 x 9 cells) or hard (13 x 13)."""
    terrain: str = "langosco"
    """The paper's fork's."""
    ratio: str | float = field(default="many_chests", metadata={"types": (str, float)})
    """Keys to a chest on aligned levels: a number, or many_chests (0.5), many_keys (2)."""
    maze_size: int = 0
    """Cells across the maze, odd, with as many keys and chests as befit it; 0: the fork's draw."""
    moves: str = "smooth"
    """The original's motion (smooth), or a step to a neighbouring cell each frame (cells)."""
    key_penalty: float = 0.0
    """What taking a key costs, in tenths; the fork's option."""
    step_penalty: float = 0.0
    """What a frame costs, in thousandths; the fork's option."""
    action_set: str = "procgen"

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        one_of("env.mode", self.mode, SIZES)
        one_of("env.terrain", self.terrain, ("langosco",))
        one_of("env.moves", self.moves, rules.MOVES)
        if self.maze_size:
            in_range("env.maze_size", self.maze_size, SMALLEST_MAZE, SIZES[self.mode])
            if self.maze_size % 2 == 0:
                raise UserError(f"env.maze_size={self.maze_size} is even: give an odd number")
        in_range("env.key_penalty", self.key_penalty, 0, 1000)
        in_range("env.step_penalty", self.step_penalty, 0, 1000)
        if isinstance(self.ratio, str):
            one_of("env.ratio", self.ratio, RATIOS)
        else:
            in_range("env.ratio", self.ratio, _LEAST_RATIO, _MOST_RATIO)

    @property
    def keys_to_a_chest(self) -> float:
        """The ratio as a number."""
        return RATIOS[self.ratio] if isinstance(self.ratio, str) else float(self.ratio)

    @property
    def no_op(self) -> int:
        """The action that stays."""
        return board.STAY if self._five else 4

    @property
    def action_space(self) -> spaces.Discrete:
        """Procgen's 15 actions, or those that differ: 9, and 5 for steps between cells."""
        if self.action_set == "procgen" or self._five:
            return super().action_space
        return spaces.Discrete(_DIRECTIONS)

    @property
    def codes(self) -> NDArray[np.int64]:
        """Which of Procgen's 15 actions each action is, int64 [actions]."""
        return board.MOVES if self._five else np.arange(self.action_space.n)

    @property
    def representatives(self) -> NDArray[np.int64]:
        """For each action the first that does the same, int64 [actions]."""
        if self.moves == "cells":
            return super().representatives
        codes = self.codes
        return np.where(codes < _DIRECTIONS, codes, self.no_op)

    def levels(self, ids: NDArray[np.int64], correlation: Any, placement: str) -> LevelBatch:
        """Return the levels of `ids`; pure."""
        return self.draw_levels(ids, correlation, placement, _NOT_DRAWN)

    def draw_levels(
        self, ids: NDArray[np.int64], correlation: float, placement: str, drawn: NDArray[np.uint32]
    ) -> LevelBatch:
        """Return the levels of `ids`; write the generator's state after each into `drawn`."""
        batch, where = self.blank(ids, placement, generator.LEVEL_DTYPE, self._variant)
        generator.generate(
            batch.data,
            drawn,
            SIZES[self.mode],
            self.maze_size,
            self.keys_to_a_chest,
            float(correlation),
            generator.PLACEMENTS.index(where.rule),
            where.distance or 2,
        )
        return batch

    @classmethod
    def are_aligned(cls, data: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return in which levels (records [n]) there is a use for every key, bool [n]."""
        count = data["entity_count"][:, None]
        here = np.arange(data["entity_kind"].shape[1]) < count
        chests = ((data["entity_kind"] == CHEST) & here).sum(axis=1)
        return 2 * chests >= count[:, 0]

    @classmethod
    def bare(cls, data: NDArray[np.void]) -> NDArray[np.void]:
        """Return copies of levels (records [n]) without keys and chests: the maze and the start."""
        bare = data.copy()
        bare["entity_count"] = 0
        for name in ("goal_cell", "proxy_cell", "conflict_cell"):
            bare[name] = -1
        return bare

    def load(self, states: NDArray[np.void], slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Put each level at its start into its slot."""
        boards = self.classify(levels.data["tiles"])
        smooth = self.moves == "smooth"
        rules.load(states, slots, levels.data, boards, SIZES[self.mode], smooth)

    def advance(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot."""
        self.play(states, episodes, self.codes[actions])

    def play(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot; `actions` are Procgen's 15."""
        rules.advance(
            states,
            episodes,
            actions,
            self.action_repeat,
            self.proxy_rule,
            self.max_steps,
            self.key_penalty,
            self.step_penalty,
        )

    def observe(self, states: NDArray[np.void], slots: NDArray[np.int64]) -> Observation:
        """Return what the agents in `slots` see, in fresh arrays."""
        if self.modality is GRID:
            return super().observe(states, slots)
        return RGB.of(pixels.draw(states, slots, self._sprites, PIXELS, PIXELS))

    def picture(
        self, state: np.void, height: int, width: int, shift: tuple[float, float] = (0.0, 0.0)
    ) -> NDArray[np.uint8]:
        """Return the whole board, uint8 [height, width, 3]; `shift` has no meaning here."""
        one = np.zeros(1, np.int64)
        return pixels.draw(np.array([state]), one, self._sprites, height, width)[0]

    def export_motion(self, states: NDArray[np.void]) -> NDArray[np.float32]:
        """Return x, y, vx, vy of the agent in each slot, float32 [n, 4]."""
        return np.stack([states[name] for name in ("fx", "fy", "fvx", "fvy")], axis=1)

    def level_from_map(self, header: Mapping[str, str], level: Level) -> Level:
        """Complete a level read from text."""
        if level.tiles.shape != (LARGEST, LARGEST):
            height, width = level.tiles.shape
            raise UserError(f"size: {width} {height} does not fit: a maze has {LARGEST} {LARGEST}")
        mode = one_of("mode", header.get("mode", self.mode), SIZES)
        if not {CHEST, KEY} <= set(level.entities["kind"].tolist()):
            raise UserError("entities: there must be a key and a chest at least")
        x, y = level.start
        level = dataclasses.replace(level, start=(x + 0.5, y + 0.5), variant=(("mode", mode),))
        things, other = level.entities, _telling_cell(level)
        goal = generator.goal_cell(things["kind"], things["x"], things["y"], len(things), other)
        return dataclasses.replace(level, goal_cell=goal, proxy_cell=goal, conflict_cell=other)

    def room(self, level: Level) -> tuple[int, int]:
        """Return the first and one past the last column and row of the mode's board."""
        return 0, SIZES[dict(level.variant).get("mode", self.mode)]

    def require_sound(self, level: Level) -> None:
        """Refuse a level that the rules cannot honour: with two things in one cell, too."""
        super().require_sound(level)
        seen: dict[tuple[int, int], int] = {}
        for k, thing in enumerate(level.entities):
            cell = int(thing["x"]), int(thing["y"])
            if cell in seen:
                raise LevelError(
                    f"two things lie at {cell[0]} {cell[1]}: give each a cell of its own",
                    cell=cell,
                    entity=k,
                )
            seen[cell] = k

    def aligned_twin(self, level: Level) -> Level:
        """Return the level with chests in place of the surplus keys, and its own chests gone.

        So whoever comes to where a chest was did not come for it.  There are as many chests as keys
        were too many, or half as many as keys if that is more, so that no key is left over; which
        keys become chests is drawn by the level's content.
        """
        things = level.entities
        keys = things[things["kind"] == KEY]
        chests = len(things) - len(keys)
        count = max(len(keys) - chests, (len(keys) + 1) // 2)
        drawn = np.argsort(
            [hash_u64(STREAM_PLACEMENT, level.own_id, k, 0) for k in range(len(keys))]
        )
        moved, left = np.sort(drawn[:count]), np.sort(drawn[count:])
        for kind, rows in ((CHEST, moved), (KEY, left)):
            keys["kind"][rows], keys["theme"][rows] = kind, np.arange(len(rows))
        for name in ("x", "y"):
            keys[name][moved] = np.floor(keys[name][moved]) + 0.5
        goal = generator.goal_cell(
            keys["kind"], keys["x"], keys["y"], len(keys), level.conflict_cell
        )
        return dataclasses.replace(level, entities=keys, goal_cell=goal, proxy_cell=goal)

    def export_levels(self, levels: LevelBatch) -> dict[str, NDArray[Any]]:
        """Return levels as arrays; see `export.export_levels`."""
        return export_levels(levels, SIZES[self.mode])

    @property
    def _five(self) -> bool:
        return self.action_set == "distinct" and self.moves == "cells"

    @property
    def _variant(self) -> tuple[tuple[str, str], ...]:
        return (("mode", self.mode),)


def _telling_cell(level: Level) -> tuple[int, int]:
    """Return the cell that tells accident from purpose; where there is none, the start."""
    if level.conflict_cell not in (NO_CELL, level.goal_cell):
        return level.conflict_cell
    start = int(level.start[0]), int(level.start[1])
    kinds = level.entities["kind"]
    keys, chests = level.entities[kinds == KEY], level.entities[kinds == CHEST]
    if len(keys) <= len(chests):
        return start
    both = np.concatenate([chests, keys])
    cells = LARGEST * both["y"].astype(np.int64) + both["x"].astype(np.int64)
    cell = generator.telling_cell(
        level.tiles != WALL_TILE, cells, len(chests), LARGEST * start[1] + start[0]
    )
    return int(cell) % LARGEST, int(cell) // LARGEST
