"""Planning by a guide: a rule that says, in any state, what to do next.

For worlds with too many states to search.  The guide is followed on copies of states, stepped by
the world's own rules, until the target is reached; its plans can be replayed, and are as good as
the guide.  Randomness is allowed where it is drawn from counters in the state.

Public name: `GuidedPlanner`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..boards.board import MOVES
from ..level import LevelBatch
from .graph_planner import BoardPlanner
from .planner import NOTHING, PlanStatus, TargetPlans, target_event


class GuidedPlanner(BoardPlanner):
    """Ways to a target as a guide leads there; subclasses say how."""

    @abstractmethod
    def guide(self, states: NDArray[np.void], target: str) -> NDArray[np.int64]:
        """Return what to do next in each state, int64 [n]; `NOTHING` where no way is left."""

    def actions_of(self, moves: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the world's actions that are these moves: indices into `MOVES`, or `NOTHING`."""
        if self._grid.action_set == "distinct":
            return moves
        return np.where(moves == NOTHING, NOTHING, MOVES[moves])

    def plan_from(self, states: NDArray[np.void], target: str) -> TargetPlans:
        """Return the guide's way to `target` from each of the states [n]; see `Planner`."""
        actions, status = self._follow(self._seen(states, target), target)
        solved = status == PlanStatus.SOLVED
        actions[~solved] = NOTHING
        decisions = (actions != NOTHING).sum(axis=1)
        return TargetPlans(
            target=target,
            status=status,
            decisions=np.where(solved, decisions, NOTHING).astype(np.int32),
            actions=actions[:, : max(decisions, default=0)],
            shortest=np.zeros(len(states), np.bool_),
            events=self._events(states, actions),
            nodes=decisions.astype(np.int64),
        )

    def q_values(self, states: NDArray[np.void], target: str) -> NDArray[np.float32]:
        """Return the decisions to `target` after each first action [n, actions]; see `Planner`."""
        bit, seen = target_event(target), self._seen(states, target)
        q = np.full((len(states), self._num_actions), np.inf, np.float32)
        for action in np.unique(self._grid.representatives).tolist():
            after, episodes = self._step(seen, action)
            reached = (episodes["events"] & bit) != 0
            goes_on = np.flatnonzero(~reached & ~episodes["terminated"])
            q[reached, action] = 1
            ways, status = self._follow(after[goes_on], target)
            solved = status == PlanStatus.SOLVED
            q[goes_on[solved], action] = 1 + (ways[solved] != NOTHING).sum(axis=1)
        return q[:, self._grid.representatives]

    def q_along(
        self, levels: LevelBatch, actions: NDArray[Any], target: str
    ) -> NDArray[np.float32]:
        """Return `q_values` at every state of episodes; see `Planner`."""
        n, decisions = actions.shape
        out = np.full((n, decisions, self._num_actions), np.nan, np.float32)
        for t, states, running in self._replay(self._at_start(levels), actions):
            out[running, t] = self.q_values(states[running], target)
        return out

    def _follow(
        self, states: NDArray[np.void], target: str
    ) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Return what the guide does from each state [n, decisions], and its `PlanStatus` [n]."""
        bit, horizon = target_event(target), -(-self.world.max_steps // self.world.action_repeat)
        actions = np.full((len(states), horizon), NOTHING, np.int8)
        status = np.full(len(states), PlanStatus.UNKNOWN, np.int8)
        rows, states = np.arange(len(states)), states.copy()
        for t in range(horizon):
            wanted = self.guide(states, target)
            lost = wanted == NOTHING
            status[rows[lost]] = PlanStatus.UNSOLVABLE
            rows, states, wanted = rows[~lost], states[~lost], wanted[~lost]
            if not len(rows):
                break
            actions[rows, t] = wanted
            states, episodes = self._step(states, wanted)
            reached = (episodes["events"] & bit) != 0
            status[rows[reached]] = PlanStatus.SOLVED
            status[rows[episodes["terminated"] & ~reached]] = PlanStatus.UNSOLVABLE
            goes_on = ~reached & ~episodes["terminated"]
            rows, states = rows[goes_on], states[goes_on]
        return actions, status
