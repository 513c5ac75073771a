"""Agents that need no training, and the registry that makes agents by name.

Public names: `make_agent`, `agent_names`, `RandomAgent`, `IdleAgent`.

Reference agents that plan on the level (goal seeker, proxy seeker, their noisy versions) belong
here as further entries of `_MAKERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError, one_of

from .base import Agent

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation

NO_OP = 4
"""The action that presses nothing, where a world does not say otherwise (`World.no_op`)."""


class _FixedAgent:
    """Plays the same probabilities whatever it sees."""

    has_no_memory = True

    def __init__(self, name: str, row: NDArray[np.float64]) -> None:
        self.name = name
        self._row = row  # [num_actions]

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Do nothing: this agent has no memory."""

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return the fixed row for each slot: float64 [n, num_actions]."""
        n = len(next(iter(observation.values())))
        return np.broadcast_to(self._row, (n, len(self._row)))


class RandomAgent(_FixedAgent):
    """Every action equally likely: the floor that a trained agent is compared with."""

    def __init__(self, num_actions: int) -> None:
        super().__init__("random", np.full(num_actions, 1.0 / num_actions))


class IdleAgent(_FixedAgent):
    """Presses nothing, ever: shows what happens by itself."""

    def __init__(self, num_actions: int, no_op: int = NO_OP) -> None:
        """Make an agent that always takes action `no_op`.

        Raises:
            UserError: if there is no such action.
        """
        if not 0 <= no_op < num_actions:
            raise UserError(f"no_op={no_op} is not an action: give one from 0 to {num_actions - 1}")
        super().__init__("idle", np.eye(num_actions)[no_op])


def _make_random(num_actions: int, no_op: int) -> Agent:
    return RandomAgent(num_actions)


_MAKERS: dict[str, Callable[[int, int], Agent]] = {"random": _make_random, "idle": IdleAgent}


def agent_names() -> list[str]:
    """Return the names that `make_agent` knows."""
    return list(_MAKERS)


def make_agent(name: str, num_actions: int, no_op: int = NO_OP) -> Agent:
    """Make a scripted agent.

    Args:
        name: one of `agent_names()`.
        num_actions: size of the world's action space.
        no_op: the action that presses nothing.

    Raises:
        UserError: if the name is not known.
    """
    return _MAKERS[one_of("agent", name, _MAKERS)](num_actions, no_op)
