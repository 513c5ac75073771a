"""A* search through the states of a level of CoinRun.

Public names: `search`, `walk` (a decision), `move` (a frame).

A node of the search is an exact state, moved by `dynamics.frame`.  Nodes whose states fall into the
same place (`memory.py`) count as one: of those that get there soonest, the one that is ahead.  What
is left to do is estimated from below (`bounds.py`).
"""

from __future__ import annotations

import numpy as np

from ...core.planning.planner import PlanStatus
from ..constants import ENEMY, SAW
from ..dynamics import frame
from .lower_bounds import frames_left, lead_of
from .search_memory import (
    NONE,
    find_slot,
    find_stand,
    kernel,
    place_of,
    read_node,
    stands_so,
    write_node,
)

SOLVED, UNSOLVABLE, UNKNOWN = (int(status) for status in PlanStatus)
_MARGIN = 0.001  # cells by which a node must lead one that is expanded to take its place

# What a decision did, as bits.
HIT, OVER, _SUPPORTED, _ROUGH = 1, 2, 4, 8


@kernel
def search(memory, s, root, floor):
    """Search for the shortest plan from `root`; return a `PlanStatus`, with the plan in the task.

    `floor` is how many decisions it takes at least, as far as is known.
    """
    task = memory.task[0]
    queue = memory.queue
    _forget(memory)
    task.lowest = floor
    read_node(memory, root, s)
    if not _push(memory, s, root.stand, NONE, 0, NONE):
        return UNKNOWN
    while True:
        while task.lowest < len(queue) and queue[task.lowest] == NONE:
            task.lowest += 1
        if task.lowest == len(queue):
            return UNSOLVABLE
        i = queue[task.lowest]
        queue[task.lowest] = memory.nodes[i].next
        if not memory.nodes[i].closed:
            memory.nodes[i].closed = True
            status = _expand(memory, s, i)
            if status != UNSOLVABLE:
                return status


@kernel
def _forget(memory):
    """Empty the hash table and the queue of what the last search left in them."""
    for i in range(memory.task[0].nodes):
        memory.index[memory.nodes[i].slot] = NONE
    memory.task[0].nodes = 0
    memory.queue[:] = NONE


@kernel
def _expand(memory, s, i):
    """Try all actions in node `i`; return whether the target was reached or memory ran out."""
    task = memory.task[0]
    node = memory.nodes[i]
    depth = np.int64(node.depth)
    to_right = task.target_x + 0.5 > node.x
    for turn in range(3):
        ax = 2 - turn if to_right else turn  # the last that is pushed is the first to be expanded
        did = 0
        for ay in (1, 2, 0):  # neither, jump, down
            if ay == 2 and not did & _SUPPORTED:
                continue  # a jump from nothing is none
            if ay == 0 and not did & _ROUGH and not _crate_near(memory, s, node.x):
                continue  # nothing to drop through, no corner to pass
            read_node(memory, node, s)
            action = 3 * ax + ay
            does, stand = walk(memory, s, node.stand, action, depth)
            if does & HIT:
                task.cost, task.last_node, task.last_action = depth + 1, i, action
                return SOLVED
            if ay == 1:
                did = does
            if not does & OVER and not _push(memory, s, stand, i, depth + 1, action):
                return UNKNOWN
    return UNSOLVABLE


@kernel
def walk(memory, s, stand, action, depth):
    """Make a decision in the state `s`, the one after `depth` others.

    Returns:
        what it did, in bits, and the enemies' stand after it. `_SUPPORTED`: the agent stood at the
        start of a frame. `_ROUGH`: it may have met something in its flight or run.
    """
    task = memory.task[0]
    stand = np.int64(stand)
    did = 0
    stays = action // 3 == 1
    for k in range(task.repeat):
        if depth * task.repeat + k >= task.max_frames:
            return did | OVER, stand
        x, y = s.x, s.y
        events, stand = move(memory, s, stand, action)
        if s.support:
            did |= _SUPPORTED
        if abs(s.x - x - s.vx) > 1e-4 or (s.vx == 0 and not stays):
            did |= _ROUGH
        if s.y != y if s.support else (abs(s.y - y - s.vy) > 1e-4 or s.vy == 0):
            did |= _ROUGH
        if events & task.target:
            return did | HIT, stand
        if events & task.stop:
            return did | OVER, stand
        if stand == NONE:
            break
    return did, stand


@kernel
def move(memory, s, stand, action):
    """Move the state `s` by a frame; return its events, and the enemies' stand after it.

    Enemies that nothing can meddle with do not walk again where they have walked before: they are
    put where they were then, before the agent moves, as saws, which kill like enemies but rest.
    """
    after = np.int64(memory.stand_after[stand])
    new = after == NONE
    row = memory.stands[stand if new else after]
    for k in range(len(memory.enemies)):
        if new or not memory.meddled[k]:
            j = memory.enemies[k]
            s.kind[j] = ENEMY if new else SAW
            s.ex[j] = row[2 * k]
            s.evx[j] = row[2 * k + 1]
    events = frame(s, action)
    if new or not stands_so(memory, s, after):
        after = find_stand(memory, s)
        memory.stand_after[stand] = after
    return events, after


@kernel
def _crate_near(memory, s, x):
    reach = 1.1 + s.max_speed * memory.task[0].repeat
    for crate in memory.crates:  # noqa: SIM110 (Numba takes no generators)
        if abs(crate - x) < reach:
            return True
    return False


@kernel
def _push(memory, s, stand, parent, depth, action):
    """Queue the state `s` unless its place is taken by one as good; return False if all is full."""
    task = memory.task[0]
    if stand == NONE or task.nodes == len(memory.nodes):
        return False
    left = max(1, -(-frames_left(task, s) // task.repeat))
    if depth + left > task.horizon:
        return True
    key = place_of(memory, s, stand)
    slot = find_slot(memory, key)
    lead = lead_of(task, s)
    if memory.index[slot] != NONE:
        other = memory.nodes[memory.index[slot]]
        margin = _MARGIN if other.closed else 0.0
        if other.depth < depth or (other.depth == depth and other.lead + margin >= lead):
            return True
        other.closed = True
    i = task.nodes
    task.nodes += 1
    memory.index[slot] = i
    node = memory.nodes[i]
    write_node(s, node, stand)
    node.key, node.slot, node.lead = key, slot, lead
    node.parent, node.depth, node.action = parent, depth, action
    node.closed = False
    estimate = max(task.lowest, depth + int(task.greed * left))
    node.next = memory.queue[estimate]
    memory.queue[estimate] = i
    return True
