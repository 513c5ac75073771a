"""The gymnasium vector view of the engine."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .distribution import MAX_ID, LevelDistribution, LevelStream
from .errors import UserError, one_of
from .hand_made import levels_option
from .level import LevelBatch
from .world import Observation

_OPTIONS = ("level_ids", "levels")


class MisgenVectorEnv(VectorEnv):
    """`num_envs` slots of a level distribution with autoreset in the same step.

    Where an episode ends, `infos["final_obs"]` holds its last observation and
    `infos["final_info"]` how it went (see `Engine.results`), each with a mask `_final_...`; the
    observation returned is the first of the slot's next level.

    `reset(options={"level_ids": [...]})` puts exactly these levels in the slots, and
    `reset(options={"levels": [...]})` ones made by hand: `Level`s, their texts, or paths of files
    (`misgen.envs.core.hand_made`).  What a slot runs after its first level is drawn as ever.
    """

    metadata: ClassVar = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(self, distribution: LevelDistribution, num_envs: int) -> None:
        """Make the slots; call `reset` before `step`."""
        world = distribution.world
        self.num_envs = num_envs
        self.distribution = distribution
        self.engine = world.make_engine(num_envs)
        self.single_observation_space = world.observation_space
        self.single_action_space = world.action_space
        self.observation_space = batch_space(world.observation_space, num_envs)
        self.action_space = batch_space(world.action_space, num_envs)
        self.render_mode = None
        self._slots = np.arange(num_envs)
        self._stream: LevelStream | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a level in every slot.

        Args:
            seed: seed of the level stream; a list's first entry is taken.
            options: `level_ids` or `levels`, one a slot, to choose the first levels.

        Raises:
            UserError: for unknown options, or ids or levels that do not fit.
        """
        first = seed[0] if isinstance(seed, list) else seed
        super().reset(seed=first)
        if first is not None or self._stream is None:
            drawn = int(self.np_random.integers(2**31)) if first is None else first
            self._stream = LevelStream(self.distribution, self.num_envs, drawn)
        levels = chosen_levels(options, self.distribution, self.num_envs)
        self.engine.load(self._slots, self._stream.next(self._slots) if levels is None else levels)
        return self.engine.observe(), {"level_id": self.engine.level_ids.copy()}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[
        Observation, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Make one decision in every slot."""
        stream = require_reset(self._stream)
        ended = self.engine.step(actions)
        episodes = self.engine.episodes
        reward = episodes["reward"].copy()
        terminated, truncated = episodes["terminated"].copy(), episodes["truncated"].copy()
        infos: dict[str, Any] = {}
        if len(ended):
            infos = self._final_infos(ended)
            self.engine.load(ended, stream.next(ended))
        return self.engine.observe(), reward, terminated, truncated, infos

    def _final_infos(self, ended: NDArray[np.int64]) -> dict[str, Any]:
        mask = np.zeros(self.num_envs, np.bool_)
        mask[ended] = True
        last = self.engine.observe(ended)
        final_obs = np.full(self.num_envs, None, object)
        for row, slot in enumerate(ended):
            final_obs[slot] = {key: values[row] for key, values in last.items()}
        final_info: dict[str, Any] = {}
        for name, values in self.engine.results(ended).items():
            column = np.zeros(self.num_envs, values.dtype)
            column[ended] = values
            final_info[name], final_info[f"_{name}"] = column, mask
        return {
            "final_obs": final_obs,
            "_final_obs": mask,
            "final_info": final_info,
            "_final_info": mask,
        }


def chosen_levels(
    options: dict[str, Any] | None, distribution: LevelDistribution, count: int
) -> LevelBatch | None:
    """Return the levels that a reset's options choose, or None where they choose none.

    Args:
        options: `level_ids` or `levels`, `count` of them; or nothing.
        distribution: which level an id means; its world runs the levels.
        count: how many slots there are.

    Raises:
        UserError: for unknown options, or ids or levels that do not fit.
    """
    options = options or {}
    for name in options:
        one_of("reset option", name, _OPTIONS)
    if len(options) > 1:
        raise UserError("reset options level_ids and levels exclude each other: give one of them")
    if "levels" in options:
        return levels_option(options, distribution.world, count)
    ids = _level_ids(options, count)
    return None if ids is None else distribution.levels(ids)


def _level_ids(options: dict[str, Any], count: int) -> NDArray[np.int64] | None:
    """Return `options["level_ids"]` as int64 [count], or None where it is not given."""
    if "level_ids" not in options:
        return None
    given = np.asarray(options["level_ids"]).reshape(-1)
    if len(given) != count:
        raise UserError(
            f"options['level_ids'] has {len(given)} ids for {count} slots: give {count}"
        )
    if given.dtype.kind not in "iu" or not ((given >= 0) & (given < MAX_ID)).all():
        raise UserError(
            f"options['level_ids']={given.tolist()} are no level ids: give whole numbers from 0 to "
            f"{MAX_ID - 1}"
        )
    return given.astype(np.int64)


def require_reset(stream: LevelStream | None) -> LevelStream:
    """Return the stream.

    Raises:
        UserError: if `reset` was never called.
    """
    if stream is None:
        raise UserError("step was called before reset: call reset first")
    return stream
