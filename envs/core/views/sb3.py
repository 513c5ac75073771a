"""The stable-baselines3 view of the engine.  Imports stable-baselines3, and with it torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from ..distribution import LevelDistribution, LevelStream
from ..errors import UserError, in_range
from ..level_replay import ReplayStream
from ..slots import checked_seed, count_of_slots, shown
from ..world import Observation
from .history import History, Position, bring_back
from .vector_env import chosen_levels, require_reset


class MisgenVecEnv(VecEnv):
    """`num_envs` slots of a level distribution as a stable-baselines3 `VecEnv`.

    Where an episode ends, its info holds `terminal_observation`, `TimeLimit.truncated`, `episode`
    (`r`, `l`) and how it went (see `Engine.results`); all other infos are empty.

    `set_options({"levels": [...]})` or `set_options({"level_ids": [...]})`, one a slot, chooses the
    levels of the next `reset`, as the other views' options do (a level made by hand that has no id
    gets a negative one, by its content); a list of such options, one a slot, gives each slot its
    own.
    """

    def __init__(
        self,
        distribution: LevelDistribution,
        num_envs: int,
        seed: int = 0,
        level_replay: float = 0.0,
    ) -> None:
        """Make the slots; call `reset` before `step`.

        Args:
            distribution: the levels.
            num_envs: how many slots.
            seed: seed of the level stream.
            level_replay: share of the levels that are no new ones (`level_replay.ReplayStream`).

        Raises:
            UserError: for a number of slots, a seed or a share that is none.
        """
        num_envs = count_of_slots(num_envs, "num_envs")
        self.render_mode = None
        self.distribution = distribution
        self.engine = distribution.world.make_engine(num_envs)
        self._slots = np.arange(num_envs)
        self._level_replay = in_range("level_replay", level_replay, 0.0, 1.0)
        self._stream: LevelStream | None = None
        self._seed = checked_seed(seed) or 0
        self._history: History | None = None
        self._actions: NDArray[np.int64] = np.zeros(num_envs, np.int64)
        world = distribution.world
        super().__init__(num_envs, world.observation_space, world.action_space)

    @property
    def drawn(self) -> NDArray[np.int64]:
        """How many levels each slot has drawn, int64 [num_envs]: the level stream's position.

        Setting it makes the next `reset` go on from there.
        """
        return self._require_stream().drawn

    @drawn.setter
    def drawn(self, counts: NDArray[np.int64]) -> None:
        self._require_stream().drawn[:] = counts

    @property
    def replayed(self) -> dict[str, int] | None:
        """How many levels were drawn, drawn again, and in conflict; None without level replay."""
        stream = self._stream
        return stream.told if isinstance(stream, ReplayStream) else None

    def position(self) -> Position | None:
        """Return where the slots are; None before `reset`, or if it was given levels of its own."""
        if self._history is None:
            return None
        return self._history.position(self.engine, self._require_stream())

    def go_to(self, position: Position) -> Observation:
        """Bring the slots to where they were, in place of `reset`; return what is seen there.

        Raises:
            ValueError: for what is no position of these slots.
        """
        self._history = bring_back(self.engine, self._require_stream(), position)
        return self.engine.observe()

    def _require_stream(self) -> LevelStream:
        if self._stream is None:
            given = self.distribution, self.num_envs, self._seed
            share = self._level_replay
            self._stream = ReplayStream(*given, share) if share else LevelStream(*given)
        return self._stream

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the level stream; takes effect at the next `reset`."""
        checked = checked_seed(seed)
        if checked is not None:
            self._seed, self._stream = checked, None
        return [seed] * self.num_envs

    def reset(self) -> Observation:
        """Start a level in every slot: the next ones, or those that `set_options` chose.

        Raises:
            UserError: for unknown options, or ids or levels that do not fit.
        """
        levels = chosen_levels(self._chosen_options(), self.distribution, self.num_envs)
        stream = self._require_stream()
        self.engine.load(self._slots, stream.next(self._slots) if levels is None else levels)
        self._history = History() if levels is None else None
        self._reset_seeds()
        self._reset_options()
        return self.engine.observe()

    def _chosen_options(self) -> dict[str, Any]:
        """Return the options of all slots as one.

        Raises:
            UserError: if they are no dictionaries, not one a slot, or not of the same names.
        """
        if not isinstance(self._options, (list, tuple)) or len(self._options) != self.num_envs:
            raise UserError(
                f"set_options was given {shown(self._options)} for {self.num_envs} slots: give one "
                "dictionary for all, or a list of one for each"
            )
        first = self._options[0]
        if all(one is first for one in self._options):  # as `set_options` leaves a dictionary
            return first
        for slot, one in enumerate(self._options):
            if not isinstance(one, dict) or set(one) != set(first):
                raise UserError(
                    f"the options of slot {slot} are {shown(one)}, those of slot 0 {shown(first)}: "
                    "give each slot a dictionary of the same names"
                )
        return {name: [_only(name, one[name]) for one in self._options] for name in first}

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Take the actions of the next decision."""
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[Observation, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Make one decision in every slot."""
        stream = require_reset(self._stream)
        ended = self.engine.step(self._actions)
        if self._history is not None:
            self._history.add(self.engine.last_actions, self.engine)
        episodes = self.engine.episodes
        reward = episodes["reward"].copy()
        done = episodes["terminated"] | episodes["truncated"]
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if len(ended):
            last = self.engine.observe(ended)
            for row, (slot, info) in enumerate(zip(ended, self.engine.infos(ended), strict=True)):
                info["terminal_observation"] = {key: values[row] for key, values in last.items()}
                info["TimeLimit.truncated"] = bool(episodes["truncated"][slot])
                info["episode"] = {"r": info["return"], "l": info["steps"]}
                infos[slot] = info
            reached = episodes["goal_fraction"][ended]
            stream.hear(ended, self.engine.level_ids[ended], reached)
            self.engine.load(ended, stream.next(ended))
        return self.engine.observe(), reward, done, infos

    def close(self) -> None:
        """Do nothing: the slots are plain arrays."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return the attribute of this object, once for each slot asked for."""
        return [getattr(self, attr_name)] * len(self._chosen(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: slots share everything.

        Raises:
            UserError: always.
        """
        raise UserError(f"{attr_name} cannot be set: slots share one engine; make a new VecEnv")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Refuse: there are no single environments behind the slots.

        Raises:
            UserError: always.
        """
        raise UserError(f"{method_name} cannot be called: slots are no environments of their own")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return False for each slot asked for: nothing is wrapped one by one."""
        return [False] * len(self._chosen(indices))

    def _chosen(self, indices: int | Iterable[int] | None) -> list[int]:
        return list(self._get_indices(indices))


def _only(name: str, given: Any) -> Any:
    """Return what an option of one slot holds: an entry, or a list of one.

    Raises:
        UserError: if it holds several, or none.
    """
    if not isinstance(given, (list, tuple)) and np.ndim(given) == 0:
        return given
    if len(given) != 1:
        raise UserError(
            f"options[{name!r}]={shown(given)} has {len(given)} entries for one slot: give one"
        )
    return given[0]
