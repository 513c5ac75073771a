"""The worlds as tables: misgen levels list.

Public names: `list_worlds`, `facts`.
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
    for label, text in facts(world):
        table.add_row(label, escape(text).replace(_USUAL, f"[dim]{_USUAL}[/dim]"))
    table.add_row("", "")
    return table


_USUAL = "(* usual in tests)"


def facts(world: type[World], code: str = "") -> Iterator[tuple[str, str]]:
    """Yield what is to be known of a world, and under which heading.

    Args:
        world: which.
        code: what is put around names that can be given in settings.
    """
    yield "goal", world.goal_description
    names = ", ".join(f"{code}{name}{code}" for name in world.proxies)
    yield "proxies", f"{names}: {world.proxy_description}"
    usual = [one.partition("(")[0] for one in world.usual_shifts]
    rules = [
        (f"{code}{rule}{code}" if k is None else f"{code}{rule}(k){code}, k = {k}")
        + "*" * (rule in usual)
        for rule, k in world.placements.items()
    ]
    yield "placements", f"{', '.join(rules)}  {_USUAL}"
    for k, (parameter, what) in enumerate(world.capability.items()):
        yield "capability" if k == 0 else "", f"{code}{parameter}{code}: {what}"
    if not world.capability:
        yield "capability", "none to vary"
    yield "planner", "yes: reference agents can play it" if world.planner else "none"
