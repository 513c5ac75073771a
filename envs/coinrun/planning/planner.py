"""Shortest plans in CoinRun: A* search through frames of the game itself (`search.py`).

Public names: `CoinRunPlanner`, `Resolution`, `Budget`.

The search moves exact states, and takes those that fall into one box of `Resolution` for one.  So
plans can be replayed bit for bit, and are as short as the resolution allows.

For q values one level is searched again and again.  The search after the action that was done tells
the next state's best action and its cost C: after any other, the target is C - 1 away at least.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...core.episode import DIED, REACHED_PROXY
from ...core.level import LevelBatch
from ...core.planning.planner import NOTHING, Planner, TargetPlans, target_event
from ...core.world import World
from ..constants import AGENT_RX, AGENT_RY, NO_OP, NUM_ACTIONS, SIZE
from ..dynamics import frame
from .prepare import remember
from .search import HIT, OVER, SOLVED, UNKNOWN, move, search, walk
from .search_memory import NODE, NONE, TASK, find_stand, kernel, read_node, write_node

_ACTIONS = NUM_ACTIONS["distinct"]
_FAR = 1_000_000  # decisions; more than any time-out


@dataclass(frozen=True)
class Resolution:
    """How finely a search tells states apart: steps a cell, or a cell a frame."""

    x: float
    y: float
    vx: float
    vy: float


_USUAL = Resolution(x=8, y=8, vx=16, vy=10)


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


class CoinRunPlanner(Planner):
    """Plans in CoinRun."""

    motion: ClassVar = ("x", "y", "vx", "vy", "last_y", "on_crate", "ex", "evx")

    def __init__(
        self, world: World, resolution: Resolution | None = None, budget: Budget | None = None
    ) -> None:
        """Plan in `world`."""
        super().__init__(world)
        self.resolution = resolution or _USUAL
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
        """Return what to search for, whatever the level: TASK [1]."""
        world = self.world
        task = np.zeros(1, TASK)
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
    memory = remember(s, task_of_all, budget, greed)
    root = np.empty(1, NODE)
    write_node(s, root[0], find_stand(memory, s))
    result.status = search(memory, s, root[0], 0)
    result.nodes = memory.task[0].nodes
    result.shortest = result.status == SOLVED
    if result.status == UNKNOWN:
        memory.task[0].greed = greed
        result.status = search(memory, s, root[0], 0)
        result.nodes += memory.task[0].nodes
    result.decisions = NOTHING
    if result.status == SOLVED:
        result.decisions = memory.task[0].cost
        _write_plan(memory, actions[i])
        result.events = _replay(memory, s, root[0], actions[i])


@kernel
def _write_plan(memory, actions):
    task = memory.task[0]
    i = task.last_node
    actions[task.cost - 1] = task.last_action
    while memory.nodes[i].depth > 0:
        actions[memory.nodes[i].depth - 1] = memory.nodes[i].action
        i = memory.nodes[i].parent


@kernel
def _replay(memory, s, root, actions):
    """Return the events of all frames of `actions`; nothing ends the walk."""
    read_node(memory, root, s)
    stand = np.int64(root.stand)
    met = 0
    for action in actions:
        if action == NOTHING:
            break
        for _ in range(memory.task[0].repeat):
            events, stand = move(memory, s, stand, action)
            met |= events
    return met


# Q values.


@njit(cache=True, nogil=True)
def _q_episode(i, states, task_of_all, most, total, worse, extra, actions, q):
    """Write q values at the states of episode `i`."""
    s, done = states[i], actions[i]
    memory = remember(s, task_of_all, most, 1.0)
    trail = np.empty(len(done) + 1, NODE)
    count = _write_trail(memory, s, done, trail) + extra
    children = np.empty(_ACTIONS, NODE)
    hint = np.array([NONE, 0])
    spent = 0
    for t in range(count):
        if spent > total:
            break
        spent += _q_row(memory, s, trail[t], done[t], children, worse, hint, q[i, t])


@kernel
def _write_trail(memory, s, actions, trail):
    """Write the states before each of `actions` and after the last; return how many were done."""
    stand = find_stand(memory, s)
    write_node(s, trail[0], stand)
    for t in range(len(actions)):
        if actions[t] == NOTHING:
            return t
        for _ in range(memory.task[0].repeat):
            _, stand = move(memory, s, max(0, stand), actions[t])
        write_node(s, trail[t + 1], max(0, stand))
    return len(actions)


@kernel
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
    hint[0], hint[1] = NONE, 0
    row[:] = np.inf
    if best != NONE:
        row[best] = value
    for action in range(_ACTIONS):
        children[action].stand = NONE
        if action == best and action != done:
            continue
        read_node(memory, state, s)
        did, stand = walk(memory, s, state.stand, action, 0)
        if did & HIT:
            row[action] = 1
        elif stand != NONE and not did & OVER:
            write_node(s, children[action], stand)
            twin = _find_twin(children, action)
            if twin >= 0 and action != done:
                row[action] = row[twin]
                continue
            if action != done:
                task.horizon = min(horizon, np.int64(min(row.min() + worse, _FAR)) - 1)
            if search(memory, s, children[action], floor) == SOLVED:
                row[action] = 1 + task.cost
                if action == done:
                    hint[0], hint[1] = _first_action(memory), task.cost
            task.horizon = horizon
            spent += task.nodes
    return spent


@kernel
def _first_action(memory):
    """Return the first action of the plan found."""
    action, i = memory.task[0].last_action, memory.task[0].last_node
    while memory.nodes[i].depth > 0:
        action, i = np.int64(memory.nodes[i].action), np.int64(memory.nodes[i].parent)
    return action


@kernel
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
    return NONE


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


@kernel
def _mark(s, cells):
    """Mark the cells that the agent touches: the box of `dynamics._touch_tiles`."""
    rx, ry = AGENT_RX - np.float32(0.001), AGENT_RY - np.float32(0.001)
    for x in range(int(s.x - rx), min(int(s.x + rx), SIZE - 1) + 1):
        for y in range(int(s.y - ry), min(int(s.y + ry), SIZE - 1) + 1):
            cells[y, x] = True
