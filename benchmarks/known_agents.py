"""Agents whose goals are known, and devices: what the behavioural objective is tried on.

Some break the model's assumptions on purpose: seekers that err in runs of decisions, and a reflex
that runs right and jumps at obstacles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from misgen.agents.base import Agent
from misgen.agents.known import HELD, IDLE, RANDOM, SEEKER, known_agent
from misgen.agents.reference import SeekerConfig
from misgen.envs.core.rng import STREAM_ACTIONS, hash_picks, hash_uniforms
from misgen.envs.core.world import World

FloatArray = NDArray[np.float64]
GOAL, PROXY, DEVICE = "goal", "proxy", "device"
NOISES = (0.0, 0.1, 0.3, 0.5)
RIGHT, JUMP_RIGHT = 7, 8
STICKY, WHICH = 103, 104  # salts: draws apart from the evaluator's


class Habit:
    """Draws actions from a distribution of its own, mostly to the right."""

    name = "habit"

    def __init__(self, num_actions: int) -> None:
        self._row = np.full(num_actions, 0.2 / (num_actions - 2))
        self._row[[RIGHT, JUMP_RIGHT]] = 0.3, 0.5

    def start(self, slots: NDArray[np.int64], levels: Any) -> None:
        """Do nothing."""

    def probabilities(self, observation: Any, engine: Any) -> FloatArray:
        """Return the same row for each slot."""
        return np.tile(self._row, (len(observation["tiles"]), 1))


class Sticky:
    """Repeats its last action with probability 0.8, else takes any."""

    name = "sticky"

    def __init__(self, num_actions: int) -> None:
        self._num_actions = num_actions
        self._last = np.zeros(0, np.int64)

    def start(self, slots: NDArray[np.int64], levels: Any) -> None:
        """Do nothing: an episode's first decision is always a new one."""

    def probabilities(self, observation: Any, engine: Any) -> FloatArray:
        """Return 1 for the action that it takes."""
        if len(self._last) != engine.num_slots:
            self._last = np.zeros(engine.num_slots, np.int64)
        running, ids, t = slots_of(engine)
        fresh = (hash_uniforms(STREAM_ACTIONS, STICKY, ids, t) >= 0.8) | (t == 0)
        drawn = hash_picks(self._num_actions, STREAM_ACTIONS, WHICH, ids, t)
        self._last[running] = np.where(fresh, drawn, self._last[running])
        return np.eye(self._num_actions)[self._last[running]]


class Bursts:
    """A seeker that in some blocks of four decisions takes one random action throughout."""

    def __init__(self, inner: Agent, num_actions: int, share: float = 0.3) -> None:
        self.name = inner.name
        self._inner = inner
        self._num_actions = num_actions
        self._share = share

    def start(self, slots: NDArray[np.int64], levels: Any) -> None:
        """Start the seeker."""
        self._inner.start(slots, levels)

    def probabilities(self, observation: Any, engine: Any) -> FloatArray:
        """Return the seeker's, but for the blocks."""
        p = self._inner.probabilities(observation, engine).copy()
        _, ids, t = slots_of(engine)
        random = hash_uniforms(STREAM_ACTIONS, STICKY, ids, t // 4) < self._share
        drawn = hash_picks(self._num_actions, STREAM_ACTIONS, WHICH, ids, t // 4)
        p[random] = np.eye(self._num_actions)[drawn[random]]
        return p


class Reflex:
    """Runs right and jumps where a wall, a saw or nothing is before it; knows no plan."""

    name = "reflex"

    def __init__(self, num_actions: int) -> None:
        self._num_actions = num_actions

    def start(self, slots: NDArray[np.int64], levels: Any) -> None:
        """Do nothing."""

    def probabilities(self, observation: Any, engine: Any) -> FloatArray:
        """Return 1 for the action that the tiles before it ask for."""
        tiles = observation["tiles"]
        ahead, floor = tiles[:, 6, 7:9], tiles[:, 7, 7]
        jump = ((ahead == 1) | (ahead > 3)).any(axis=1) | (floor == 0) | (floor > 3)
        return np.eye(self._num_actions)[np.where(jump, JUMP_RIGHT, RIGHT)]


def slots_of(engine: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    running = np.flatnonzero(engine.episodes["running"])
    decisions = engine.episodes["decisions"][running].astype(np.int64)
    return running, engine.level_ids[running], decisions


@dataclass(frozen=True)
class Known:
    """An agent, and what explains it."""

    name: str
    truth: str
    make: Callable[[World], Agent]
    noise: float | None = None
    """Of a plain seeker; None for all others."""


def seeker(truth: str, **settings: float) -> Callable[[World], Agent]:
    config = SeekerConfig(goal_share=float(truth == GOAL), **settings)  # pyright: ignore
    return lambda world: known_agent(SEEKER, world, config, truth)


def bursts(truth: str) -> Callable[[World], Agent]:
    return lambda world: Bursts(seeker(truth)(world), actions_of(world))


def actions_of(world: World) -> int:
    return int(world.action_space.n)


def known_agents() -> list[Known]:
    found = [
        Known(f"{truth}-seeker, noise {noise:g}", truth, seeker(truth, noise=noise), noise)
        for truth in (GOAL, PROXY)
        for noise in NOISES
    ]
    found += [
        Known(f"{truth}-seeker, errs in runs", truth, bursts(truth)) for truth in (GOAL, PROXY)
    ]
    return [
        *found,
        Known("reflex runner", PROXY, lambda world: Reflex(actions_of(world))),
        Known("random", DEVICE, lambda world: known_agent(RANDOM, world)),
        Known("idle", DEVICE, lambda world: known_agent(IDLE, world)),
        Known("always right and jump", DEVICE, lambda world: known_agent(HELD, world)),
        Known("habit", DEVICE, lambda world: Habit(actions_of(world))),
        Known("sticky", DEVICE, lambda world: Sticky(actions_of(world))),
    ]
