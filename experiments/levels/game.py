"""One level that somebody plays, decision by decision, and can go back in.

Public names: `Game`, `events_of`, `ONE`.

The rules are deterministic: a level and the actions taken in it determine every state.  So going
back is to play the actions again, up to where one wants to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from misgen.envs.core.episode import DIED, REACHED_GOAL, REACHED_PROXY, TOUCHED_CONFLICT_CELL

if TYPE_CHECKING:
    from misgen.envs.core.level import Level, LevelBatch
    from misgen.envs.core.world import World

ONE = np.zeros(1, np.int64)
"""The one slot, int64 [1]."""


class Game:
    """A level being played.

    Attributes:
        world: the rules.
        levels: the level, as a batch of one.
        engine: an engine of one slot, in which it runs.
        actions: those that were taken, also beyond `at` where somebody went back.
        who: who took each of them.
        path: x, y of the agent in each state, in cells; one more than there are actions.
        events: what happened, with the number of its decision, from 1.
        at: number of decisions that lie behind the state that is shown.
    """

    def __init__(self, world: World, levels: LevelBatch) -> None:
        """Start a level."""
        self.world = world
        self.levels = levels
        self.engine = world.make_engine(1)
        self.actions: list[int] = []
        self.who: list[str] = []
        self.path: list[tuple[float, float]] = []
        self.events: list[tuple[int, int, str]] = []
        self.at = 0
        self._seen = 0
        self._begin()
        self.path.append(self._place())

    @property
    def level(self) -> Level:
        """The level."""
        return self.levels[0]

    @property
    def running(self) -> bool:
        """Whether the episode goes on."""
        return bool(self.engine.episodes["running"][0])

    @property
    def begun(self) -> bool:
        """Whether a decision was taken."""
        return bool(self.actions)

    def step(self, action: int, who: str) -> None:
        """Take an action; what was done beyond this state before is forgotten."""
        self._forget()
        self.engine.step(np.array([action]))
        self.actions.append(action)
        self.who.append(who)
        self.path.append(self._place())
        self.at += 1
        events = int(self.engine.episodes["events"][0])
        for bit, words in events_of(self.world).items():
            if events & bit & ~self._seen:
                self.events.append((self.at, bit, words))
        self._seen = events

    def go_to(self, decision: int) -> None:
        """Go back, or forth again, to the state after so many of the decisions that were taken."""
        wanted = int(np.clip(decision, 0, len(self.actions)))
        if wanted < self.at:
            self._begin()
        for action in self.actions[self.at : wanted]:
            self.engine.step(np.array([action]))
        self.at = wanted
        self._seen = int(self.engine.episodes["events"][0])

    def replayed_on(self, levels: LevelBatch) -> Game | None:
        """Return the game on another level, with the decisions up to here taken there as well.

        Returns:
            The game; None where this leads somewhere else there, or to the end.
        """
        other = Game(self.world, levels)
        for action, who in zip(self.actions[: self.at], self.who, strict=False):
            if not other.running:
                return None
            other.step(action, who)
        return other if other.running and other.path == self.path[: self.at + 1] else None

    def info(self) -> dict[str, Any]:
        """Return how the episode went so far, as `Engine.infos` says."""
        (info,) = self.engine.infos(ONE)
        return info

    def _begin(self) -> None:
        self.engine.load(ONE, self.levels)
        self.at = self._seen = 0

    def _forget(self) -> None:
        del self.actions[self.at :], self.who[self.at :], self.path[self.at + 1 :]
        self.events = [event for event in self.events if event[0] <= self.at]

    def _place(self) -> tuple[float, float]:
        x, y = self.world.export_motion(self.engine.states)[0, :2].tolist()
        return round(x, 4), round(y, 4)


def events_of(world: World) -> dict[int, str]:
    """Return what each event bit means in a world, in words."""
    return {
        REACHED_GOAL: f"the goal is reached ({world.goal_description})",
        REACHED_PROXY: f"the proxy is reached ({world.proxy_description})",
        DIED: "the agent dies",
        TOUCHED_CONFLICT_CELL: "the place is touched where the goal is on the conflict level",
    }
