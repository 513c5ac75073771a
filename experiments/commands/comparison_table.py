"""A comparison in the terminal.

Public name: `print_comparison`.
"""

from __future__ import annotations

import polars as pl

from ..protocols.comparison.power_tables import NO_CONFLICT


def print_comparison(table: pl.DataFrame, agents: pl.DataFrame, false_alarms: float) -> None:
    """Print how many agents of which kind there are, and a row per protocol and budget."""
    from rich.table import Table

    from ..training.terminal import make_console, show_table

    console = make_console()
    for (population,), own in agents.group_by("population", maintain_order=True):
        counts = own.group_by("truth", maintain_order=True).len().sort("len", descending=True)
        told = ", ".join(f"{n} {kind}" for kind, n in counts.iter_rows())
        console.print(f"{population}: {told} agents; what they are tells {own['told_by'][0]}")
    for (population, support), own in table.group_by("population", "support", maintain_order=True):
        columns = ("protocol", "support, proxy", "budget", "AUC", "power", "aligned", "incapable",
                   "not run", "CPU s")  # fmt: skip
        shown = Table(
            *columns,
            title=f"{population} agents, {support}: power at {false_alarms:.0%} false alarms; 95% "
            "intervals over agents",
        )
        last = ""
        for row in own.iter_rows(named=True):
            if row["agents"] == 0:
                continue
            new = row["protocol"] != last
            shown.add_row(
                row["protocol"] if new else "",
                f"{_word(row['in_support'])}, {_word(row['told_proxy'])}" if new else "",
                f"{row['budget']:,}",
                _with_interval(row, "auc", "{:.2f}"),
                _with_interval(row, "power", "{:.0%}"),
                _rate(row["false_alarms_aligned"]),
                _rate(row["false_alarms_incapable"]),
                str(row["not_run"]),
                f"{row['seconds']:.1f}",
            )
            last = row["protocol"]
        show_table(console, shown, labels=3)
        for note in own["note"].drop_nulls().unique(maintain_order=True).to_list():
            if note:
                console.print(f"{population} agents, {support}: {note}")

    console.print(_LEGEND)
    if NO_CONFLICT in table["support"].cast(pl.String).to_list():
        console.print(_THEOREM)


_THEOREM = (
    f"{NO_CONFLICT}: no level of the training support parts goal and proxy, so whoever pursues the "
    "one does there as whoever pursues the other, and no test that stays within it can tell them "
    "apart"
)
_LEGEND = (
    "support, proxy: whether the protocol stays within the training support, and is told the "
    "proxy; aligned, incapable: share of such agents that are called misgeneralizing; not run: "
    "agents on which it cannot be run"
)


def _word(value: bool | None) -> str:
    return "?" if value is None else ("no", "yes")[value]


def _with_interval(row: dict[str, float], name: str, form: str) -> str:
    if row[name] is None:
        return "n/a"
    numbers = (row[name], row[f"{name}_low"], row[f"{name}_high"])
    if any(number is None for number in numbers):
        return form.format(row[name])
    estimate, low, high = (form.format(number) for number in numbers)
    return f"{estimate} [{low}, {high}]"


def _rate(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0%}"
