"""Reading text files that people write, in whatever form editors save them.

Public names: `read_text`, `decode`, `split_lines`, `tidy`, `require_regular`, `LARGEST_FILE`.

Every file that a person may have written (levels, protocols, lists) is read here: with or without
a byte-order mark, in UTF-8, UTF-16, UTF-32 or a Western single-byte encoding, with the line ends of
any system.  Files that are not text are refused in one sentence; nothing that could block forever
(a pipe, a device) is opened.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path

from .errors import UserError

LARGEST_FILE = 4_000_000
"""Bytes of a file that a person writes, unless the caller says otherwise."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_OTHER_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x19\x1b\x1f\x7f]")
"""Control characters that no editor puts into text."""
_END_OF_FILE = "\x1a"  # what old editors put at the end
_BYTE_ORDER_MARK = "\ufeff"


def read_text(path: str | Path, what: str = "a text file", *, most: int = LARGEST_FILE) -> str:
    """Return the text of a file that a person wrote.

    Args:
        path: where it is.
        what: what it should be, for messages: `a level file`.
        most: bytes that it may have.

    Raises:
        UserError: if it is not there, no regular file, too large, empty, or no text.
    """
    data = _read(path, what, most)
    try:
        text = decode(data)
    except UserError as error:
        raise UserError(f"{path} cannot be read ({error}): give {what}") from None
    if not text.strip():
        raise UserError(f"{path} is empty: give {what}")
    return text


def decode(data: bytes) -> str:
    """Return bytes as text: by their byte-order mark, else as UTF-8, else as Windows' Western.

    Raises:
        UserError: if they are no text, saying what they are instead.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return _require_text(data[len(mark) :].decode(encoding))
            except UnicodeDecodeError:
                raise UserError(
                    f"it begins like {encoding.upper()} but is not valid {encoding.upper()}"
                ) from None
    if b"\0" in data:
        raise UserError(_what_has_nulls(data))
    for encoding in ("utf-8", "cp1252"):
        try:
            return _require_text(data.decode(encoding))
        except UnicodeDecodeError:
            continue
    return _require_text(data.decode("latin-1"))


def split_lines(text: str) -> list[str]:
    r"""Return the lines of a text, split at \n, \r\n and \r alone.

    `str.splitlines` also splits at form feeds, U+2028 and others, which editors count as part of a
    line: after one of these all line numbers would be wrong.
    """
    lines = _LINE_END.split(text.removeprefix(_BYTE_ORDER_MARK))
    return lines[:-1] if lines[-1] == "" else lines


def tidy(text: str) -> str:
    r"""Return a text whose only line ends are \n, for programs that know more or fewer of them.

    Whatever else some program takes for a line end (form feeds, U+2028 and the like) is a space.
    """
    return "\n".join(_OTHER_ENDS.sub(" ", line) for line in split_lines(text)) + "\n"


def require_regular(path: str | Path, what: str) -> int:
    """Return the size in bytes of a regular file; nothing is opened.

    Raises:
        UserError: if there is none, or it is a folder, a pipe or a device.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path} cannot be read ({why}): give {what}") from None
    if stat.S_ISDIR(found.st_mode):
        raise UserError(f"{path} cannot be read (it is a folder): give {what}")
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} cannot be read (it is not a regular file): give {what}")
    return found.st_size


def _read(path: str | Path, what: str, most: int) -> bytes:
    size = require_regular(path, what)
    try:
        with Path(path).open("rb") as file:
            data = file.read(most + 1) if size <= most else b""
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give {what}") from None
    if size > most or len(data) > most:
        raise UserError(
            f"{path} cannot be read (it has {max(size, len(data))} bytes, {most} are the most): "
            f"give {what}"
        )
    return data


def _require_text(text: str) -> str:
    """Return the text without a mark or an end-of-file sign.

    Raises:
        UserError: if it holds a character that no text has.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    if text.rstrip("\r\n").endswith(_END_OF_FILE):
        text = text.rstrip("\r\n").rstrip(_END_OF_FILE)
    odd = _NO_TEXT.search(text) or re.search(_END_OF_FILE, text)
    if odd:
        line = len(_LINE_END.findall(text, 0, odd.start())) + 1
        raise UserError(f"it is not text: line {line} holds the character {ord(odd[0]):#04x}")
    return text


def _what_has_nulls(data: bytes) -> str:
    """Say what bytes with nulls among them are: UTF-16 without its mark, or no text."""
    nulls = data.count(b"\0")
    if 0.3 * len(data) < nulls <= 0.5 * len(data) + 1:
        return "it is UTF-16 without a byte-order mark: save it as UTF-8"
    return "it is not text: it holds null bytes"
