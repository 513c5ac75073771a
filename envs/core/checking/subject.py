"""A world under test, and what several checks need of it.

Public names: `Subject`, `WorldError`, `require`, `require_same`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..level import LevelBatch
from ..placement import USUAL
from ..registry import entries, make_world
from ..world import World


class WorldError(AssertionError):
    """What a world promises and does not keep."""


def require(kept: object, broken: str) -> None:
    """Raise a `WorldError` that says `broken`, unless a promise is kept."""
    if not kept:
        raise WorldError(broken)


def require_same(one: Any, other: Any, broken: str) -> None:
    """Raise a `WorldError` that says `broken` and where, unless two arrays are the same."""
    one, other = np.asarray(one), np.asarray(other)
    require(one.shape == other.shape, f"{broken}: shapes {one.shape} and {other.shape}")
    differs = one != other
    if np.any(differs):
        raise WorldError(f"{broken}: first at {np.argwhere(differs)[0].tolist()}")


@dataclass(frozen=True)
class Subject:
    """A world under test."""

    name: str
    """Its name; it is registered."""
    small: Mapping[str, Any] = field(default_factory=dict)
    """Parameters with which levels are small and planning is quick."""

    @cached_property
    def world(self) -> World:
        """The world with its defaults."""
        return make_world(self.name)

    @cached_property
    def env_id(self) -> str:
        """Gymnasium's name for it."""
        return entries()[self.name][1].env_id

    @cached_property
    def package(self) -> str:
        """The module that holds its `WORLDS`."""
        return entries()[self.name][0]

    @cached_property
    def strict(self) -> World:
        """The small world, in which a proxy ends the episode."""
        return make_world(self.name, **{**self.small, "on_proxy": "end"})

    @cached_property
    def placements(self) -> tuple[str, ...]:
        """Where its tests move the goal."""
        return self.world.shifts([USUAL])

    def levels(self, correlation: float, placement: str = USUAL, count: int = 200) -> LevelBatch:
        """Return the first levels."""
        return self.world.levels(np.arange(count), correlation, placement)

    def states(self, levels: LevelBatch) -> NDArray[np.void]:
        """Return the levels at their starts."""
        states = np.zeros(len(levels), self.world.state_dtype)
        self.world.load(states, np.arange(len(levels)), levels)
        return states
