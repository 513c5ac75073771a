"""Seekers of chests and of keys: tours through the maze, and how to move along them.

With steps between cells (`moves="cells"`, `action_repeat=1`) the plans are shortest.  With smooth
motion the tour is the shortest in cells, and the agent steers along it: of all actions it takes the
one after which it would come to rest nearest to the tour's next object, and it plans anew when it
touches another.  That is a few frames longer than need be.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..core.planning.guided_planner import GuidedPlanner
from ..core.planning.planner import NOTHING, PlanStatus, TargetPlans, target_event
from . import rules, tours
from .constants import LARGEST, MOST_OBJECTS, NO_OP
from .world import KeysAndChests

_SOLVED, _UNSOLVABLE, _UNKNOWN = (
    int(PlanStatus.SOLVED),
    int(PlanStatus.UNSOLVABLE),
    int(PlanStatus.UNKNOWN),
)
_COAST = 4  # frames after which the agent has as good as come to rest
_PATIENCE = 40  # decisions without a new object, beyond the steps there
_LATERAL = 0.6  # what being off the middle of a passage counts, against being short of the aim
_TOUCHED = -10.0


class KeysAndChestsPlanner(GuidedPlanner):
    """Ways along the shortest tours."""

    world: KeysAndChests

    def guide(self, states: NDArray[np.void], target: str) -> NDArray[np.int64]:
        """Return what to do next in each state, int64 [n]; `NOTHING` where no way is left."""
        actions, _, _ = self._walk(self._seen(states, target), target, 1)
        return actions[:, 0].astype(np.int64)

    def situation(self, states: NDArray[np.void], target: str) -> NDArray[np.uint8]:
        """Return all that a plan depends on, the keys and chests of the level's twins included."""
        rows = [super().situation(states, target)]
        for name in ("kind", "ex", "ey"):
            rows.append(np.ascontiguousarray(states[name]).view(np.uint8))
        return np.concatenate(rows, axis=1)

    def plan_from(self, states: NDArray[np.void], target: str) -> TargetPlans:
        """Return the way to `target` from each of the states [n]; see `Planner`."""
        target_event(target)
        world, seen = self.world, self._seen(states, target)
        actions, status, shortest = self._walk(seen, target, self._horizon)
        solved = status == PlanStatus.SOLVED
        actions[~solved] = NOTHING
        decisions = (actions != NOTHING).sum(axis=1)
        actions = actions[:, : max(decisions, default=0)]
        exact = world.moves == "cells" and world.action_repeat == 1
        return TargetPlans(
            target=target,
            status=status,
            decisions=np.where(solved, decisions, NOTHING).astype(np.int32),
            actions=actions,
            shortest=solved & shortest & exact,
            events=self._events(states, actions),
            nodes=decisions.astype(np.int64),
        )

    def _follow(
        self, states: NDArray[np.void], target: str
    ) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        actions, status, _ = self._walk(states, target, self._horizon)
        return actions, status

    @property
    def _horizon(self) -> int:
        return -(-self.world.max_steps // self.world.action_repeat)

    def _walk(
        self, states: NDArray[np.void], target: str, horizon: int
    ) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.bool_]]:
        """Return actions [n, horizon], `PlanStatus` [n], and whether each tour is shortest [n]."""
        world = self.world
        actions = np.full((len(states), horizon), NOTHING, np.int8)
        status = np.full(len(states), _UNKNOWN, np.int8)
        exact = np.zeros(len(states), np.bool_)
        codes = np.unique(world.codes[world.representatives])
        index = np.full(15, NOTHING, np.int8)
        index[world.codes[::-1]] = np.arange(len(world.codes))[::-1]
        _walk_all(
            states.copy(), target == "goal", world.on_proxy != "continue", world.action_repeat,
            codes, index, actions, status, exact,
        )  # fmt: skip
        return actions, status, exact


@njit(cache=True)
def _walk_all(states, to_goal, strict, repeat, codes, index, actions, status, exact):
    for k in range(len(states)):
        status[k], exact[k] = _walk_one(
            states[k], to_goal, strict, repeat, codes, index, actions[k]
        )


@njit(cache=True)
def _walk_one(s, to_goal, strict, repeat, codes, index, actions):
    """Write the actions of a way; return its status, and whether its tours are shortest."""
    tour = np.empty(MOST_OBJECTS, np.int64)
    for_keys = not to_goal and s.keys > s.chests
    strict = strict and to_goal
    length, next_stop, exact = 0, 0, True
    field = np.empty((LARGEST, LARGEST), np.int64)
    taken, waited, lost = s.taken, 0, True
    for t in range(len(actions)):
        if s.taken != taken:
            lost = next_stop >= length or s.taken != taken | _bit(tour[next_stop])
            taken, waited = s.taken, 0
            next_stop += 1
            if not lost and next_stop < length:
                field = _field_to(s, tour[next_stop])
        if lost or next_stop >= length:
            if for_keys:
                length = tours.key_tour(s, tour)
            else:
                length, shortest = tours.chest_tour(s, strict, tour)
                exact = exact and shortest
            if length == tours.NO_TOUR or length == 0:
                return _UNSOLVABLE, exact
            lost, next_stop = False, 0
            field = _field_to(s, tour[0])
        code = _steer(s, tour[next_stop], field, repeat, codes)
        actions[t] = index[code]
        for _ in range(repeat):
            rules.frame(s, code, 0.0, 0.0)
            if _arrived(s, for_keys):
                return _SOLVED, exact
            if strict and s.keys > s.chests and s.collected == s.keys:
                return _UNSOLVABLE, exact
        waited += 1
        if waited > _PATIENCE + 2 * LARGEST * LARGEST:
            return _UNKNOWN, exact
    return _UNKNOWN, exact


@njit(cache=True)
def _arrived(s, for_keys):
    if for_keys:
        return s.collected == s.keys
    return s.opened == rules.usable(s)


@njit(cache=True)
def _field_to(s, j):
    return tours.distances_to(s, int(s.ex[j]), int(s.ey[j]))


@njit(cache=True)
def _bit(j):
    return np.uint32(1) << np.uint32(j)


@njit(cache=True)
def _steer(s, j, field, repeat, codes):
    """Return the action that brings the agent nearest to object `j`."""
    best, least = NO_OP, np.inf
    x, y, fx, fy, fvx, fvy = s.x, s.y, s.fx, s.fy, s.fvx, s.fvy
    for code in codes:
        off = _off_after(s, j, field, code, repeat)
        if off < least - 1e-6:
            best, least = code, off
        s.x, s.y, s.fx, s.fy, s.fvx, s.fvy = x, y, fx, fy, fvx, fvy
    return best


@njit(cache=True)
def _off_after(s, j, field, code, repeat):
    """Return how far from object `j` the agent comes to rest after an action; it moves there."""
    if not s.smooth:
        dx, dy = rules.step_of(code)
        for i in range(repeat):
            rules.enter(s, dx, dy)
            if field[s.y, s.x] == 0:
                return _TOUCHED + i
        return np.float64(field[s.y, s.x])
    for i in range(repeat):
        rules.move(s, code)
        if rules.touches(s, j):
            return _TOUCHED + i
    for _ in range(_COAST):
        rules.move(s, NO_OP)
    return _off(s, field)


@njit(cache=True)
def _off(s, field):
    """Return the way that is left along the middle of the passages, in cells."""
    x, y = int(s.fx), int(s.fy)
    dx, dy = s.fx - x - 0.5, s.fy - y - 0.5
    nx, ny = tours.nearer(field, x, y)
    if nx == x and ny == y:
        return field[y, x] + max(abs(dx), abs(dy))
    along = dx * (nx - x) + dy * (ny - y)
    aside = abs(dx * (ny - y)) + abs(dy * (nx - x))
    return field[y, x] - along + _LATERAL * aside
