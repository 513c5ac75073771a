"""Which levels: a distribution over the levels of a world, and disjoint splits of their ids.

A `LevelDistribution` is pure: id in, level out.  Its two axes are independent.  The capability axis
is the world's parameters; the goal axis is the correlation and the placement.  Terrain depends on
the id alone, and a level is in conflict if and only if `u(id) < 1 - correlation`, so that

- lowering the correlation only turns aligned levels into conflict levels (nested), and
- the same id at correlation 1 and 0 is a counterfactual pair, identical but for the goal's cell.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .errors import UserError, in_range, one_of
from .level import LevelBatch
from .placement import USUAL, Placement
from .rng import STREAM_LEVELS, hash_picks
from .world import World

MAX_ID = 2**31 - 1
"""One past the largest level id: what Procgen's signed 32-bit level seeds allow."""
_CHUNK = 2048


@dataclass(frozen=True)
class IdRange:
    """The ids from `start` up to and not including `stop`."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        """Refuse an empty range and ids that no level has.

        Raises:
            UserError: naming the range.
        """
        if not 0 <= self.start < self.stop <= MAX_ID:
            raise UserError(
                f"ids={self} is no range of level ids: give start:stop with "
                f"0 <= start < stop <= {MAX_ID}, for example 0:500"
            )

    def __len__(self) -> int:
        """Return how many ids there are."""
        return self.stop - self.start

    def __str__(self) -> str:
        """Return the range as users write it."""
        return f"{self.start}:{self.stop}"

    @classmethod
    def parse(cls, text: str | int) -> IdRange:
        """Return the range written as `start:stop`, or as one id.

        Raises:
            UserError: if it is neither.
        """
        first, colon, last = str(text).partition(":")
        try:
            start = int(first)
            stop = int(last) if colon else start + 1
        except ValueError:
            raise UserError(
                f"ids={text!r} is not a range: write start:stop, for example 0:500, or one id"
            ) from None
        return cls(start, stop)

    def ids(self) -> NDArray[np.int64]:
        """Return the ids, int64 [len]."""
        return np.arange(self.start, self.stop, dtype=np.int64)

    def overlaps(self, other: IdRange) -> bool:
        """Return whether the two share an id."""
        return self.start < other.stop and other.start < self.stop


def require_disjoint(splits: Mapping[str, IdRange]) -> None:
    """Refuse splits that share level ids.

    Raises:
        UserError: naming the two that overlap.
    """
    names = list(splits)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if splits[first].overlaps(splits[second]):
                raise UserError(
                    f"levels.{first}={splits[first]} and levels.{second}={splits[second]} share "
                    "level ids: a test on levels seen in training measures nothing; "
                    "give ranges that do not overlap"
                )


@dataclass(frozen=True)
class LevelDistribution:
    """Levels of a world with a correlation between the intended goal and the proxy."""

    world: World
    correlation: float = 1.0
    """Probability, in [0, 1], that a level is aligned."""
    placement: str = USUAL
    """Where the goal goes on a conflict level; written as `Placement` does."""
    ids: IdRange = field(default_factory=lambda: IdRange(0, 100_000))
    """The ids it draws from."""
    proxy_correlations: tuple[tuple[str, float], ...] = ()
    """Of single proxies, by name, of a world with several; that of the others is `correlation`."""

    def __post_init__(self) -> None:
        """Check the goal axis.

        Raises:
            UserError: for a correlation outside [0, 1] or an unknown placement.
        """
        in_range("correlation", self.correlation, 0.0, 1.0)
        for proxy, value in self.proxy_correlations:
            one_of("proxy_correlations: proxy", proxy, self.world.proxies)
            in_range(f"proxy_correlations.{proxy}", value, 0.0, 1.0)
        placement = Placement.parse(self.placement, self.world.placements)
        object.__setattr__(self, "placement", str(placement))

    def levels(self, ids: NDArray[np.int64] | None = None) -> LevelBatch:
        """Return the levels of `ids` (default: of the whole range), whatever the range."""
        chosen = self.ids.ids() if ids is None else np.asarray(ids, np.int64)
        correlation: float | dict[str, float] = float(self.correlation)
        if self.proxy_correlations:
            correlation = dict.fromkeys(self.world.proxies, correlation) | dict(
                self.proxy_correlations
            )
        return self.world.levels(chosen, correlation, self.placement)

    def at(self, **changes: object) -> LevelDistribution:
        """Return the distribution with some fields changed, for example `correlation=0.0`.

        A new correlation is that of all proxies.
        """
        if "correlation" in changes:
            changes.setdefault("proxy_correlations", ())
        return dataclasses.replace(self, **changes)  # pyright: ignore[reportArgumentType]

    def chunks(self) -> Iterator[LevelBatch]:
        """Yield the whole range's levels, a bounded number at a time."""
        ids = self.ids.ids()
        for first in range(0, len(ids), _CHUNK):
            yield self.levels(ids[first : first + _CHUNK])

    def describe(self) -> dict[str, float | int]:
        """Return what the whole range really holds.

        Returns:
            `levels`, `realised_correlation` (share of aligned levels), `conflict_levels` and
            `distinct_conflict_levels` (by content, whatever the id).
        """
        count = aligned = 0
        conflict: set[bytes] = set()
        for batch in self.chunks():
            count += len(batch)
            aligned += int(batch.aligned.sum())
            conflict.update(batch.take(~batch.aligned).digests())
        return {
            "levels": count,
            "realised_correlation": aligned / count,
            "conflict_levels": count - aligned,
            "distinct_conflict_levels": len(conflict),
        }

    def conflict_ids(self) -> NDArray[np.int64]:
        """Return those of the range's ids whose level has a place for the goal off the proxy.

        A level that `placement` finds no place in stays aligned at any correlation.
        """
        return np.concatenate(
            [batch.ids[batch.data["conflict_cell"][:, 0] >= 0] for batch in self.chunks()]
        )

    def terrain_digests(self) -> set[bytes]:
        """Return the digests of the whole range's terrains, whatever their goals."""
        found: set[bytes] = set()
        for batch in self.at(correlation=1.0).chunks():
            found.update(batch.digests(terrain=True))
        return found


class LevelStream:
    """An endless stream of levels for each slot, drawn uniformly from a distribution's ids.

    The k-th level of slot e depends on (seed, e, k) alone: neither the number of slots nor what the
    other slots do changes it.
    """

    def __init__(self, distribution: LevelDistribution, num_slots: int, seed: int) -> None:
        """Start the stream of every slot at its first level."""
        self.distribution = distribution
        self.seed = seed
        self.drawn = np.zeros(num_slots, np.int64)  # levels that each slot has drawn so far

    def next(self, slots: NDArray[np.int64]) -> LevelBatch:
        """Return the next level of each of `slots`."""
        ids = self.distribution.ids
        picks = hash_picks(len(ids), STREAM_LEVELS, self.seed, slots, self.drawn[slots])
        self.drawn[slots] += 1
        return self.distribution.levels(ids.start + picks)
