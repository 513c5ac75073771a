"""The single-environment view: the engine with one slot."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv
from numpy.typing import NDArray

from ..distribution import LevelDistribution, LevelStream
from ..errors import UserError, in_range, one_of
from ..slots import as_array, checked_seed
from ..world import Observation
from .vector_env import chosen_levels, require_reset

_SLOT = np.zeros(1, np.int64)


class MisgenEnv(gymnasium.Env[Any, np.int64]):
    """One slot of a level distribution, without autoreset.

    Where the episode ends, `info` tells how it went (see `Engine.results`).
    `reset(options={"level_ids": [17]})` starts exactly that level, `reset(options={"levels":
    ["level.txt"]})` one made by hand (`misgen.envs.core.level_text.hand_made`), whose id, unless it
    has one, is negative and comes of its content alone.  Where gymnasium's `SyncVectorEnv` runs
    several of these and is given one entry for each, each takes its own.
    """

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(
        self,
        distribution: LevelDistribution,
        render_mode: str | None = None,
        render_size: int = 512,
    ) -> None:
        """Make the slot; call `reset` before `step`.

        Args:
            distribution: the levels.
            render_mode: `rgb_array`, for `render` to return pictures, or None.
            render_size: height and width of these, in pixels.
        """
        if render_mode is not None:
            one_of("render_mode", render_mode, self.metadata["render_modes"])
        in_range("render_size", render_size, 16, 4096)
        self.distribution = distribution
        self.engine = distribution.world.make_engine(1)
        self.observation_space = distribution.world.observation_space
        self.action_space = distribution.world.action_space
        self.render_mode = render_mode
        self._render_size = render_size
        self._stream: LevelStream | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a level; with the same seed, the same sequence of levels."""
        seed = checked_seed(seed)
        super().reset(seed=seed)
        if seed is not None or self._stream is None:
            drawn = int(self.np_random.integers(2**31)) if seed is None else seed
            self._stream = LevelStream(self.distribution, 1, drawn)
        levels = chosen_levels(self._own(options), self.distribution, 1)
        self.engine.load(_SLOT, self._stream.next(_SLOT) if levels is None else levels)
        return self._observation(), {"level_id": int(self.engine.level_ids[0])}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Make one decision.

        Args:
            action: an integer: Python's, NumPy's, or an array or tensor that holds one.

        Raises:
            UserError: before the first `reset`, after the episode's end, and for what is no action.
        """
        require_reset(self._stream)
        episode = self.engine.episodes[0]
        if not episode["running"]:
            raise UserError("step was called after the episode's end: call reset first")
        ended = self.engine.step(_alone(action))
        info = self.engine.infos(ended)[0] if len(ended) else {}
        return (
            self._observation(),
            float(episode["reward"]),
            bool(episode["terminated"]),
            bool(episode["truncated"]),
            info,
        )

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return what is around the agent, uint8 [render_size, render_size, 3], if asked for.

        Raises:
            UserError: before the first `reset`.
        """
        if self.render_mode is None:
            return None
        require_reset(self._stream)
        size = self._render_size
        return self.distribution.world.picture(self.engine.states[0], size, size)

    def _observation(self) -> Observation:
        return {key: values[0] for key, values in self.engine.observe().items()}

    def _own(self, options: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return what of the options is meant for this environment.

        `SyncVectorEnv` hands the same options to all of its environments and tells none of them
        which it is; so this looks up who called.
        """
        if not isinstance(options, dict) or max(map(_entries, options.values()), default=0) < 2:
            return options
        frame = inspect.currentframe()
        while frame is not None:
            caller = frame.f_locals.get("self")
            if isinstance(caller, SyncVectorEnv):
                count = len(caller.envs)
                place = [one.unwrapped for one in caller.envs].index(self)
                return {
                    name: [value[place]] if _entries(value) == count else value
                    for name, value in options.items()
                }
            frame = frame.f_back
        return options


def _entries(value: Any) -> int:
    """Return how many entries a list, a tuple or an array has; 0 for anything else."""
    several = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim)
    return len(value) if several else 0


def _alone(action: Any) -> Any:
    """Return an action as an array of one, where it is a number; as it is, where it is not."""
    array = as_array(action)
    return array.reshape(1) if array is not None and array.shape == () else action
