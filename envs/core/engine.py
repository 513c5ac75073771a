"""The batched core: many slots, each running a level.  All views and the evaluator stand on it.

The engine only owns state: it puts levels into slots, steps them, and reports which episodes
ended and how.  The caller decides which level comes next (a `LevelStream` in training, a list of
levels in evaluation).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .episode import (
    EPISODE_DTYPE,
    FULL_PAY,
    PAYS,
    RESULT_DTYPE,
    Outcome,
    end_episodes,
    results_of,
    start_episodes,
)
from .errors import UserError
from .level import LevelBatch
from .registry import world_class
from .slots import Actions, checked_slots, count_of_slots, shown
from .world import Observation, World

_COLUMNS = RESULT_DTYPE.names or ()


class Engine:
    """`num_slots` levels of a world, run side by side.

    Attributes:
        world: the rules.
        num_slots: how many slots there are.
        states: the world's state records [num_slots].
        episodes: `EPISODE_DTYPE` records [num_slots].
        level_ids: int64 [num_slots], id of the level in each slot.
        aligned: bool [num_slots], whether that level is aligned.
    """

    def __init__(self, world: World, num_slots: int) -> None:
        """Make room for `num_slots` levels; none runs yet.

        Raises:
            UserError: if `num_slots` is no number of slots.
        """
        num_slots = count_of_slots(num_slots)
        self.world = world
        self.num_slots = num_slots
        self.states = np.zeros(num_slots, world.state_dtype)
        self.episodes = np.zeros(num_slots, EPISODE_DTYPE)
        self.level_ids = np.full(num_slots, -1, np.int64)
        self.aligned = np.zeros(num_slots, np.bool_)
        self._all = np.arange(num_slots)
        self._ended = np.zeros(num_slots, np.int64)
        self._actions = Actions(num_slots, int(world.action_space.n))
        self._paid_for = PAYS[world.pays]

    def load(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Start `levels[k]` in `slots[k]`, for every k.

        Raises:
            UserError: for slots that there are not, or levels that are not for them.
        """
        slots = checked_slots(slots, self.num_slots)
        self._require_levels(slots, levels)
        self.world.load(self.states, slots, levels)
        self.level_ids[slots] = levels.ids
        own = levels.world == self.world.name
        self.aligned[slots] = self.world.are_aligned(levels.data) if own else levels.aligned
        start_episodes(self.episodes, slots)

    def step(self, actions: NDArray[Any]) -> NDArray[np.int64]:
        """Make one decision in every slot that runs; return the slots whose episode it ended.

        Args:
            actions: integer [num_slots] or [num_slots, 1]; ignored where nothing runs.

        Raises:
            UserError: if they are anything else, before anything has moved.
        """
        episodes = self.episodes
        running = episodes["running"]
        taken = self._actions.taken(actions, running)
        before = self._gained()
        self.world.advance(self.states, episodes, taken)
        if before is not None:
            self._pay(running, before)
        count = end_episodes(episodes, self._ended)
        return self._ended[:count].copy()

    @property
    def last_actions(self) -> NDArray[np.int64]:
        """The actions of the last decision, int64 [num_slots], overwritten by the next."""
        return self._actions.last

    def observe(self, slots: NDArray[np.int64] | None = None) -> Observation:
        """Return what the agents in `slots` (default: all) see, in fresh arrays."""
        return self.world.observe(self.states, self._chosen(slots))

    def results(self, slots: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return how the episodes of `slots` went: one array [len(slots)] for each column."""
        slots = self._chosen(slots)
        return self._told(slots, np.arange(len(slots)), len(slots))

    def columns(self, slots: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return `results` as one array [num_slots] for each column, 0 where it is no slot's."""
        slots = self._chosen(slots)
        return self._told(slots, slots, self.num_slots)

    def infos(self, slots: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Return `results` as one plain dictionary a slot; the outcome is its name."""
        columns = {name: column.tolist() for name, column in self.results(slots).items()}
        columns["outcome"] = [Outcome(code).name for code in columns["outcome"]]
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _told(
        self, slots: NDArray[np.int64], rows: NDArray[np.int64], length: int
    ) -> dict[str, NDArray[Any]]:
        """Return columns of a length that hold the results of `slots` in `rows`, and else 0."""
        results = results_of(self.episodes, self.level_ids, self.aligned, slots, rows, length)
        return {name: results[name] for name in _COLUMNS}

    def _gained(self) -> NDArray[np.float32] | None:
        """Return how far each episode has come with what it is paid for; None: the world pays."""
        return self.episodes[self._paid_for].astype(np.float32) if self._paid_for else None

    def _pay(self, ran: NDArray[np.bool_], before: NDArray[np.float32]) -> None:
        """Pay for what was gained since `before`, in place of what the world paid."""
        episodes = self.episodes
        gained = episodes[str(self._paid_for)].astype(np.float32) - before
        paid = np.where(ran, np.float32(FULL_PAY) * gained, episodes["reward"])
        episodes["returns"] += paid - episodes["reward"]
        episodes["reward"] = paid

    def _chosen(self, slots: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return slots to look at, all of them where none are named."""
        return self._all if slots is None else checked_slots(slots, self.num_slots, distinct=False)

    def _require_levels(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Refuse levels of another world, and more or fewer than there are slots for."""
        if not isinstance(levels, LevelBatch):
            raise UserError(
                f"levels={shown(levels)} are not a LevelBatch: give what LevelDistribution.levels "
                "or "
                "hand_made.level_batch returns"
            )
        if levels.world != self.world.name and not isinstance(
            self.world, world_class(levels.world)
        ):
            raise UserError(
                f"levels of world {levels.world!r} do not run in {self.world.name!r}: give levels "
                "of the engine's own world"
            )
        if len(levels) != len(slots):
            raise UserError(
                f"{len(levels)} levels were given for {len(slots)} slots: give one for each"
            )
