"""The error for mistakes that a user can fix.

Every mistake in an argument, a configuration, a level file or a checkpoint raises `UserError` with
one sentence that names the field, the value given, what is allowed, and the next step.  The command
line prints that sentence alone; a library caller gets a `ValueError`.
"""

from __future__ import annotations

import difflib
import numbers
import re
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in what the user gave, in one sentence that says how to mend it."""


def plain_sentence(error: object) -> str:
    """Return a message as one line that a terminal can show: nothing hidden, nothing endless."""
    text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(error))
    text = re.sub(
        rf"\S{{{_LONGEST_WORD},}}", lambda word: f"{word[0][:80]}...{word[0][-20:]}", text
    )
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 300]} ... {text[-200:]}"


_LONGEST_WORD, _LONGEST = 300, 2000


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the known word nearest to `word`, or an empty string."""
    close = difflib.get_close_matches(str(word)[:100], list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def one_of(field: str, value: str, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of `allowed`.

    Raises:
        UserError: naming the field, the value and what is allowed.
    """
    allowed = list(allowed)
    if value not in allowed:
        hint = did_you_mean(str(value), allowed)
        raise UserError(f"{field}={value!r} is not known: use one of {', '.join(allowed)}{hint}")
    return value


def in_range(field: str, value: float, low: float, high: float) -> float:
    """Return `value` if `low <= value <= high`.

    Raises:
        UserError: naming the field, the value and the range.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise UserError(f"{field}={repr(value)[:80]} is no number: give one from {low} to {high}")
    if not low <= value <= high:
        raise UserError(f"{field}={value!r} is out of range: give a number from {low} to {high}")
    return value
