"""Maze on Procgen as a `World`; the package's docstring is the specification."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..coinrun.constants import NUM_ACTIONS
from ..core.errors import UserError, one_of
from ..core.level import Level, LevelBatch
from ..core.modality import RGB
from ..core.world import Observation, Symbols, World
from . import maze_rules as rules
from .coinrun import background_offset
from .engine import OnProcgen
from .saved_state import SavedState


@dataclass(frozen=True, kw_only=True)
class _Maze(World):
    """Maze's rules, the native twin of `ProcgenMaze`; it has no observation of its own."""

    level_dtype: ClassVar = rules.LEVEL_DTYPE
    state_dtype: ClassVar = rules.STATE_DTYPE
    placements: ClassVar = {"anywhere": None}
    usual_shifts: ClassVar = ("anywhere",)
    harder: ClassVar = {"mode": "hard"}
    proxies: ClassVar = ("corner",)
    symbols: ClassVar = Symbols(
        tiles={rules.SPACE: ".", rules.WALL: "#", rules.GOAL: "C"},
        entities={},
        looks=("background",),
        names={rules.SPACE: "free", rules.WALL: "wall", rules.GOAL: "the cheese"},
    )
    wall_tiles: ClassVar = (rules.WALL,)
    goal_tile: ClassVar = rules.GOAL
    entity_speeds: ClassVar = {}
    goal_description: ClassVar = "the cheese"
    palette: ClassVar = "misgen.envs.procgen.maze_palette"
    proxy_description: ClassVar = "the corner at the upper right"

    mode: str = "hard"
    action_set: str = "procgen"
    """The original's 15 actions (procgen), or the first 9, as the others do nothing (distinct)."""

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        one_of("env.mode", self.mode, rules.SIZES)
        one_of("env.action_set", self.action_set, NUM_ACTIONS)

    @property
    def action_space(self) -> spaces.Discrete:
        """Left/right (a // 3 - 1), else down/up (a % 3 - 1); 4 and 9 to 14 do nothing."""
        return spaces.Discrete(NUM_ACTIONS[self.action_set])

    def levels(self, ids: NDArray[np.int64], correlation: float, placement: str) -> LevelBatch:
        """Return the levels of `ids`; pure."""
        ids = np.ascontiguousarray(ids, np.int64)
        batch = LevelBatch.empty(self.name, ids, rules.LEVEL_DTYPE, (("mode", self.mode),))
        rules.generate(batch.data, rules.SIZES[self.mode], float(correlation))
        return batch

    def load(self, states: NDArray[np.void], slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Put each level at its start into its slot."""
        rules.load(states, slots, levels.data)

    def advance(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot."""
        rules.advance(
            states, episodes, actions, self.action_repeat, self.proxy_rule, self.max_steps
        )

    @property
    def observation_space(self) -> spaces.Dict:
        """Nothing."""
        return spaces.Dict({})

    def observe(self, states: NDArray[np.void], slots: NDArray[np.int64]) -> Observation:
        """Return nothing."""
        return {}

    def level_from_map(self, header: Mapping[str, str], level: Level) -> Level:
        """Complete a level read from text."""
        if level.tiles.shape != (rules.LARGEST, rules.LARGEST):
            height, width = level.tiles.shape
            side = rules.LARGEST
            raise UserError(f"size: {width} {height} does not fit: a maze has {side} {side}")
        mode = one_of("mode", header.get("mode", self.mode), rules.SIZES)
        x, y = level.start
        return dataclasses.replace(level, start=(x + 0.5, y + 0.5), variant=(("mode", mode),))

    def export_levels(self, levels: LevelBatch) -> dict[str, NDArray[Any]]:
        """Return levels as arrays: `seed` [n], `grid` [n, y, x], `cheese_cell` [n, 3]."""
        size = rules.SIZES[self.mode]
        ones = np.ones((len(levels), 1), np.int16)
        return {
            "seed": levels.ids.astype(np.int32),
            "grid": levels.data["tiles"][:, :size, :size],
            "cheese_cell": np.concatenate([levels.data["goal_cell"], ones], axis=1),
        }

    def export_motion(self, states: NDArray[np.void]) -> NDArray[np.float32]:
        """Return x, y, vx, vy of the mouse in each slot, float32 [n, 4]; it moves in jumps."""
        x, y = states["x"] + np.float32(0.5), states["y"] + np.float32(0.5)
        return np.stack([x, y, 0 * x, 0 * y], axis=1)


@dataclass(frozen=True, kw_only=True)
class ProcgenMaze(OnProcgen, _Maze):
    """The original Maze, its cheese where correlation and placement put it."""

    name: ClassVar[str] = "procgen_maze"
    game: ClassVar[str] = "maze"
    native: ClassVar[None] = None
    kept: ClassVar = ("action_set", "action_repeat", "max_steps", "on_proxy", "pays")
    goal_moves_always: ClassVar = True

    max_steps: int = 500

    @classmethod
    def observations(cls) -> tuple[str, ...]:
        """Return what `observation` can be: the twin shows nothing."""
        return (RGB.option,)

    def start_state(self, template: SavedState, levels: LevelBatch, k: int) -> bytes:
        """Return the saved state of the start of `levels[k]`."""
        record = levels.data[k]
        size = rules.SIZES[self.mode]
        state = template.copy()
        state["grid"][:] = record["tiles"][:size, :size]
        state["entities"]["x"][0], state["entities"]["y"][0] = record["start"]
        state["background_index"][0] = record["look"][0]
        state["bg_pct_x"][0] = background_offset(record["id"])
        state["level_seed"][0] = record["id"]
        margin = int(record["start"][0])
        state["maze_dim"][0] = int(record["proxy_cell"][0]) - margin + 1
        return bytes(state)

    def motion(self, states: NDArray[np.void]) -> dict[str, NDArray[Any]]:
        """Return where the mice are."""
        return {"x, y of the mouse": self.export_motion(states)[:, :2]}

    def saved_motion(self, state: SavedState) -> dict[str, NDArray[Any]]:
        """Return where the mouse is."""
        mouse = state["entities"][0]
        return {"x, y of the mouse": np.array([mouse["x"], mouse["y"]], np.float32)}
