"""Somebody who has played already, as an agent: a person at the keys, or any other.

Public names: `RecordedAgent`, `Plays`.

The rules are deterministic, so whoever takes the actions that a person took on a level goes the way
that the person went.  What evaluates agents can so evaluate people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation, World

Plays = Mapping[tuple[int, bytes], Sequence[int]]
"""Actions by id and digest (`LevelBatch.digests`) of the level: twins have one id."""


class RecordedAgent:
    """Takes the actions that somebody took, each on its level; does nothing on any other."""

    kind = "a person, whose actions were recorded"

    def __init__(self, world: World, plays: Plays, name: str) -> None:
        """Take what somebody called `name` played in a world."""
        self.name = name
        self._plays = {key: np.array(actions, np.int64) for key, actions in plays.items()}
        self._no_op = world.no_op
        self._eye = np.eye(int(world.action_space.n))
        self._slots: dict[int, NDArray[np.int64]] = {}

    @property
    def answered_sha256(self) -> str:
        """Hex digest of all that was played: what tells this agent from others."""
        digest = hashlib.sha256()
        for (level, content), actions in sorted(self._plays.items(), key=lambda item: item[0]):
            digest.update(f"{level} {content.hex()} {actions.tolist()}\n".encode())
        return digest.hexdigest()

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Look up what was played on each level."""
        nothing = np.zeros(0, np.int64)
        keys = zip(levels.ids.tolist(), levels.digests(), strict=True)
        for slot, key in zip(slots.tolist(), keys, strict=True):
            self._slots[slot] = self._plays.get(key, nothing)

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return 1 for the action that was taken: float64 [n, num_actions]."""
        running = np.flatnonzero(engine.episodes["running"])
        decisions = engine.episodes["decisions"][running].tolist()
        taken = [
            int(self._slots[slot][at]) if at < len(self._slots[slot]) else self._no_op
            for slot, at in zip(running.tolist(), decisions, strict=True)
        ]
        return self._eye[taken]
