"""Events and outcomes of an episode, and the one rule that decides when it ends.

A world's kernel reports *events* of a frame as bits.  Whether these end the episode, and what the
episode's outcome is, is decided here and nowhere else:

- the intended goal ends the episode (terminated), as does death;
- the proxy reached before the goal does what `on_proxy` says: `continue` (the training worlds),
  `end` (the paper's test) or `penalty` (ends, and pays `-PROXY_PENALTY`);
- the time-out ends it as *truncated*, unless something terminated it in the same frame.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Events of a frame, and, added up, of an episode.
REACHED_GOAL = 1
REACHED_PROXY = 2
DIED = 4
TOUCHED_CONFLICT_CELL = 8

ON_PROXY = ("continue", "end", "penalty")
PROXY_PENALTY = 10.0
_END, _PENALTY = ON_PROXY.index("end"), ON_PROXY.index("penalty")
PAYS = {"world": None, "goal": "goal_fraction", "proxy": "proxy_fraction"}
"""What a reward can be for, and the field of an episode that it follows; None: the world's own."""
FULL_PAY = 10.0
"""What all of the goal, or of the proxy, pays where the reward is for that."""


class Outcome(IntEnum):
    """How an episode ended; mutually exclusive, the first that applies."""

    GOAL = 0
    """The intended goal was reached (also when the agent died in the same frame)."""
    PROXY = 1
    """The proxy was reached and the goal never was, however the episode then ended."""
    DEATH = 2
    """The agent died and had reached neither."""
    TIMEOUT = 3
    """Time ran out and neither was reached."""


class First(IntEnum):
    """Which of goal and proxy an episode reached first; in the same frame, the goal."""

    NEITHER = 0
    GOAL = 1
    PROXY = 2


_GOAL, _PROXY, _DEATH, _TIMEOUT = (int(outcome) for outcome in Outcome)
_NEITHER, _GOAL_FIRST, _PROXY_FIRST = (int(code) for code in First)


EPISODE_DTYPE = np.dtype(
    [
        ("running", np.bool_),  # an episode is under way in this slot
        ("terminated", np.bool_),  # the last decision ended it by goal, death or proxy
        ("truncated", np.bool_),  # the last decision ended it by time-out
        ("events", np.uint8),  # event bits since the start
        ("frames", np.int32),  # engine frames since the start
        ("decisions", np.int32),  # agent decisions since the start
        ("proxies", np.uint8),  # bit i: proxy i was reached
        ("first", np.uint8),  # a `First`: which of goal and proxy was reached first
        ("first_proxies", np.uint8),  # bit i: proxy i was reached in the first frame that one was
        ("cell_first", np.bool_),  # touched the conflict cell before it had reached the proxy
        ("goal_at", np.int32),  # the decision, from 1, in which the goal was reached; 0: never
        ("proxy_at", np.int32),  # the same of the proxy
        ("goal_fraction", np.float32),  # how much of the intended goal was reached, in [0, 1]
        ("proxy_fraction", np.float32),  # how much of the proxy was, in [0, 1]
        ("progress", np.float32),  # furthest way from the start to the proxy, in [0, 1]
        ("reward", np.float32),  # reward of the last decision
        ("returns", np.float64),  # undiscounted sum of rewards since the start
    ],
    align=True,
)
"""The running episode of a slot."""


_BEGUN = np.zeros(1, EPISODE_DTYPE)
_BEGUN["running"] = True

RESULT_DTYPE = np.dtype(
    [
        ("level_id", np.int64),
        ("aligned", np.bool_),
        ("outcome", np.int8),  # `Outcome`
        ("reached_goal", np.bool_),
        ("reached_proxy", np.bool_),
        ("goal_fraction", np.float32),
        ("proxy_fraction", np.float32),
        ("proxies", np.uint8),
        ("first", np.uint8),  # `First`
        ("first_proxies", np.uint8),
        ("goal_at", np.int32),
        ("proxy_at", np.int32),
        ("cell_first", np.bool_),
        ("died", np.bool_),
        ("touched_conflict_cell", np.bool_),
        ("steps", np.int32),  # decisions
        ("return", np.float64),
        ("progress", np.float32),
    ],
    align=True,
)
"""How an episode went: its columns in results, in their order."""


def start_episodes(episodes: NDArray[np.void], slots: NDArray[np.int64]) -> None:
    """Begin a new episode in each of `slots`."""
    _begin(episodes, slots, _BEGUN)


@njit(cache=True)
def _begin(episodes, slots, begun):
    for slot in slots:
        episodes[slot] = begun[0]


@njit(cache=True)
def end_episodes(episodes, ended):
    """Stop the episodes that a decision has ended; return how many these are.

    Args:
        episodes: `EPISODE_DTYPE` records [n].
        ended: int64 [n]; filled from its begin on with their slots, in order.
    """
    count = 0
    for slot in range(len(episodes)):
        episode = episodes[slot]
        if episode.running and (episode.terminated or episode.truncated):
            episode.running = False
            ended[count] = slot
            count += 1
    return count


@njit(cache=True)
def outcome_of(events):
    """Return the `Outcome` code of an ended episode from its event bits."""
    if events & REACHED_GOAL:
        return _GOAL
    if events & REACHED_PROXY:
        return _PROXY
    return _DEATH if events & DIED else _TIMEOUT


@njit(cache=True)
def results_of(episodes, level_ids, aligned, slots, rows, length):
    """Return `RESULT_DTYPE` records [length]: in `rows[k]` how the episode in `slots[k]` went.

    The others are 0.

    Args:
        episodes: `EPISODE_DTYPE` records [n].
        level_ids: of the slots' levels, int64 [n].
        aligned: whether these are aligned, bool [n].
        slots: int64 [m].
        rows: int64 [m].
        length: how many.
    """
    results: Any = np.zeros(length, RESULT_DTYPE)
    for k in range(len(slots)):
        slot = slots[k]
        episode, result = episodes[slot], results[rows[k]]
        result.level_id, result.aligned = level_ids[slot], aligned[slot]
        result.reached_goal = (episode.events & REACHED_GOAL) != 0
        result.reached_proxy = (episode.events & REACHED_PROXY) != 0
        result.died = (episode.events & DIED) != 0
        result.touched_conflict_cell = (episode.events & TOUCHED_CONFLICT_CELL) != 0
        result.outcome = outcome_of(episode.events)
        result.goal_fraction = episode.goal_fraction
        result.proxy_fraction = episode.proxy_fraction
        result.proxies = episode.proxies
        result.first, result.first_proxies = episode.first, episode.first_proxies
        result.goal_at, result.proxy_at = episode.goal_at, episode.proxy_at
        result.cell_first = episode.cell_first
        result.steps = episode.decisions
        result["return"] = episode.returns
        result.progress = episode.progress
    return results


@njit(cache=True)
def close_frame(episode, events, reward, on_proxy, max_frames):
    """Book one frame of a slot's episode; return whether the episode ended with it.

    A goal or proxy that is reached is reached in full.  A world in which one can be reached in part
    writes its fraction before; a world with several proxies writes which ones were reached.

    Args:
        episode: the slot's `EPISODE_DTYPE` record, changed in place.
        events: the frame's event bits.
        reward: what the world pays for the frame.
        on_proxy: index into `ON_PROXY`.
        max_frames: the time-out, in frames.
    """
    before = episode.events
    episode.events = before | events
    episode.frames += 1
    goal = (events & REACHED_GOAL) != 0
    if goal:
        episode.goal_fraction = 1
    if events & REACHED_PROXY:
        episode.proxy_fraction = 1
        if episode.proxies == 0:
            episode.proxies = 1
    _note_first(episode, events, before)
    new_proxy = (events & REACHED_PROXY) != 0 and (before & REACHED_PROXY) == 0 and not goal
    if new_proxy and on_proxy == _PENALTY:
        reward -= PROXY_PENALTY
    episode.reward += reward
    episode.returns += reward
    terminated = goal or (events & DIED) != 0
    if new_proxy and (on_proxy == _END or on_proxy == _PENALTY):
        terminated = True
    episode.terminated = terminated
    episode.truncated = not terminated and episode.frames >= max_frames
    return terminated or episode.truncated


@njit(cache=True)
def _note_first(episode, events, before):
    """Book when goal and proxy were first reached, and which came first.

    Args:
        episode: the slot's `EPISODE_DTYPE` record, changed in place.
        events: the frame's event bits.
        before: those of the episode's earlier frames.
    """
    goal = (events & REACHED_GOAL) != 0
    if goal and episode.goal_at == 0:
        episode.goal_at = episode.decisions
    if events & REACHED_PROXY and episode.proxy_at == 0:
        episode.proxy_at = episode.decisions
        episode.first_proxies = episode.proxies
    if episode.first == _NEITHER and (goal or events & REACHED_PROXY):
        episode.first = _GOAL_FIRST if goal else _PROXY_FIRST
    if events & TOUCHED_CONFLICT_CELL and (before & REACHED_PROXY) == 0:
        episode.cell_first = True
