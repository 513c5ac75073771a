"""From what others call an agent to what the evaluator asks of one.

Public names: `as_agent`, `FunctionAgent`, `ModuleAgent`, `SlotMemoryAgent`, `KINDS`.

Whatever has no memory is asked in blocks of a fixed number of rows: a matrix product may round
differently with another number of rows, and then an episode would depend on how many others happen
to be played beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError
from misgen.envs.core.slots import as_array, shown

from ..checked import name_of
from .asking import asked

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation, World

    from ..base import Agent

ROWS = 64
"""Rows that a function without a memory is asked about at once."""
RESERVED = ("random", "idle")
"""Names that tables use for reference agents."""
_GIVE = (
    "give a function obs -> actions or probabilities, a torch module, a stable-baselines3 model or "
    "the path of its zip, or an object with start() or reset(), and probabilities()"
)


def as_agent(given: Any, world: World, name: str = "", *, trust: bool = False) -> Agent:
    """Return an agent that the evaluator can ask.

    Args:
        given: a function, a torch module, a stable-baselines3 model or the path of its zip, an
            object with `reset(slots)` and `probabilities(observation, slots)`, or an `Agent`.
        world: where it is to play.
        name: what tables call it; empty: its own name, or `agent`.
        trust: load a zip, which runs code that the zip may hold.

    Raises:
        UserError: if it is nothing of these, or does not fit the world.
    """
    agent = _adapted(given, world, trust)
    called = name or str(getattr(given, "name", "") or getattr(agent, "name", "") or "agent")
    if called in RESERVED:
        raise UserError(
            f"name={called!r} is what tables call a reference agent: give the agent another name"
        )
    if getattr(agent, "name", None) != called:
        agent = _Named(agent, called) if agent is given else agent
        agent.name = called
    return agent


def _adapted(given: Any, world: World, trust: bool) -> Agent:
    """Return the agent that something is, or is wrapped in."""
    if isinstance(given, type):
        raise UserError(f"agent {shown(given)} is a class, not an object: {_GIVE}")
    if isinstance(given, str | Path):
        from .sb3 import load_zip

        given = load_zip(given, trust)
    num_actions = int(world.action_space.n)
    if _is_one_of(given, "stable_baselines3.common.base_class", "BaseAlgorithm"):
        from .sb3 import model_agent

        return model_agent(given, world)
    if _has(given, "start", "probabilities"):
        return given
    if _has(given, "reset", "probabilities"):
        return SlotMemoryAgent(given)
    if _is_one_of(given, "torch.nn", "Module"):
        return ModuleAgent(given, num_actions)
    if callable(given):
        return FunctionAgent(given, num_actions)
    raise UserError(f"agent {shown(given)} ({type(given).__name__}) is no agent: {_GIVE}")


class _Named:
    """An agent that tables call something else."""

    def __init__(self, agent: Any, name: str) -> None:
        self.name = name
        self.original = agent

    def __getattr__(self, name: str) -> Any:
        if name == "original":  # not there yet, while it is being copied
            raise AttributeError(name)
        return getattr(self.original, name)

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Tell the original."""
        self.original.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Any) -> Any:
        """Return the original's answer."""
        return self.original.probabilities(observation, engine)


class FunctionAgent:
    """A function from observations to actions or probabilities; it has no memory.

    It is given arrays of `ROWS` rows (the last ones repeated, if fewer slots run) and answers with
    an action a row (whole numbers [n]) or with each action's probability ([n, num_actions]).
    """

    kind = "function"
    has_no_memory = True

    def __init__(self, function: Callable[[Observation], Any], num_actions: int) -> None:
        """Wrap `function`; there are `num_actions` actions."""
        self.name = "agent"
        self.original = function
        self._num_actions = num_actions

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Do nothing: a function has no memory."""

    def probabilities(self, observation: Observation, engine: Any = None) -> NDArray[np.float64]:
        """Return float64 [n, num_actions], row by row independent of the batch."""
        n = len(next(iter(observation.values())))
        p = np.empty((n, self._num_actions))
        for first in range(0, n, ROWS):
            rows = np.minimum(np.arange(first, first + ROWS), n - 1)
            block = {key: values[rows] for key, values in observation.items()}
            answer = asked(self.name, self.original, block)
            p[first : first + ROWS] = self._as_probabilities(answer)[: n - first]
        return p

    def _as_probabilities(self, answer: Any) -> NDArray[np.float64]:
        """Return what a function answered about `ROWS` rows as probabilities.

        Raises:
            UserError: if it is neither actions nor probabilities.
        """
        array = as_array(answer)
        if array is not None and array.dtype.kind in "iu" and array.shape in ((ROWS,), (ROWS, 1)):
            return self._one_hot(array.reshape(ROWS))
        if array is None or array.shape != (ROWS, self._num_actions):
            plain = array is None or array.dtype.kind not in "biuf"
            got = shown(answer)
            if array is not None and not plain:
                got = f"{array.dtype} of shape {array.shape}"
            raise UserError(
                f"agent {self.name!r} answered {got} about {ROWS} rows: give an action a row "
                f"(whole numbers of shape ({ROWS},)), or each action's probability (shape "
                f"({ROWS}, {self._num_actions}))"
            )
        return _checked(self.name, answer, ROWS, self._num_actions)

    def _one_hot(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        wrong = (actions < 0) | (actions >= self._num_actions)
        if wrong.any():
            raise UserError(
                f"agent {self.name!r} answered action {actions[wrong][0]}: the world has "
                f"{self._num_actions} actions, from 0 on; give one of them, or another "
                "env.action_set"
            )
        return np.eye(self._num_actions)[actions]


class ModuleAgent:
    """A torch module from observations to logits; it has no memory.

    The module is given a dictionary of tensors, on its own device, and is put into evaluation mode.
    Of a tuple the first is taken as the logits.
    """

    kind = "torch module"
    is_network = True

    def __init__(self, module: Any, num_actions: int) -> None:
        """Wrap `module`; there are `num_actions` actions."""
        self.name = "agent"
        self.original = module.eval()
        self._num_actions = num_actions

    @property
    def network(self) -> Any:
        """The module."""
        return self.original

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Do nothing: the module has no memory."""

    def probabilities(self, observation: Observation, engine: Any = None) -> NDArray[np.float64]:
        """Return float64 [n, num_actions], row by row independent of the batch."""
        import torch

        from ..policy import ROWS, in_blocks, softmax

        parameter = next(iter(self.original.parameters()), None)
        device = "cpu" if parameter is None else parameter.device
        n = len(next(iter(observation.values())))
        logits = np.empty((n, self._num_actions))
        with torch.inference_mode():
            for rows, block in in_blocks(observation, tuple(observation), ROWS):
                tensors = {key: torch.from_numpy(v).to(device) for key, v in block.items()}
                answer = asked(self.name, self.original, tensors)
                logits[rows] = self._logits(answer, ROWS)[: rows.stop - rows.start]
        return softmax(logits)

    def _logits(self, answer: Any, rows: int) -> NDArray[np.float64]:
        """Return a module's answer as logits.

        Raises:
            UserError: if it is none.
        """
        first = answer[0] if isinstance(answer, tuple | list) and len(answer) else answer
        first = getattr(first, "logits", first)
        array = as_array(first)
        if array is None or array.dtype.kind not in "iuf" or array.ndim != 2 or (
            array.shape != (rows, self._num_actions)
        ):  # fmt: skip
            got = shown(first) if array is None else f"a tensor of shape {array.shape}"
            raise UserError(
                f"agent {self.name!r} answered {got} about {rows} rows: a module gives logits of "
                f"shape ({rows}, {self._num_actions})"
            )
        if not np.isfinite(array).all():
            raise UserError(
                f"agent {self.name!r} gave logits that are NaN or infinite: check its weights, and "
                "that it was trained on these observations"
            )
        return array.astype(np.float64)


class SlotMemoryAgent:
    """An object with a memory that it keeps by slot: `reset(slots)`, `probabilities(obs, slots)`.

    It is told in which slots episodes begin, and asked once a decision about those that run: row k
    of the observation is slot `slots[k]`.
    """

    kind = "object with a memory"

    def __init__(self, agent: Any) -> None:
        """Wrap `agent`."""
        self.name = name_of(agent) if hasattr(agent, "name") else "agent"
        self.original = agent

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Empty the memory of the slots in which episodes begin."""
        asked(self.name, self.original.reset, slots.copy())

    def probabilities(self, observation: Observation, engine: Any) -> Any:
        """Return what the object answers about the running slots, in ascending order."""
        slots = np.flatnonzero(engine.episodes["running"])
        return asked(self.name, self.original.probabilities, observation, slots)


KINDS = {"object": "object with start() and probabilities()"}


def kind_of(agent: Agent) -> str:
    """Return what an agent was given as, in words."""
    return str(getattr(agent, "kind", KINDS["object"]))


def _checked(name: str, answer: Any, rows: int, num_actions: int) -> NDArray[np.float64]:
    """Return probabilities that passed the check that all agents' answers pass."""
    from ..checked import probabilities_of

    class _Answer:
        def __init__(self) -> None:
            self.name = name

        def probabilities(self, observation: Any, engine: Any) -> Any:
            return answer

    return probabilities_of(_Answer(), {"row": np.zeros(rows)}, None, num_actions)


def _has(given: Any, *names: str) -> bool:
    return all(callable(getattr(given, name, None)) for name in names)


def _is_one_of(given: Any, module: str, name: str) -> bool:
    """Return whether something is of a class, without importing what it is from."""
    known = getattr(sys.modules.get(module), name, None)
    return known is not None and isinstance(given, known)
