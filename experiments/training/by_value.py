"""Results that compare by value on every Python, also where they hold NaN for a missing number.

NaN differs from itself.  Before Python 3.13 dataclasses compared their fields as tuples do, for
which the same object is equal whatever it says; since then NaN makes a result differ from its copy.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any


class ByValue:
    """Base of dataclasses (made with `eq=False`) of numbers that may be NaN.

    Two are equal if every field is, or is NaN in both.  Equal ones have equal hashes.
    """

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))


def _values(record: Any) -> tuple[Any, ...]:
    """Return a dataclass's fields, NaN as None."""
    values = (getattr(record, f.name) for f in dataclasses.fields(record) if f.compare)
    return tuple(
        None if isinstance(value, float) and math.isnan(value) else value for value in values
    )
