"""Exact planning on boards: every state that can be reached, and value iteration over them.

States are copied and stepped by the world's own `advance`, so the planner knows no world's rules.
It needs a world whose frames leave nothing to chance and whose `motion` fields take few values.

Public names: `GraphPlanner`, `BoardPlanner`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..boards.grid_world import GridWorld
from ..episode import EPISODE_DTYPE, start_episodes
from ..level import LevelBatch
from ..world import World
from .planner import NOTHING, Planner, PlanStatus, TargetPlans, target_event

MOST_STATES = 1_000_000
"""States of one graph, from which on a search is given up."""
_CHUNK = 64  # levels searched together: what bounds the memory

_DEAD, _REACHED = -1, -2  # in place of a successor: the episode ended, with the target reached


class BoardPlanner(Planner):
    """What planners on boards share: copies of states, stepped by the world's own rules."""

    def __init__(self, world: World) -> None:
        """Plan in `world`, which is a `GridWorld`."""
        super().__init__(world)
        self._grid = cast(GridWorld, world)
        self.motion = self._grid.motion

    def visited(self, levels: LevelBatch, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which cells the agent enters in each level [n, height, width]; see `Planner`."""
        states = self._grid.without_goal(self._at_start(levels))
        height, width = self.world.level_dtype["tiles"].shape
        out = np.zeros((len(states), height, width), np.bool_)
        rows = np.arange(len(states))
        out[rows, states["y"], states["x"]] = True
        for _, now, _ in self._replay(states, actions, after=True):
            out[rows, now["y"], now["x"]] = True
        return out

    @property
    def _num_actions(self) -> int:
        return int(self.world.action_space.n)

    def _at_start(self, levels: LevelBatch) -> NDArray[np.void]:
        states = np.zeros(len(levels), self.world.state_dtype)
        self.world.load(states, np.arange(len(levels)), levels)
        return states

    def _seen(self, states: NDArray[np.void], target: str) -> NDArray[np.void]:
        """Return the states as one who plans for `target` sees them."""
        return states if target == "goal" else self._grid.without_goal(states)

    def _step(
        self, states: NDArray[np.void], action: int | NDArray[np.int64]
    ) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """Return copies of states after one decision (one for all, or [n]), and how it went."""
        after = states.copy()
        episodes = np.zeros(len(after), EPISODE_DTYPE)
        start_episodes(episodes, np.arange(len(after)))
        self.world.advance(after, episodes, np.broadcast_to(action, len(after)).astype(np.int64))
        return after, episodes

    def _replay(
        self, states: NDArray[np.void], actions: NDArray[Any], *, after: bool = False
    ) -> Iterator[tuple[int, NDArray[np.void], NDArray[np.bool_]]]:
        """Yield decision, states before (or `after`) it, and which of them made it.

        Whatever happens, a walk goes on to its last action.
        """
        states = states.copy()
        episodes = np.zeros(len(states), EPISODE_DTYPE)
        for t in range(actions.shape[1]):
            running = actions[:, t] != NOTHING
            if not after:
                yield t, states, running
            start_episodes(episodes, np.arange(len(states)))
            episodes["running"] = running
            self.world.advance(states, episodes, np.where(running, actions[:, t], 0))
            self._last = episodes
            if after:
                yield t, states, running

    def _events(self, states: NDArray[np.void], actions: NDArray[np.int8]) -> NDArray[np.uint8]:
        """Return the event bits met on each way."""
        events = np.zeros(len(states), np.uint8)
        for _ in self._replay(states, actions, after=True):
            events |= self._last["events"]
        return events


class GraphPlanner(BoardPlanner):
    """Shortest ways by value iteration over the states that can be reached."""

    def plan_from(self, states: NDArray[np.void], target: str) -> TargetPlans:
        """Return the shortest way to `target` from each of the states [n]; see `Planner`."""
        plans, status, nodes = [], [], []
        for first in range(0, len(states), _CHUNK):
            graph = self._explore(states[first : first + _CHUNK], target)
            plans += [graph.way(node) for node in graph.starts]
            status += [graph.status(node) for node in graph.starts]
            nodes += graph.sizes.tolist()
        actions = np.full((len(states), max(map(len, plans), default=0)), NOTHING, np.int8)
        for row, plan in zip(actions, plans, strict=True):
            row[: len(plan)] = plan
        found = np.array(status, np.int8)
        decisions = (actions != NOTHING).sum(axis=1)
        return TargetPlans(
            target=target,
            status=found,
            decisions=np.where(found == PlanStatus.SOLVED, decisions, NOTHING).astype(np.int32),
            actions=actions,
            shortest=found == PlanStatus.SOLVED,
            events=self._events(states, actions),
            nodes=np.array(nodes, np.int64),
        )

    def q_values(self, states: NDArray[np.void], target: str) -> NDArray[np.float32]:
        """Return the decisions to `target` after each first action [n, actions]; see `Planner`."""
        q = [np.zeros((0, self._num_actions), np.float32)]
        for first in range(0, len(states), _CHUNK):
            graph = self._explore(states[first : first + _CHUNK], target)
            q.append(graph.q[graph.starts][:, self._columns])
        return np.concatenate(q)

    def q_along(
        self, levels: LevelBatch, actions: NDArray[Any], target: str
    ) -> NDArray[np.float32]:
        """Return `q_values` at every state of episodes; see `Planner`."""
        n, decisions = actions.shape
        out = np.full((n, decisions, self._num_actions), np.nan, np.float32)
        for first in range(0, n, _CHUNK):
            chunk = slice(first, first + _CHUNK)
            starts = self._at_start(levels.take(chunk))
            graph = self._explore(starts, target)
            for t, states, running in self._replay(starts, actions[chunk]):
                nodes = graph.find(self._seen(states, target), running)
                out[chunk][running, t] = graph.q[nodes][:, self._columns]
        return out

    @property
    def _columns(self) -> NDArray[np.int64]:
        """Return each action's column in a graph, which has one for those that do the same."""
        return np.unique(self._grid.representatives, return_inverse=True)[1]

    def _explore(self, states: NDArray[np.void], target: str) -> _Graph:
        """Return the graph of all states that can be reached from each of `states`."""
        bit = target_event(target)
        graph = _Graph(self.motion, np.unique(self._grid.representatives))
        states = self._seen(states, target)
        nodes = graph.begin(states)
        while len(nodes) and graph.count <= MOST_STATES:
            before, each = graph.count, np.repeat(graph.actions, len(states))
            after, episodes = self._step(np.tile(states, len(graph.actions)), each)
            reached = (episodes["events"] & bit) != 0
            goes_on = ~reached & ~episodes["terminated"]
            states = graph.link(nodes, after, goes_on, reached)
            nodes = np.arange(before, graph.count)
        graph.solve(complete=not len(nodes))
        return graph


class _Graph:
    """States by start, what each action leads to, and how far each is from the target."""

    def __init__(self, motion: tuple[str, ...], actions: NDArray[np.int64]) -> None:
        self.actions = actions
        self.count = 0
        self.starts = np.zeros(0, np.int64)
        self._motion = motion
        self._node_of: dict[tuple[int, bytes], int] = {}
        self._root = np.zeros(0, np.int64)  # the start that each node is reached from
        self._next = np.zeros((0, len(actions)), np.int32)
        self.q = np.zeros((0, len(actions)), np.float32)

    def begin(self, states: NDArray[np.void]) -> NDArray[np.int64]:
        """Add the starts; return their nodes."""
        self.starts, _ = self._add(states, np.arange(len(states)))
        return self.starts

    def link(
        self,
        nodes: NDArray[np.int64],
        after: NDArray[np.void],
        goes_on: NDArray[np.bool_],
        reached: NDArray[np.bool_],
    ) -> NDArray[np.void]:
        """Write down what actions lead to from `nodes` [n]; return the states that are new.

        Args:
            nodes: where each action is tried.
            after: the states that it leads to [actions * n], action by action.
            goes_on: whether the episode does.
            reached: whether the target is.
        """
        successor = np.where(reached, _REACHED, _DEAD).astype(np.int32)
        roots = self._root[np.tile(nodes, len(self.actions))[goes_on]]
        successor[goes_on], fresh = self._add(after[goes_on], roots)
        self._next[nodes] = successor.reshape(len(self.actions), -1).T
        return fresh

    def solve(self, *, complete: bool) -> None:
        """Find how many decisions each node is from the target, and after each action."""
        self._complete = complete
        distance = np.full(self.count, np.inf, np.float32)
        self.q = np.where(self._next == _REACHED, 1.0, np.inf).astype(np.float32)
        inner = self._next >= 0
        while True:
            self.q[inner] = 1 + distance[self._next[inner]]
            better = self.q.min(axis=1, initial=np.inf)
            if np.array_equal(better, distance):
                break
            distance = better

    def way(self, node: int) -> list[int]:
        """Return the actions of a shortest way from a node."""
        way: list[int] = []
        while node >= 0 and np.isfinite(self.q[node]).any():
            column = int(self.q[node].argmin())
            way.append(int(self.actions[column]))
            node = int(self._next[node, column])
        return way

    def status(self, node: int) -> PlanStatus:
        """Return what the search found out about a node."""
        if np.isfinite(self.q[node]).any():
            return PlanStatus.SOLVED
        return PlanStatus.UNSOLVABLE if self._complete else PlanStatus.UNKNOWN

    def find(self, states: NDArray[np.void], which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the node of each of the chosen states; row i belongs to start i."""
        rows = np.flatnonzero(which)
        keys = self._keys(states[rows])
        return np.array(
            [self._node_of[root, key] for root, key in zip(rows.tolist(), keys, strict=True)],
            np.int64,
        )

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many states belong to each start."""
        return np.bincount(self._root, minlength=len(self.starts))

    def _add(
        self, states: NDArray[np.void], roots: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.void]]:
        """Return the nodes of states, and those states that were new, in the order of nodes."""
        nodes = np.empty(len(states), np.int64)
        fresh: list[int] = []
        for row, at in enumerate(zip(roots.tolist(), self._keys(states), strict=True)):
            node = self._node_of.setdefault(at, self.count)
            if node == self.count:
                self.count += 1
                fresh.append(row)
            nodes[row] = node
        if fresh:
            self._root = np.concatenate([self._root, roots[fresh]])
            room = np.full((self.count - len(self._next), len(self.actions)), _DEAD, np.int32)
            self._next = np.concatenate([self._next, room])
        return nodes, states[fresh]

    def _keys(self, states: NDArray[np.void]) -> list[bytes]:
        if not len(states):
            return []
        parts = [np.ascontiguousarray(states[name]) for name in self._motion]
        rows = [part.view(np.uint8).reshape(len(states), -1) for part in parts]
        return [row.tobytes() for row in np.concatenate(rows, axis=1)]
