"""What the signs of a world's maps mean, for people who edit levels.

Public name: `legend`.
"""

from __future__ import annotations

from .text import CONFLICT, PROXY, START, goal_sign
from .world import World


def legend(world: World) -> tuple[str, ...]:
    """Return lines that teach how a world's levels are written."""
    marks = [
        (START, "the agent's start (one)"),
        (goal_sign(world), f"the goal: {world.goal_description} (one)"),
        (PROXY, f"the proxy, where the goal is elsewhere: {world.proxy_description}"),
        (CONFLICT, "where the goal is on the level's conflict twin (may be left out)"),
    ]
    marks += [
        (sign, _tile_name(world, code))
        for code, sign in world.symbols.tiles.items()
        if code != world.goal_tile
    ]
    for name, left, right in world.symbols.entities.values():
        marks.append(
            (left, name) if left == right else (f"{left} {right}", f"{name}, by direction")
        )
    lines = [
        "The map's first line is the top row. A line that is too short goes on with its last sign;",
        "two spaces and xN after a line stand for N such lines. Signs:",
        *(f"  {sign:<4} {meaning}" for sign, meaning in marks),
    ]
    if world.symbols.entities:
        lines += [
            "`entities:` below the map lists them in the order of the rules (name x y direction",
            "theme; x from the left, y from below, from 0). The list wins over the map; without",
            "`entities:` they are taken from the map.",
        ]
    return tuple(lines)


def _tile_name(world: World, code: int) -> str:
    if code in world.symbols.names:
        return world.symbols.names[code]
    if code in world.proxy_tiles:
        return "a proxy"
    classes = getattr(world, "classes", ("free",))  # of a world on a board
    seen = getattr(world, "class_of_tile", {}).get(code, 0)
    return classes[seen]
