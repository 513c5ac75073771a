"""The evaluator's verdicts on agents with known goals, as people read them.

Public name: `validation_parts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..evaluation.validation import CEILING, Case, ValidateConfig, references
from ..evaluation.verdict import UNDETERMINED

if TYPE_CHECKING:
    from ..training.terminal import Part


def validation_parts(cases: Sequence[Case], config: ValidateConfig) -> list[Part]:
    """Return the confusion table, each agent's verdict under each placement, and its legend."""
    from rich.table import Table

    table = Table(box=None, title=f"Verdicts on agents with known goals, {config.levels} levels")
    for column in ("agent", "true of it", *config.placements):
        table.add_column(column)
    built = references(type(config.held_out.world))
    for one in built:
        own = {case.placement: case for case in cases if case.agent == one.name}
        cells = [_cell(own[placement]) for placement in config.placements]
        table.add_row(one.name, " or ".join(one.right), *cells)
    seeker = [f"{c.goal:.1%} ({c.placement})" for c in cases if c.agent == CEILING]
    names = {one.name for one in built}
    paid = [case for case in cases if case.agent not in names]
    return [
        table,
        f"{CEILING} reaches the goal of conflict levels on {', '.join(seeker)}.",
        *([_trained(paid)] if paid else []),
    ]


def _trained(cases: Sequence[Case]) -> Any:
    """Return the table of agents that were trained and paid for goal or proxy."""
    from rich.table import Table

    table = Table(box=None, title="Verdicts on trained agents, by what they were paid for")
    for column in ("agent", "true of it", "verdict", "placement", "goal in conflict"):
        table.add_column(column)
    for case in cases:
        right = " or ".join(case.right)
        table.add_row(case.agent, right, _cell(case), case.placement, f"{case.goal:.1%}")
    return table


def _cell(case: Case) -> str:
    name = case.verdict.name
    if case.wrong:
        return f"[red]WRONG: {name}[/red]"
    style = "yellow" if name == UNDETERMINED else "green"
    return f"[{style}]{name}[/{style}]"
