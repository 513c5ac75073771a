"""Changing a level cell by cell, as somebody does who draws it.

Public names: `brushes`, `paint`, `move`, `can_move`.

Each change gives another level, which has been read by the world as any level file is: what its
rules do not support is refused, in the world's own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import UserError, one_of
from ..level import Level
from ..world import World
from .legend import signs
from .sections import FORMAT, sections_of
from .text import level_from_text
from .writing import CONFLICT, PROXY, SIDES, START, goal_sign, level_rows, level_to_text

Cell = tuple[int, int]
"""Column and row, from 0 at the lower left."""
_PLACE = re.compile(r"^line \d+(, column \d+)?: ((map|entities): )?")
"""Where in its text a level is at fault: nobody sees that text here."""


def brushes(world: World) -> Mapping[str, str]:
    """Return each sign that a cell can be painted with, and what it means; free space first."""
    free = next(iter(world.symbols.tiles.values()))
    found = {free: "free"}
    for written, meaning in signs(world).items():
        for sign in written.split():
            found.setdefault(sign, meaning)
    return found


def paint(level: Level, world: World, cell: Cell, sign: str) -> Level:
    """Return a level with another thing in one cell, in place of what was there.

    Of a thing that a level has once (its start, its goal), the old place is left free.

    Args:
        level: what to start from.
        world: its world.
        cell: where.
        sign: one of `brushes`.

    Raises:
        UserError: if the world does not run such a level.
    """
    one_of("sign", sign, brushes(world))
    draft = _Draft(level, world)
    draft.require_inside(cell)
    before = draft.found(sign)
    if before == cell:
        return level
    if before is not None:
        draft.leave(before)
    draft.clear(cell)
    draft.put(cell, sign)
    return draft.level()


def move(level: Level, world: World, origin: Cell, target: Cell) -> Level:
    """Return a level with what stands in one cell in another.

    Raises:
        UserError: if nothing that can be moved is there, or the world does not run such a level.
    """
    draft = _Draft(level, world)
    draft.require_inside(origin)
    draft.require_inside(target)
    if not draft.movable(origin):
        raise UserError(
            f"nothing that can be moved is at column {origin[0]}, row {origin[1]}: take the goal, "
            "the proxy, the start or another thing that stands in a cell"
        )
    if origin == target:
        return level
    things, sign = draft.things_in(origin), draft.sign_at(origin)
    draft.leave(origin)
    draft.clear(target)
    draft.put(target, sign, things)
    return draft.level()


def can_move(level: Level, world: World) -> list[Cell]:
    """Return the cells that hold something which can be moved."""
    draft = _Draft(level, world)
    cells = [(x, y) for y in range(draft.height) for x in range(draft.width)]
    return [cell for cell in cells if draft.movable(cell)]


class _Draft:
    """A level's text, taken apart so that it can be changed."""

    def __init__(self, level: Level, world: World) -> None:
        parts = sections_of(level_to_text(level, world))
        self._world = world
        self._level = level
        self._header = parts.header | {"id": "-1"}
        self._rows = [list(row) for row in level_rows(level, world)]
        cells = [(int(entity["x"]), int(entity["y"])) for entity in level.entities]
        self._things = list(zip(cells, parts.entities, strict=True))
        self._free = next(iter(world.symbols.tiles.values()))
        self._names = {
            sign: (name, SIDES[side])
            for name, *both in world.symbols.entities.values()
            for side, sign in reversed(list(enumerate(both)))
        }
        self.height, self.width = level.tiles.shape

    def require_inside(self, cell: Cell) -> None:
        """Refuse a cell that the level does not have."""
        if not (0 <= cell[0] < self.width and 0 <= cell[1] < self.height):
            raise UserError(
                f"column {cell[0]}, row {cell[1]} is not in the level: give 0 to {self.width - 1} "
                f"and 0 to {self.height - 1}"
            )

    def sign_at(self, cell: Cell) -> str:
        """Return the sign that stands in a cell."""
        return self._rows[self.height - 1 - cell[1]][cell[0]]

    def things_in(self, cell: Cell) -> list[int]:
        """Return which entities of the list stand in a cell."""
        return [k for k, (where, _) in enumerate(self._things) if where == cell]

    def movable(self, cell: Cell) -> bool:
        """Return whether more than ground or wall is in a cell."""
        walls = [self._world.symbols.tiles[code] for code in self._world.wall_tiles]
        ground = (*walls, self._free, CONFLICT)
        return self.sign_at(cell) not in ground or bool(self.things_in(cell))

    def found(self, sign: str) -> Cell | None:
        """Return where a thing stands of which a level has one; None for others, or if nowhere."""
        world = self._world
        single = {START, PROXY, CONFLICT} - world.refused_marks.keys()
        single |= {world.symbols.tiles[code] for code in world.single_tiles}
        single |= {goal_sign(world)} if world.goal_is_cell else set()
        if sign not in single - self._names.keys():
            return None
        for row, signs_of_row in enumerate(self._rows):
            if sign in signs_of_row:
                return signs_of_row.index(sign), self.height - 1 - row
        return None

    def leave(self, cell: Cell) -> None:
        """Take what stands in a cell away; the proxy stays where the goal was on it."""
        level, world = self._level, self._world
        left = self._free
        is_goal = world.goal_is_cell and self.sign_at(cell) == goal_sign(world)
        if is_goal and level.goal_cell == level.proxy_cell:
            left = self._proxy_sign
        elif is_goal and CONFLICT not in (*world.refused_marks, *world.mark_meanings):
            left = CONFLICT  # counts where the goal goes to the proxy, and is ignored elsewhere
        self.clear(cell)
        self.put(cell, left)

    @property
    def _proxy_sign(self) -> str:
        """The sign of a proxy that the goal has left; free where the world has none for it."""
        world = self._world
        if world.proxy_tiles and not world.proxy_moves:
            return world.symbols.tiles[world.proxy_tiles[0]]
        return self._free if PROXY in world.refused_marks else PROXY

    def clear(self, cell: Cell) -> None:
        """Leave a cell free."""
        self._things = [
            ((-1, -1), "") if where == cell else (where, line) for where, line in self._things
        ]
        self.put(cell, self._free)

    def put(self, cell: Cell, sign: str, things: list[int] | None = None) -> None:
        """Write a sign into a cell, and entities of the list, at their place in it, or new."""
        self._rows[self.height - 1 - cell[1]][cell[0]] = sign
        if things is not None:
            lines = sections_of(level_to_text(self._level, self._world)).entities
            for k in things:
                name, _, _, *rest = lines[k].split()
                line = " ".join((name, str(cell[0]), str(cell[1]), *rest))
                self._things[k] = (cell, line)
        elif sign in self._names:
            name, side = self._names[sign]
            self._things.append((cell, f"{name} {cell[0]} {cell[1]} {side} 0"))

    def level(self) -> Level:
        """Return the level that the text describes, as its world reads it."""
        lines = [FORMAT, *(f"{key}: {value}" for key, value in self._header.items()), "map:"]
        lines += ["".join(row) for row in self._rows]
        lines += ["entities:", *(line for _, line in self._things if line)]
        try:
            return level_from_text("\n".join(lines) + "\n", self._world)
        except UserError as error:
            raise UserError(_PLACE.sub("", str(error))) from None
