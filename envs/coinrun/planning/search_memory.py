"""What a search of CoinRun remembers: nodes by their places, and stands of the enemies.

Public names: `TASK`, `NODE`, `Memory`, and the kernels that read and write them.

All that differs between nodes is the agent's motion and where the enemies are, so that one state
record serves a whole search.  Enemies walk by themselves all but always, yet not quite (an agent
that falls while one turns inside a crate slows it down, see `dynamics._enemy_y`): each of their
stands is stored once, and nodes point to it.

A *place* is a box of `planner.Resolution` in position and speed, with the same stand of those
enemies that can still be met.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

_INNER: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(cache=True, **_INNER)
"""For functions that only kernels call; without the wrappers for Python they compile sooner."""

NONE = -1  # no node, stand or action
_NEAR = 2.0  # cells; enemies that walk farther than this from the way are not met

TASK = np.dtype(
    [
        ("target", np.int64),  # event bit to reach
        ("stop", np.int64),  # event bits that end the episode otherwise
        ("target_x", np.int64),
        ("target_y", np.int64),
        ("repeat", np.int64),  # frames a decision
        ("max_frames", np.int64),  # time-out
        ("horizon", np.int64),  # most decisions of a plan
        ("greed", np.float64),  # weight of the estimate
        ("ceilings", np.bool_),  # something can stop a jump on its way up
        ("x_steps", np.float64),  # resolution
        ("y_steps", np.float64),
        ("vx_steps", np.float64),
        ("vy_steps", np.float64),
        ("stands", np.int64),  # stored, by all searches
        ("nodes", np.int64),  # stored, by this search
        ("lowest", np.int64),  # estimate of the node that is expanded
        ("cost", np.int64),  # decisions of the plan found
        ("last_node", np.int64),  # node and action of that plan's last decision
        ("last_action", np.int64),
    ],
    align=True,
)
"""What to search for, and counters."""

NODE = np.dtype(
    [
        ("key", np.int64),  # number of its place
        ("x", np.float32),  # the agent, as in `dynamics.STATE_DTYPE`
        ("y", np.float32),
        ("vx", np.float32),
        ("vy", np.float32),
        ("last_y", np.float32),
        ("lead", np.float32),  # cells that it is ahead of others in its place
        ("stand", np.int32),  # of the enemies
        ("slot", np.int32),  # in the hash table of places
        ("parent", np.int32),
        ("next", np.int32),  # in the queue of its estimate
        ("depth", np.int32),  # decisions from the root
        ("action", np.int8),  # that led here
        ("on_crate", np.bool_),
        ("closed", np.bool_),  # expanded, or overtaken
    ],
    align=True,
)
"""A state that a search has reached."""


class Memory(NamedTuple):
    """What the searches of one level write to."""

    task: Any  # TASK [1]
    nodes: Any  # NODE [most]
    index: Any  # int32 [power of 2]: hash table of places; the node that stands for each
    queue: Any  # int32 [estimates]: last open node of each
    enemies: Any  # int64 [m]: which entities are enemies
    meddled: Any  # bool [m]: whether crates stand in its way, and so the agent may meddle with it
    beats: Any  # int64 [m, 2]: first and last column of each one's walk
    stands: Any  # float32 [most, 2 m]: x and vx of every enemy
    stand_after: Any  # int32 [most]: what came a frame after each, the last time
    stand_index: Any  # int32 [power of 2]: hash table of stands
    crates: Any  # float32 [c]: x of each


# Nodes and places.


@kernel
def read_node(memory, node, s):
    """Put the node's state into the record `s`, but for the enemies that `search.move` places."""
    s.x, s.y, s.vx, s.vy = node.x, node.y, node.vx, node.vy
    s.last_y, s.on_crate = node.last_y, node.on_crate
    stand = memory.stands[node.stand]
    for k in range(len(memory.enemies)):
        if memory.meddled[k]:
            s.ex[memory.enemies[k]] = stand[2 * k]
            s.evx[memory.enemies[k]] = stand[2 * k + 1]


@kernel
def write_node(s, node, stand):
    """Put the state `s`, with its enemies' stand, into the node."""
    node.x, node.y, node.vx, node.vy = s.x, s.y, s.vx, s.vy
    node.last_y, node.on_crate, node.stand = s.last_y, s.on_crate, stand


@kernel
def place_of(memory, s, stand):
    """Return the number of the place that the state `s` falls into."""
    task = memory.task[0]
    key = np.int64(s.x * task.x_steps)
    key = (key << 12) | np.int64(s.y * task.y_steps)
    key = (key << 8) | (np.int64(math.floor(s.vx * task.vx_steps + 0.5)) + 128)
    key = (key << 8) | (np.int64(math.floor(s.vy * task.vy_steps + 0.5)) + 128)
    key = (key << 1) | np.int64(s.on_crate)
    return (key << 15) | (stand + 1 if _enemy_ahead(memory, s.x) else 0)


@kernel
def _enemy_ahead(memory, x):
    """Return whether an enemy walks between the agent and the target, or near."""
    target = memory.task[0].target_x + 0.5
    first, last = min(x, target) - _NEAR, max(x, target) + _NEAR
    for k in range(len(memory.enemies)):
        if memory.beats[k, 1] >= first and memory.beats[k, 0] <= last:
            return True
    return False


@kernel
def find_slot(memory, key):
    """Return the slot of a place in the hash table, free or not."""
    index = memory.index
    mask = len(index) - 1
    slot = _scatter(np.uint64(key), mask)
    while index[slot] != NONE and memory.nodes[index[slot]].key != key:
        slot = (slot + 1) & mask
    return slot


# Stands.


@kernel
def find_stand(memory, s):
    """Return the row of the enemies' stand in `s`, which is made if it is new; none if full."""
    index = memory.stand_index
    mask = len(index) - 1
    number = np.uint64(0)
    for j in memory.enemies:
        number = number * np.uint64(31) + np.uint64(np.int64(s.ex[j] * np.float32(1 << 20)))
        number = number * np.uint64(31) + np.uint64(np.int64(s.evx[j] * np.float32(1 << 20)))
    slot = _scatter(number, mask)
    while index[slot] != NONE:
        if stands_so(memory, s, index[slot]):
            return np.int64(index[slot])
        slot = (slot + 1) & mask
    row = memory.task[0].stands
    if row == len(memory.stands):
        return np.int64(NONE)
    memory.task[0].stands += 1
    index[slot] = row
    memory.stand_after[row] = NONE
    for k in range(len(memory.enemies)):
        memory.stands[row, 2 * k] = s.ex[memory.enemies[k]]
        memory.stands[row, 2 * k + 1] = s.evx[memory.enemies[k]]
    return np.int64(row)


@kernel
def stands_so(memory, s, row):
    """Return whether the enemies in `s` stand as in the row."""
    stand = memory.stands[row]
    for k in range(len(memory.enemies)):
        j = memory.enemies[k]
        if stand[2 * k] != s.ex[j] or stand[2 * k + 1] != s.evx[j]:
            return False
    return True


@kernel
def _scatter(number, mask):
    """Return a slot of a hash table for 64 bits."""
    z = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) & np.uint64(mask))
