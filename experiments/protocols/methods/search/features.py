"""Features that the levels of every world have, and classes of levels with common features.

Public names: `features`, `Classes`, `Pool`.

A feature is read off a level's content, and never off what an agent does there: where the goal is
from the start, how many things of each kind there are, how many tiles of each code.  A *class* of
levels is a condition on one or two features, such as "goal_x <= 7 and saw > 1".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.level import LevelBatch
from misgen.envs.core.world import World

Draw = Callable[[NDArray[np.int64]], LevelBatch]
"""Level ids [n] to their levels."""

_CUTS = (0.1, 0.5, 0.9)  # quantiles at which a feature is cut
_LEAST = 0.02  # share of the levels that a class must have
_REFERENCE = 2048  # levels that quantiles and shares are taken from
_CHUNK = 2048


def features(
    world: World, levels: LevelBatch, *, proxy: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Return the features of levels, float64 [n] by name.

    Args:
        world: what the levels' codes mean.
        levels: the levels [n].
        proxy: whether one may know where the proxy is.
    """
    data = levels.data
    goal, start = data["goal_cell"].astype(np.float64), np.floor(data["start"])
    away = goal - start
    found = {"goal_x": away[:, 0], "goal_y": away[:, 1], "goal_distance": np.abs(away).sum(axis=1)}
    inside = np.arange(data["entity_kind"].shape[1]) < data["entity_count"][:, None]
    for kind, (name, *_) in world.symbols.entities.items():
        found[name] = (inside & (data["entity_kind"] == kind)).sum(axis=1).astype(np.float64)
    _, *others = world.symbols.tiles
    for code in others:
        if code != world.goal_tile:
            count = (data["tiles"] == code).sum(axis=(1, 2))
            found[f"tiles_{world.symbols.tiles[code]}"] = count.astype(np.float64)
    if proxy:
        apart = np.abs(goal - data["proxy_cell"]).sum(axis=1)
        found["goal_to_proxy"] = np.where(data["proxy_cell"][:, 0] < 0, -1.0, apart)
    return found


@dataclass(frozen=True, eq=False)
class Classes:
    """Classes of levels, which may overlap: all conditions on one or two features."""

    names: tuple[str, ...]
    """Of the features."""
    edges: tuple[NDArray[np.float64], ...]
    """Of each feature: bin b is from above edge b - 1 up to edge b."""
    conditions: NDArray[np.int64]
    """[classes, 2] number of a (feature, bin); the same twice for one condition."""

    @classmethod
    def of(cls, table: dict[str, NDArray[np.float64]]) -> Classes:
        """Return the classes that are not too rare among some levels, given their features."""
        edges = {k: np.unique(np.quantile(v, _CUTS, method="higher")) for k, v in table.items()}
        kept = {k: e[e < table[k].max()] for k, e in edges.items() if table[k].max() > e[0]}
        bins = [(f, b) for f, e in enumerate(kept.values()) for b in range(len(e) + 1)]
        pairs = [
            (i, j)
            for i in range(len(bins))
            for j in range(i, len(bins))
            if i == j or bins[i][0] != bins[j][0]
        ]
        every = cls(tuple(kept), tuple(kept.values()), np.array(pairs, np.int64).reshape(-1, 2))
        common = every.members(table).mean(axis=0) >= _LEAST
        return cls(every.names, every.edges, every.conditions[common])

    def __len__(self) -> int:
        """Return how many classes there are."""
        return len(self.conditions)

    def members(self, table: dict[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
        """Return which levels are in which class, bool [levels, classes]."""
        n = len(next(iter(table.values())))
        columns = [np.zeros((n, 0), np.bool_)]
        for name, edges in zip(self.names, self.edges, strict=True):
            number = np.searchsorted(edges, table[name], side="left")
            columns.append(number[:, None] == np.arange(len(edges) + 1))
        within = np.concatenate(columns, axis=1)
        return within[:, self.conditions[:, 0]] & within[:, self.conditions[:, 1]]

    def describe(self, number: int) -> str:
        """Return a class's condition in words."""
        bins = [(f, b) for f, e in enumerate(self.edges) for b in range(len(e) + 1)]
        words = []
        for condition in sorted(set(self.conditions[number].tolist())):
            feature, b = bins[condition]
            edges = self.edges[feature]
            low = f"{edges[b - 1]:g} < " if b else ""
            high = f" <= {edges[b]:g}" if b < len(edges) else ""
            words.append(f"{low}{self.names[feature]}{high}")
        return " and ".join(words)


class Pool:
    """Levels of a range of ids, each handed out once."""

    def __init__(
        self,
        ids: NDArray[np.int64],
        draw: Draw,
        describe: Callable[[LevelBatch], dict[str, NDArray[np.float64]]],
    ) -> None:
        """Fill the pool from the first ids on, as needed.

        Args:
            ids: which ids there are, int64.
            draw: what an id means.
            describe: features of levels.
        """
        self.draw = draw
        self._describe = describe
        self._left = ids
        self._used = np.zeros(0, np.bool_)
        self.ids = np.zeros(0, np.int64)  # of the levels looked at so far
        reference = describe(draw(ids[:_REFERENCE]))
        self.classes = Classes.of(reference)
        self.members = np.zeros((0, len(self.classes)), np.bool_)  # [looked at, classes]

    def take(
        self, count: int, within: int | None = None, *, look: bool = True
    ) -> NDArray[np.int64]:
        """Return rows (in `ids`, `members`) of up to `count` levels that were never taken.

        Args:
            count: how many; fewer if the ids run out.
            within: of this class alone.
            look: whether to look at further ids if there are not enough.
        """
        rows = self._free(within)
        while look and len(rows) < count and len(self._left):
            self.look()
            rows = self._free(within)
        self._used[rows[:count]] = True
        return rows[:count]

    def refill(self, count: int) -> None:
        """See to it that `count` levels have been looked at and not taken, if the ids last."""
        while len(self._free(None)) < count and len(self._left):
            self.look()

    def look(self) -> None:
        """Look at the next ids, if there are any."""
        if not len(self._left):
            return
        ids, self._left = self._left[:_CHUNK], self._left[_CHUNK:]
        found = self.classes.members(self._describe(self.draw(ids)))
        self.ids = np.concatenate([self.ids, ids])
        self.members = np.concatenate([self.members, found])
        self._used = np.concatenate([self._used, np.zeros(len(ids), np.bool_)])

    def levels(self, rows: NDArray[np.int64]) -> LevelBatch:
        """Return the levels of some rows."""
        return self.draw(self.ids[rows])

    def _free(self, within: int | None) -> NDArray[np.int64]:
        free = ~self._used
        return np.flatnonzero(free if within is None else free & self.members[:, within])
