"""The meaning of the symbols in a world's maps, for people who edit levels.

Public names: `legend`, `signs`.
"""

from __future__ import annotations

from ..world import World
from .text import CONFLICT, PROXY, START, goal_sign


def legend(world: World) -> tuple[str, ...]:
    """Return lines that teach how a world's levels are written."""
    lines = [
        "The map's first line is the top row. A line that is too short is continued with its last "
        "symbol;",
        "two spaces and xN after a line repeat it N times. Symbols:",
        *(f"  {sign:<4} {meaning}" for sign, meaning in signs(world).items()),
        *world.map_rules,
    ]
    if world.symbols.entities:
        lines += [
            "`entities:` below the map lists them in the order of the rules (name x y direction",
            "theme; x from the left, y from below, from 0). The list wins over the map; without",
            "`entities:` they are taken from the map.",
        ]
    return tuple(lines)


def signs(world: World) -> dict[str, str]:
    """Return what each sign of a world's maps means, each once."""
    goal = goal_sign(world)
    many = "one" if world.goal_is_cell else "one or more"
    found = {START: "the agent's start (one)", goal: f"the goal: {world.goal_description} ({many})"}
    usual = {
        PROXY: f"the proxy, where the goal is elsewhere: {world.proxy_description}",
        CONFLICT: "where the goal is on the level's conflict twin (may be left out)",
    }
    found |= {sign: words for sign, words in usual.items() if sign not in world.refused_marks}
    found |= world.mark_meanings
    for code, sign in world.symbols.tiles.items():
        found.setdefault(sign, world.symbols.names[code])
    for name, left, right in world.symbols.entities.values():
        if left == right:
            found.setdefault(left, name)
        else:
            found[f"{left} {right}"] = f"{name}, by direction"
    return found
