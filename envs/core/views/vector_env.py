"""The gymnasium vector view of the engine."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..distribution import LevelDistribution, LevelStream
from ..episode import RESULT_DTYPE
from ..errors import UserError, one_of
from ..id_range import checked_ids
from ..level import LevelBatch
from ..level_text.hand_made import levels_option
from ..slots import as_array, checked_seed, count_of_slots, shown
from ..world import Observation

_OPTIONS = ("level_ids", "levels")
_MASK = "reset_mask"
_MASKS = tuple(f"_{name}" for name in RESULT_DTYPE.names or ())
_GIVE_OPTIONS = "give for example {'level_ids': [17]}"


class MisgenVectorEnv(VectorEnv):
    """`num_envs` slots of a level distribution, with gymnasium's autoreset.

    With `SAME_STEP` (the default), where an episode ends, `infos["final_obs"]` holds its last
    observation and `infos["final_info"]` how it went (see `Engine.results`), each with a mask
    `_final_...`; the observation returned is the first of the slot's next level.

    With `NEXT_STEP` that observation is the episode's last, and `infos` itself says how it went;
    the slot's next level begins at the next step, which ignores its action and pays nothing.  With
    `DISABLED` the caller resets: `reset(options={"reset_mask": mask})`, bool [num_envs].  Each slot
    plays the same levels in the same order in all three.

    `reset(options={"level_ids": [...]})` puts exactly these levels in the slots, and
    `reset(options={"levels": [...]})` hand-made ones: `Level`s, their texts, or paths of files
    (`misgen.envs.core.level_text.hand_made`), one for each slot that is reset; those without an id
    get a negative one, by their content alone.  Later levels of a slot are drawn as usual.
    """

    metadata: ClassVar = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        distribution: LevelDistribution,
        num_envs: int,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        """Make the slots; call `reset` before `step`.

        Args:
            distribution: the levels.
            num_envs: how many slots.
            autoreset_mode: gymnasium's, or its name: SAME_STEP, NEXT_STEP or DISABLED.

        Raises:
            UserError: for a number or a mode that there is not.
        """
        world = distribution.world
        self.num_envs = count_of_slots(num_envs, "num_envs")
        self._mode = _autoreset_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self._mode}
        self.distribution = distribution
        self.engine = world.make_engine(self.num_envs)
        self.single_observation_space = world.observation_space
        self.single_action_space = world.action_space
        self.observation_space = batch_space(world.observation_space, self.num_envs)
        self.action_space = batch_space(world.action_space, self.num_envs)
        self.render_mode = None
        self._slots = np.arange(self.num_envs)
        self._over = np.zeros(0, np.int64)  # slots that wait for their next level
        self._stream: LevelStream | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a level in every slot, or in those of a mask.

        Args:
            seed: seed of the level stream; a list's first entry is taken.
            options: `level_ids` or `levels`, one a slot, to choose the first levels; `reset_mask`
                (bool [num_envs]) for the slots that begin, the others going on.

        Raises:
            UserError: for unknown options, or ids or levels that do not fit.
        """
        first = checked_seed(seed[0] if isinstance(seed, (list, tuple)) and seed else seed)
        slots = self._slots_to_reset(options)
        chosen = {k: v for k, v in options.items() if k != _MASK} if options else options
        levels = chosen_levels(chosen, self.distribution, len(slots))
        super().reset(seed=first)
        if first is not None or self._stream is None:
            drawn = int(self.np_random.integers(2**31)) if first is None else first
            self._stream = LevelStream(self.distribution, self.num_envs, drawn)
        self.engine.load(slots, self._stream.next(slots) if levels is None else levels)
        self._over = self._over[~np.isin(self._over, slots)]
        infos: dict[str, Any] = {"level_id": self.engine.level_ids.copy()}
        if len(slots) < self.num_envs:
            infos["_level_id"] = self._mask(slots)
        return self.engine.observe(), infos

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[
        Observation, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Make one decision in every slot.

        Raises:
            UserError: for what is no action of each slot, and, where there is no autoreset, after
                an episode's end.
        """
        stream = require_reset(self._stream)
        over = self._over
        if len(over) and self._mode is AutoresetMode.DISABLED:
            raise UserError(
                f"step was called after the end of the episodes in slots {over.tolist()}: reset "
                "them first, with options={'reset_mask': mask}, or make the environment with "
                "autoreset_mode='SAME_STEP' or 'NEXT_STEP'"
            )
        ended = self.engine.step(actions)
        if self._mode is not AutoresetMode.SAME_STEP:
            if len(over):
                self.engine.load(over, stream.next(over))
            self._over = ended
        episodes = self.engine.episodes
        reward = episodes["reward"].copy()
        terminated, truncated = episodes["terminated"].copy(), episodes["truncated"].copy()
        infos: dict[str, Any] = {}
        if len(ended) and self._mode is AutoresetMode.SAME_STEP:
            infos = self._final_infos(ended)
            self.engine.load(ended, stream.next(ended))
        elif len(ended) or len(over):
            infos = self._infos(ended, over)
        return self.engine.observe(), reward, terminated, truncated, infos

    def _slots_to_reset(self, options: Any) -> NDArray[np.int64]:
        """Return the slots that a reset's options name: those of the mask, or all.

        Raises:
            UserError: for options that are not a dictionary, and a mask that is none.
        """
        if options is not None and not isinstance(options, dict):
            raise UserError(f"options={shown(options)} are not a dictionary: {_GIVE_OPTIONS}")
        if not options or _MASK not in options:
            return self._slots
        mask = as_array(options[_MASK])
        fits = mask is not None and mask.dtype == np.bool_ and mask.shape == (self.num_envs,)
        if mask is None or not fits or not mask.any():
            raise UserError(
                f"options['reset_mask']={shown(options[_MASK])} names no slots: give truth values "
                f"of shape ({self.num_envs},), one or more of them True"
            )
        if self._stream is None and not mask.all():
            raise UserError(
                "options['reset_mask'] was given before any level ran: call reset without it first"
            )
        return np.flatnonzero(mask)

    def _mask(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        mask = np.zeros(self.num_envs, np.bool_)
        mask[slots] = True
        return mask

    def _columns(self, slots: NDArray[np.int64], mask: NDArray[np.bool_]) -> dict[str, Any]:
        """Return the results of `slots` as columns [num_envs], each with the mask of these."""
        return self.engine.columns(slots) | dict.fromkeys(_MASKS, mask)

    def _infos(self, ended: NDArray[np.int64], begun: NDArray[np.int64]) -> dict[str, Any]:
        """Return how episodes went that ended, and which levels began."""
        infos = self._columns(ended, self._mask(ended)) if len(ended) else {}
        named = self._mask(np.concatenate([ended, begun]))
        infos["level_id"] = np.where(named, self.engine.level_ids, 0)
        infos["_level_id"] = named
        return infos

    def _final_infos(self, ended: NDArray[np.int64]) -> dict[str, Any]:
        mask = self._mask(ended)
        last = self.engine.observe(ended)
        final_obs = np.empty(self.num_envs, object)  # of None
        for row, slot in enumerate(ended):
            final_obs[slot] = {key: values[row] for key, values in last.items()}
        return {
            "final_obs": final_obs,
            "_final_obs": mask,
            "final_info": self._columns(ended, mask),
            "_final_info": mask,
        }


def _autoreset_mode(given: AutoresetMode | str) -> AutoresetMode:
    """Return gymnasium's mode of autoreset.

    Raises:
        UserError: if there is no such mode.
    """
    if isinstance(given, AutoresetMode):
        return given
    by_name = {name: mode for mode in AutoresetMode for name in (mode.name, mode.value)}
    if not isinstance(given, str) or given not in by_name:
        raise UserError(
            f"autoreset_mode={shown(given)} is not known: use one of "
            f"{', '.join(mode.name for mode in AutoresetMode)}"
        )
    return by_name[given]


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
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise UserError(f"options={shown(options)} are not a dictionary: {_GIVE_OPTIONS}")
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
    given = checked_ids(options["level_ids"], "options['level_ids']")
    if len(given) != count:
        raise UserError(
            f"options['level_ids'] has {len(given)} ids for {count} slots: give {count}"
        )
    return given


def require_reset(stream: LevelStream | None) -> LevelStream:
    """Return the stream.

    Raises:
        UserError: if `reset` was never called.
    """
    if stream is None:
        raise UserError("step was called before reset: call reset first")
    return stream
