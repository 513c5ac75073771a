"""Output on terminals of any encoding and any width.

Public names: `prepare_streams`, `told_to_the_end`, `make_console`, `show_table`, `show_parts`,
`Part`, `Labelled`, `fitted`.

Nothing is lost because a terminal cannot show it: a character that a stream's encoding lacks is
replaced by one that reads the same, and a table that is too wide is cut between columns, with its
labels repeated.  Where nobody reads, or no more can be written, that is no error of a command's.
"""

from __future__ import annotations

import codecs
import contextlib
import copy
import dataclasses
import errno
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table

_HANDLER = "misgen.readable"
_NARROWEST = 20
"""Columns: what says that it has fewer (COLUMNS=0) does not know."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
"""Why a stream takes nothing more."""
_READABLE = {
    "ρ": "rho", "Δ": "Delta", "δ": "delta", "γ": "gamma", "λ": "lambda", "ε": "eps", "σ": "sigma",
    "μ": "mu", "π": "pi", "α": "alpha", "β": "beta",
    "×": "x", "·": ".", "•": "*", "…": "...", "–": "-", "—": "-", "−": "-", "±": "+-",
    "’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"',
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "→": "->", "←": "<-", "↑": "^", "↓": "v",
    "∞": "inf", "°": " deg", "√": "sqrt", "✓": "ok", "✗": "x", "ß": "ss", "æ": "ae", "ø": "o",
    "─": "-", "━": "-", "│": "|", "┃": "|", "█": "#", "░": ".", "▒": ":", "▓": "#",
}  # fmt: skip
"""What stands for a character where it cannot be shown."""


class Labelled(NamedTuple):
    """A table whose first columns say what a row is."""

    table: Table
    labels: int
    """How many they are."""


if TYPE_CHECKING:
    Part = str | Table | Labelled
    """A line or a table of what a command prints."""


def prepare_streams() -> None:
    """Let what is printed never fail on a character that a stream cannot show.

    What was closed by whoever started this is read and written as nothing.
    """
    codecs.register_error(_HANDLER, _replaced)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and getattr(stream, "errors", "") != _HANDLER:
            reconfigure(errors=_HANDLER)


def told_to_the_end(command: Callable[[], int]) -> int:
    """Run a command and return its status; 1 where what it prints cannot be written any more."""
    try:
        status = command()
        sys.stdout.flush()
    except BrokenPipeError:  # who read the output has seen enough, as `head` does
        pass
    except OSError as error:
        if error.filename is not None or error.errno not in _NO_ROOM:
            raise
        with contextlib.suppress(OSError):
            print(f"misgen: the output could not be written ({error.strerror})", file=sys.stderr)
    else:
        return status
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def make_console(stderr: bool = False, markup: bool = False) -> Console:
    """Return a console that writes to standard output, or to standard error.

    Args:
        stderr: which.
        markup: read `[bold]` and the like in what is printed; what files say is escaped then.
    """
    from rich.console import Console

    prepare_streams()
    console = Console(stderr=stderr, highlight=False, markup=markup)
    console.width = max(console.width, _NARROWEST)
    return console


def show_table(console: Console, table: Table, labels: int = 1) -> None:
    """Print a table, in parts one below the other where it is wider than the console.

    Args:
        console: where.
        table: what.
        labels: how many of its first columns say what a row is; each part has them.
    """
    for part in fitted(console, table, labels):
        console.print(part)


def show_parts(parts: Iterable[Part], markup: bool = False) -> None:
    """Print lines and tables to standard output, each table as `show_table` does."""
    console = make_console(markup=markup)
    for part in parts:
        if isinstance(part, str):
            console.print(part)
        elif isinstance(part, Labelled):
            show_table(console, *part)
        else:
            show_table(console, part)


def fitted(console: Console, table: Table, labels: int = 1) -> Iterator[Table]:
    """Yield the parts of a table that fit a console's width, whole cells in all columns.

    A column that does not even fit alone is wrapped, and nothing is cut off.
    """
    columns = table.columns
    widths = [_width(console, table, column) for column in columns]
    room = console.width - _frame(table)
    own, first = sum(widths[:labels]), True
    while first or columns[labels:]:
        used, count = own, 0
        for width in widths[labels:]:
            if count and used + width > room:
                break
            used, count = used + width, count + 1
        part = _part(table, [*columns[:labels], *columns[labels : labels + count]], used > room)
        part.title = table.title if first else None
        yield part
        columns = [*columns[:labels], *columns[labels + count :]]
        widths = [*widths[:labels], *widths[labels + count :]]
        first = False


def _width(console: Console, table: Table, column: Column) -> int:
    """Return the cells that a column needs, with its gap, to be shown without wrapping."""
    from rich.measure import Measurement

    options = console.options.update(width=10_000)
    cells = [column.header, *column._cells]
    widest = max(Measurement.get(console, options, cell).maximum for cell in cells)
    _, right, _, left = table.padding
    return max(widest, column.min_width or 0) + left + right + (table.box is not None)


def _frame(table: Table) -> int:
    return 2 if table.box is not None and table.show_edge else 0


def _part(table: Table, columns: list[Column], wraps: bool) -> Table:
    """Return a table of some of another's columns."""
    part = copy.copy(table)
    part.columns = [
        dataclasses.replace(
            column,
            _index=number,
            _cells=column._cells,
            overflow="fold",
            no_wrap=not wraps,
        )
        for number, column in enumerate(columns)
    ]
    return part


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that cannot be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(map(_readable, lost)), error.end


def _readable(character: str) -> str:
    if character in _READABLE:
        return _READABLE[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is no text
        return f"\\x{code - 0xDC00:02x}"
    if 0x2500 <= code <= 0x257F:  # lines of boxes
        return "+"
    plain: Any = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"
