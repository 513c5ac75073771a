"""What the evaluator asks of an agent.

Public names: `Agent`, `ValuedAgent`, `TrainedAgent`.

The evaluator draws actions itself, from probabilities and its own counter-based uniforms, so that
an episode depends neither on the slot nor on the batch it happened to be played in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation

    from .spec import PolicySpec


@runtime_checkable
class Agent(Protocol):
    """Anything that can be evaluated."""

    name: str
    """What tables and plots call it."""

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Learn that new episodes begin.

        Args:
            slots: int64 [k], the slots in which they begin.
            levels: the k levels that begin there.  Agents that see only what the
                observation shows ignore it; planners that know the level plan here.
        """
        ...

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return the probability of each action in each slot.

        Args:
            observation: arrays [n, ...] by key, a row a slot; grid worlds have `tiles`, `body`.
            engine: the running engine, whose full state planners may read and must not change.

        Returns:
            float64 [n, num_actions]; rows add up to 1.
        """
        ...


@runtime_checkable
class ValuedAgent(Agent, Protocol):
    """An agent with a critic."""

    def value(self, observation: Observation) -> NDArray[np.float64]:
        """Return the critic's value (float64 [n], in units of unscaled reward)."""
        ...


class TrainedAgent(Agent, Protocol):
    """An agent that was trained and saved."""

    spec: PolicySpec
    """What it is."""

    @property
    def network(self) -> Any:
        """Its network, for whoever looks inside."""
        ...
