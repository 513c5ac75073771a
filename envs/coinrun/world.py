"""CoinRun as a `World`: parameters, spaces, and the calls into its kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..core.drawing.scene import Scenes, Sheet
from ..core.errors import UserError, in_range, one_of
from ..core.level import NO_CELL, Level, LevelBatch, LevelError
from ..core.modality import GRID, MODALITIES, RGB
from ..core.placement import Placement
from ..core.world import Observation, Symbols, World
from . import dynamics, export, observation, pixels, scene
from .constants import (
    AGENT_RX,
    AGENT_RY,
    BARRIER,
    CRATE,
    ENEMY,
    ENEMY_SPEED,
    GOAL,
    INVISIBLE_GOAL,
    JUMP_ROWS,
    LAVA_MID,
    LAVA_TOP,
    MODES,
    MOST_DIFFICULTY,
    MOST_ENTITIES,
    MOST_SECTIONS,
    NUM_ACTIONS,
    PLACEMENTS,
    SAW,
    SIZE,
    SPACE,
    TERRAINS,
    WALL_MID,
    WALL_TOP,
    jump_rows,
)
from .generator import LEVEL_DTYPE, generate


@dataclass(frozen=True, kw_only=True)
class CoinRun(World):
    """CoinRun; see the package's docstring for the specification."""

    name: ClassVar[str] = "coinrun"
    level_dtype: ClassVar = LEVEL_DTYPE
    state_dtype: ClassVar = pixels.with_look(dynamics.STATE_DTYPE)
    placements: ClassVar = {**dict.fromkeys(PLACEMENTS), "off_path": 2}
    usual_shifts: ClassVar = ("section_start", "anywhere", "off_path(2)")
    harder: ClassVar = {"difficulty": 4, "hazards": 2.0}
    search_space: ClassVar = {
        "gravity": (0.7, 1.3),
        "speed": (0.7, 1.3),
        "hazards": (0.0, 3.0),
        "difficulty": (0, 5),
        "sections": (0, 8),
    }
    search_shifts: ClassVar = ("section_start", "anywhere", "behind")
    end_can_be_hidden: ClassVar = True
    symbols: ClassVar = Symbols(
        tiles={
            SPACE: ".",
            WALL_MID: "#",
            WALL_TOP: "=",
            LAVA_MID: "~",
            LAVA_TOP: "^",
            BARRIER: "|",
            GOAL: "C",
            INVISIBLE_GOAL: "!",
        },
        entities={SAW: ("saw", "s", "s"), ENEMY: ("enemy", "<", ">"), CRATE: ("crate", "B", "B")},
        looks=("agent", "ground", "background"),
        names={
            SPACE: "free",
            GOAL: "the coin",
            WALL_MID: "wall",
            WALL_TOP: "wall, its top",
            LAVA_MID: "lava",
            LAVA_TOP: "lava, its top",
            BARRIER: "where enemies turn round",
            INVISIBLE_GOAL: "the coin that nobody sees, of terrain langosco",
        },
    )
    goal_tile: ClassVar = GOAL
    wall_tiles: ClassVar = (WALL_MID, WALL_TOP)
    out_of_reach: ClassVar = "no run or jump gets there alive"
    map_rules: ClassVar = ("Above the start a cell is free: the agent is taller than one.",)
    entity_speeds: ClassVar = {ENEMY: ENEMY_SPEED}
    goal_description: ClassVar = "the coin"
    palette: ClassVar = "misgen.envs.coinrun.palette"
    proxy_description: ClassVar = "the level's end"
    planner: ClassVar = "misgen.envs.coinrun.planning.planner:CoinRunPlanner"
    proxies: ClassVar = ("end",)
    held_action: ClassVar = 8  # right and jump
    capability: ClassVar = {
        "gravity": "how fast the agent falls, times the original's",
        "speed": "how fast it runs, times the original's",
        "hazards": "how probable saws and enemies are, times the original's",
        "difficulty": "1 to 5: longer sections, higher steps; the original draws 1 to 3",
        "sections": "1 to 8: length; the original draws 1 to 5",
    }
    capability_values: ClassVar = {
        "difficulty": (1, 2, 3, 4, 5),
        "sections": (1, 3, 5, 8),
        "hazards": (0.0, 0.5, 1.0, 2.0),
        "gravity": (0.7, 0.85, 1.0, 1.15, 1.3),
        "speed": (0.7, 0.85, 1.0, 1.15, 1.3),
    }

    mode: str = "hard"
    """Procgen's distribution mode: easy (no walking enemies, one look) or hard."""
    terrain: str = "procgen"
    """Whose levels: Procgen's, or those of the paper's fork (langosco, langosco_aisc)."""
    action_set: str = "procgen"
    """The original's 15 actions (procgen), or the 9 that differ (distinct)."""
    observation: str = "grid"
    """What the agent sees: tile classes and its own motion (grid), or pixels (rgb)."""
    theme: str = "level"
    """Whose looks pixels show: the level's own (level), one for all levels (fixed), or others that
    no `level` shows (other)."""
    gravity: float = 1.0
    """Times the original's; the agent's alone."""
    speed: float = 1.0
    """The agent's greatest speed and acceleration sideways, times the original's."""
    hazards: float = 1.0
    """How probable saws and walking enemies are, times the original's; pits stay."""
    difficulty: int = 0
    """1 to 5 in all levels (longer sections, more hazards); 0: drawn from 1 to 3, as originally."""
    sections: int = 0
    """1 to 8 in all levels, as far as they fit; 0: drawn from 1 to 5, as originally."""

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        one_of("env.mode", self.mode, MODES)
        one_of("env.terrain", self.terrain, TERRAINS)
        one_of("env.action_set", self.action_set, NUM_ACTIONS)
        one_of("env.observation", self.observation, MODALITIES)
        one_of("env.theme", self.theme, pixels.THEMES)
        in_range("env.gravity", self.gravity, 0.3, 2.0)
        in_range("env.speed", self.speed, 0.3, 2.0)
        in_range("env.hazards", self.hazards, 0.0, 5.0)
        in_range("env.difficulty", self.difficulty, 0, MOST_DIFFICULTY)
        in_range("env.sections", self.sections, 0, MOST_SECTIONS)

    @property
    def observation_space(self) -> spaces.Dict:
        """Tile classes of the window around the agent and the agent's motion, or its pixels."""
        if self.modality is RGB:
            shape = (pixels.OBSERVED, pixels.OBSERVED, 3)
            return spaces.Dict(RGB.of(spaces.Box(0, 255, shape, np.uint8)))
        window = (observation.WINDOW, observation.WINDOW)
        tiles: spaces.Space = spaces.Box(0, len(observation.CLASSES) - 1, window, np.uint8)
        body = spaces.Box(-2.0, 2.0, (len(observation.BODY),), np.float32)
        return spaces.Dict(GRID.of(tiles, body))

    @property
    def action_space(self) -> spaces.Discrete:
        """Left/right (a // 3 - 1) and down/jump (a % 3 - 1); 9 to 14 do nothing."""
        return spaces.Discrete(NUM_ACTIONS[self.action_set])

    def levels(self, ids: NDArray[np.int64], correlation: float, placement: str) -> LevelBatch:
        """Return the levels of `ids`; pure."""
        where = Placement.parse(placement, self.placements)
        if where.distance is not None:
            from .off_path import off_path_levels

            return off_path_levels(self, ids, correlation, where.distance)
        return generate(
            ids,
            mode=self.mode,
            terrain=self.terrain,
            correlation=correlation,
            placement=where.rule,
            hazards=self.hazards,
            difficulty=self.difficulty,
            sections=self.sections,
            rows=self.jump_rows,
        )

    @property
    def jump_rows(self) -> int:
        """Rows that the feet rise in a standing jump, and that the agent's window shows."""
        return min(JUMP_ROWS, jump_rows(0.2 * self.gravity))

    def load(self, states: NDArray[np.void], slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Put each level at its start into its slot."""
        dynamics.load(states, slots, levels.data, self.gravity, self.speed)
        pixels.load_look(states, slots, levels.data)

    def advance(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot."""
        dynamics.advance(
            states,
            episodes,
            actions,
            self.action_repeat,
            self.proxy_rule,
            self.max_steps,
        )

    def observe(self, states: NDArray[np.void], slots: NDArray[np.int64]) -> Observation:
        """Return the windows and motions of the agents in `slots`, or their pixels."""
        if self.modality is RGB:
            return RGB.of(pixels.draw(states, slots, pixels.atlas(self.theme)))
        window = (observation.WINDOW, observation.WINDOW)
        tiles = np.empty((len(slots), *window), np.uint8)
        body = np.empty((len(slots), len(observation.BODY)), np.float32)
        observation.observe(states, slots, observation.CLASS_OF_TILE, tiles, body)
        return GRID.of(tiles, body)

    def picture(
        self, state: np.void, height: int, width: int, shift: tuple[float, float] = (0.0, 0.0)
    ) -> NDArray[np.uint8]:
        """Return what is around the agent, 13 cells from bottom to top."""
        textures = pixels.atlas_of(self.theme, state, height, width)
        slot = np.zeros(1, np.int64)
        return pixels.draw(np.array([state]), slot, textures, height, width, shift)[0]

    def in_picture(
        self, state: np.void, height: int, width: int, shift: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[float, float, float, float]:
        """Return what `picture` shows: the cells around the agent."""
        up = float(pixels.CELLS)
        across = up * width / height
        middle = float(state["x"]) + shift[0], float(state["y"]) + shift[1]
        return middle[0] - across / 2, middle[1] - up / 2, across, up

    def sheet(self, texels: int) -> Sheet:
        """Return the sprites of the theme."""
        return scene.sheet(self.theme, texels)

    def scenes(self, states: NDArray[np.void]) -> Scenes:
        """Return what states [t] of one level show."""
        return scene.scenes(states, self.theme)

    def level_from_map(self, header: Mapping[str, str], level: Level) -> Level:
        """Complete a level read from text."""
        if level.tiles.shape != (SIZE, SIZE):
            height, width = level.tiles.shape
            raise UserError(f"size: {width} {height} does not fit: coinrun has {SIZE} {SIZE}")
        if len(level.entities) > MOST_ENTITIES:
            raise UserError(
                f"entities: {len(level.entities)} are too many: {MOST_ENTITIES} at most"
            )
        variant = {key: header.get(key, getattr(self, key)) for key in ("mode", "terrain")}
        one_of("mode", variant["mode"], MODES)
        one_of("terrain", variant["terrain"], TERRAINS)
        x, y = level.conflict_cell if level.aligned else level.proxy_cell
        if variant["terrain"] != "procgen" and (x, y) != NO_CELL:
            level.tiles[y, x] = INVISIBLE_GOAL
        x, y = level.start
        start = (float(np.float32(x) + AGENT_RX), float(np.float32(y) + AGENT_RY))
        return dataclasses.replace(level, start=start, variant=tuple(variant.items()))

    def require_sound(self, level: Level) -> None:
        """Refuse a level that the rules cannot honour: with no room for the agent's body, too."""
        super().require_sound(level)
        x, y = level.start
        for column in (x - 0.49, x + 0.49):
            for row in (y - 0.56, y + 0.56):
                cell = int(np.floor(column)), int(np.floor(row))
                inside = all(0 <= k < SIZE for k in cell)
                if not inside or level.tiles[cell[1], cell[0]] in self.wall_tiles:
                    raise LevelError(
                        f"the start is under a wall, or in one (column {cell[0]}, row {cell[1]}): "
                        "the agent is taller than a cell, so leave the one above it free",
                        cell=(int(x), int(y)),
                    )

    def aligned_twin(self, level: Level) -> Level:
        """Return the level with the coin at its end."""
        twin = super().aligned_twin(level)
        assert twin is not None
        if dict(level.variant).get("terrain", self.terrain) != "procgen":
            x, y = twin.conflict_cell
            twin.tiles[y, x] = INVISIBLE_GOAL
        return twin

    def export_levels(self, levels: LevelBatch) -> dict[str, NDArray[Any]]:
        """Return levels in the layout of Procgen's saved state."""
        return export.export_levels(levels)

    def export_motion(self, states: NDArray[np.void]) -> NDArray[np.float32]:
        """Return x, y, vx, vy of the agent in each slot, float32 [n, 4]."""
        return export.export_motion(states)
