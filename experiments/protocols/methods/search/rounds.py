"""How a search spends its budget, so that it does not report its own luck.

Public names: `Searched`, `Campaign`, `round_ends`, `difference_point`.

A search that reports the best of what it saw reports its own luck (the winner's curse).  Here it
goes in rounds that end after 10, 30, 100, 300, 1000, ... episodes in all.  In each round one part
searches, with all that earlier rounds saw; then what was found is *confirmed* on levels that were
never played before, and only these count.  A budget's score is that of the last round that it pays
for in full, search and confirmation both; the rounds are the same whatever the budget (the prefix
rule), so a list of budgets is the whole curve of the search.
"""

from __future__ import annotations

import dataclasses
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from misgen.envs.core.errors import in_range
from misgen.envs.core.world import World

from ...base import Evidence, Point, Progress, Subject, not_applicable
from ...spec import Protocol

UNIFORM, SEARCH, CONFIRM = "uniform", "search", "confirm"
"""Phases of a round: levels as they come; levels that were chosen; fresh ones of what was found."""
FIRST_ROUND = 10
"""Episodes of the first round: below this budget there is no score."""


class Campaign(ABC):
    """One search under way, on one subject."""

    @abstractmethod
    def search(self, count: int) -> Iterator[pl.DataFrame]:
        """Spend up to `count` episodes on finding something; yield rows, with their `phase`."""

    @abstractmethod
    def confirm(self, count: int) -> pl.DataFrame:
        """Spend up to `count` episodes on fresh levels of what was found; return rows.

        They have `found`, what it was, in words.
        """


@dataclass(frozen=True, kw_only=True)
class Searched(ABC):
    """A method that searches in rounds."""

    confirm_most: int = 500
    """Episodes of a round that confirm, at most half of it; the others search."""
    num_slots: int = 512
    """Levels played side by side; changes no result."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("confirm_most", self.confirm_most, 1, 100_000)
        in_range("num_slots", self.num_slots, 1, 10_000)

    @abstractmethod
    def begin(
        self, subject: Subject, protocol: Protocol, replicate: int, seed: int, progress: Progress
    ) -> Campaign:
        """Return a search that has not begun."""

    @abstractmethod
    def measure(self, confirmed: pl.DataFrame, earlier: pl.DataFrame, budget: int) -> Point:
        """Return a score without its costs.

        Args:
            confirmed: rows of the round's confirmation.
            earlier: all rows up to that round's end.
            budget: as in `Point`.
        """

    def refuses(self, subject: Subject) -> str:
        """Return why the protocol is not applicable to an agent; empty where it is."""
        return ""

    def score(self, rows: pl.DataFrame, budget: int) -> Point:
        """Return the score of a budget, from the rows (`Evidence.details`) of that or a larger one.

        Its `seconds` are 0: they are not in the rows.
        """
        own = rows.filter(pl.col("round") <= budget) if len(rows) else rows
        if not len(own):
            return Point(budget, math.nan, note=f"a search needs {FIRST_ROUND} episodes or more")
        last = own["round"].max()
        confirmed = own.filter(pl.col("round") == last, pl.col("phase") == CONFIRM)
        point = self.measure(confirmed, own, budget)
        found = confirmed["found"][0] if len(confirmed) else "nothing"
        note = "; ".join(filter(None, [f"found: {found}", point.note]))
        return dataclasses.replace(point, episodes=len(own), note=note)

    def run(
        self,
        subject: Subject,
        protocol: Protocol,
        *,
        budgets: Sequence[int],
        replicate: int = 0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Evidence:
        """Test an agent; see `base.Method.run`."""
        reason = self.refuses(subject)
        if reason:
            return not_applicable(subject, protocol, replicate, reason)
        started = time.process_time()
        campaign = self.begin(subject, protocol, replicate, seed, progress or (lambda _: None))
        tables: list[pl.DataFrame] = []
        seconds: dict[int, float] = {}
        before = 0
        for end in round_ends(max(budgets)):
            tables += _play_round(campaign, end, end - before, self.confirm_most)
            seconds[end], before = time.process_time() - started, end
        rows = pl.concat(tables, how="diagonal") if tables else pl.DataFrame()
        rows = rows.select(pl.Series("order", np.arange(len(rows))), pl.all())
        points = []
        for budget in sorted(budgets):
            spent = max((s for end, s in seconds.items() if end <= budget), default=0.0)
            points.append(dataclasses.replace(self.score(rows, budget), seconds=spent))
        return Evidence(
            protocol.name, protocol.hash, subject.name, replicate, tuple(points), details=rows
        )


def round_ends(most: int) -> Iterator[int]:
    """Yield after how many episodes in all each round ends: 10, 30, 100, ... up to `most`."""
    end, factor = FIRST_ROUND, 3
    while end <= most:
        yield end
        end, factor = (end * 3, 10) if factor == 3 else (end // 3 * 10, 3)


def difference_point(budget: int, more: Point, less: Point) -> Point:
    """Return `more - less`, two independent means, with the interval of Newcombe's method.

    Source: Newcombe 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I
    """
    score = more.score - less.score
    down = math.hypot(more.score - more.low, less.high - less.score)
    up = math.hypot(more.high - more.score, less.score - less.low)
    return Point(budget, score, score - down, score + up)


def plays_given_levels(world: World) -> bool:
    """Return whether a world runs levels that come from no id."""
    return world.engine == World.engine


def _play_round(
    campaign: Campaign, end: int, episodes: int, confirm_most: int
) -> list[pl.DataFrame]:
    """Spend one round's episodes; return its rows."""
    confirm = min(confirm_most, episodes // 2)
    tables = [*campaign.search(episodes - confirm)]
    tables.append(campaign.confirm(confirm).with_columns(phase=pl.lit(CONFIRM)))
    return [_labelled(table, round=end) for table in tables if len(table)]


def _labelled(table: pl.DataFrame, **labels: Any) -> pl.DataFrame:
    return table.with_columns(pl.lit(value, pl.Int64).alias(k) for k, value in labels.items())
