"""What a page asks for, taken apart: each field of the right kind, or an error that names it.

Public names: `Fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from misgen.envs.core.errors import UserError

_SHOWN = 60
_LARGEST = 2**53


class Fields:
    """The fields of a request."""

    def __init__(self, given: Any) -> None:
        """Take a request.

        Raises:
            UserError: if it has no fields.
        """
        if not isinstance(given, Mapping):
            raise UserError("the request holds no fields: send a JSON object")
        self._given: dict[str, Any] = {str(key): value for key, value in given.items()}

    def whole(self, name: str) -> int:
        """Return a whole number."""
        value = self._given.get(name)
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or abs(value) > _LARGEST:
            raise self._wrong(name, "a whole number")
        return value

    def number(self, name: str) -> float:
        """Return a finite number."""
        value: Any = self._given.get(name)
        if type(value) in (int, float) and abs(value) <= _LARGEST:  # false for NaN, too
            return float(value)
        raise self._wrong(name, "a number")

    def text(self, name: str, most: int = 200) -> str:
        """Return a text of so many signs at most."""
        value = self._given.get(name)
        if not isinstance(value, str) or len(value) > most:
            raise self._wrong(name, f"a text of at most {most} signs")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false; what is not given is false."""
        value = self._given.get(name, False)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def cell(self, name: str) -> tuple[int, int]:
        """Return a cell: column and row."""
        value = self._given.get(name)
        if isinstance(value, list) and len(value) == 2:
            x, y = value
            if type(x) is int and type(y) is int and max(abs(x), abs(y)) < _LARGEST:
                return x, y
        raise self._wrong(name, "a cell, [column, row]")

    def _wrong(self, name: str, wanted: str) -> UserError:
        shown = repr(self._given.get(name))[:_SHOWN]
        return UserError(f"{name}={shown} is not {wanted}: send {wanted}")
