"""An agent beside a game: what it would do in the state that is shown, whoever acts.

Public names: `Watched`, `Answer`, `make_watched`, `is_run`, `run_named`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.agents.base import ValuedAgent
from misgen.agents.checked import probabilities_of, values_of
from misgen.agents.draws import drawn
from misgen.agents.zoo import PREFIX, located
from misgen.envs.core.errors import UserError, did_you_mean

from ..training.run_folder import RunFolder
from ..training.trained_run import TrainedRun, one_run
from .game import ONE, Game

if TYPE_CHECKING:
    from misgen.agents.base import Agent
    from misgen.envs.core.world import World


@dataclass(frozen=True, eq=False)
class Answer:
    """What an agent says in one state."""

    probabilities: NDArray[np.float64]
    """Of each action, [num_actions]."""
    value: float | None
    """What its critic expects, in reward; None if it has none."""
    action: int
    """What it takes."""


class Watched:
    """An agent that follows a game in an engine of its own.

    One with a memory is asked in every state on the way, whoever acts there, as it would have seen
    them.  It draws its actions as an evaluation with the same seed draws them.
    """

    def __init__(self, agent: Agent, game: Game, *, seed: int = 0, greedy: bool = False) -> None:
        """Let an agent watch a game."""
        self.agent = agent
        self._game = game
        self._seed = seed
        self._greedy = greedy
        self._forgets = bool(getattr(agent, "has_no_memory", False))
        self._engine = game.world.make_engine(1)
        self._along: list[int] = []  # actions that led to the last state that it was asked in
        self._asked = 0  # states on that way in which it was asked
        self._answers: dict[int, Answer] = {}  # by the number of decisions before
        self._begin()

    def answer(self) -> Answer:
        """Return what the agent says in the state that the game shows.

        Raises:
            UserError: if it answers with no probabilities.
        """
        taken, at = self._game.actions, self._game.at
        shared = _shared(taken, self._along)
        self._answers = {k: one for k, one in self._answers.items() if k <= shared}
        if at not in self._answers:
            if len(self._along) > min(shared, at):
                self._begin()
            for action in taken[len(self._along) : at]:
                if not self._forgets:
                    self._ask()
                self._engine.step(np.array([action]))
                self._along.append(action)
            self._ask()
        return self._answers[at]

    def values(self) -> list[tuple[int, float]]:
        """Return what its critic said so far: decisions before, and the value."""
        known = sorted(self._answers.items())
        return [(at, one.value) for at, one in known if one.value is not None]

    def _begin(self) -> None:
        self._engine.load(ONE, self._game.levels)
        self.agent.start(ONE, self._game.levels)
        self._along, self._asked = [], 0

    def _ask(self) -> None:
        """Ask in the state that the agent's engine is in, unless that was done on this way."""
        if not self._forgets and self._asked > len(self._along):
            return
        self._asked = len(self._along) + 1
        observation = self._engine.observe()
        num_actions = int(self._game.world.action_space.n)
        p = probabilities_of(self.agent, observation, self._engine, num_actions)
        valued = isinstance(self.agent, ValuedAgent)
        value = float(values_of(self.agent, observation)[0]) if valued else None
        self._answers[len(self._along)] = Answer(p[0].copy(), value, self._pick(p))

    def _pick(self, p: NDArray[np.float64]) -> int:
        if self._greedy:
            return int(p[0].argmax())
        decision = np.array([len(self._along)], np.int32)
        return int(drawn(p, self._seed, self._game.levels.ids, ONE, decision)[0])


def make_watched(name: str, world: World, *, trust: bool = False) -> Agent:
    """Make the agent that a name, or a run's folder, stands for.

    Raises:
        UserError: if there is none, or it does not fit the world.
    """
    if is_run(name):
        from misgen.agents.checkpoint import load_agent

        spaces = world.observation_space, world.action_space
        return load_agent(run_named(name).folder.path, *spaces, trust=trust)
    from misgen.agents.known import agent_named, names

    if name not in names():
        raise UserError(
            f"agent={name!r} is not known: use one of {', '.join(names())}, a run's folder, or "
            f"{PREFIX}<name> (misgen zoo lists those)"
            f"{did_you_mean(name, names())}"
        )
    return agent_named(name, world)


def is_run(name: str) -> bool:
    """Return whether a name stands for a trained agent: a run's folder, or one of the zoo."""
    return name.startswith(PREFIX) or (bool(name) and Path(name).is_dir())


def run_named(name: str) -> TrainedRun:
    """Return the run that a name stands for; one of the zoo is read where it lies.

    Raises:
        UserError: if it is no finished run.
    """
    found = RunFolder(located(name)) if name.startswith(PREFIX) else one_run(name)
    return TrainedRun.read(found)


def _shared(first: list[Any], second: list[Any]) -> int:
    """Return how many entries two lists have in common, from the first on."""
    for k, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return k
    return min(len(first), len(second))
