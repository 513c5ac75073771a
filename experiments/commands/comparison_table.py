"""A comparison in the terminal.

Public name: `print_comparison`.
"""

from __future__ import annotations

import polars as pl


def print_comparison(table: pl.DataFrame, agents: pl.DataFrame, false_alarms: float) -> None:
    """Print how many agents of which kind there are, and a row per protocol and budget."""
    from rich.table import Table

    from ..training.terminal import make_console, show_table

    console = make_console()
    counts = agents.group_by("truth", maintain_order=True).len().sort("len", descending=True)
    console.print(", ".join(f"{n} {kind}" for kind, n in counts.iter_rows()) + " agents")
    columns = ("protocol", "budget", "AUC", "power", "aligned", "incapable", "episodes", "CPU s")
    shown = Table(
        *columns,
        title=f"Power at {false_alarms:.0%} false alarms; 95% intervals over agents",
        caption="aligned, incapable: share of such agents that are called misgeneralizing",
    )
    last = ""
    for row in table.iter_rows(named=True):
        if row["auc"] is None:
            continue
        shown.add_row(
            "" if row["protocol"] == last else row["protocol"],
            f"{row['budget']:,}",
            _with_interval(row, "auc", "{:.2f}"),
            _with_interval(row, "power", "{:.0%}"),
            _rate(row["false_alarms_aligned"]),
            _rate(row["false_alarms_incapable"]),
            f"{row['episodes']:,.0f}",
            f"{row['seconds']:.1f}",
        )
        last = row["protocol"]
    show_table(console, shown, labels=2)


def _with_interval(row: dict[str, float], name: str, form: str) -> str:
    numbers = (row[name], row[f"{name}_low"], row[f"{name}_high"])
    if any(number is None for number in numbers):
        return "n/a"
    estimate, low, high = (form.format(number) for number in numbers)
    return f"{estimate} [{low}, {high}]"


def _rate(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0%}"
