"""Agents made from other agents: with noise, with delay, and mixtures of two.

Public names: `PerturbedAgent`, `PerturbedValuedAgent`, `Mixture`, `ByAlignment`.

They pursue the same goal as the original, or one of two goals by level, so their goal is known
wherever the original's is.  Noise and delay reduce capability and leave the goal as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import in_range

from .alterations import falls_to_first, noisy, still, waiting
from .base import Agent, ValuedAgent
from .checked import probabilities_of

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation

_MIXTURE_SALT = 104_729  # keeps the mixture's draws apart from the evaluator's and the seekers'


class PerturbedAgent:
    """An agent some of whose decisions are random, and that starts late."""

    def __init__(
        self, agent: Agent, name: str, *, noise: float = 0.0, delay: int = 0, no_op: int = 4
    ) -> None:
        """Alter an agent.

        Args:
            agent: the original.
            name: what tables call the altered one.
            noise: probability that a decision is a uniformly random action.
            delay: decisions at an episode's start in which it does nothing.
            no_op: the action that does nothing.

        Raises:
            UserError: for an impossible noise or delay.
        """
        self.name = name
        self._agent = agent
        self._noise = in_range("agent.noise", noise, 0.0, 1.0)
        self._delay = int(in_range("agent.delay", delay, 0, 10_000))
        self._no_op = no_op

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Tell the original."""
        self._agent.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return the original's probabilities, mixed with noise: float64 [n, num_actions]."""
        p = probabilities_of(self._agent, observation, engine)
        p = noisy(p, self._noise)
        if self._delay:
            still(p, waiting(engine, self._delay), self._no_op)
        return p


class Mixture:
    """Acts as one agent on some levels, and as another on the others."""

    def __init__(self, first: Agent, second: Agent, name: str, share: float) -> None:
        """Mix two agents.

        Args:
            first: who acts on a share of the levels.
            second: who acts on the others.
            name: what tables call the mixture.
            share: of the levels, in [0, 1]; which they are depends on their ids alone.

        Raises:
            UserError: for an impossible share.
        """
        self.name = name
        self._agents = (first, second)
        self._share = in_range("agent.share", share, 0.0, 1.0)
        self._first = np.zeros(0, np.bool_)  # by slot

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Choose who acts in each new episode; both learn that it begins."""
        missing = int(slots.max(initial=-1)) + 1 - len(self._first)
        self._first = np.append(self._first, np.zeros(max(0, missing), np.bool_))
        self._first[slots] = falls_to_first(levels.ids, self._share, _MIXTURE_SALT)
        for agent in self._agents:
            agent.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return the chosen agent's probabilities in each slot: float64 [n, num_actions]."""
        running = np.flatnonzero(engine.episodes["running"])
        return _of_either(self._agents, self._first[running], observation, engine)


class PerturbedValuedAgent(PerturbedAgent):
    """An altered agent that keeps the original's critic."""

    def __init__(self, agent: ValuedAgent, name: str, **options: Any) -> None:
        super().__init__(agent, name, **options)
        self._critic = agent

    def value(self, observation: Observation) -> NDArray[np.float64]:
        """Return the original's value, float64 [n]."""
        return self._critic.value(observation)


class ByAlignment:
    """Acts as one agent where goal and proxy agree, and as another where they part."""

    def __init__(self, aligned: Agent, conflict: Agent, name: str) -> None:
        """Join two agents.

        Args:
            aligned: who acts on aligned levels.
            conflict: who acts on the others.
            name: what tables call the two together.
        """
        self.name = name
        self._agents = (aligned, conflict)

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Tell both that episodes begin."""
        for agent in self._agents:
            agent.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return the chosen agent's probabilities in each slot: float64 [n, num_actions]."""
        running = np.flatnonzero(engine.episodes["running"])
        return _of_either(self._agents, engine.aligned[running], observation, engine)


def _of_either(
    agents: tuple[Agent, Agent], is_first: NDArray[np.bool_], observation: Observation, engine: Any
) -> NDArray[np.float64]:
    """Return in each slot the probabilities of the agent that acts there: [n, num_actions].

    An agent that acts nowhere at present is not asked: a network's pass would be in vain.
    """
    first, second = agents
    if is_first.all():
        return probabilities_of(first, observation, engine)
    if not is_first.any():
        return probabilities_of(second, observation, engine)
    one, other = (probabilities_of(agent, observation, engine) for agent in agents)
    return np.where(is_first[:, None], one, other)
