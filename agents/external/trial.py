"""Ask an agent about the first decisions of a few levels, before anything rests on it.

Public names: `Trial`, `try_agent`, `answers`.

Row k of an observation is the k-th running slot, and slots are given to other levels as their
episodes end.  An agent that takes a row for the same level for ever, or whose rows influence one
another, does something else beside others than alone: it is found out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError
from misgen.envs.core.rng import STREAM_ACTIONS, hash_uniforms

from ..checked import probabilities_of, require_agent

if TYPE_CHECKING:
    from misgen.envs.core.distribution import LevelDistribution

    from ..base import Agent

LEVELS, DECISIONS = 9, 10
"""How much is asked about, at most: levels stop after 10, 8, 6, 4 decisions, so that rows move."""
_SLOTS = (tuple(range(LEVELS)), (1, 3, 4, 6), (2,))
"""Slots that levels are played in, in the trials that must agree; those between stay idle, as they
do at the end of every evaluation."""
_SAME = 1e-3
"""Probabilities that differ by less are rounded otherwise, and no row is another's."""
_SEED = 90_001


@dataclass(frozen=True, eq=False)
class Trial:
    """What a trial found."""

    answers: NDArray[np.float64]
    """Probabilities, float64 [levels, decisions, num_actions]; 0 after an episode's end."""
    repeatable: bool
    """Whether the agent answered the same when it was asked the same again."""


def try_agent(agent: Agent, levels: LevelDistribution) -> Trial:
    """Ask an agent about a few levels, several times and side by side in different numbers.

    Args:
        agent: who is asked.
        levels: which world, and which levels an id means.

    Raises:
        UserError: if its answers are none, or depend on what is played beside a level.
    """
    require_agent(agent)
    first = answers(agent, levels, _SLOTS[0])
    if not _alike(first, answers(agent, levels, _SLOTS[0])):
        if getattr(agent, "has_no_memory", False):
            return Trial(first, repeatable=False)  # it draws its own actions
        raise UserError(
            f"agent {agent.name!r} answers differently when the same levels are begun again: empty "
            "its memory where start(slots, levels) or reset(slots) says, by slot and not by row, "
            "and return probabilities instead of drawing actions"
        )
    for slots in _SLOTS[1:]:
        other = answers(agent, levels, slots)
        if not _alike(first, other):
            level, decision, _ = np.argwhere(np.abs(first - other) > _SAME)[0]
            raise UserError(
                f"agent {agent.name!r} mixes up its rows: on level {level} of a trial, decision "
                f"{decision}, it gives {_shown(other[level, decision])} where slots {list(slots)} "
                f"are played, and {_shown(first[level, decision])} with {LEVELS} side by side; row "
                "k of an observation is the k-th running slot: keep a memory by slot, empty it "
                "where start(slots, levels) or reset(slots) says, and let no row depend on another"
            )
    return Trial(first, repeatable=True)


def answers(agent: Agent, levels: LevelDistribution, slots: tuple[int, ...]) -> NDArray[np.float64]:
    """Return an agent's probabilities at the first decisions of a few levels.

    The actions that are taken do not depend on them.

    Args:
        agent: who is asked.
        levels: which world, and which levels an id means.
        slots: those that levels are played in, ascending.

    Returns:
        float64 [levels, decisions, num_actions]; 0 after an episode's end.
    """
    batch = levels.levels(levels.ids.sample(LEVELS))
    engine = levels.world.make_engine(slots[-1] + 1)
    count = int(levels.world.action_space.n)
    found = np.zeros((len(batch), DECISIONS, count))
    playing = np.zeros(engine.num_slots, np.int64)  # row of `found` that each slot fills
    begun = 0
    free = np.array(slots)
    while True:
        now = free[: len(batch) - begun]
        rows = np.arange(begun, begun + len(now))
        if len(now):
            engine.load(now, batch.take(rows))
            agent.start(now, batch.take(rows))
            playing[now] = rows
            begun += len(now)
        running = np.flatnonzero(engine.episodes["running"])
        if not len(running):
            return found
        free = _decide(agent, engine, running, playing, found)


def _decide(
    agent: Any,
    engine: Any,
    running: NDArray[np.int64],
    playing: NDArray[np.int64],
    found: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Make a decision in each running slot; return the slots that have no level left to play."""
    count, rows = found.shape[2], playing[running]
    p = probabilities_of(agent, engine.observe(running), engine, count)
    decision = engine.episodes["decisions"][running].astype(np.int64)
    found[rows, decision] = p
    draw = hash_uniforms(STREAM_ACTIONS, _SEED, rows, decision)
    actions = np.zeros(engine.num_slots, np.int64)
    actions[running] = np.minimum((draw * count).astype(np.int64), count - 1)
    engine.step(actions)
    over = running[decision + 1 >= DECISIONS - 2 * (rows % 4)]
    engine.episodes["running"][over] = False
    return running[~engine.episodes["running"][running]]


def _alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    return bool((np.abs(first - second) <= _SAME).all())


def _shown(p: NDArray[np.float64]) -> str:
    return "[" + ", ".join(f"{value:.3g}" for value in p) + "]"
