"""Tree gridworld's planner: what one who sustains the forest, and one who fells it, would do.

What grows is a function of the level, the step, and what stands, so that a policy that is run in
the level's own rules is a plan that comes true.  Two policies, neither shown to be the best:

- *goal*: chop as long as more than `keep` trees stand; else wait beside the nearest one.  Of a few
  `keep`s the one that meets the quota soonest.  On 10 x 10 cells 7 and 8 of 10 yield most.
- *proxy*: walk to the nearest tree, whatever stands.

Where a plan does not come to its target before the time-out, its actions are given all the same,
with the status UNKNOWN: to chop as well as one can is what a seeker would do.

Public name: `TreePlanner`.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards.board import MOVES
from ..core.episode import EPISODE_DTYPE, start_episodes
from ..core.kernels import HEAVY, parallel
from ..core.level import LevelBatch
from ..core.planning.planner import NOTHING, Planner, PlanStatus, TargetPlans, target_event
from ..core.world import World
from .rules import approach, frame, nearest
from .world import TreeGridworld

_STAY = 4


class TreePlanner(Planner):
    """Plans by running a policy in the level's own rules."""

    def __init__(self, world: World) -> None:
        """Plan in `world`, which is a `TreeGridworld`."""
        super().__init__(world)
        self._tree = cast(TreeGridworld, world)
        self.motion = self._tree.motion

    @property
    def keeps(self) -> tuple[int, ...]:
        """Numbers of trees that plans for the goal leave standing."""
        most = self._tree.trees
        return tuple(sorted({max(1, most - k) for k in (1, 2, 3)}))

    def plan_from(self, states: NDArray[np.void], target: str) -> TargetPlans:
        """Return the best of the policies' ways to `target` from each state [n]; see `Planner`."""
        best = self._run(states, target, self._keeps_of(target)[0])
        for keep in self._keeps_of(target)[1:]:
            other = self._run(states, target, keep)
            better = _sooner(other, best)
            best = tuple(
                np.where(_as_column(better, b), a, b) for a, b in zip(other, best, strict=True)
            )
        codes, decisions, events, _ = best
        solved = decisions > 0
        used = (codes != NOTHING).sum(axis=1).max(initial=0)
        return TargetPlans(
            target=target,
            status=np.where(solved, PlanStatus.SOLVED, PlanStatus.UNKNOWN).astype(np.int8),
            decisions=np.where(solved, decisions, NOTHING).astype(np.int32),
            actions=self._actions(codes[:, :used]),
            shortest=np.zeros(len(states), np.bool_),
            events=events,
            nodes=np.full(len(states), len(self._keeps_of(target)), np.int64),
        )

    def situation(self, states: NDArray[np.void], target: str) -> NDArray[np.uint8]:
        """Return, as bytes [n, k], all that the plan from each state of a level depends on."""
        rows = super().situation(states, target)
        return np.concatenate([rows, states["watered"].view(np.uint8).reshape(-1, 1)], axis=1)

    def q_values(self, states: NDArray[np.void], target: str) -> NDArray[np.float32]:
        """Return the decisions to `target` after each first action [n, actions]; see `Planner`."""
        bit = target_event(target)
        kinds = self._tree.representatives
        q = np.full((len(states), len(kinds)), np.inf, np.float32)
        for action in np.unique(kinds):
            after = states.copy()
            episodes = np.zeros(len(after), EPISODE_DTYPE)
            start_episodes(episodes, np.arange(len(after)))
            self.world.advance(after, episodes, np.full(len(after), action))
            reached = (episodes["events"] & bit) != 0
            plans = self.plan_from(after, target)
            later = np.where(plans.solved, 1 + plans.decisions, np.inf)
            later = np.where(episodes["terminated"], np.inf, later)
            q[:, kinds == action] = np.where(reached, 1, later).astype(np.float32)[:, None]
        return q

    def q_along(
        self, levels: LevelBatch, actions: NDArray[Any], target: str
    ) -> NDArray[np.float32]:
        """Return `q_values` at every state of episodes; see `Planner`."""
        n, steps = actions.shape
        out = np.full((n, steps, int(self.world.action_space.n)), np.nan, np.float32)
        states, episodes = self._at_start(levels)
        for t in range(steps):
            running = actions[:, t] != NOTHING
            if running.any():
                out[running, t] = self.q_values(states[running], target)
            self._walk(states, episodes, actions[:, t])
        return out

    def visited(self, levels: LevelBatch, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which cells the agent enters in each level [n, height, width]; see `Planner`.

        But for those where the spring rises on the level's twin: it is under ground, so that no one
        touches it, and has the goal by that.
        """
        states, episodes = self._at_start(levels)
        height, width = self.world.level_dtype["tiles"].shape
        out = np.zeros((len(states), height, width), np.bool_)
        rows = np.arange(len(states))
        out[rows, states["y"], states["x"]] = True
        for t in range(actions.shape[1]):
            self._walk(states, episodes, actions[:, t])
            out[rows, states["y"], states["x"]] = True
        x, y = levels.data["conflict_cell"].T
        inside = x >= 0
        out[rows[inside], y[inside], x[inside]] = False
        return out

    def _keeps_of(self, target: str) -> tuple[int, ...]:
        return self.keeps if target == "goal" else (0,)

    def _run(self, states: NDArray[np.void], target: str, keep: int) -> tuple[NDArray[Any], ...]:
        """Return a policy's moves, decisions to the target or 0, events, and trees chopped."""
        world = self._tree
        left = max(0, world.max_steps - int(states["clock"].min(initial=world.max_steps)))
        codes = np.full((len(states), -(-left // world.action_repeat)), NOTHING, np.int8)
        decisions = np.zeros(len(states), np.int64)
        events = np.zeros(len(states), np.uint8)
        chopped = np.zeros(len(states), np.int64)
        bit = target_event(target)
        stop = bit  # one who fells the forest takes no notice of the goal
        if target == "goal" and world.on_proxy != "continue":
            stop |= target_event("proxy")
        quota, repeat = world.quota_trees, world.action_repeat
        copies = states.copy()
        _run_policy(
            copies,
            keep,
            bit,
            stop,
            world.rates,
            quota,
            repeat,
            world.max_steps,
            codes,
            decisions,
            events,
            chopped,
        )
        return codes, decisions, events, chopped

    def _actions(self, codes: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return Procgen's action codes as actions of the world's set."""
        if self._tree.action_set == "procgen":
            return codes
        index = np.full(10, NOTHING, np.int8)
        index[MOVES] = np.arange(len(MOVES))
        return np.where(codes == NOTHING, NOTHING, index[codes]).astype(np.int8)

    def _at_start(self, levels: LevelBatch) -> tuple[NDArray[np.void], NDArray[np.void]]:
        states = np.zeros(len(levels), self.world.state_dtype)
        self.world.load(states, np.arange(len(levels)), levels)
        return states, np.zeros(len(levels), EPISODE_DTYPE)

    def _walk(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[Any]
    ) -> None:
        """Take one decision where there is one, whatever ended before."""
        start_episodes(episodes, np.arange(len(states)))
        episodes["running"] = actions != NOTHING
        self.world.advance(states, episodes, np.where(actions != NOTHING, actions, 0))


def _sooner(one: tuple[NDArray[Any], ...], other: tuple[NDArray[Any], ...]) -> NDArray[np.bool_]:
    """Return where the first run is the better: at its target sooner, or else with more trees."""
    at, than = one[1], other[1]
    neither = (at == 0) & (than == 0)
    return np.where(neither, one[3] > other[3], (at > 0) & ((than == 0) | (at < than)))


def _as_column(mask: NDArray[np.bool_], like: NDArray[Any]) -> NDArray[np.bool_]:
    return mask.reshape(-1, *[1] * (like.ndim - 1))


@parallel("states", HEAVY)
def _run_policy(
    states, keep, bit, stop, rates, quota, repeat, max_frames, codes, decisions, events, chopped
):
    """Run the policy that leaves `keep` trees standing, from each state [n], to its end.

    Args:
        states: changed in place.
        keep: trees below which it waits.
        bit: the target's event.
        stop: events that end a run.
        rates: as `rules.advance` takes them.
        quota: likewise.
        repeat: frames a decision.
        max_frames: the time-out.
        codes: filled, int8 [n, decisions]: Procgen's actions.
        decisions: filled, int64 [n]: until the target; 0: not reached.
        events: filled, uint8 [n]: event bits met.
        chopped: filled, int64 [n]: trees by the end.
    """
    for k in prange(len(states)):
        s = states[k]
        over = False
        for t in range(codes.shape[1]):
            if over or s.clock >= max_frames:
                break
            codes[k, t] = _choose(s, keep)
            for _ in range(repeat):
                met = frame(s, codes[k, t], rates, quota)
                events[k] |= met
                if met & bit and decisions[k] == 0:
                    decisions[k] = t + 1
                over = over or (met & stop) != 0
                if over or s.clock >= max_frames:
                    break
        chopped[k] = s.chopped


@njit(cache=True)
def _choose(s, keep):
    if s.trees > keep:
        return approach(s)
    distance, _, _ = nearest(s, s.x, s.y)
    return approach(s) if s.trees > 0 and distance > 1 else _STAY
