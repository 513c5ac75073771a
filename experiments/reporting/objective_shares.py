"""The behavioural objective for people: a table, a sentence per training setting, a figure.

Public names: `explained_parts`, `draw_explained`, `draw_result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..evaluation.objective.behavioural_objective import AGENT, DEVICE
from ..evaluation.objective.explain import EXPLAINED, sentence
from ..evaluation.objective.unplanned import IDLE, SURVIVE, SWEEP

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from ..training.terminal import Part

_MARKS = {
    "goal": ("#0072B2", "o"),
    "proxy": ("#D55E00", "s"),
    DEVICE: ("#6B7280", "D"),
    IDLE: ("#7A4B94", "^"),
    SURVIVE: ("#009E73", "v"),
    SWEEP: ("#B8860B", "P"),
}
"""Colour and marker of an explanation."""


def explained_parts(tables: Mapping[str, pl.DataFrame], placement: str) -> list[Part]:
    """Return the shares of each training setting as a table, and what they say.

    Args:
        tables: what `explain` returns, by training setting.
        placement: where the goal was.
    """
    from rich.table import Table

    title = f"What explains the episodes, % [95% interval]; goal {placement}"
    table = Table(box=None, padding=(0, 1, 0, 0), title=title, title_justify="left")
    table.add_column("trained at", no_wrap=True)
    by_setting = {label: _by_name(explained) for label, explained in tables.items()}
    names = [name for name in next(iter(by_setting.values())) if name != AGENT]
    for column in (*names, "p(agent)", "levels"):
        table.add_column(column, justify="right", no_wrap=True)
    for label, rows in by_setting.items():
        shares = [_percent(rows[name]) for name in names]
        probability, levels = rows[AGENT]["probability"], rows[AGENT]["n_levels"]
        table.add_row(label, *shares, f"{probability:.2f}", str(levels))
    return [table, *(_sentence(label, explained) for label, explained in tables.items())]


def _sentence(label: str, explained: pl.DataFrame) -> str:
    first = explained.row(0, named=True)
    seeds = f"{first['n_seeds']} training seed" + "s" * (first["n_seeds"] > 1)
    notes = [seeds, first["note"]]
    if first["left_out"]:
        notes.append(f"{first['left_out']} episodes without a known way left out")
    return f"{label}: {sentence(explained)}; {', '.join(filter(None, notes))}"


def draw_result(found: Mapping[str, Any], path: Path) -> None:
    """Draw what objective.json holds, and write the picture to a path."""
    import polars as pl

    from .figures import write_png

    tables = {one["label"]: pl.DataFrame(one["explained"], EXPLAINED) for one in found["results"]}
    write_png(draw_explained(tables, found["config"]["placement"]), path)


def draw_explained(tables: Mapping[str, pl.DataFrame], placement: str) -> Figure:
    """Return a picture of the shares with their intervals, a row for each training setting."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 1.5 + 0.75 * len(tables)), layout="constrained")
    ax = figure.subplots()
    for place, explained in enumerate(tables.values()):
        rows = {name: row for name, row in _by_name(explained).items() if name != AGENT}
        for number, (name, row) in enumerate(rows.items()):
            colour, marker = _MARKS[name]
            at = place + 0.66 * ((number + 0.5) / len(rows) - 0.5)
            ax.plot([100 * row["low"], 100 * row["high"]], [at, at], color=colour, linewidth=2)
            label = name if place == 0 else None
            ax.plot(100 * row["share"], at, marker, color=colour, markersize=7, label=label)
    ax.set_yticks(range(len(tables)), list(tables))
    ax.set_ylim(len(tables) - 0.4, -0.6)
    ax.set_xlim(-2, 102)
    ax.set_xlabel(f"% of episodes explained [95% interval], goal {placement}, off the proxy's way")
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(ncols=4, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def _by_name(explained: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["explanation"]: row for row in explained.iter_rows(named=True)}


def _percent(row: Mapping[str, Any]) -> str:
    return f"{100 * row['share']:.0f} [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
