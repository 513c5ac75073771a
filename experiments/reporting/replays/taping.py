"""Play episodes again, and keep all that a person who watches them wants to see.

An episode is keyed by seed, level, repeat and decision, so it can be taped at any time after it was
evaluated.  An agent that acts every few frames is taped frame by frame.

Public names: `Tape`, `tape`, `LONGEST`, `AFTER`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.agents.base import ValuedAgent
from misgen.agents.checked import probabilities_of, values_of

from ...evaluation.rollout import Actions, run_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from misgen.agents.base import Agent
    from misgen.envs.core.engine import Engine
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation, World

LONGEST = 200
"""Decisions of an episode that are kept, from its start."""
AFTER = 25
"""Decisions that are kept after the last of goal and proxy was reached."""
_BLOCK = 64
"""Episodes played side by side."""


@dataclass(eq=False)
class Tape:
    """One episode."""

    board: NDArray[np.uint8]
    """[height, width] sprite of each cell at the start, row 0 at the bottom."""
    result: dict[str, Any] = field(default_factory=dict)
    """How it went, as `rollout.SCHEMA`."""
    actions: list[int] = field(default_factory=list)
    """One a decision."""
    probabilities: list[NDArray[np.float64]] = field(default_factory=list)
    """[actions] a decision."""
    values: list[float] = field(default_factory=list)
    """The critic's, in units of reward; empty for an agent without one."""
    things: list[NDArray[np.float32]] = field(default_factory=list)
    """As `Scenes.things`, [k, 4] a frame: those of the start, then those after each frame."""
    changes: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Frame, x, y and the sprite that is in this cell from then on."""

    @property
    def is_cut(self) -> bool:
        """Whether it went on after what is kept."""
        return int(self.result["steps"]) > len(self.actions)

    @property
    def way(self) -> NDArray[np.float64]:
        """The middle of the agent's lower cell in each frame, [frames, 2]."""
        return np.array([one[-1, :2] for one in self.things], np.float64) + 0.5


def tape(
    agent: Agent, world: World, levels: LevelBatch, *, actions: Actions, seed: int
) -> list[Tape]:
    """Play each level once, as the first of an evaluation's repeats, and return the tapes.

    Args:
        agent: who plays.
        world: the rules.
        levels: what is played; a level may be there more than once.
        actions: as in the evaluation.
        seed: of the evaluation.
    """
    return list(_tapes(agent, world, levels, actions, seed))


def _tapes(
    agent: Agent, world: World, levels: LevelBatch, actions: Actions, seed: int
) -> Iterator[Tape]:
    for first in range(0, len(levels), _BLOCK):
        block = levels.take(slice(first, first + _BLOCK))
        recorder = _Recorder(agent, world)
        table = run_batch(
            recorder, world, block, actions=actions, seed=seed, num_slots=len(block),
            record=recorder.record,
        )  # fmt: skip
        yield from recorder.finish(table.to_dicts())


class _Recorder:
    """Plays as an agent does, and keeps what it was shown and did.

    Every episode has a slot of its own, whose number is the episode's.
    """

    def __init__(self, agent: Agent, world: World) -> None:
        self.name = agent.name
        self._agent = agent
        self._num_actions = int(world.action_space.n)
        self._repeat = world.action_repeat
        self._frames = dataclasses.replace(world, action_repeat=1)
        self._tapes: list[Tape] = []
        self._boards: list[NDArray[np.uint8]] = []
        self._things: list[int] = []
        self._engine: Engine | None = None
        self._told: tuple[NDArray[np.float64], NDArray[np.float64] | None] | None = None

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Pass it on."""
        self._agent.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Engine) -> NDArray[np.float64]:
        """Return the agent's answer, which is kept, as is its critic's."""
        if self._engine is None:
            self._engine = engine
            starts = [self._frames.scenes(one[None]) for one in engine.states.copy()]
            self._tapes = [Tape(start.board[0]) for start in starts]
            self._boards = [start.board[0].copy() for start in starts]
            self._things = [start.things.shape[1] for start in starts]
        p = probabilities_of(self._agent, observation, engine, self._num_actions)
        critic = isinstance(self._agent, ValuedAgent)
        self._told = p, values_of(self._agent, observation) if critic else None
        return p

    def record(
        self, slots: NDArray[np.int64], decision: NDArray[np.int32], actions: NDArray[np.int64]
    ) -> None:
        """Keep a decision of each of `slots`, and the frames that follow from it but the last."""
        assert self._engine is not None
        assert self._told is not None
        p, values = self._told
        early = np.flatnonzero(decision < LONGEST)
        slots = slots[early]
        for row, slot in zip(early.tolist(), slots.tolist(), strict=True):
            one = self._tapes[slot]
            one.actions.append(int(actions[row]))
            one.probabilities.append(p[row])
            if values is not None:
                one.values.append(float(values[row]))
        states = self._engine.states[slots].copy()
        episodes = self._engine.episodes[slots].copy()
        for frame in range(self._repeat if len(slots) else 0):
            if frame:
                self._frames.advance(states, episodes, actions[early])
                episodes["running"] &= ~(episodes["terminated"] | episodes["truncated"])
            self._keep(slots, states)

    def finish(self, results: list[dict[str, Any]]) -> list[Tape]:
        """Keep the last frame of what was not too long, and return the tapes."""
        assert self._engine is not None
        for one, result in zip(self._tapes, results, strict=True):
            one.result = result
        whole = [k for k, one in enumerate(self._tapes) if not one.is_cut]
        self._keep(np.array(whole, np.int64), self._engine.states[whole])
        for one in self._tapes:
            self._trim(one)
        return self._tapes

    def _trim(self, one: Tape) -> None:
        """Leave out what comes long after the last event."""
        last = max(one.result["goal_at"] or 0, one.result["proxy_at"] or 0)
        keep = last + AFTER
        if last and keep < len(one.actions):
            frames = keep * self._repeat + 1
            one.things, one.actions = one.things[:frames], one.actions[:keep]
            one.probabilities, one.values = one.probabilities[:keep], one.values[:keep]
            one.changes = [change for change in one.changes if change[0] < frames]

    def _keep(self, slots: NDArray[np.int64], states: NDArray[np.void]) -> None:
        """Keep what the states of `slots` show."""
        if not len(slots):
            return
        shown = self._frames.scenes(states)
        for row, slot in enumerate(slots.tolist()):
            one, before = self._tapes[slot], self._boards[slot]
            height, width = before.shape
            board = shown.board[row, :height, :width]
            for y, x in np.argwhere(board != before).tolist():
                one.changes.append((len(one.things), x, y, int(board[y, x])))
            before[:] = board
            # Of states in one batch, all have room for as many things as one of them needs.
            first = shown.things[row, : self._things[slot] - 1]
            one.things.append(np.concatenate([first, shown.things[row, -1:]]))
