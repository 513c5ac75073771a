"""The single-environment view: the engine with one slot."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from .distribution import LevelDistribution, LevelStream
from .errors import UserError, in_range, one_of
from .vector_env import chosen_levels, require_reset
from .world import Observation

_SLOT = np.zeros(1, np.int64)


class MisgenEnv(gymnasium.Env[Any, np.int64]):
    """One slot of a level distribution, without autoreset.

    Where the episode ends, `info` tells how it went (see `Engine.results`).
    `reset(options={"level_ids": [17]})` starts exactly that level, `reset(options={"levels":
    ["level.txt"]})` one made by hand (`misgen.envs.core.hand_made`).
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
        super().reset(seed=seed)
        if seed is not None or self._stream is None:
            drawn = int(self.np_random.integers(2**31)) if seed is None else seed
            self._stream = LevelStream(self.distribution, 1, drawn)
        levels = chosen_levels(options, self.distribution, 1)
        self.engine.load(_SLOT, self._stream.next(_SLOT) if levels is None else levels)
        return self._observation(), {"level_id": int(self.engine.level_ids[0])}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Make one decision.

        Raises:
            UserError: before the first `reset`, and after the episode's end.
        """
        require_reset(self._stream)
        episode = self.engine.episodes[0]
        if not episode["running"]:
            raise UserError("step was called after the episode's end: call reset first")
        ended = self.engine.step(np.array([action]))
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
