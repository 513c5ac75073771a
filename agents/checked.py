"""Check agents' answers, since agents may be written by others.

Public names: `require_agent`, `probabilities_of`, `values_of`.

Float64 probabilities that add up to 1 are returned unchanged.  Other forms of probabilities are
converted: tensors and lists, whole numbers, and the short floats of networks, whose sums are 1
only as far as their precision allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError
from misgen.envs.core.slots import as_array, shown

if TYPE_CHECKING:
    from misgen.envs.core.world import Observation

_EXACT = 1e-6
"""How far from 1 the probabilities of a slot may add up: float64."""
_SHORT = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 2e-2}
"""The same for shorter floats, that of 16 bits rounding 15 numbers to 3 or 2 digits each."""
_GIVE = "give each action's probability in each slot, as softmax returns them"


def require_agent(agent: Any) -> None:
    """Refuse what cannot be asked for actions.

    Raises:
        UserError: naming what is missing.
    """
    missing = [name for name in ("start", "probabilities") if not callable(getattr(agent, name, 0))]
    if isinstance(agent, type) or missing:
        what = f"has no {'() and no '.join(missing)}()" if missing else "is a class, not an object"
        raise UserError(
            f"agent {shown(agent)} {what}: give an object with name, start() and probabilities(), "
            "as misgen.agents.base.Agent describes"
        )


def name_of(agent: Any) -> str:
    """Return what messages call an agent."""
    return str(getattr(agent, "name", type(agent).__name__))


def probabilities_of(
    agent: Any, observation: Observation, engine: Any, num_actions: int | None = None
) -> NDArray[np.float64]:
    """Ask an agent for its probabilities; return them as float64 [n, num_actions].

    Args:
        agent: who is asked.
        observation: arrays [n, ...] by key.
        engine: the running engine.
        num_actions: how many actions there are; None where whoever asks next will check it.

    Raises:
        UserError: naming the agent, if its answer is no probabilities.
    """
    given = agent.probabilities(observation, engine)
    if num_actions is None:
        array = as_array(given)
        num_actions = array.shape[1] if array is not None and array.ndim == 2 else 0
    wanted = (len(next(iter(observation.values()))), num_actions)
    if type(given) is np.ndarray and given.dtype == np.float64 and given.shape == wanted:
        p, slack = given, _EXACT
    else:
        p, slack = _converted(given, wanted, name_of(agent))
    with np.errstate(invalid="ignore", over="ignore"):
        total = p.sum(axis=1)
    if (np.abs(total - 1) <= _EXACT).all() and p.min(initial=0) >= 0:  # false for NaN, too
        return p
    return _rounded(p, slack, name_of(agent))


def values_of(agent: Any, observation: Observation) -> NDArray[np.float64]:
    """Ask an agent's critic; return the values as float64 [n].

    Raises:
        UserError: naming the agent, if its answer is no numbers, one a slot.
    """
    given = agent.value(observation)
    n = len(next(iter(observation.values())))
    values = as_array(given)
    if values is None or values.dtype.kind not in "iuf" or values.shape not in ((n,), (n, 1)):
        raise UserError(
            f"agent {name_of(agent)!r} gave {_described(given, values)} as values: give one number "
            f"for each of {n} slots"
        )
    values = values.reshape(n).astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise UserError(f"agent {name_of(agent)!r} gave the value {wrong}: give finite numbers")
    return values


def _converted(given: Any, wanted: tuple[int, int], name: str) -> tuple[NDArray[np.float64], float]:
    """Return an answer as float64, and how far from 1 its rows may add up.

    Raises:
        UserError: if it is no numbers, or not those of every action in every slot.
    """
    array = as_array(given)
    if array is None or array.dtype.kind not in "iuf" or array.shape != wanted:
        shape = f"({wanted[0]}, {wanted[1] or 'number of actions'})"
        raise UserError(
            f"agent {name!r} gave {_described(given, array)} as probabilities, not numbers of "
            f"shape {shape}: {_GIVE}"
        )
    dtype = str(getattr(given, "dtype", array.dtype)).removeprefix("torch.")
    return array.astype(np.float64), _SHORT.get(dtype, _EXACT)


def _rounded(p: NDArray[np.float64], slack: float, name: str) -> NDArray[np.float64]:
    """Return probabilities that rounding keeps from adding up to 1, scaled so that they do.

    Raises:
        UserError: if it is not rounding that does.
    """
    _require(np.isfinite(p).all(axis=1), p, "are not finite", name)
    with np.errstate(over="ignore"):
        half = (p.astype(np.float16) == p).all()
    if slack < _SHORT["float16"] and half:
        slack = _SHORT["float16"]  # a longer float or a list that holds half precision
    _require((p >= -slack).all(axis=1), p, "are negative somewhere", name)
    p = np.maximum(p, 0.0)
    total = p.sum(axis=1)
    _require(np.abs(total - 1) <= slack, p, "do not add up to 1", name)
    return p / total[:, None]


def _require(fine: NDArray[np.bool_], p: NDArray[np.float64], what: str, name: str) -> None:
    """Refuse probabilities unless every row is fine."""
    if not fine.all():
        row = int(np.flatnonzero(~fine)[0])
        numbers = [float(f"{value:.4g}") for value in p[row]]
        raise UserError(
            f"agent {name!r} gave probabilities that {what}, {shown(numbers)} (sum "
            f"{sum(p[row].tolist()):.6g}) in row {row}: {_GIVE}"
        )


def _described(given: Any, array: NDArray[Any] | None) -> str:
    """Return in words what an answer is."""
    if array is None or array.dtype.kind not in "iufb":
        return f"{shown(given)} ({type(given).__name__})"
    kind = "truth values" if array.dtype.kind == "b" else "numbers"
    return f"{kind} of shape {array.shape}"
