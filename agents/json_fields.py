"""Fields of a JSON document that may come from anyone: each is checked as it is read.

Public names: `Fields`, `read_fields`.
"""

from __future__ import annotations

from typing import Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import parse_json

_HELP = "restore the file from the training run that wrote it"


def read_fields(text: bytes, where: str) -> Fields:
    """Return the fields of a document.

    Args:
        text: the file's bytes.
        where: its name, for messages.

    Raises:
        UserError: if it is no JSON object.
    """
    try:
        document = parse_json(text)
    except ValueError as error:
        raise UserError(f"{where} is not valid JSON ({error}): {_HELP}") from None
    return Fields(document, where)


class Fields:
    """A JSON object read field by field; every complaint names the field and the file."""

    def __init__(self, values: Any, where: str, prefix: str = "") -> None:
        if not isinstance(values, dict):
            raise UserError(f"{where}: {prefix or 'the document'} is not a JSON object: {_HELP}")
        self._values, self._where, self._prefix = values, where, prefix

    def has(self, name: str) -> bool:
        """Return whether the object has a field."""
        return name in self._values

    def get(self, name: str) -> Any:
        """Return a field of any type."""
        if name not in self._values:
            raise UserError(f"{self._where}: field {self._prefix}{name} is missing: {_HELP}")
        return self._values[name]

    def section(self, name: str) -> Fields:
        """Return a field that is an object, to be read likewise."""
        return Fields(self.get(name), self._where, f"{self._prefix}{name}.")

    def text(self, name: str) -> str:
        """Return a text."""
        value = self.get(name)
        return value if isinstance(value, str) else self._refuse(name, value, "a text")

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object as it is."""
        value = self.get(name)
        return value if isinstance(value, dict) else self._refuse(name, value, "an object")

    def integer(self, name: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        value = self.get(name)
        if type(value) is not int or not low <= value <= high:
            self._refuse(name, value, f"a whole number from {low} to {high}")
        return value

    def integers(self, name: str, length: int, low: int, high: int) -> list[int]:
        """Return `length` whole numbers from `low` to `high`."""
        value = self.get(name)
        fits = isinstance(value, list) and len(value) == length
        if not fits or not all(type(v) is int and low <= v <= high for v in value):
            self._refuse(name, value, f"{length} whole numbers from {low} to {high}")
        return value

    def positive(self, name: str) -> float:
        """Return a number above 0."""
        value = self.get(name)
        if type(value) not in (int, float) or not 1e-9 <= value <= 1e6:
            self._refuse(name, value, "a number from 1e-9 to 1e6")
        return float(value)

    def _refuse(self, name: str, value: Any, allowed: str) -> Any:
        shown = repr(value)[:60]
        raise UserError(f"{self._where}: {self._prefix}{name}={shown} is not {allowed}: {_HELP}")
