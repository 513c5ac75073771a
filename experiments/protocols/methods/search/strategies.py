"""Which level to play next, given the results so far: three strategies behind one interface.

Public names: `Strategy`, `Proposal`, `STRATEGIES`, `make_strategy`.

| strategy | chooses | finds |
|---|---|---|
| `random` | levels as they come | the class of levels (`features.Classes`) that did worst |
| `bandit` | classes by Thompson sampling, and a level of each | likewise |
| `evolution` | levels by Thompson sampling, and an edit of each | the level whose edits did worst |

All look for high *values*, in [0, 1], one an episode.  A class's, or a level's and its edits', mean
value has a Beta posterior whose prior is worth `_STRENGTH` episodes of the mean of all; what is
reported is the one whose mean less its standard deviation is highest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import one_of
from misgen.envs.core.level import LevelBatch

from .edits import Editor
from .features import Pool
from .planning import Plan

Choose = Callable[[int], NDArray[np.int64]]
"""How many to the numbers of parents."""

STRATEGIES = ("random", "bandit", "evolution")
_STRENGTH = 4.0  # episodes that the prior is worth
_POPULATION = 128  # levels that evolution keeps
_CHOICE = 8  # levels that a bandit looks at for each that it plays, at least
_LOOKS = 2  # times that it looks at more levels, where it finds none of a class
_TRIES = 3  # rounds of edits until there are as many children as asked for
_FROM_POOL = -1  # in place of a parent's number


@dataclass(frozen=True, eq=False)
class Proposal:
    """Levels to play, none of which was proposed before."""

    levels: LevelBatch
    origin: NDArray[np.int64]
    """[n] the strategy's own note of where each comes from."""
    words: str = ""
    """What they have in common."""

    def __len__(self) -> int:
        """Return how many levels there are."""
        return len(self.levels)


class Strategy(ABC):
    """A search under way.  What is proposed is played and told before the next is proposed."""

    def __init__(self, pool: Pool, rng: np.random.Generator) -> None:
        """Search among the levels of `pool`, with `rng` for all that is left to chance."""
        self.pool = pool
        self.rng = rng
        self._sum, self._count = 0.0, 0  # of all values

    @abstractmethod
    def uniform(self, count: int) -> Proposal:
        """Return up to `count` levels as they come."""

    @abstractmethod
    def propose(self, count: int) -> Proposal:
        """Return up to `count` levels that may do badly."""

    @abstractmethod
    def found(self, count: int) -> Proposal:
        """Return up to `count` fresh levels of what did worst so far."""

    def tell(self, proposal: Proposal, values: NDArray[np.float64]) -> None:
        """Learn the values of what was proposed, float64 [n]."""
        self._sum += float(values.sum())
        self._count += len(values)

    def _posterior(
        self, sums: NDArray[np.float64], counts: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the two parameters of each Beta posterior."""
        mean = (self._sum + 0.5) / (self._count + 1)
        return sums + _STRENGTH * mean, counts - sums + _STRENGTH * (1 - mean)

    def _sample(
        self, sums: NDArray[np.float64], counts: NDArray[np.float64], times: int
    ) -> NDArray[np.int64]:
        """Return the best of a draw from all posteriors, `times` times, int64 [times]."""
        a, b = self._posterior(sums, counts)
        return self.rng.beta(a, b, (times, len(a))).argmax(axis=1)

    def _worst(self, sums: NDArray[np.float64], counts: NDArray[np.float64]) -> int:
        """Return whose values are highest, with some caution."""
        a, b = self._posterior(sums, counts)
        n = a + b
        return int((a / n - np.sqrt(a * b / (n + 1)) / n).argmax())


class Random(Strategy):
    """Plays levels as they come."""

    def __init__(self, pool: Pool, rng: np.random.Generator) -> None:
        super().__init__(pool, rng)
        self._sums = np.zeros(len(pool.classes))  # of each class
        self._counts = np.zeros(len(pool.classes))

    def uniform(self, count: int) -> Proposal:
        """Return the next levels of the pool."""
        return self._of(self.pool.take(count))

    def propose(self, count: int) -> Proposal:
        """Return the next levels of the pool."""
        return self.uniform(count)

    def found(self, count: int) -> Proposal:
        """Return levels of the class that did worst."""
        worst = self._worst(self._sums, self._counts)
        words = self.pool.classes.describe(worst)
        return self._of(self.pool.take(count, within=worst), words)

    def tell(self, proposal: Proposal, values: NDArray[np.float64]) -> None:
        """Learn what levels of which classes did."""
        super().tell(proposal, values)
        members = self.pool.members[proposal.origin].astype(np.float64)
        self._sums += values @ members
        self._counts += members.sum(axis=0)

    def _of(self, rows: NDArray[np.int64], words: str = "") -> Proposal:
        return Proposal(self.pool.levels(rows), rows, words)


class Bandit(Random):
    """Plays more of the classes that may do worst."""

    def propose(self, count: int) -> Proposal:
        """Return a level of each of the classes drawn by Thompson sampling."""
        self.pool.refill(_CHOICE * count)
        rows, looks = np.zeros(0, np.int64), _LOOKS
        for chosen in self._sample(self._sums, self._counts, count).tolist():
            row = self.pool.take(1, within=chosen, look=False)
            if not len(row) and looks:
                self.pool.look()
                looks -= 1
                row = self.pool.take(1, within=chosen, look=False)
            rows = np.append(rows, row if len(row) else self.pool.take(1))
        return self._of(rows)


class Evolution(Strategy):
    """Plays edits of the levels whose edits may do worst."""

    def __init__(self, pool: Pool, rng: np.random.Generator, editor: Editor) -> None:
        super().__init__(pool, rng)
        self._editor = editor
        self._levels = pool.draw(pool.ids[:0])
        self._plans: list[Plan | None] = []  # None: not looked for yet
        self._sums = np.zeros(0)  # of each level and its children
        self._counts = np.zeros(0)
        self._fresh: list[Plan | None] = []  # plans of what was proposed last
        self._seen: set[bytes] = set()

    def uniform(self, count: int) -> Proposal:
        """Return the next levels of the pool."""
        levels = self.pool.levels(self.pool.take(count))
        self._fresh = [None] * len(levels)
        return Proposal(levels, np.full(len(levels), _FROM_POOL))

    def propose(self, count: int) -> Proposal:
        """Return children of the levels drawn by Thompson sampling."""
        if not len(self._levels):
            return self.uniform(count)
        return self._children(count, lambda n: self._sample(self._sums, self._counts, n))

    def found(self, count: int) -> Proposal:
        """Return children of the level that did worst, itself and through its children."""
        if not len(self._levels):
            return self.uniform(0)
        worst = self._worst(self._sums, self._counts)
        made = self._children(count, lambda n: np.full(n, worst))
        digest = self._levels.take(slice(worst, worst + 1)).digests()[0].hex()
        return Proposal(made.levels, made.origin, f"edits of the level with digest {digest[:10]}")

    def tell(self, proposal: Proposal, values: NDArray[np.float64]) -> None:
        """Credit levels and their parents, and keep the worst."""
        super().tell(proposal, values)
        child = proposal.origin != _FROM_POOL
        np.add.at(self._sums, proposal.origin[child], values[child])
        np.add.at(self._counts, proposal.origin[child], 1.0)
        data = np.concatenate([self._levels.data, proposal.levels.data])
        self._plans += self._fresh
        self._sums = np.concatenate([self._sums, values])
        self._counts = np.concatenate([self._counts, np.ones(len(values))])
        a, b = self._posterior(self._sums, self._counts)
        kept = np.sort(np.argsort(-a / (a + b), kind="stable")[:_POPULATION])
        self._levels = LevelBatch(self._levels.world, data[kept], self._levels.variant)
        self._plans = [self._plans[k] for k in kept.tolist()]
        self._sums, self._counts = self._sums[kept], self._counts[kept]

    def _children(self, count: int, choose: Choose) -> Proposal:
        """Return up to `count` children of the levels that `choose` names."""
        batches, origins, plans = [self._levels.data[:0]], [np.zeros(0, np.int64)], []
        for _ in range(_TRIES):
            chosen = choose(count - len(plans))
            chosen = self._solvable(chosen)
            ways = [plan for k in chosen.tolist() if (plan := self._plans[k]) is not None]
            made, found, whose = self._editor.children(self._levels.take(chosen), ways)
            new = [k for k, digest in enumerate(made.digests()) if self._is_new(digest)]
            batches.append(made.data[new])
            origins.append(chosen[whose[new]])
            plans += [found[k] for k in new]
            if len(plans) >= count:
                break
        self._fresh = plans
        levels = LevelBatch(self._levels.world, np.concatenate(batches), self._levels.variant)
        return Proposal(levels, np.concatenate(origins))

    def _solvable(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the chosen levels that have a way to the goal; find the ways."""
        unknown = np.array([k for k in np.unique(chosen) if self._plans[k] is None], np.int64)
        ways = self._editor.solver.plans(self._levels.take(unknown))
        for k, plan in zip(unknown.tolist(), ways, strict=True):
            self._plans[k] = plan
            if plan is None:  # no failure of the agent's
                self._sums[k] = 0.0
        return np.array([k for k in chosen.tolist() if self._plans[k] is not None], np.int64)

    def _is_new(self, digest: bytes) -> bool:
        known = digest in self._seen
        self._seen.add(digest)
        return not known


def make_strategy(
    name: str, pool: Pool, rng: np.random.Generator, make_editor: Callable[[], Editor]
) -> Strategy:
    """Return a strategy by its name; only one that edits asks for an editor.

    Raises:
        UserError: if there is none.
    """
    one_of("strategy", name, STRATEGIES)
    if name == "evolution":
        return Evolution(pool, rng, make_editor())
    return Random(pool, rng) if name == "random" else Bandit(pool, rng)
