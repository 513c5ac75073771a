"""The engine of a world on Procgen: the original game and its native twin, in lockstep.

Public names: `ProcgenEngine`, `OnProcgen`, `LockstepError`, `one_thread`.

The twin is the same world by our own rules, given the same levels and actions.  The game shows the
pixels; the twin says what happened (Procgen tells neither the proxy nor a death from a time-out)
and shows the grid.  In every frame the reward and the end of both are compared: a difference stops
the run with an error, so that what the twin says holds for the game.

A level is put into a slot by writing the game's saved state, at the start of an episode and never
later.  The state is made from the level's data, so that any level can run, wherever its goal is.
Procgen's own time-out is turned off there: the twin ends the episode, and the last frame can still
be seen.  Only the frame in which the goal is reached or the agent dies cannot: Procgen then shows
the next level.  The last observation of such an episode is that of the frame before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..core.engine import Engine
from ..core.episode import DIED, REACHED_GOAL
from ..core.errors import UserError, in_range, one_of
from ..core.level import LevelBatch
from ..core.modality import GRID, RGB
from ..core.world import Observation, World
from .library import PIXELS, Games
from .saved_state import SavedState

GOAL_REWARD = 10.0
"""What the original pays for its goal, in CoinRun as in Maze."""
_NO_OP = 4
_NEVER = 2**31 - 1
_MOST_THREADS = 64


class LockstepError(RuntimeError):
    """The original did something that its native twin did not."""


@dataclass(frozen=True, kw_only=True)
class OnProcgen(World):
    """What a world on Procgen adds to its native twin, whose class it is mixed into."""

    game: ClassVar[str]
    """Procgen's name of the game."""
    native: ClassVar[str | None]
    """Name of the native world with the same levels, if there is one."""
    kept: ClassVar[tuple[str, ...]]
    """Parameters of the twin that can be chosen; the others stay as in the original."""
    engine: ClassVar[str] = "misgen.envs.procgen.engine:ProcgenEngine"
    runs_any_level: ClassVar[bool] = False
    goal_moves_always: ClassVar[bool] = False
    """Whether the goal of an aligned level stands elsewhere than in the original, too."""

    mode: str = "hard"
    """Procgen's distribution mode: easy or hard."""
    observation: str = RGB.option
    """What the agent sees: Procgen's pixels (rgb), or its twin's tiles and motion (grid)."""
    num_threads: int = 0
    """CPU threads that step the games; 0: one a core.  Changes no result."""

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            UserError: naming the first that the original does not have.
        """
        super().__post_init__()
        one_of("env.observation", self.observation, self.observations())
        in_range("env.num_threads", self.num_threads, 0, _MOST_THREADS)
        own = {field.name for field in dataclasses.fields(OnProcgen)} | set(self.kept)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in own and value != field.default:
                other = f", or use env={self.native}" if self.native else ""
                raise UserError(
                    f"env.{field.name}={value!r} is not available in the original Procgen: leave "
                    f"it at {field.default!r}{other}"
                )

    @classmethod
    def observations(cls) -> tuple[str, ...]:
        """Return what `observation` can be."""
        return (RGB.option, GRID.option)

    @property
    def observation_space(self) -> spaces.Dict:
        """Pixels, or what the twin shows."""
        if self.modality is RGB:
            return spaces.Dict(RGB.of(spaces.Box(0, 255, PIXELS, np.uint8)))
        return super().observation_space

    def levels(self, ids: NDArray[np.int64], correlation: float, placement: str) -> LevelBatch:
        """Return the levels of `ids`, those of the native world; pure."""
        with one_thread():
            return super().levels(ids, correlation, placement)  # pyright: ignore[reportAbstractUsage]

    def observe(self, states: NDArray[np.void], slots: NDArray[np.int64]) -> Observation:
        """Return what the twin shows.

        Raises:
            UserError: if the observation is pixels, which only a running game can draw.
        """
        if self.modality is RGB:
            raise UserError(
                "env.observation='rgb' cannot be drawn from a state alone on Procgen: use "
                "env.observation=grid, or the native world"
            )
        with one_thread():
            return super().observe(states, slots)  # pyright: ignore[reportAbstractUsage]

    @abstractmethod
    def start_state(self, template: SavedState, levels: LevelBatch, k: int) -> bytes:
        """Return the saved state of the start of `levels[k]`.

        Args:
            template: that of another level's start; left as it is.
            levels: the levels.
            k: which of them.
        """

    @abstractmethod
    def motion(self, states: NDArray[np.void]) -> dict[str, NDArray[Any]]:
        """Return everything that moves in the twins: one array [n, ...] for each name."""

    @abstractmethod
    def saved_motion(self, state: SavedState) -> dict[str, NDArray[Any]]:
        """Return the same of a game, without the first axis."""


class ProcgenEngine(Engine):
    """`num_slots` games of Procgen in lockstep with the native engine.

    Attributes:
        games: the original; `states`, `episodes` and so on are its twin's.
    """

    world: OnProcgen

    def __init__(self, world: OnProcgen, num_slots: int) -> None:
        """Start the games; none runs a level yet."""
        super().__init__(world, num_slots)
        threads = world.num_threads or len(os.sched_getaffinity(0))
        self.games = Games(world.game, world.mode, num_slots, 0 if threads == 1 else threads)
        self._template = SavedState(self.games.get_state(0))
        for name, value in (("timeout", _NEVER), ("done", 0)):
            self._template[name][0] = value
        self._left = np.zeros((num_slots, *PIXELS), np.uint8)  # where `_has_left`: the last frame
        self._has_left = np.zeros(num_slots, np.bool_)

    def load(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Start `levels[k]` in `slots[k]`, for every k."""
        super().load(slots, levels)
        slots = np.asarray(slots)
        for k, slot in enumerate(slots):
            self.games.set_state(int(slot), self.world.start_state(self._template, levels, k))
        self._has_left[slots] = False

    def step(self, actions: NDArray[Any]) -> NDArray[np.int64]:
        """Make one decision in every slot that runs; return the slots whose episode it ended.

        Raises:
            LockstepError: if game and twin differ in a reward or in an end.
        """
        episodes = self.episodes
        ran = episodes["running"].copy()
        before = episodes["frames"].copy()
        with one_thread():
            ended = super().step(actions)
        lasted = np.where(ran, episodes["frames"] - before, 0)  # frames, [num_slots]
        over = np.zeros(self.num_slots, np.bool_)
        over[ended] = True
        goal = over & ((episodes["events"] & REACHED_GOAL) != 0)
        gone = over & ((episodes["events"] & (REACHED_GOAL | DIED)) != 0)
        codes = np.where(ran, self._actions.last, _NO_OP)
        for frame in range(1, int(lasted.max(initial=0)) + 1):
            last = over & (lasted == frame)
            self._keep_frame(last & gone)
            self.games.act(codes)
            self._compare(lasted >= frame, last & goal, last & gone, codes)
            self._keep_frame(last & ~gone)
        return ended

    def observe(self, slots: NDArray[np.int64] | None = None) -> Observation:
        """Return what the agents in `slots` (default: all) see, in fresh arrays."""
        if self.world.modality is not RGB:
            return super().observe(slots)
        rows = self._chosen(slots)
        rgb = self.games.rgb.copy() if slots is None else self.games.rgb[slots]
        left = np.flatnonzero(self._has_left[rows])
        rgb[left] = self._left[rows[left]]
        return RGB.of(rgb)

    def _keep_frame(self, which: NDArray[np.bool_]) -> None:
        """Keep what some slots show, as the last observation of their episode."""
        if which.any():
            self._left[which] = self.games.rgb[which]
            self._has_left[which] = True

    def _compare(
        self,
        running: NDArray[np.bool_],
        goal: NDArray[np.bool_],
        gone: NDArray[np.bool_],
        actions: NDArray[np.int64],
    ) -> None:
        """Compare a frame of the games with the twins' account of it, [num_slots] each."""
        reward, first = self.games.reward, self.games.first
        wrong = running & ((reward != GOAL_REWARD * goal) | (first != gone))
        if wrong.any():
            slot = int(np.flatnonzero(wrong)[0])
            raise LockstepError(
                f"Procgen's {self.world.game} (reward {reward[slot]:g}, end {bool(first[slot])}) "
                f"and its native twin (reward {GOAL_REWARD * goal[slot]:g}, end "
                f"{bool(gone[slot])}) differ on level {self.level_ids[slot]}, slot {slot}, in "
                f"decision {self.episodes['decisions'][slot]} with action {actions[slot]}: "
                f"misgen levels verify env={self.world.name} "
                f"ids={self.level_ids[slot]}:{self.level_ids[slot] + 1} shows more"
            )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let kernels use one thread.

    The twin needs no more, and threads that wait for its next kernel keep Procgen's from the cores
    (measured with two on two cores: 18,000 frames/s instead of 31,000).
    """
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)
