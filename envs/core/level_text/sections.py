"""A level file taken apart: header, map and entities, each with its lines in the file.

Public names: `FORMAT`, `Parts`, `sections_of`, `header_of`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import UserError
from ..level import LevelError
from ..reading import split_lines

FORMAT = "misgen level 1"
"""The first line of a level file."""


@dataclass
class Parts:
    """What a level file holds, as it stands there."""

    header: dict[str, str] = field(default_factory=dict)
    map: list[tuple[str, int]] = field(default_factory=list)
    """The map's lines, each with its number in the file."""
    entities: list[str] = field(default_factory=list)
    line_of: dict[str, int] = field(default_factory=dict)
    """Line of the file on which a header's key stands, or a section begins."""
    entity_lines: list[int] = field(default_factory=list)
    """Line of the file that each entity stands on."""

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Name the line of what an error is about, where the error does not yet."""
        try:
            yield
        except UserError as error:
            word = re.match(r"\w+", str(error))
            line = self.line_of.get(word[0]) if word else None
            if line is None:
                raise
            raise UserError(f"line {line}: {error}") from None

    @contextlib.contextmanager
    def placed(self, rows: list[tuple[str, int]]) -> Iterator[None]:
        """Name line and column of the cell, or line of the entity, that an error is about."""
        try:
            yield
        except LevelError as error:
            where = ""
            if error.entity is not None and error.entity < len(self.entity_lines):
                where = f"line {self.entity_lines[error.entity]}: entities: "
            elif error.cell is not None and 0 <= error.cell[1] < len(rows):
                x, y = error.cell
                where = f"line {rows[len(rows) - 1 - y][1]}, column {x + 1}: map: "
            raise UserError(where + (str(error) if where else f"map: {error}")) from None


def header_of(text: str) -> dict[str, str]:
    """Return the header of a level's text, as it stands there.

    Raises:
        UserError: if this is no level's text.
    """
    return sections_of(text).header


def sections_of(text: str) -> Parts:
    """Take a level file apart.

    Raises:
        UserError: naming the line at which it is no level file.
    """
    lines = split_lines(text)
    first = next((k for k, line in enumerate(lines) if _says_something(line)), None)
    if first is None or lines[first].strip() != FORMAT:
        raise UserError(f"the first line must be {FORMAT!r}: this is not a level file")
    parts = Parts()
    section = "header"
    for number, line in enumerate(lines[first + 1 :], start=first + 2):
        if line.rstrip() in ("map:", "entities:"):
            section = line.rstrip()[:-1]
            _require_first(section, number, parts)
        elif section == "map":
            parts.map.append((line.rstrip(), number))
        elif not _says_something(line):
            continue
        elif section == "entities":
            parts.entities.append(line)
            parts.entity_lines.append(number)
        else:
            key, colon, value = line.partition(":")
            if not colon:
                raise UserError(f"line {number}: {line!r} is not a header line: write name: value")
            _require_first(key.strip(), number, parts)
            parts.header[key.strip()] = value.strip()
    while parts.map and not parts.map[0][0]:
        del parts.map[0]
    while parts.map and not parts.map[-1][0]:
        del parts.map[-1]
    return parts


def _says_something(line: str) -> bool:
    """Return whether a line is neither empty nor a comment."""
    return bool(line.strip()) and not line.startswith("#")


def _require_first(name: str, number: int, parts: Parts) -> None:
    before = parts.line_of.setdefault(name, number)
    if before != number:
        raise UserError(
            f"line {number}: {name}: appears a second time, after line {before}: keep one of them"
        )
