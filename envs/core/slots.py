"""Validation of what callers pass to the engine, once, before any slot is stepped.

Public names: `Actions`, `checked_slots`, `checked_seed`, `count_of_slots`, `as_array`, `shown`.

Kernels trust their arguments: an array of the wrong length, or a number that is not an action,
would make them read and write out of bounds.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .errors import UserError, in_range

MOST_SLOTS = 1_000_000
_LARGEST_SEED = 2**63 - 1
_SHOWN = 60  # characters of a value in a message


class Actions:
    """Room for one action a slot, into which what a caller gives is taken if it is actions.

    Attributes:
        last: int64 [num_slots], those that were taken last; in slots that did not run, 0 may stand
            for what was no action.
    """

    def __init__(self, num_slots: int, num_actions: int) -> None:
        """Make the room."""
        self.last = np.zeros(num_slots, np.int64)
        self._num_actions = num_actions

    def taken(self, given: Any, running: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return `given` as int64 [num_slots], overwritten by the next call.

        Args:
            given: integers, [num_slots] or [num_slots, 1]: an array, a tensor or a list.
            running: bool [num_slots]; where it is False, any integer will do.

        Raises:
            UserError: if they are anything else.
        """
        array = given if type(given) is np.ndarray else as_array(given)
        if array is None or array.dtype.kind not in "iu":
            raise UserError(f"actions={shown(given)} are {_kind(array)}: give {self._wanted}")
        slots = len(self.last)
        if array.shape != (slots,):
            if array.shape != (slots, 1):
                raise UserError(f"actions have the shape {array.shape}: give {self._wanted}")
            array = array[:, 0]
        self.last[:] = array
        if not _are_below(self.last, self._num_actions):
            self._require_actions(array, running)
        return self.last

    @property
    def _wanted(self) -> str:
        slots, last = len(self.last), self._num_actions - 1
        if slots == 1:
            return f"one whole number from 0 to {last}"
        return (
            f"whole numbers from 0 to {last}, one for each of {slots} slots, as an array of shape "
            f"({slots},) or ({slots}, 1)"
        )

    def _require_actions(self, given: NDArray[Any], running: NDArray[np.bool_]) -> None:
        """Refuse numbers that are no actions where something runs; elsewhere, put 0 for them."""
        none = (self.last < 0) | (self.last >= self._num_actions)
        if (none & running).any():
            slot = int(np.flatnonzero(none & running)[0])
            raise UserError(f"actions[{slot}]={given[slot]} is not an action: give {self._wanted}")
        self.last[none] = 0


def count_of_slots(given: Any, name: str = "num_slots") -> int:
    """Return a number of slots.

    Raises:
        UserError: naming `name`, if it is none.
    """
    try:
        count = operator.index(given)
    except TypeError:
        count = None
    if count is None or isinstance(given, (bool, np.bool_)):
        raise UserError(f"{name}={shown(given)} is not a whole number: give one from 1 on")
    return int(in_range(name, count, 1, MOST_SLOTS))


def checked_seed(given: Any) -> int | None:
    """Return a seed, or None where none is given.

    Raises:
        UserError: if it is none.
    """
    if given is None:
        return None
    try:
        seed = operator.index(given)
    except TypeError:
        seed = -1
    if not 0 <= seed <= _LARGEST_SEED or isinstance(given, (bool, np.bool_)):
        raise UserError(f"seed={shown(given)} is not a seed: give a whole number from 0 on")
    return seed


def checked_slots(given: Any, num_slots: int, *, distinct: bool = True) -> NDArray[np.int64]:
    """Return numbers of slots as int64 [k].

    Args:
        given: whole numbers [k].
        num_slots: how many slots there are.
        distinct: refuse a slot that is named twice.

    Raises:
        UserError: if they are no slots.
    """
    array = given if type(given) is np.ndarray else as_array(given)
    if array is not None and array.size == 0 and array.ndim == 1:
        return np.zeros(0, np.int64)
    if array is None or array.dtype.kind not in "iu" or array.ndim != 1:
        raise UserError(
            f"slots={shown(given)} are not slots: give whole numbers from 0 to {num_slots - 1}, as "
            "an array of one dimension"
        )
    slots = np.ascontiguousarray(array, np.int64)
    if not _are_below(slots, num_slots):
        raise UserError(
            f"slots={shown(array.tolist())} are not all there: give numbers from 0 to "
            f"{num_slots - 1}"
        )
    if distinct and not _are_distinct(slots, num_slots):
        raise UserError(f"slots={shown(array.tolist())} name one twice: give different slots")
    return slots


@njit(cache=True)
def _are_below(numbers, limit):
    """Return whether all of int64 [n] are from 0 to below a limit."""
    below = True
    for number in numbers:
        below &= 0 <= number < limit
    return below


@njit(cache=True)
def _are_distinct(numbers, limit):
    """Return whether no two of int64 [n], from 0 to below a limit, are the same."""
    seen = np.zeros(limit, np.bool_)
    for number in numbers:
        if seen[number]:
            return False
        seen[number] = True
    return True


def as_array(given: Any) -> NDArray[Any] | None:
    """Return an array, a tensor, a list or a number as an array; None if it is none of these.

    Nor is an array of which something is masked: there is nothing in its place.
    """
    try:
        if hasattr(given, "detach"):  # a tensor of torch, wherever it lies
            given = given.detach().cpu()
            given = given.float() if str(given.dtype) == "torch.bfloat16" else given
        return None if np.ma.is_masked(given) else np.asarray(given)
    except Exception:  # whatever a stranger's object raises when it is asked for an array
        return None


def shown(value: object) -> str:
    """Return a value as a message shows it, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # as above
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]} ..."


def _kind(array: NDArray[Any] | None) -> str:
    """Return in words what an array holds that holds no integers."""
    if array is None:
        return "no array of numbers"
    names = {"b": "truth values", "f": "fractions (floating point)", "c": "complex numbers"}
    words = names.get(array.dtype.kind, f"no numbers ({array.dtype})")
    return f"{words}, and not whole numbers" if array.dtype.kind in names else words
