"""Planners, which find how soon the intended goal, or the proxy, can be reached.

A planner searches with the world's own rules, so that its plans can be replayed: reference agents
follow them, and an evaluator compares what an agent did with what it would have done had it wanted
the goal, or the proxy.  Time is counted in decisions, of `action_repeat` frames each.

Each target is planned for as if only it and staying alive mattered:

- the way to the *goal* may touch the proxy where `on_proxy` lets the episode continue, and must not
  touch it first where that would end the episode;
- the way to the *proxy* ignores the goal, as an agent that does not pursue the goal would.  Run
  in the world, such a plan may reach the goal by accident, which ends the episode; `events`
  reports it.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..episode import REACHED_GOAL, REACHED_PROXY
from ..errors import UserError, one_of
from ..level import LevelBatch
from ..world import World

TARGETS = {"goal": REACHED_GOAL, "proxy": REACHED_PROXY}
"""What can be planned for, and the event that says it is reached."""

NOTHING = -1
"""In arrays of actions: there is none; in arrays of decisions: there is no plan."""


class PlanStatus(IntEnum):
    """What the search for a plan found out."""

    SOLVED = 0
    """There is a plan."""
    UNSOLVABLE = 1
    """Everything that can be reached was searched, and the target is not there."""
    UNKNOWN = 2
    """The search ran out of its budget."""


@dataclass(frozen=True, eq=False)
class TargetPlans:
    """The shortest way to one target in each of n levels, from their starts or other states."""

    target: str
    """`goal` or `proxy`."""
    status: NDArray[np.int8]
    """`PlanStatus` [n]."""
    decisions: NDArray[np.int32]
    """[n] how many decisions the plan takes, or `NOTHING`."""
    actions: NDArray[np.int8]
    """[n, longest plan] the plan's actions, then `NOTHING`."""
    shortest: NDArray[np.bool_]
    """[n] whether the search has shown that there is no shorter plan, at its resolution."""
    events: NDArray[np.uint8]
    """[n] event bits (`misgen.envs.core.episode`) met on the way, the last decision included."""
    nodes: NDArray[np.int64]
    """[n] how many states the search has stored."""

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Whether there is a plan, bool [n]."""
        return self.status == PlanStatus.SOLVED


@dataclass(frozen=True)
class Plans:
    """The shortest ways to both targets in each of n levels."""

    goal: TargetPlans
    proxy: TargetPlans


class Planner(ABC):
    """Plans in one world, with its parameters (action repeat, time-out, on_proxy)."""

    motion: tuple[str, ...]
    """Fields of the state record that change while a level runs, and decide what comes next."""

    def __init__(self, world: World) -> None:
        """Plan in `world`."""
        self.world = world

    def plan(self, levels: LevelBatch) -> Plans:
        """Return the shortest ways to both targets from the start of each level."""
        states = np.zeros(len(levels), self.world.state_dtype)
        self.world.load(states, np.arange(len(levels)), levels)
        return Plans(self.plan_from(states, "goal"), self.plan_from(states, "proxy"))

    def situation(self, states: NDArray[np.void], target: str) -> NDArray[np.uint8]:
        """Return, as bytes [n, k], all that the plan from each state of a level depends on."""
        fields = [states[f"{target}_cell"], *(states[name] for name in self.motion)]
        rows = [np.ascontiguousarray(f).view(np.uint8).reshape(len(states), -1) for f in fields]
        return np.concatenate(rows, axis=1)

    @abstractmethod
    def plan_from(self, states: NDArray[np.void], target: str) -> TargetPlans:
        """Return the shortest way to `target` from each of the world's state records [n].

        Args:
            states: left as they are.
            target: `goal` or `proxy`.
        """

    @abstractmethod
    def q_values(self, states: NDArray[np.void], target: str) -> NDArray[np.float32]:
        """Return the decisions to `target` if each action is taken first and the best follow.

        Args:
            states: the world's state records [n]; left as they are.
            target: `goal` or `proxy`.

        Returns:
            float32 [n, actions]: 1 for an action that reaches the target, inf for one that leads to
            death, or from where no way to the target was found.
        """

    @abstractmethod
    def q_along(
        self, levels: LevelBatch, actions: NDArray[Any], target: str
    ) -> NDArray[np.float32]:
        """Return `q_values` at every state of episodes, given as what was done in them.

        Args:
            levels: the level of each episode [n].
            actions: integer [n, decisions]; `NOTHING` from an episode's end on.
            target: `goal` or `proxy`.

        Returns:
            float32 [n, decisions, actions]: row t is for the state in which `actions[:, t]` was
            taken; NaN after the episode's end.
        """

    @abstractmethod
    def visited(self, levels: LevelBatch, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which cells the agent's body touches in each level as it takes `actions`.

        Neither goal nor proxy ends the walk, only death and the last action do.

        Args:
            levels: the levels [n].
            actions: integer [n, decisions]; `NOTHING` from the end on.

        Returns:
            bool [n, height, width], row 0 at the bottom, the start included.
        """


def make_planner(world: World) -> Planner:
    """Return the planner of `world`.

    Raises:
        UserError: if the world has none.
    """
    if not world.planner:
        raise UserError(f"env={world.name!r} has no planner, and so no reference agents that seek")
    module, attribute = world.planner.split(":")
    return getattr(importlib.import_module(module), attribute)(world)


def target_event(target: str) -> int:
    """Return the event bit of a target.

    Raises:
        UserError: if there is no such target.
    """
    return TARGETS[one_of("target", target, TARGETS)]
