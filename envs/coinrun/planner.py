"""Shortest plans in CoinRun: A* search through frames of the game itself.

A node of the search is an exact state, moved by `dynamics.frame`.  All that differs between nodes
is the agent's motion and where the enemies are, so that one state record serves a whole search.
Nodes whose states fall into the same *place* (a box of `Resolution` in position and speed, with
the same stand of those enemies that can still be met) count as one: of those that get there
soonest, the one that is ahead.  So plans can be replayed bit for bit, and are as short as the
resolution allows.

What is left to do is estimated from below (`_frames_left`): nothing runs, rises or falls faster.
Enemies walk by themselves all but always, yet not quite (an agent that falls while one turns
inside a crate slows it down, see `dynamics._enemy_y`): each of their stands is stored once, and
nodes point to it.

For q values one level is searched again and again.  After a search of cost C, a place that was
expanded at depth d is known to be at least C - d from the target, which makes the next searches
short (adaptive A*: Koenig and Likhachev 2006, https://doi.org/10.1145/1160633.1160682).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..core.episode import DIED, REACHED_GOAL, REACHED_PROXY
from ..core.level import LevelBatch
from ..core.planner import NOTHING, Planner, PlanStatus, TargetPlans, target_event
from ..core.world import World
from .constants import (
    AGENT_RX,
    AGENT_RY,
    AIR_CONTROL,
    BARRIER,
    CRATE,
    ENEMY,
    MAX_JUMP,
    MIX_RATE,
    NO_OP,
    NUM_ACTIONS,
    SAW,
    SIZE,
    WALL_MID,
    WALL_TOP,
)
from .dynamics import frame

_INNER: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_kernel = njit(cache=True, **_INNER)
"""For functions that only kernels call; without the wrappers for Python they compile sooner."""

_SOLVED, _UNSOLVABLE, _UNKNOWN = (int(status) for status in PlanStatus)
_ACTIONS = NUM_ACTIONS["distinct"]
_NONE = -1
_FAR = 1_000_000  # decisions; more than any time-out
_STANDS = 1 << 14  # room for stands of a level's enemies
_MARGIN = 0.001  # cells by which a node must lead one that is expanded to take its place
_NEAR = 2.0  # cells; enemies that walk farther than this from the way are not met

# What a decision did, as bits.
_HIT, _OVER, _SUPPORTED, _ROUGH = 1, 2, 4, 8

# The physics in float64, for bounds; what they miss by rounding is far below the slack.
_SLACK = 0.02  # cells; what snapping to a cell's face can gain
_BOX_X = float(AGENT_RX) - 0.001  # half of the box that touches cells
_BOX_Y = float(AGENT_RY) - 0.001
_JUMP = float(MAX_JUMP)
_GROUND, _AIR = float(MIX_RATE), float(MIX_RATE) * float(AIR_CONTROL)


@dataclass(frozen=True)
class Resolution:
    """How finely a search tells states apart: steps a cell, or a cell a frame."""

    x: float
    y: float
    vx: float
    vy: float


COARSE = Resolution(x=8, y=8, vx=16, vy=10)
"""For decisions of several frames."""
FINE = COARSE
"""For decisions of one frame, after which few states differ by much."""


@dataclass(frozen=True)
class Budget:
    """How much searches may cost."""

    nodes: int = 400_000
    """Nodes of one search for a plan."""
    greed: float = 3.0
    """If that runs out, the estimate is weighed so: plans come sooner, not always the shortest."""
    q_nodes: int = 40_000
    """Nodes of one search for a q value."""
    q_total: int = 400_000
    """Nodes of all searches for the q values of one episode."""
    q_worse: int = 10
    """An action that costs this many decisions more than the best is as good as hopeless: inf."""


_TASK = np.dtype(
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

_NODE = np.dtype(
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


class _Memory(NamedTuple):
    """What the searches of one level write to."""

    task: Any  # _TASK [1]
    nodes: Any  # _NODE [most]
    index: Any  # int32 [power of 2]: hash table of places; the node that stands for each
    queue: Any  # int32 [estimates]: last open node of each
    enemies: Any  # int64 [m]: which entities are enemies
    meddled: Any  # bool [m]: whether crates stand in its way, and so the agent may meddle with it
    beats: Any  # int64 [m, 2]: first and last column of each one's walk
    stands: Any  # float32 [most, 2 m]: x and vx of every enemy
    stand_after: Any  # int32 [most]: what came a frame after each, the last time
    stand_index: Any  # int32 [power of 2]: hash table of stands
    crates: Any  # float32 [c]: x of each


class CoinRunPlanner(Planner):
    """Plans in CoinRun."""

    def __init__(
        self, world: World, resolution: Resolution | None = None, budget: Budget | None = None
    ) -> None:
        """Plan in `world`; the default resolution depends on its action repeat."""
        super().__init__(world)
        self.resolution = resolution or (FINE if world.action_repeat == 1 else COARSE)
        self.budget = budget or Budget()

    def plan_from(self, states: NDArray[np.void], target: str) -> TargetPlans:
        """Return the shortest way to `target` from each state; see `Planner`."""
        n = len(states)
        task = self._task(target)
        results = np.zeros(n, _RESULT)
        actions = np.full((n, int(task["horizon"][0])), NOTHING, np.int8)
        budget = self.budget
        _each(n, _plan, states.copy(), task, budget.nodes, budget.greed, results, actions)
        longest = max(1, int(results["decisions"].max(initial=1)))
        fields = {name: results[name] for name in _RESULT.names or ()}
        return TargetPlans(target, actions=actions[:, :longest].copy(), **fields)

    def q_values(self, states: NDArray[np.void], target: str) -> NDArray[np.float32]:
        """Return the decisions to `target` after each first action; see `Planner`."""
        nothing_done = np.full((len(states), 1), NOTHING, np.int64)
        return self._q(states.copy(), nothing_done, 1, target)[:, 0]

    def q_along(
        self, levels: LevelBatch, actions: NDArray[Any], target: str
    ) -> NDArray[np.float32]:
        """Return `q_values` at every state of episodes; see `Planner`."""
        return self._q(self._starts(levels), np.asarray(actions, np.int64), 0, target)

    def visited(self, levels: LevelBatch, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Return the cells that the agent's body touches; see `Planner`."""
        cells = np.zeros((len(levels), SIZE, SIZE), np.bool_)
        done = np.asarray(actions, np.int64)
        _each(len(levels), _visit, self._starts(levels), self.world.action_repeat, done, cells)
        return cells

    def _starts(self, levels: LevelBatch) -> NDArray[np.void]:
        states = np.zeros(len(levels), self.world.state_dtype)
        self.world.load(states, np.arange(len(levels)), levels)
        return states

    def _q(
        self, states: NDArray[np.void], actions: NDArray[np.int64], extra: int, target: str
    ) -> NDArray[np.float32]:
        """Return q values before each of `actions`, and `extra` (0 or 1) times after the last."""
        n, decisions = actions.shape
        q = np.full((n, decisions, _ACTIONS), np.nan, np.float32)
        budget = self.budget
        limits = (budget.q_nodes, budget.q_total, budget.q_worse)
        _each(n, _q_episode, states, self._task(target), *limits, extra, actions, q)
        action = np.arange(int(self.world.action_space.n))
        return q[..., np.where(action < _ACTIONS, action, NO_OP)]

    def _task(self, target: str) -> NDArray[np.void]:
        """Return what to search for, whatever the level: _TASK [1]."""
        world = self.world
        task = np.zeros(1, _TASK)
        task["target"] = target_event(target)
        task["stop"] = DIED
        if target == "goal" and world.on_proxy != "continue":
            task["stop"] |= REACHED_PROXY
        task["repeat"] = world.action_repeat
        task["max_frames"] = world.max_steps
        task["horizon"] = -(-world.max_steps // world.action_repeat)
        task["greed"] = 1.0
        for name, steps in dataclasses.asdict(self.resolution).items():
            task[f"{name}_steps"] = steps
        return task


_RESULT = np.dtype(
    [
        ("status", np.int8),
        ("decisions", np.int32),
        ("shortest", np.bool_),
        ("events", np.uint8),
        ("nodes", np.int64),
    ],
    align=True,
)
"""The fields of `TargetPlans` but the actions."""


def _each(count: int, kernel: Callable[..., None], *args: Any) -> None:
    """Call `kernel(i, *args)` for i from 0 to `count` - 1, in as many threads as Numba uses."""
    if count > 0:
        kernel(0, *args)  # compiles
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        list(pool.map(lambda i: kernel(i, *args), range(1, count)))


# Plans.


@njit(cache=True, nogil=True)
def _plan(i, states, task_of_all, budget, greed, results, actions):
    """Plan for level `i`."""
    s, result = states[i], results[i]
    memory = _remember(s, task_of_all, budget, greed)
    root = np.empty(1, _NODE)
    _write_node(s, root[0], _find_stand(memory, s))
    result.status = _search(memory, s, root[0], 0)
    result.nodes = memory.task[0].nodes
    result.shortest = result.status == _SOLVED
    if result.status == _UNKNOWN:
        memory.task[0].greed = greed
        result.status = _search(memory, s, root[0], 0)
        result.nodes += memory.task[0].nodes
    result.decisions = NOTHING
    if result.status == _SOLVED:
        result.decisions = memory.task[0].cost
        _write_plan(memory, actions[i])
        result.events = _replay(memory, s, root[0], actions[i])


@_kernel
def _write_plan(memory, actions):
    task = memory.task[0]
    i = task.last_node
    actions[task.cost - 1] = task.last_action
    while memory.nodes[i].depth > 0:
        actions[memory.nodes[i].depth - 1] = memory.nodes[i].action
        i = memory.nodes[i].parent


@_kernel
def _replay(memory, s, root, actions):
    """Return the events of all frames of `actions`; nothing ends the walk."""
    _read_node(memory, root, s)
    stand = np.int64(root.stand)
    met = 0
    for action in actions:
        if action == NOTHING:
            break
        for _ in range(memory.task[0].repeat):
            events, stand = _frame(memory, s, stand, action)
            met |= events
    return met


# Q values.


@njit(cache=True, nogil=True)
def _q_episode(i, states, task_of_all, most, total, worse, extra, actions, q):
    """Write q values at the states of episode `i`."""
    s, done = states[i], actions[i]
    memory = _remember(s, task_of_all, most, 1.0)
    trail = np.empty(len(done) + 1, _NODE)
    count = _write_trail(memory, s, done, trail) + extra
    children = np.empty(_ACTIONS, _NODE)
    hint = np.array([_NONE, 0])
    spent = 0
    for t in range(count):
        if spent > total:
            break
        spent += _q_row(memory, s, trail[t], done[t], children, worse, hint, q[i, t])


@_kernel
def _write_trail(memory, s, actions, trail):
    """Write the states before each of `actions` and after the last; return how many were done."""
    stand = _find_stand(memory, s)
    _write_node(s, trail[0], stand)
    for t in range(len(actions)):
        if actions[t] == NOTHING:
            return t
        for _ in range(memory.task[0].repeat):
            _, stand = _frame(memory, s, max(0, stand), actions[t])
        _write_node(s, trail[t + 1], max(0, stand))
    return len(actions)


@_kernel
def _q_row(memory, s, state, done, children, worse, hint, row):
    """Write the q values of a state; return how many nodes that took.

    `hint` holds an action that is known to be best, or none, and the decisions to the target from
    this state with it; it is left so for the state after `done`.
    """
    task = memory.task[0]
    horizon = task.horizon
    spent = 0
    best, value = hint[0], hint[1]
    floor = max(0, value - 1)
    hint[0], hint[1] = _NONE, 0
    row[:] = np.inf
    if best != _NONE:
        row[best] = value
    for action in range(_ACTIONS):
        children[action].stand = _NONE
        if action == best and action != done:
            continue
        _read_node(memory, state, s)
        did, stand = _walk(memory, s, state.stand, action, 0)
        if did & _HIT:
            row[action] = 1
        elif stand != _NONE and not did & _OVER:
            _write_node(s, children[action], stand)
            twin = _find_twin(children, action)
            if twin >= 0 and action != done:
                row[action] = row[twin]
                continue
            if action != done:
                task.horizon = min(horizon, np.int64(min(row.min() + worse, _FAR)) - 1)
            if _search(memory, s, children[action], floor) == _SOLVED:
                row[action] = 1 + task.cost
                if action == done:
                    hint[0], hint[1] = _first_action(memory), task.cost
            task.horizon = horizon
            spent += task.nodes
    return spent


@_kernel
def _first_action(memory):
    """Return the first action of the plan found."""
    action, i = memory.task[0].last_action, memory.task[0].last_node
    while memory.nodes[i].depth > 0:
        action, i = np.int64(memory.nodes[i].action), np.int64(memory.nodes[i].parent)
    return action


@_kernel
def _find_twin(children, action):
    """Return an action before `action` that leads to the same state, or none."""
    b = children[action]
    for other in range(action):
        a = children[other]
        if (
            a.stand == b.stand
            and a.x == b.x
            and a.y == b.y
            and a.vx == b.vx
            and a.vy == b.vy
            and a.last_y == b.last_y
            and a.on_crate == b.on_crate
        ):
            return other
    return _NONE


# Cells.


@njit(cache=True, nogil=True)
def _visit(i, states, repeat, actions, cells):
    """Mark what the agent touches in level `i`."""
    s = states[i]
    _mark(s, cells[i])
    for action in actions[i]:
        if action == NOTHING:
            return
        for _ in range(repeat):
            events = frame(s, action)
            _mark(s, cells[i])
            if events & DIED:
                return


@_kernel
def _mark(s, cells):
    """Mark the cells that the agent touches: the box of `dynamics._touch_tiles`."""
    rx, ry = AGENT_RX - np.float32(0.001), AGENT_RY - np.float32(0.001)
    for x in range(int(s.x - rx), int(s.x + rx) + 1):
        for y in range(int(s.y - ry), int(s.y + ry) + 1):
            cells[y, x] = True


# The search.


@_kernel
def _search(memory, s, root, floor):
    """Search for the shortest plan from `root`; return a `PlanStatus`, with the plan in the task.

    `floor` is how many decisions it takes at least, as far as is known.
    """
    task = memory.task[0]
    queue = memory.queue
    _forget(memory)
    task.lowest = floor
    _read_node(memory, root, s)
    if not _push(memory, s, root.stand, _NONE, 0, _NONE):
        return _UNKNOWN
    while True:
        while task.lowest < len(queue) and queue[task.lowest] == _NONE:
            task.lowest += 1
        if task.lowest == len(queue):
            return _UNSOLVABLE
        i = queue[task.lowest]
        queue[task.lowest] = memory.nodes[i].next
        if not memory.nodes[i].closed:
            memory.nodes[i].closed = True
            status = _expand(memory, s, i)
            if status != _UNSOLVABLE:
                return status


@_kernel
def _forget(memory):
    """Empty the hash table and the queue of what the last search left in them."""
    for i in range(memory.task[0].nodes):
        memory.index[memory.nodes[i].slot] = _NONE
    memory.task[0].nodes = 0
    memory.queue[:] = _NONE


@_kernel
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
            _read_node(memory, node, s)
            action = 3 * ax + ay
            does, stand = _walk(memory, s, node.stand, action, depth)
            if does & _HIT:
                task.cost, task.last_node, task.last_action = depth + 1, i, action
                return _SOLVED
            if ay == 1:
                did = does
            if not does & _OVER and not _push(memory, s, stand, i, depth + 1, action):
                return _UNKNOWN
    return _UNSOLVABLE


@_kernel
def _walk(memory, s, stand, action, depth):
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
            return did | _OVER, stand
        x, y = s.x, s.y
        events, stand = _frame(memory, s, stand, action)
        if s.support:
            did |= _SUPPORTED
        if abs(s.x - x - s.vx) > 1e-4 or (s.vx == 0 and not stays):
            did |= _ROUGH
        if s.y != y if s.support else (abs(s.y - y - s.vy) > 1e-4 or s.vy == 0):
            did |= _ROUGH
        if events & task.target:
            return did | _HIT, stand
        if events & task.stop:
            return did | _OVER, stand
        if stand == _NONE:
            break
    return did, stand


@_kernel
def _frame(memory, s, stand, action):
    """Move the state `s` by a frame; return its events, and the enemies' stand after it.

    Enemies that nothing can meddle with do not walk again where they have walked before: they are
    put where they were then, before the agent moves, as saws, which kill like enemies but rest.
    """
    after = np.int64(memory.stand_after[stand])
    new = after == _NONE
    row = memory.stands[stand if new else after]
    for k in range(len(memory.enemies)):
        if new or not memory.meddled[k]:
            j = memory.enemies[k]
            s.kind[j] = ENEMY if new else SAW
            s.ex[j] = row[2 * k]
            s.evx[j] = row[2 * k + 1]
    events = frame(s, action)
    if new or not _stands_so(memory, s, after):
        after = _find_stand(memory, s)
        memory.stand_after[stand] = after
    return events, after


@_kernel
def _crate_near(memory, s, x):
    reach = 1.1 + s.max_speed * memory.task[0].repeat
    for crate in memory.crates:  # noqa: SIM110 (Numba takes no generators)
        if abs(crate - x) < reach:
            return True
    return False


@_kernel
def _push(memory, s, stand, parent, depth, action):
    """Queue the state `s` unless its place is taken by one as good; return False if all is full."""
    task = memory.task[0]
    if stand == _NONE or task.nodes == len(memory.nodes):
        return False
    left = max(1, -(-_frames_left(task, s) // task.repeat))
    if depth + left > task.horizon:
        return True
    key = _key(memory, s, stand)
    slot = _find_slot(memory, key)
    lead = _lead(task, s)
    if memory.index[slot] != _NONE:
        other = memory.nodes[memory.index[slot]]
        margin = _MARGIN if other.closed else 0.0
        if other.depth < depth or (other.depth == depth and other.lead + margin >= lead):
            return True
        other.closed = True
    i = task.nodes
    task.nodes += 1
    memory.index[slot] = i
    node = memory.nodes[i]
    _write_node(s, node, stand)
    node.key, node.slot, node.lead = key, slot, lead
    node.parent, node.depth, node.action = parent, depth, action
    node.closed = False
    estimate = max(task.lowest, depth + int(task.greed * left))
    node.next = memory.queue[estimate]
    memory.queue[estimate] = i
    return True


@_kernel
def _read_node(memory, node, s):
    """Put the node's state into the record `s`, but for the enemies that `_frame` places."""
    s.x, s.y, s.vx, s.vy = node.x, node.y, node.vx, node.vy
    s.last_y, s.on_crate = node.last_y, node.on_crate
    stand = memory.stands[node.stand]
    for k in range(len(memory.enemies)):
        if memory.meddled[k]:
            s.ex[memory.enemies[k]] = stand[2 * k]
            s.evx[memory.enemies[k]] = stand[2 * k + 1]


@_kernel
def _write_node(s, node, stand):
    node.x, node.y, node.vx, node.vy = s.x, s.y, s.vx, s.vy
    node.last_y, node.on_crate, node.stand = s.last_y, s.on_crate, stand


# Bounds.


@_kernel
def _frames_left(task, s):
    """Return how many frames the target is away at least."""
    grounded = s.vy == 0 or s.on_crate
    pull, top = float(s.gravity), float(s.max_speed)
    side, speed = _side(task, s)
    up = task.target_y - _BOX_Y - s.y
    down = s.y - _BOX_Y - (task.target_y + 1)
    rising = 0.0 if grounded or task.ceilings else float(s.vy)
    frames = _run_frames(side - _SLACK, speed, rising, pull, top)
    if up > 0:
        frames = max(frames, _rise_frames(up - _SLACK, s.vy, grounded, pull))
    elif down > 0:
        vy = min(float(s.vy), 0.0) if task.ceilings else float(s.vy)
        frames = max(frames, _fall_frames(down - _SLACK, vy, pull))
    return frames


@_kernel
def _side(task, s):
    """Return how far the target's column is away, and the speed towards it."""
    right = task.target_x - _BOX_X - s.x
    left = s.x - _BOX_X - (task.target_x + 1)
    if right > 0:
        return right, float(s.vx)
    return left, -float(s.vx)


@_kernel
def _run_frames(distance, speed, rising, pull, top):
    """Return the frames to cover a distance sideways, with little control while `rising`.

    `pull` is gravity and `top` the greatest speed, here and below.
    """
    frames = 0
    speed = max(speed, 0.0)
    while distance > 0 and rising > pull:
        speed += _AIR * (top - speed)
        distance -= speed
        rising -= pull
        frames += 1
    while distance > 0:
        speed += _GROUND * (top - speed)
        distance -= speed
        frames += 1
        if distance > 0 and speed > 0.999 * top:
            return frames + math.ceil(distance / top)
    return frames


@_kernel
def _rise_frames(height, vy, grounded, pull):
    """Return the frames to get higher by `height`, with a new jump after each landing."""
    frames = 0
    speed = _JUMP if grounded else vy - pull
    while True:
        while speed > 0.01:
            height -= speed
            speed -= pull
            frames += 1
            if height <= 0:
                return frames
        frames += 1
        speed = _JUMP


@_kernel
def _fall_frames(depth, vy, pull):
    """Return the frames to get lower by `depth`."""
    frames = 0
    while depth > 0:
        vy = max(vy - pull, -_JUMP)
        depth += vy
        frames += 1
    return frames


@_kernel
def _lead(task, s):
    """Return, in cells, how far a state is ahead of another in its place."""
    side, speed = _side(task, s)
    return np.float32((speed - s.max_speed) / _GROUND - side) if side > 0 else np.float32(0)


# Places and stands.


@_kernel
def _key(memory, s, stand):
    """Return the number of the place that the state `s` falls into."""
    task = memory.task[0]
    key = np.int64(s.x * task.x_steps)
    key = (key << 12) | np.int64(s.y * task.y_steps)
    key = (key << 8) | (np.int64(math.floor(s.vx * task.vx_steps + 0.5)) + 128)
    key = (key << 8) | (np.int64(math.floor(s.vy * task.vy_steps + 0.5)) + 128)
    key = (key << 1) | np.int64(s.on_crate)
    return (key << 15) | (stand + 1 if _enemy_ahead(memory, s.x) else 0)


@_kernel
def _enemy_ahead(memory, x):
    """Return whether an enemy walks between the agent and the target, or near."""
    target = memory.task[0].target_x + 0.5
    first, last = min(x, target) - _NEAR, max(x, target) + _NEAR
    for k in range(len(memory.enemies)):
        if memory.beats[k, 1] >= first and memory.beats[k, 0] <= last:
            return True
    return False


@_kernel
def _find_slot(memory, key):
    """Return the slot of a place in the hash table, free or not."""
    index = memory.index
    mask = len(index) - 1
    slot = _scatter(np.uint64(key), mask)
    while index[slot] != _NONE and memory.nodes[index[slot]].key != key:
        slot = (slot + 1) & mask
    return slot


@_kernel
def _find_stand(memory, s):
    """Return the row of the enemies' stand in `s`, which is made if it is new; none if full."""
    index = memory.stand_index
    mask = len(index) - 1
    number = np.uint64(0)
    for j in memory.enemies:
        number = number * np.uint64(31) + np.uint64(np.int64(s.ex[j] * np.float32(1 << 20)))
        number = number * np.uint64(31) + np.uint64(np.int64(s.evx[j] * np.float32(1 << 20)))
    slot = _scatter(number, mask)
    while index[slot] != _NONE:
        if _stands_so(memory, s, index[slot]):
            return np.int64(index[slot])
        slot = (slot + 1) & mask
    row = memory.task[0].stands
    if row == len(memory.stands):
        return np.int64(_NONE)
    memory.task[0].stands += 1
    index[slot] = row
    memory.stand_after[row] = _NONE
    for k in range(len(memory.enemies)):
        memory.stands[row, 2 * k] = s.ex[memory.enemies[k]]
        memory.stands[row, 2 * k + 1] = s.evx[memory.enemies[k]]
    return np.int64(row)


@_kernel
def _stands_so(memory, s, row):
    stand = memory.stands[row]
    for k in range(len(memory.enemies)):
        j = memory.enemies[k]
        if stand[2 * k] != s.ex[j] or stand[2 * k + 1] != s.evx[j]:
            return False
    return True


@_kernel
def _scatter(number, mask):
    """Return a slot of a hash table for 64 bits."""
    z = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) & np.uint64(mask))


# A level before its searches.


@_kernel
def _remember(s, task_of_all, most, greed):
    """Return room for searches of up to `most` nodes in the level of state `s`."""
    task = task_of_all.copy()
    cell = s.goal_cell if task[0].target == REACHED_GOAL else s.proxy_cell
    task[0].target_x, task[0].target_y = cell[0], cell[1]
    task[0].ceilings = _has_ceilings(s)
    estimates = np.int64(greed * (task[0].horizon + 1)) + 1
    enemies, beats, crates = _cast(s)
    stands = _STANDS if len(enemies) > 0 else 1
    return _Memory(
        task,
        np.empty(most, _NODE),
        np.full(_power_of_2(2 * most), _NONE, np.int32),
        np.empty(estimates, np.int32),
        enemies,
        _find_meddled(s, enemies, beats),
        _leave_out_crowds(s, enemies, beats),
        np.empty((stands, 2 * len(enemies)), np.float32),
        np.full(stands, _NONE, np.int32),
        np.full(2 * stands, _NONE, np.int32),
        crates,
    )


@_kernel
def _power_of_2(least):
    size = 1
    while size < least:
        size *= 2
    return size


@_kernel
def _cast(s):
    """Return which entities are enemies, the columns of their beats, and where crates are."""
    enemies = np.empty(s.count, np.int64)
    beats = np.empty((s.count, 2), np.int64)
    crates = np.empty(s.count, np.float32)
    met, piled = 0, 0
    for j in range(s.count):
        if s.kind[j] == CRATE:
            crates[piled] = s.ex[j]
            piled += 1
        elif s.kind[j] == ENEMY:
            enemies[met] = j
            _write_beat(s, j, beats[met])
            met += 1
    return enemies[:met], beats[:met], crates[:piled]


@_kernel
def _write_beat(s, j, beat):
    row = s.tiles[int(s.ey[j])]
    first = last = int(s.ex[j])
    while not _turns(row[first - 1]):
        first -= 1
    while not _turns(row[last + 1]):
        last += 1
    beat[0], beat[1] = first, last


@_kernel
def _turns(tile):
    return tile == WALL_MID or tile == WALL_TOP or tile == BARRIER


@_kernel
def _find_meddled(s, enemies, beats):
    """Return which enemies meet crates: bool [m]."""
    meddled = np.zeros(len(enemies), np.bool_)
    for k in range(len(enemies)):
        for j in range(s.count):
            beside = abs(s.ey[j] - s.ey[enemies[k]]) < 1
            along = beats[k, 0] - 1 <= s.ex[j] <= beats[k, 1] + 2
            if s.kind[j] == CRATE and beside and along:
                meddled[k] = True
    return meddled


@_kernel
def _leave_out_crowds(s, enemies, beats):
    """Return the beats with those that enemies share, as in pits, put away: nobody waits there."""
    kept = beats.copy()
    for a in range(len(enemies)):
        for b in range(len(enemies)):
            same_row = s.ey[enemies[a]] == s.ey[enemies[b]]
            if a != b and same_row and beats[a, 0] == beats[b, 0]:
                kept[a, 0], kept[a, 1] = 2 * SIZE, -SIZE
    return kept


@_kernel
def _has_ceilings(s):
    """Return whether there is a wall with room below it, but for the top of the world."""
    for x in range(1, SIZE - 1):
        for y in range(2, SIZE - 1):
            if _is_wall(s.tiles[y, x]) and not _is_wall(s.tiles[y - 1, x]):
                return True
    return False


@_kernel
def _is_wall(tile):
    return tile == WALL_MID or tile == WALL_TOP
