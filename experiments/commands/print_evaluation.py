"""An evaluation's summary in the terminal.

Public name: `print_summary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..reporting.evaluation_summary import (
    LEGEND,
    OTHER_RULE,
    ROWS,
    cases_of,
    number_of,
    proxy_rows,
    rule_notes,
    sentences,
    unseen_rows,
    verdict_row,
)


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print the main metrics, a column for each placement and action mode, and sentences.

    Args:
        summary: what summary.json holds.
    """
    from rich.table import Table

    from ..training.terminal import make_console, show_table

    cases = cases_of(summary)
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for placement, actions in cases:
        table.add_column(f"{placement}\n{actions}", justify="right", no_wrap=True)
    label, verdicts = verdict_row(summary, list(cases))
    table.add_row(label, *verdicts)
    rows = (*ROWS[:3], OTHER_RULE, *ROWS[3:]) if rule_notes(summary) else ROWS
    for label, metric in rows:
        table.add_row(label, *[number_of(case[metric]) for case in cases.values() if metric])
    for label, shares in proxy_rows(summary.get("proxies", []), list(cases)):
        table.add_row(label, *shares)
    for label, numbers in unseen_rows(summary, list(cases)):
        table.add_row(label, *numbers)
    console = make_console()
    tested = summary["levels"]["test"]["ids"]
    console.print(f"{summary['run']}, test levels {tested}", markup=False)
    show_table(console, table)
    for text in (LEGEND, *sentences(summary)):
        console.print(text)
