"""What values a setting may have.

Public names: `Rule`, `Count`, `Number`, `Switch`, `require_widths`, `require_channels`,
`require_mixture`, `MIXTURE`.

A rule is stored beside the dataclass that has the field, and is applied both when a setting is
given and when a saved policy is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from misgen.envs.core.errors import UserError

from .encoders import ENCODERS

MAX_WIDTH = 4096
MAX_LAYERS = 8
MAX_EXPERTS = 256


class Rule(Protocol):
    """What values a setting may have."""

    def require(self, name: str, value: object) -> None:
        """Refuse an impossible value.

        Raises:
            UserError: naming the field, the value and what is allowed.
        """
        ...


@dataclass(frozen=True)
class Count:
    """A whole number."""

    low: int = 1
    high: int | None = None

    def require(self, name: str, value: object) -> None:
        """Refuse anything else."""
        whole = value if isinstance(value, int) and not isinstance(value, bool) else None
        if whole is not None and self.low <= whole <= (whole if self.high is None else self.high):
            return
        least = (
            f"of at least {self.low}" if self.high is None else f"from {self.low} to {self.high}"
        )
        raise UserError(f"{name}={_shown(value)} is not allowed: give a whole number {least}")


@dataclass(frozen=True)
class Number:
    """A number in a range; `closed` tells whether the lowest itself is allowed."""

    low: float
    high: float
    closed: bool = True

    def require(self, name: str, value: object) -> None:
        """Refuse anything else."""
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        number = math.nan if number is None else number
        if not self.low <= number <= self.high or (number == self.low and not self.closed):
            least = "from" if self.closed else "above"
            raise UserError(
                f"{name}={_shown(value)} is not allowed: give a number {least} {self.low:g} to "
                f"{self.high:g}"
            )


@dataclass(frozen=True)
class Switch:
    """True or false."""

    def require(self, name: str, value: object) -> None:
        """Refuse anything else."""
        if not isinstance(value, bool):
            raise UserError(f"{name}={_shown(value)} must be true or false")


def require_widths(name: str, value: object, least: int) -> list[int]:
    """Return layer widths as a plain list of ints.

    Args:
        name: the field, for the message.
        value: what the user gave; any sequence of integers.
        least: the smallest number of layers.

    Raises:
        UserError: if it is not `least` to 8 whole numbers from 1 to 4096.
    """
    allowed = f"give {least} to {MAX_LAYERS} whole numbers from 1 to {MAX_WIDTH}"
    given = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [None]
    widths = [w for w in given if isinstance(w, int) and not isinstance(w, bool)]
    all_fit = len(widths) == len(given) and all(1 <= w <= MAX_WIDTH for w in widths)
    if not all_fit or not least <= len(widths) <= MAX_LAYERS:
        raise UserError(f"{name}={_shown(value)} is not allowed: {allowed}")
    return widths


def require_channels(name: str, encoder: str, channels: list[int]) -> None:
    """Refuse channels that the encoder has no layers for.

    Raises:
        UserError: naming the field.
    """
    known = ENCODERS[encoder]
    if known.stages is not None and len(channels) != known.stages:
        raise UserError(
            f"{name}={channels} does not fit encoder={encoder}: give {known.stages}, for example "
            f"{str(list(known.channels)).replace(' ', '')}"
        )


MIXTURE = dict.fromkeys(("experts", "active_experts"), Count(1, MAX_EXPERTS))
"""What a mixture's numbers may be, each by itself."""


def require_mixture(where: str, encoder: str, hidden: list[int], experts: int, active: int) -> None:
    """Refuse numbers of experts that do not go together, or an encoder without room for them.

    Args:
        where: what stands before the fields' names, for messages.
        encoder: one of `ENCODERS`; those without experts take no notice of the rest.
        hidden: widths of its fully connected layers.
        experts: how many each layer after the first has.
        active: how many of them an observation is sent to.

    Raises:
        UserError: naming the field.
    """
    if not ENCODERS[encoder].has_experts:
        return
    if active > experts:
        raise UserError(
            f"{where}active_experts={active} is more than {where}experts={experts}: give 1 to "
            f"{experts}, or more experts"
        )
    if len(hidden) < 2:
        raise UserError(
            f"{where}hidden={str(hidden).replace(' ', '')} has no layer of experts, which encoder="
            f"{encoder} has after the first: give two widths or more, such as [128,128], or "
            "encoder=mlp"
        )


def _shown(value: object) -> str:
    """Return `value` as a message shows it: a wrong value can be endless."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
