"""Reference agents that plan: agents whose goal is known because they were built with it.

Public names: `SeekerConfig`, `Seeker`, `HoldAction`.

A `Seeker` follows the planner's shortest way to its target with the game's own rules, so its
capability is the planner's, and noise lowers it without changing the agent's goal.  It reads the
engine's state: it is an instrument for validating evaluators, not an agent to be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import in_range
from misgen.envs.core.planning.planned import strict
from misgen.envs.core.planning.planner import NOTHING, Planner, make_planner

from .alterations import falls_to_first, noisy

if TYPE_CHECKING:
    from misgen.envs.core.engine import Engine
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation, World

GOAL, PROXY = "goal", "proxy"
_TARGETS = (GOAL, PROXY)
_MIXTURE_SALT = 7919  # keeps the mixture's draws apart from the evaluator's


@dataclass(frozen=True)
class SeekerConfig:
    """What a seeker is after, and how well it goes about it."""

    goal_share: float = 1.0
    """Part of the levels on which it seeks the intended goal; on the others it seeks the proxy, and
    takes no notice of the goal.  1: a goal-seeker; 0: a proxy-seeker; between: a mixture."""
    noise: float = 0.0
    """Probability that a decision is a uniformly random action instead of the plan's."""
    delay: int = 0
    """Decisions at an episode's start in which it does nothing."""
    seed: int = 0
    """Of a mixture: which levels are those on which it seeks the goal."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("agent.seed", self.seed, 0, 2**31 - 1)
        in_range("agent.goal_share", self.goal_share, 0.0, 1.0)
        in_range("agent.noise", self.noise, 0.0, 1.0)
        in_range("agent.delay", self.delay, 0, 10_000)


class Seeker:
    """Follows shortest plans to the goal, or to the proxy, and plans anew wherever noise throws it.

    Its way to the goal is clear of the proxy, whatever reaching the proxy does in its world.  Where
    there is no way to its target it does nothing.
    """

    has_no_memory = True

    def __init__(self, world: World, config: SeekerConfig, name: str) -> None:
        """Make a seeker for `world`.

        Raises:
            UserError: if the world has no planner.
        """
        self.name = name
        self._config = config
        self._world = world
        self._actions = int(world.action_space.n)
        self._planner: Planner = make_planner(strict(world))
        self._slots: _Slots | None = None
        self._seeks: dict[int, str] = {}
        self._contents: dict[int, bytes] = {}  # digest of the level in each slot
        self._fresh: list[int] = []  # slots with a new episode since the last decision

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Choose a target for each new episode; the way there is planned when it is needed."""
        for_goal = self.for_goal(levels)
        contents = levels.digests()
        if self._world.goal_moves and not for_goal.all():  # the way to the proxy ignores the goal
            bare = levels.digests(terrain=True)
            contents = [c if g else b for c, b, g in zip(contents, bare, for_goal, strict=True)]
        for slot, goal, content in zip(slots.tolist(), for_goal.tolist(), contents, strict=True):
            self._seeks[slot] = GOAL if goal else PROXY
            self._contents[slot] = content
            self._fresh.append(slot)

    def for_goal(self, levels: LevelBatch) -> NDArray[np.bool_]:
        """Return on which levels it seeks the goal, bool [n]; on the others, the proxy."""
        salt = _MIXTURE_SALT + self._config.seed
        return falls_to_first(levels.ids, self._config.goal_share, salt)

    def probabilities(self, observation: Observation, engine: Engine) -> NDArray[np.float64]:
        """Return the plan's action with probability 1 - noise, else any: float64 [n, actions]."""
        if self._slots is None or self._slots.engine is not engine:
            self._slots = _Slots(engine, self._planner.motion)
        self._slots.planned[self._fresh] = False
        self._fresh.clear()
        running = np.flatnonzero(engine.episodes["running"])
        wanted = np.full(engine.num_slots, self._world.no_op, np.int64)
        opening = self.opening(running, engine, wanted)
        self._plan(running[~opening], engine)
        self._slots.follow(running[~opening], wanted, self._world)
        p = np.eye(self._actions)[wanted[running]]
        p[~opening] = noisy(p[~opening], self._config.noise)
        return p

    def opening(
        self, running: NDArray[np.int64], engine: Engine, wanted: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which running slots do not seek yet, bool [running]; here for its delay.

        Args:
            running: slots, in ascending order.
            engine: where they are.
            wanted: action of each slot, which does nothing at first; changed in place.
        """
        return engine.episodes["decisions"][running] < self._config.delay

    def _plan(self, slots: NDArray[np.int64], engine: Engine) -> None:
        """Plan in those of `slots` that are not where their plan expected to be."""
        memory = self._slots
        assert memory is not None
        lost = slots[~memory.on_plan(slots, engine.states)]
        for target in _TARGETS:
            chosen = lost[[self._seeks[slot] == target for slot in lost.tolist()]]
            if len(chosen):
                contents = [self._contents[slot] for slot in chosen.tolist()]
                plans = self._plans(target, contents, engine.states[chosen])
                memory.keep(chosen, engine.states[chosen], plans)

    def _plans(
        self, target: str, contents: list[bytes], states: NDArray[np.void]
    ) -> list[NDArray[np.int8]]:
        """Return the shortest plan from each state; the same state is planned for once."""
        known = _known_plans(self._world)
        keys = list(zip(contents, self._situations(target, states), strict=True))
        missing = [k for k, key in enumerate(keys) if key not in known]
        if missing:
            rows = self._planner.plan_from(states[missing], target).actions
            for k, row in zip(missing, rows, strict=True):
                known[keys[k]] = row[row != NOTHING]
        return [known[key] for key in keys]

    def _situations(self, target: str, states: NDArray[np.void]) -> list[bytes]:
        """Return what the plan from each state of a level depends on."""
        rows = self._planner.situation(states, target)
        return [target.encode() + row.tobytes() for row in rows]


class HoldAction:
    """Holds one action, whatever it sees: the simplest heuristic that reaches the proxy at times.

    In CoinRun that is action 8, right and jump.
    """

    has_no_memory = True

    def __init__(self, num_actions: int, action: int = 8) -> None:
        """Make an agent that always takes `action`."""
        self.name = "hold_action"
        self._row = np.eye(num_actions)[action]

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Do nothing: this agent has no memory."""

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return the fixed row for each slot: float64 [n, num_actions]."""
        n = len(next(iter(observation.values())))
        return np.broadcast_to(self._row, (n, len(self._row)))


class _Slots:
    """The plan under way in each slot, and where it expects its slot to be next."""

    def __init__(self, engine: Engine, motion: tuple[str, ...]) -> None:
        from misgen.envs.core.episode import EPISODE_DTYPE

        n = engine.num_slots
        self.engine = engine
        self._motion = motion
        self.planned = np.zeros(n, np.bool_)
        self._expected = np.zeros(n, engine.world.state_dtype)
        self._episodes = np.zeros(n, EPISODE_DTYPE)
        self._actions: list[NDArray[np.int8]] = [np.zeros(0, np.int8)] * n
        self._next = np.zeros(n, np.int64)

    def on_plan(self, slots: NDArray[np.int64], states: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return whether each slot is where its plan expected it, bool [len(slots)]."""
        same = self.planned[slots].copy()
        for field in self._motion:
            now, then = states[field][slots], self._expected[field][slots]
            same &= (now == then).all(axis=tuple(range(1, now.ndim)))
        return same

    def keep(
        self, slots: NDArray[np.int64], states: NDArray[np.void], plans: list[NDArray[np.int8]]
    ) -> None:
        """Take new plans: `plans[k]` from `states[k]` on in `slots[k]`."""
        self.planned[slots] = True
        self._expected[slots] = states
        self._next[slots] = 0
        for slot, plan in zip(slots.tolist(), plans, strict=True):
            self._actions[slot] = plan

    def follow(self, slots: NDArray[np.int64], wanted: NDArray[np.int64], world: World) -> None:
        """Write each slot's next planned action into `wanted`, and foresee where it leads."""
        for slot in slots.tolist():
            plan, at = self._actions[slot], self._next[slot]
            if at < len(plan):
                wanted[slot] = plan[at]
        self._next[slots] += 1
        self._episodes["running"] = False
        self._episodes["running"][slots] = True
        self._episodes["frames"] = 0
        world.advance(self._expected, self._episodes, wanted)


@lru_cache(maxsize=4)
def _known_plans(world: World) -> dict[tuple[bytes, bytes], NDArray[np.int8]]:
    """Return the plans that were found in a world, by what the level holds and the situation."""
    return {}
