"""Which levels: a distribution over the levels of a world, and disjoint splits of their ids.

A `LevelDistribution` is pure: id in, level out.  Its two axes are independent.  The capability axis
is the world's parameters; the goal axis is the correlation and the placement.  Terrain depends on
the id alone, and a level is in conflict if and only if `u(id) < 1 - correlation`, so that

- lowering the correlation only turns aligned levels into conflict levels (nested), and
- the same id at correlation 1 and 0 is a counterfactual pair, identical but for the goal's cell.

With `distinct_conflicts=k` the ids are drawn as often as ever, but where a conflict level would
come, one of k comes: how many *different* conflict levels there are, apart from how frequent they
are.

Statistics of a range are exact where it is small, and estimated from a sample where it has more
than `MOST_COUNTED` ids, so the full range takes no longer than a large one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .errors import UserError, in_range, one_of
from .id_range import MAX_ID, IdRange, checked_ids, require_disjoint
from .level import LevelBatch
from .placement import USUAL, Placement
from .rng import STREAM_LEVELS, hash_below
from .world import World

__all__ = ["MAX_ID", "IdRange", "LevelDistribution", "LevelStream", "Terrains", "require_disjoint"]

MOST_COUNTED = 200_000
"""A range of more ids than this stands for a distribution: it is sampled, not gone through."""
LOOKED_AT = 20_000
"""Levels of such a range that `describe` and `terrain_digests` look at."""
PLAYED = 1_000
"""Levels of such a range that a test plays."""
_CHUNK = 2048
State = dict[str, NDArray[Any]]
"""Arrays by name."""


class Terrains(Set[bytes]):
    """Digests of terrains, and what they were taken from."""

    def __init__(self, digests: frozenset[bytes], looked_at: int, sampled: bool) -> None:
        """Hold the digests of `looked_at` levels: all of a range, or a sample of them."""
        self.digests = digests
        self.looked_at = looked_at
        self.sampled = sampled

    def __contains__(self, digest: object) -> bool:
        return digest in self.digests

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.digests)

    def __len__(self) -> int:
        """Return how many distinct ones there are."""
        return len(self.digests)


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
    distinct_conflicts: int = 0
    """How many different conflict levels are drawn, each as often as the others (to within one
    id of the range); 0: as many as the ids have.  The share of conflict levels is the same."""

    def __post_init__(self) -> None:
        """Check the goal axis.

        Raises:
            UserError: for a correlation outside [0, 1], an unknown placement, or conflict levels
                of more ids than can be gone through.
        """
        in_range("correlation", self.correlation, 0.0, 1.0)
        for proxy, value in self.proxy_correlations:
            one_of("proxy_correlations: proxy", proxy, self.world.proxies)
            in_range(f"proxy_correlations.{proxy}", value, 0.0, 1.0)
            if len(self.world.proxies) == 1:
                raise UserError(
                    f"proxy_correlations.{proxy}={value} is for worlds with several proxies, and "
                    f"{self.world.name} has one: give correlation={value}"
                )
        placement = Placement.parse(self.placement, self.world.placements)
        object.__setattr__(self, "placement", str(placement))
        in_range("distinct_conflicts", self.distinct_conflicts, 0, MOST_COUNTED)
        if self.distinct_conflicts and self.is_sampled:
            raise UserError(
                f"distinct_conflicts={self.distinct_conflicts} goes with at most {MOST_COUNTED:,} "
                f"levels, and these are {len(self.ids):,}: give fewer, or leave it out"
            )

    def drawn(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids at positions 0 to len - 1 of the range, as streams draw them.

        Raises:
            UserError: if the range has fewer conflict levels than `distinct_conflicts`.
        """
        ids = self.ids.at(positions)
        if not self.distinct_conflicts:
            return ids
        where, instead = self._repeats
        place = np.searchsorted(where, ids).clip(max=len(where) - 1)
        return np.where(where[place] == ids, instead[place], ids)

    def require_distinct(self) -> None:
        """Refuse `distinct_conflicts` that the range does not have.

        Raises:
            UserError: saying how many it has.
        """
        self.drawn(np.zeros(1, np.int64))

    def levels(self, ids: NDArray[np.int64] | None = None) -> LevelBatch:
        """Return the levels of `ids` (default: of the whole range, as they are drawn).

        Raises:
            UserError: for what are no ids.
        """
        if ids is None:
            return self._levels(self.drawn(np.arange(len(self.ids.ids()))))
        return self._levels(checked_ids(ids))

    def _levels(self, ids: NDArray[np.int64]) -> LevelBatch:
        """Return the levels of ids that are known to be some."""
        correlation: float | dict[str, float] = float(self.correlation)
        if self.proxy_correlations:
            correlation = dict.fromkeys(self.world.proxies, correlation) | dict(
                self.proxy_correlations
            )
        return self.world.levels(ids, correlation, self.placement)

    def at(self, **changes: object) -> LevelDistribution:
        """Return the distribution with some fields changed, for example `correlation=0.0`.

        A new correlation is that of all proxies.  Other ids, and another correlation, have conflict
        levels of their own, and all of them.
        """
        if "correlation" in changes:
            changes.setdefault("proxy_correlations", ())
        if {"correlation", "ids"} & changes.keys():
            changes.setdefault("distinct_conflicts", 0)
        return dataclasses.replace(self, **changes)  # pyright: ignore[reportArgumentType]

    @property
    def is_sampled(self) -> bool:
        """Whether its range is too large to go through, so that a sample stands for it."""
        return len(self.ids) > MOST_COUNTED

    def ids_to_play(self) -> NDArray[np.int64]:
        """Return the ids that a test plays: the whole range, or `PLAYED` of them, evenly spread."""
        return self.ids.sample(PLAYED) if self.is_sampled else self.ids.ids()

    def chunks(self, ids: NDArray[np.int64] | None = None) -> Iterator[LevelBatch]:
        """Yield the levels of `ids` (default: of the range, as drawn), some at a time."""
        parts = self._drawn_parts() if ids is None else _parts(ids)
        return map(self.levels, parts)

    def describe(self) -> dict[str, Any]:
        """Return what the range really holds.

        Returns:
            `levels`, `realised_correlation` (share of aligned levels), `conflict_levels` and
            `distinct_conflict_levels` (by content, whatever the id).  Of a range that is sampled,
            `conflict_levels` is an estimate and `distinct_conflict_levels` those of the sample, so
            that there are at least as many; it also has `sampled` (true), `levels_looked_at`, and
            `realised_correlation_low` and `_high`, the 95% interval (Wilson's).
        """
        count = aligned = 0
        conflict: set[bytes] = set()
        for batch in self.chunks(self._looked_at()):
            count += len(batch)
            aligned += int(batch.aligned.sum())
            conflict.update(batch.take(~batch.aligned).digests())
        share = aligned / count
        found: dict[str, Any] = {
            "levels": len(self.ids),
            "realised_correlation": share,
            "conflict_levels": round(len(self.ids) * (1 - share)),
            "distinct_conflict_levels": len(conflict),
        }
        if not self.is_sampled:
            return found | {"conflict_levels": count - aligned}
        low, high = _wilson(aligned, count)
        return found | {
            "sampled": True,
            "levels_looked_at": count,
            "realised_correlation_low": low,
            "realised_correlation_high": high,
        }

    def conflict_ids(self) -> NDArray[np.int64]:
        """Return those of `ids_to_play` whose level has a place for the goal off the proxy.

        A level that `placement` finds no place in stays aligned at any correlation.
        """
        found = [
            batch.ids[batch.data["conflict_cell"][:, 0] >= 0]
            for batch in self.chunks(self.ids_to_play())
        ]
        return np.concatenate(found)

    def terrain_digests(self) -> Terrains:
        """Return the digests of the range's terrains, whatever their goals.

        Of a range that is sampled they are those of the sample, and the result says so.
        """
        found: set[bytes] = set()
        looked_at = self._looked_at()
        for batch in self.at(correlation=1.0).chunks(looked_at):
            found.update(batch.digests(terrain=True))
        return Terrains(frozenset(found), len(looked_at), self.is_sampled)

    def _looked_at(self) -> NDArray[np.int64]:
        if self.is_sampled:
            return self.ids.sample(LOOKED_AT)
        return self.drawn(np.arange(len(self.ids)))

    def _drawn_parts(self) -> Iterator[NDArray[np.int64]]:
        count = len(self.ids)
        return (self.drawn(np.arange(i, min(i + _CHUNK, count))) for i in range(0, count, _CHUNK))

    @cached_property
    def _repeats(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ids of the range's conflict levels, ascending, and what is drawn in their place.

        These are the first of them that differ in content, in turns.
        """
        kept: dict[bytes, int] = {}
        found: list[NDArray[np.int64]] = []
        for batch in self.chunks(self.ids.ids()):
            conflict = batch.take(~batch.aligned)
            found.append(conflict.ids)
            if len(kept) < self.distinct_conflicts:
                for digest, level in zip(conflict.digests(), conflict.ids.tolist(), strict=True):
                    kept.setdefault(digest, level)
        if len(kept) < self.distinct_conflicts:
            raise UserError(
                f"distinct_conflicts={self.distinct_conflicts} are more than the {len(kept)} that "
                f"these {len(self.ids):,} levels have at correlation {self.correlation:g}: give "
                "fewer, more levels, or a lower correlation"
            )
        where = np.sort(np.concatenate(found))
        few = np.array([*kept.values()][: self.distinct_conflicts], np.int64)
        return where, few[np.arange(len(where)) % len(few)]


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
        return self.distribution._levels(self._new_ids(slots))

    def again(self, slots: NDArray[np.int64]) -> LevelBatch:
        """Return the levels that `slots` drew last."""
        self.drawn[slots] -= 1
        return LevelStream.next(self, slots)

    def hear(
        self,
        slots: NDArray[np.int64],
        level_ids: NDArray[np.int64],
        fractions: NDArray[np.float32],
    ) -> None:
        """Take note of how much of the goal was reached in episodes that end; here, do nothing."""

    @property
    def state(self) -> State:
        """All that its next levels depend on, beside its seed, in arrays of its own.

        Setting it makes it go on from there, and raises a ValueError for what is none.
        """
        return {"drawn": self.drawn.copy()}

    @state.setter
    def state(self, state: State) -> None:
        self.drawn[:] = state["drawn"]

    def _new_ids(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        distribution = self.distribution
        picks = _next_picks(len(distribution.ids), self.seed, slots, self.drawn)
        return distribution.drawn(picks)


@njit(cache=True)
def _next_picks(high, seed, slots, drawn):
    """Return the next number in [0, high) of each of `slots`, int64 [k], and count it as drawn."""
    picks = np.empty(len(slots), np.int64)
    for k in range(len(slots)):
        slot = slots[k]
        if not 0 <= slot < len(drawn):
            raise IndexError("a stream was asked for a slot that it does not have")
        picks[k] = hash_below(high, STREAM_LEVELS, seed, slot, drawn[slot])
        drawn[slot] += 1
    return picks


def _parts(ids: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    return (ids[first : first + _CHUNK] for first in range(0, len(ids), _CHUNK))


def _wilson(hits: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share."""
    z = 1.959964
    share, weight = hits / count, z * z / count
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)
