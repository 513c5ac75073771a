"""A question's table: what is done of its arms, a row a training seed and placement, or an agent.

Public names: `Done`, `collect`, `hours_left`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from .columns import ordered
from .config import EvidenceConfig
from .question import Collected

_OF_RUN = ("run", "placement")
_EARLIER = " earlier"


@dataclass(frozen=True)
class Done:
    """How much of a question is carried out."""

    runs: int
    planned: int
    counts: str
    """What is counted, such as training runs."""
    hours_left: float | None = None
    """CPU hours that the rest takes, by what the work of each arm has taken so far."""

    def __str__(self) -> str:
        """Return it in words."""
        if self.runs == self.planned:
            return f"all {self.planned} {self.counts} are done"
        told = f"{self.runs} of {self.planned} {self.counts} are done: numbers may still move"
        if self.hours_left is None:
            return told
        return f"{told}, and the rest takes about {self.hours_left:.2g} CPU hours"


def collect(config: EvidenceConfig) -> tuple[pl.DataFrame, Done]:
    """Return the table of what is done so far, and how much that is; numbers are rounded as stored.

    Raises:
        UserError: if a stored result is damaged.
    """
    every = [(arm, arm.collect(config)) for arm in config.chosen_arms]
    parts = [part for _, part in every]
    done = Done(
        sum(part.done for part in parts),
        sum(part.planned for part in parts),
        config.asked.counts,
        hours_left(parts),
    )
    factors = {name: None for arm, part in every if part.rows for name in arm.factors}
    return _table(config, parts, [*factors]), done


def hours_left(parts: list[Collected]) -> float | None:
    """Return how long the rest takes; an arm that is not begun, as long as the others did."""
    spent = [sum(row["cpu_seconds"] or 0.0 for row in part.rows) for part in parts]
    work = sum(part.work_done for part in parts)
    if not work:
        return None
    usual = sum(spent) / work
    seconds = 0.0
    for part, own in zip(parts, spent, strict=True):
        seconds += part.work_left * (own / part.work_done if part.work_done else usual)
    return seconds / 3600


def _table(config: EvidenceConfig, parts: list[Collected], factors: list[str]) -> pl.DataFrame:
    """Return the rows of all arms as one table, with what the question adds."""
    asked = config.asked
    rows: list[dict[str, Any]] = [row for part in parts for row in part.rows]
    if not rows:
        return pl.DataFrame(schema=asked.columns)
    found = pl.DataFrame(rows, infer_schema_length=None)
    beside = [one for part in parts for one in part.beside]
    if asked.more is not None and beside:
        found = _filled(found, asked.more(found, pl.concat(beside)))
    own = {*asked.columns, *factors}
    more = [name for name in found.columns if asked.more is not None and name not in own]
    return ordered(found, asked.columns, factors, more)


def _filled(found: pl.DataFrame, added: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with the columns that are added; earlier rows have theirs already."""
    both = [name for name in added.columns if name in found.columns and name not in _OF_RUN]
    old = found.rename({name: name + _EARLIER for name in both})
    joined = old.join(added, on=_OF_RUN, how="left", maintain_order="left")
    filled = [pl.coalesce(name, name + _EARLIER) for name in both]
    return joined.with_columns(filled).drop(name + _EARLIER for name in both)
