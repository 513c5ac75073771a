"""Tables that are printed and written alike, and the turns that their figures come from.

Public names: `Table`, `take_turns`, `rate`, `spread`, `ratio`, `millions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table as Shown

    from .peers.registry import Worker


@dataclass
class Table:
    """What is told of some figures: text alone, so that it is the same wherever it is told."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""
    """What the figures are, in whole sentences."""

    def shown(self) -> Shown:
        """Return it for the terminal."""
        from rich.table import Table as Shown

        table = Shown(title=self.title, min_width=78, caption=self.note)
        for k, column in enumerate(self.columns):
            table.add_column(column, justify="right" if k else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """Return it as Markdown."""
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        parts = [
            f"### {self.title}",
            self.note,
            "\n".join(f"| {' | '.join(row)} |" for row in lines),
        ]
        return "\n\n".join(part for part in parts if part)

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def take_turns(
    workers: Mapping[str, Worker],
    work: Mapping[str, Mapping[str, Any]],
    turns: Sequence[Mapping[str, Any]],
) -> dict[str, list[dict[str, Any]]]:
    """Have workers take turns; return what each found in each of its turns.

    Args:
        workers: by name.
        work: what each does.
        turns: what is asked for in each round.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for name, worker in workers.items():
        worker.prepare(work[name])
    for worker in workers.values():
        worker.wait()
    for asked in turns:
        for name, worker in workers.items():
            found[name].append(worker.turn(**asked))
    return found


def rate(turn: Mapping[str, Any], clock: str = "cpu_seconds") -> float:
    """Return how much a turn did a second of its clock."""
    return turn["done"] / turn[clock]


def spread(values: Sequence[float], text: str = "{:,.0f}") -> str:
    """Return the median of some values, with the lowest and the highest."""
    low, middle, high = (text.format(of(values)) for of in (min, median, max))
    return f"{middle} [{low}, {high}]"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return how many times theirs ours are, turn by turn."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)], "{:.3g}")


def millions(values: Sequence[float]) -> str:
    """Return rates as `spread` does, in millions where they are that many."""
    if max(values) < 1e6:
        return spread(values)
    return spread([value / 1e6 for value in values], "{:.2f}") + " M"
