"""Ranges of level ids: parsed, counted, sampled, and kept apart, whatever their size.

Public names: `IdRange`, `MAX_ID`, `ALL_IDS`, `checked_ids`, `require_disjoint`.

The cost does not depend on the size of a range, except in `IdRange.ids`, which refuses ranges
that are too large to list.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .rng import STREAM_SAMPLES, hash_uniforms
from .slots import as_array, shown

MAX_ID = 2**31 - 1
"""One past the largest level id: what Procgen's signed 32-bit level seeds allow."""
ALL_IDS = "all"
"""How users write the range of all ids."""
_MOST_LISTED = 10_000_000
_WITHOUT = " without "


@dataclass(frozen=True)
class IdRange:
    """The ids from `start` up to and not including `stop`, but for those in `without`."""

    start: int
    stop: int
    without: tuple[tuple[int, int], ...] = ()
    """Parts that are left out, each from its first id up to and not including its second."""

    def __post_init__(self) -> None:
        """Refuse an empty range and ids that no level has; keep of `without` what matters.

        Raises:
            UserError: naming the range.
        """
        ends = f"{self.start}:{self.stop}"
        whole = all(isinstance(end, int | np.integer) for end in (self.start, self.stop))
        if not whole or not 0 <= self.start < self.stop <= MAX_ID:
            raise UserError(
                f"ids={ends} is not a range of level ids: give start:stop with "
                f"0 <= start < stop <= {MAX_ID}, for example 0:500, or {ALL_IDS}"
            )
        spans = _left_over(self.start, self.stop, self.without)
        if not spans:
            raise UserError(f"ids={self} leaves no id: give a range that holds others too")
        gaps = tuple((a[1], b[0]) for a, b in itertools.pairwise(spans))
        object.__setattr__(self, "start", spans[0][0])
        object.__setattr__(self, "stop", spans[-1][1])
        object.__setattr__(self, "without", gaps)

    def __len__(self) -> int:
        """Return how many ids there are."""
        return self.stop - self.start - sum(stop - start for start, stop in self.without)

    def __contains__(self, level: int) -> bool:
        """Return whether it has an id."""
        return any(start <= level < stop for start, stop in self.spans)

    def __str__(self) -> str:
        """Return the range as users write it."""
        ends = f"{self.start}:{self.stop}"
        parts = ",".join(f"{start}:{stop}" for start, stop in self.without)
        return f"{ends}{_WITHOUT}{parts}" if parts else ends

    @classmethod
    def everything(cls, without: Iterator[IdRange] | tuple[IdRange, ...] = ()) -> IdRange:
        """Return all ids but those of other ranges."""
        return cls(0, MAX_ID, tuple(span for other in without for span in other.spans))

    @classmethod
    def parse(cls, text: str | int) -> IdRange:
        """Return the range written as `start:stop`, as one id, or as `all`.

        Parts are left out as `str` writes them: `0:100 without 10:20,30:40`.

        Raises:
            UserError: if it is none of them.
        """
        ends, _, parts = str(text).strip().partition(_WITHOUT)
        try:
            start, stop = (0, MAX_ID) if ends == ALL_IDS else _pair(ends)
            without = tuple(_pair(part) for part in parts.split(",") if part)
        except ValueError:
            raise UserError(
                f"ids={text!r} is not a range: write start:stop, for example 0:500, one id, or "
                f"{ALL_IDS}"
            ) from None
        return cls(start, stop, without)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The parts without a gap, each from its first id up to and not including its second."""
        ends = [self.start, *itertools.chain.from_iterable(self.without), self.stop]
        return tuple(zip(ends[::2], ends[1::2], strict=True))

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids at positions 0 to len - 1 of the range, int64."""
        ids = self.start + np.asarray(positions, np.int64)
        for start, stop in self.without:
            ids = ids + (ids >= start) * (stop - start)
        return ids

    def ids(self) -> NDArray[np.int64]:
        """Return the ids, int64 [len].

        Raises:
            UserError: if there are too many to list.
        """
        if len(self) > _MOST_LISTED:
            raise UserError(
                f"ids={self} are {len(self):,} levels, too many to go through one by one: give at "
                f"most {_MOST_LISTED:,}"
            )
        return self.at(np.arange(len(self)))

    def parts(self, size: int) -> Iterator[NDArray[np.int64]]:
        """Yield the ids in order, at most `size` at a time."""
        for first in range(0, len(self), size):
            yield self.at(np.arange(first, min(first + size, len(self))))

    def first(self, count: int) -> IdRange:
        """Return the range of the first `count` ids, or the range itself if it has no more."""
        if count >= len(self):
            return self
        last = int(self.at(np.array([count - 1]))[0])
        return IdRange(self.start, last + 1, self.without)

    def sample(self, count: int) -> NDArray[np.int64]:
        """Return `count` of the ids in order, or all if there are no more; the same ones each time.

        The range is cut into `count` parts of one size, and an id drawn from each.
        """
        if count >= len(self):
            return self.ids()
        bounds = np.arange(count + 1, dtype=np.int64) * len(self) // count
        drawn = hash_uniforms(STREAM_SAMPLES, count, bounds[:-1], np.full(count, self.start))
        return self.at(bounds[:-1] + (drawn * np.diff(bounds)).astype(np.int64))

    def overlaps(self, other: IdRange) -> bool:
        """Return whether the two share an id."""
        return any(a < d and c < b for a, b in self.spans for c, d in other.spans)


def checked_ids(given: Any, name: str = "ids") -> NDArray[np.int64]:
    """Return level ids as int64 [n].

    Args:
        given: whole numbers: one, or [n] or [n, 1] as an array, a tensor or a list.
        name: what messages call them.

    Raises:
        UserError: if they are no level ids.
    """
    array = given if type(given) is np.ndarray else as_array(given)
    ids = np.zeros(1) if array is None else np.atleast_1d(array)
    ids = ids[:, 0] if ids.shape[1:] == (1,) else ids
    if ids.size == 0 and ids.ndim == 1:
        return np.zeros(0, np.int64)
    if ids.dtype.kind not in "iu" or ids.ndim > 1 or ids.min() < 0 or ids.max() >= MAX_ID:
        raise UserError(
            f"{name}={shown(given)} are not level ids: give whole numbers from 0 to {MAX_ID - 1}"
        )
    return ids.astype(np.int64, copy=False)


def require_disjoint(splits: Mapping[str, IdRange]) -> None:
    """Refuse splits that share level ids.

    Raises:
        UserError: naming the two that overlap.
    """
    for (first, a), (second, b) in itertools.combinations(splits.items(), 2):
        if a.overlaps(b):
            raise UserError(
                f"levels.{first}={a} and levels.{second}={b} share level ids: a test on levels "
                "seen in training measures nothing; give ranges that do not overlap"
                + (f", or levels.train={ALL_IDS}" if len(a) == MAX_ID else "")
            )


def _left_over(
    start: int, stop: int, without: tuple[tuple[int, int], ...]
) -> list[tuple[int, int]]:
    """Return what is left of a range, as parts in order."""
    spans, at = [], start
    for first, last in sorted(without):
        if last <= first:
            continue
        if first > at:
            spans.append((at, min(first, stop)))
        at = max(at, last)
        if at >= stop:
            break
    if at < stop:
        spans.append((at, stop))
    return [(a, b) for a, b in spans if a < b]


def _pair(text: str) -> tuple[int, int]:
    first, colon, last = text.partition(":")
    return int(first), int(last) if colon else int(first) + 1
