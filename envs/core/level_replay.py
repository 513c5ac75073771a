"""Levels that are trained on again: those on which the agent missed most of the goal.

A share of the levels that slots draw are no new ones but come from a memory of levels that were
played, each as probable as the part of the goal that its latest episode missed, and, with a small
part of the probability, as long ago as that was.  Where all of the goal can be reached, that part
is the regret: what the best agent would have got, less what this one did.

Source: prioritized level replay (Jiang et al. 2021, https://arxiv.org/abs/2010.03934), with the
score by which levels are chosen in "Mitigating goal misgeneralization via minimax regret"
(https://arxiv.org/abs/2507.03068), there discounted.

Public names: `ReplayStream`, `MEMORY`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .distribution import LevelDistribution, LevelStream, State
from .level import LevelBatch
from .rng import STREAM_REPLAY, STREAM_REPLAYED, hash_uniforms

MEMORY = 4096
"""Levels that are remembered; a new one takes the place of the one of which least was missed."""
_BY_AGE = 0.1
"""Part of the probability that goes by how long ago a level was played."""
_NONE = -1


class ReplayStream(LevelStream):
    """A level stream that draws a share of its levels from those that were played before.

    Like any other it depends on its seed, and on what it was told of episodes, alone.
    """

    def __init__(
        self, distribution: LevelDistribution, num_slots: int, seed: int, share: float
    ) -> None:
        """Start with an empty memory, so that the first levels are new ones."""
        super().__init__(distribution, num_slots, seed)
        self.share = share
        self._running = np.full(num_slots, _NONE, np.int64)  # id of the level in each slot
        self._ids = np.full(MEMORY, _NONE, np.int64)
        self._missed = np.zeros(MEMORY, np.float64)  # part of the goal, in [0, 1]
        self._heard = np.zeros(MEMORY, np.int64)  # the episode that it was last told of, from 1
        self._counts = np.zeros(3, np.int64)  # episodes heard of; levels replayed; in conflict
        self._places: dict[int, int] = {}

    def next(self, slots: NDArray[np.int64]) -> LevelBatch:
        """Return the next level of each of `slots`."""
        ids = self._new_ids(slots)
        turns = self.drawn[slots]
        again = hash_uniforms(STREAM_REPLAY, self.seed, slots, turns) < self.share
        known = len(self._places)
        if known and again.any():
            reach = np.cumsum(self._weights(known))
            at = hash_uniforms(STREAM_REPLAYED, self.seed, slots[again], turns[again]) * reach[-1]
            place = np.searchsorted(reach, at, side="right").clip(max=known - 1)
            ids[again] = self._ids[place]
            self._counts[1] += len(place)
        self._running[slots] = ids
        levels = self.distribution._levels(ids)
        self._counts[2] += np.count_nonzero(~levels.aligned)
        return levels

    def again(self, slots: NDArray[np.int64]) -> LevelBatch:
        """Return the levels that `slots` drew last."""
        return self.distribution._levels(self._running[slots])

    def hear(
        self,
        slots: NDArray[np.int64],
        level_ids: NDArray[np.int64],
        fractions: NDArray[np.float32],
    ) -> None:
        """Take note of how much of the goal was reached in episodes that end.

        Args:
            slots: int64 [k].
            level_ids: of the levels in them; one that was not drawn here is not remembered.
            fractions: part of the goal, in [0, 1].
        """
        own = self._running[slots] == level_ids
        for level, fraction in zip(level_ids[own].tolist(), fractions[own].tolist(), strict=True):
            self._counts[0] += 1
            self._remember(level, 1.0 - fraction)

    @property
    def state(self) -> State:
        """All that it has drawn and heard, in arrays of its own."""
        return {**super().state, **{name: own.copy() for name, own in self._memory.items()}}

    @state.setter
    def state(self, state: State) -> None:
        for name, own in self._memory.items():
            given = state[name]
            if (given.shape, given.dtype) != (own.shape, own.dtype):
                raise ValueError(f"{name} is {given.dtype} {given.shape}")
        known = int((state["ids"] != _NONE).sum())
        ids, running = state["ids"][:known], state["running"]
        every = self.distribution.ids
        if not all(level in every for level in (*ids.tolist(), *running.tolist())):
            raise ValueError("ids or running holds what is no level of training")
        if len(set(ids.tolist())) < known:
            raise ValueError("ids holds a level twice")
        missed, heard, counts = state["missed"], state["heard"], state["counts"]
        if not ((missed >= 0) & (missed <= 1)).all():
            raise ValueError("missed holds what is no part of the goal")
        if (counts < 0).any() or (heard < 0).any() or (heard > counts[0]).any():
            raise ValueError("counts or heard is impossible")
        self.drawn[:] = state["drawn"]
        for name, own in self._memory.items():
            own[:] = state[name]
        self._places = {level: place for place, level in enumerate(ids.tolist())}

    @property
    def told(self) -> dict[str, int]:
        """How many levels were drawn so far, how many of them again, and how many in conflict."""
        _, replayed, conflict = self._counts.tolist()
        return {"levels": int(self.drawn.sum()), "replayed": replayed, "conflict_levels": conflict}

    @property
    def _memory(self) -> State:
        return {
            "running": self._running,
            "ids": self._ids,
            "missed": self._missed,
            "heard": self._heard,
            "counts": self._counts,
        }

    def _weights(self, known: int) -> NDArray[np.float64]:
        """Return how probable each level of the memory is, up to a factor: float64 [known]."""
        missed, age = self._missed[:known], self._counts[0] - self._heard[:known] + 1
        by_age = age / age.sum()
        total = missed.sum()
        return (1 - _BY_AGE) * missed / total + _BY_AGE * by_age if total > 0 else by_age

    def _remember(self, level: int, missed: float) -> None:
        place = self._places.get(level)
        if place is None:
            place = len(self._places)
            if place == MEMORY:
                place = int(self._missed.argmin())
                if self._missed[place] > missed:
                    return
                del self._places[int(self._ids[place])]
            self._places[level] = place
            self._ids[place] = level
        self._missed[place], self._heard[place] = missed, self._counts[0]
