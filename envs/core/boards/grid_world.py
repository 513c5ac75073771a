"""What all worlds on a board share; each world adds levels, rules and sprites.

Public name: `GridWorld`.
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..blocks import ENTRIES
from ..drawing.scene import Scenes, Sheet
from ..errors import UserError, in_range, one_of
from ..modality import GRID, MODALITIES, RGB
from ..world import Observation, World
from . import board

PIXELS = 64
"""Width and height of the `rgb` observation."""
NUM_ACTIONS = {"procgen": 15, "distinct": len(board.MOVES)}


@dataclass(frozen=True, kw_only=True)
class GridWorld(World):
    """A world on a board of cells, where a frame is a step to a neighbouring cell."""

    classes: ClassVar[tuple[str, ...]]
    """Name of each class of things; the first two are free space and wall."""
    class_of_tile: ClassVar[Mapping[int, int]]
    """Class of each tile code of a level."""
    features: ClassVar[tuple[tuple[int, ...], ...]] = ()
    """What a class looks like in each plane of the observation; empty for one plane of classes."""
    body: ClassVar[tuple[str, ...]]
    """Names of the numbers that the agent sees beside the board."""
    sprites: ClassVar[str]
    """Module with the world's `SPRITES`; loaded when something is drawn."""
    motion: ClassVar[tuple[str, ...]] = ("x", "y")
    """Fields of the state that change while a level runs, and decide what comes next."""
    planner: ClassVar[str] = "misgen.envs.core.planning.graph_planner:GraphPlanner"
    entity_speeds: ClassVar[Mapping[int, float]] = {}
    palette: ClassVar[str] = ""

    action_set: str = "distinct"
    """Left, down, stay, up, right (distinct), or Procgen's 15 actions, of which the others do the
    same as one of these (procgen)."""
    observation: str = "grid"
    """What the agent sees: classes of the cells around it (grid), or the board's pixels (rgb)."""
    view: int = 15
    """Width and height of the window around the agent that `grid` shows, in cells; odd."""

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        one_of("env.action_set", self.action_set, NUM_ACTIONS)
        one_of("env.observation", self.observation, MODALITIES)
        in_range("env.view", self.view, 3, 61)
        if self.view % 2 == 0:
            raise UserError(f"env.view={self.view} is even: give an odd number of cells")

    @property
    def no_op(self) -> int:
        """The action that stays."""
        return board.STAY if self.action_set == "distinct" else 4

    @property
    def action_space(self) -> spaces.Discrete:
        """Left, down, stay, up, right; or Procgen's 15 actions."""
        return spaces.Discrete(NUM_ACTIONS[self.action_set])

    @property
    def action_codes(self) -> NDArray[np.int64]:
        """Which of Procgen's 15 actions each action is, int64 [actions]."""
        return board.MOVES if self.action_set == "distinct" else super().action_codes

    @property
    def observation_space(self) -> spaces.Dict:
        """Classes around the agent and its numbers, or the board's pixels."""
        if self.modality is RGB:
            return spaces.Dict(RGB.of(spaces.Box(0, 255, (PIXELS, PIXELS, 3), np.uint8)))
        planes = self._planes
        shape = (len(planes) * self.view, self.view)
        tiles: spaces.Space = spaces.Box(0, int(planes.max()), shape, np.uint8)
        body = spaces.Box(-2.0, 2.0, (len(self.body),), np.float32)
        return spaces.Dict(GRID.of(tiles, body))

    @property
    def representatives(self) -> NDArray[np.int64]:
        """For each action the first that does the same, int64 [actions]."""
        codes = board.MOVES if self.action_set == "distinct" else np.arange(self.action_space.n)
        steps = [board.step_of(code) for code in codes.tolist()]
        return np.array([steps.index(step) for step in steps])

    def advance(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot."""
        codes = board.MOVES[actions] if self.action_set == "distinct" else actions
        self.play(states, episodes, codes)

    @abstractmethod
    def play(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot; `actions` are Procgen's 15."""

    def without_goal(self, states: NDArray[np.void]) -> NDArray[np.void]:
        """Return a copy of states in which there is no intended goal: what a proxy-seeker plans in.

        Here: a cell that nobody reaches.  The goal's look stays, as nothing that plans sees it.
        """
        copies = states.copy()
        copies["goal_cell"] = -1
        return copies

    def observe(self, states: NDArray[np.void], slots: NDArray[np.int64]) -> Observation:
        """Return what the agents in `slots` see, in fresh arrays."""
        if self.modality is RGB:
            pixels = np.empty((len(slots), PIXELS, PIXELS, 3), np.uint8)
            sides = states["side"][slots]
            texels = max(4, -(-PIXELS // int(sides.min(initial=PIXELS))))
            board.draw(states, slots, board.atlas(self._sprites, texels), pixels)
            return RGB.of(pixels)
        planes = self._planes
        tiles = np.empty((len(slots), len(planes) * self.view, self.view), np.uint8)
        body = np.empty((len(slots), len(self.body)), np.float32)
        board.observe(states, slots, self._looks, tiles, body)
        return GRID.of(tiles, body)

    def picture(
        self, state: np.void, height: int, width: int, shift: tuple[float, float] = (0.0, 0.0)
    ) -> NDArray[np.uint8]:
        """Return the whole board, uint8 [height, width, 3]; `shift` has no meaning here."""
        pixels = np.empty((1, height, width, 3), np.uint8)
        texels = max(4, -(-max(height, width) // int(state["side"])))
        board.draw(
            np.array([state]), np.zeros(1, np.int64), board.atlas(self._sprites, texels), pixels
        )
        return pixels[0]

    def in_picture(
        self, state: np.void, height: int, width: int, shift: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[float, float, float, float]:
        """Return what `picture` shows: the whole board."""
        side = float(state["side"])
        return 0.0, 0.0, side, side

    def sheet(self, texels: int) -> Sheet:
        """Return the floor, a thing of each class, and last the agent."""
        return Sheet(list(board.atlas(self._sprites, texels)), texels)

    def scenes(self, states: NDArray[np.void]) -> Scenes:
        """Return the boards in use of states [t], with movers and the agent on them."""
        side = int(states["side"].max(initial=1))
        movers = states["mover"].astype(np.float32)  # [t, k, 3] x, y, class
        absent = movers[:, :, :1] < 0
        movers = np.concatenate([movers, np.zeros_like(movers[:, :, :1])], axis=2)
        movers[:, :, 2:3][absent] = -1
        agent = np.zeros((len(states), 1, 4), np.float32)
        agent[:, 0, :2] = self.export_motion(states)[:, :2] - np.float32(0.5)
        agent[:, 0, 2] = len(self._sprites.classes)
        things = np.concatenate([movers, agent], axis=1)
        return Scenes(states["board"][:, :side, :side].copy(), things)

    def classify(self, tiles: NDArray[np.int16]) -> NDArray[np.uint8]:
        """Return the class of each tile code."""
        return _table(tuple(self.class_of_tile.items()))[tiles]

    def export_motion(self, states: NDArray[np.void]) -> NDArray[np.float32]:
        """Return x, y, vx, vy of the agent in each slot, float32 [n, 4]."""
        motion = np.stack([states[name] for name in ("x", "y", "vx", "vy")], axis=1)
        return motion.astype(np.float32) + np.array([0.5, 0.5, 0, 0], np.float32)

    @cached_property
    def _planes(self) -> NDArray[np.uint8]:
        features = self.features or (tuple(range(len(self.classes))),)
        return np.array(features, np.uint8)

    @cached_property
    def _looks(self) -> NDArray[np.uint8]:
        """The planes as `board.observe` takes them."""
        if not self.features:
            return np.empty((0, ENTRIES), np.uint8)
        planes = self._planes
        return np.pad(planes, ((0, 0), (0, max(0, ENTRIES - planes.shape[1]))))

    @property
    def _sprites(self) -> board.Sprites:
        return importlib.import_module(self.sprites).SPRITES


@lru_cache
def _table(class_of_tile: tuple[tuple[int, int], ...]) -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    for code, seen in class_of_tile:
        table[code] = seen
    return table
