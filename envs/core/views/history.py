"""Bringing slots back to where they were: the levels they run, and the actions taken in them since.

An engine is deterministic, so that these say all.  A state of a world is never read from a file:
its rules trust what it holds.

Public names: `History`, `Position`, `bring_back`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..distribution import LevelStream, State
from ..engine import Engine

_SPARE = 256
"""Decisions that are kept beyond those needed, so that they are seldom copied."""


@dataclass(frozen=True, eq=False)
class Position:
    """Where the slots are."""

    stream: State
    """The level stream's, with `drawn`, int64 [slots]: levels that each has drawn; the last of them
    runs."""
    ages: NDArray[np.int64]
    """[slots] decisions made in it."""
    actions: NDArray[np.int16]
    """[decisions, slots] the latest, in order; of each slot, `ages` of them count."""


class History:
    """The actions of the episodes that run."""

    def __init__(self) -> None:
        """Know of no action."""
        self._actions: list[NDArray[np.int16]] = []

    def begin(self) -> None:
        """Note that all slots begin."""
        self._actions.clear()

    def add(self, actions: NDArray[np.int64], engine: Engine) -> None:
        """Note a decision's actions, [slots], made before this."""
        self._actions.append(actions.astype(np.int16))
        if len(self._actions) % _SPARE == 0:
            oldest = int(engine.episodes["decisions"].max())
            del self._actions[: max(0, len(self._actions) - oldest)]

    def position(self, engine: Engine, stream: LevelStream) -> Position:
        """Return where the slots are, in arrays of its own."""
        ages = engine.episodes["decisions"].astype(np.int64)
        oldest = int(ages.max())
        latest = self._actions[len(self._actions) - oldest :] if oldest else []
        empty = np.zeros((0, engine.num_slots), np.int16)
        return Position(stream.state, ages, np.stack(latest) if latest else empty)


def bring_back(engine: Engine, stream: LevelStream, position: Position) -> History:
    """Bring the slots of an engine to a position, and its stream; return the history up to there.

    Raises:
        ValueError: for what is no position of this engine.
    """
    _require_position(engine, position)
    ages, actions, history = position.ages, position.actions, History()
    stream.state = position.stream
    for decision, chosen in enumerate(actions):
        begins = np.flatnonzero(ages == len(actions) - decision)
        if len(begins):
            engine.load(begins, stream.again(begins))
        if len(engine.step(chosen.astype(np.int64))):
            raise ValueError("actions end an episode that is to go on")
        history.add(chosen, engine)
    begins = np.flatnonzero(ages == 0)
    if len(begins):
        engine.load(begins, stream.again(begins))
    return history


def _require_position(engine: Engine, position: Position) -> None:
    drawn, ages, actions = position.stream["drawn"], position.ages, position.actions
    slots = (engine.num_slots,)
    if drawn.shape != slots or ages.shape != slots or actions.shape[1:] != slots:
        raise ValueError(f"drawn, ages or actions are not of {engine.num_slots} slots")
    if (drawn < 1).any() or (ages < 0).any() or len(actions) != ages.max():
        raise ValueError("drawn, ages and actions hold counts that are impossible")
    if len(actions) and (actions.min() < 0 or actions.max() >= engine.world.action_space.n):
        raise ValueError("actions holds what is no action")
