"""The worlds as tables: misgen levels list.

Public name: `list_worlds`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from misgen.envs.core.registry import entries, world_class

if TYPE_CHECKING:
    from rich.table import Table

    from misgen.envs.core.world import World


def list_worlds() -> Iterator[Table | str]:
    """Yield a table for each world, of what can be set of it, and how; with markup for rich."""
    for name, (_, entry) in entries().items():
        yield _table(name, entry.env_id, world_class(name))
    yield (
        "Take one with [bold]env=NAME[/bold], set a parameter with env.PARAMETER=VALUE; see "
        "a level with [bold]misgen levels show env=NAME id=0 correlation=0[/bold]."
    )


def _table(name: str, env_id: str, world: type[World]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=f"[bold]{name}[/bold]  {escape(env_id)}",
        title_justify="left",
        title_style="",
        show_header=False,
        box=None,
        padding=(0, 2, 0, 2),
    )
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("goal", escape(world.goal_description))
    table.add_row("proxies", escape(f"{', '.join(world.proxies)}: {world.proxy_description}"))
    usual = [one.partition("(")[0] for one in world.usual_shifts]
    rules = [
        (rule if distance is None else f"{rule}(k), k = {distance}") + "*" * (rule in usual)
        for rule, distance in world.placements.items()
    ]
    table.add_row("placements", escape(", ".join(rules)) + "  [dim](* usual in tests)[/dim]")
    for k, (parameter, what) in enumerate(world.capability.items()):
        table.add_row("capability" if k == 0 else "", escape(f"{parameter}: {what}"))
    if not world.capability:
        table.add_row("capability", "none to vary")
    table.add_row("planner", "yes: reference agents can play it" if world.planner else "none")
    table.add_row("", "")
    return table
