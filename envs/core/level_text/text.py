"""Levels as text that people read and edit, and back.

    misgen level 1
    world: coinrun
    id: 17
    mode: hard
    terrain: procgen
    look: 3 1 40
    map:
    ################  x1
    #..............#  x55
    #....>..C...X..#
    #A..============
    ================
    entities:
    enemy 5 2 > 3

The map's first line is the top row.  `A` is the agent's start, `C` the coin, `X` the level's end
where the coin is elsewhere, `c` the place that the coin takes on the level's conflict twin.  A
line shorter than the level is continued with its last character, `xN` after two spaces stands for
N equal lines.  `entities` lists, in the order that the rules run through, name, cell (or, with a
decimal point, where in it), direction and theme; a file without that list takes the entities
from the map, row by row from the bottom.
Before the map and among the entities, lines that begin with `#` are skipped; so are empty lines,
but for those within the map.  A file without `size` has the size of its map.  An error names the
line and, where there is one, the column of the file, both from 1.

`sections.py` takes a file apart, `writing.py` writes one; this reads what the parts mean.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..distribution import MAX_ID
from ..errors import UserError, did_you_mean
from ..level import ENTITY_DTYPE, NO_CELL, Level, LevelError
from ..world import World
from .sections import FORMAT, Parts, header_of, sections_of
from .writing import CONFLICT, PROXY, SIDES, START, goal_sign, level_rows, level_to_text

_GOAL = "goal"
_HEADER = ("world", "id", "look", "size")
_WIDEST = 512
_REPEATED = re.compile(r"(.*?)[ \t]+x(.*)", re.DOTALL)
"""A row, and how often it stands."""
_BLANKS = {
    "\t": "a tab",
    " ": "a space",
    "\xa0": "a no-break space",
    "\x0c": "a form feed",
}
_MOST_THEMES = 2**15 - 1


def level_from_text(text: str, world: World) -> Level:
    """Return the level that the text describes.

    Raises:
        UserError: naming the line that cannot be read, or what the world cannot run, and what is
            allowed there.
    """
    parts = sections_of(text)
    with parts.named():
        _require_known(parts.header, world)
        rows = _characters(parts, world)
        with parts.placed(rows):
            reading = _read_map(rows, world)
            level = world.level_from_map(parts.header, _assemble(parts, reading, world))
            world.require_sound(level)
    return level


def _assemble(parts: Parts, reading: _Reading, world: World) -> Level:
    """Return what map, header and list say, before the world completes it."""
    goal, start = reading.cells.get(_GOAL), reading.cells.get(START)
    if goal is None or start is None:
        missing = f"start {START}" if start is None else f"goal {goal_sign(world)}"
        raise UserError(f"map: there is no {missing}: every level needs a start and a goal")
    proxy = reading.cells.get(PROXY, _proxy_tile(reading.tiles, world) or goal)
    marked = reading.cells.get(CONFLICT, NO_CELL)
    moved = world.proxy_moves or proxy != goal
    if not world.goal_is_cell and marked != NO_CELL:
        moved = False
    height, width = reading.tiles.shape
    return Level(
        world=world.name,
        id=_numbers(parts.header.get("id", "-1"), "id", 1, (-1, MAX_ID - 1))[0],
        tiles=reading.tiles,
        entities=_entities(parts, reading.entities, world, (width, height)),
        start=(float(start[0]), float(start[1])),
        goal_cell=goal,
        proxy_cell=proxy,
        conflict_cell=goal if moved else marked,
        look=_look(parts.header, world),
    )


@dataclass(eq=False)
class _Reading:
    tiles: NDArray[np.int16]
    cells: dict[str, tuple[int, int]] = field(default_factory=dict)
    entities: list[str] = field(default_factory=list)


def _characters(parts: Parts, world: World) -> list[tuple[str, int]]:
    """Return the map's rows, top first, all of one length and each with its line of the file."""
    if not parts.map:
        raise UserError("map: there is none: write map: on a line, and the level's rows below it")
    rows: list[tuple[str, int, int]] = []
    height = 0
    for line, number in parts.map:
        rows.append(_repeated(line, number, height + 1))
        height += rows[-1][1]
    longest, where = max(((len(row), number) for row, _, number in rows), default=(0, 0))
    width, wanted = _size(parts, world, longest, height)
    if height != wanted or longest > width:
        line = f"line {where}: " if longest > width else ""
        shown = longest if "size" in parts.header else max(longest, width)
        tall, wide = world.level_dtype["tiles"].shape
        runs = longest <= wide and (height <= tall if world.any_size else height == tall)
        drawn = _drawn_size(world, longest, height)
        remedy = f", or write size: {drawn}" if "size" in parts.header and runs else ""
        raise UserError(
            f"{line}map: {height} rows, the longest of {shown} columns, "
            f"do not make a level of size {width} {wanted}: it needs {wanted} rows (two spaces and "
            f"xN after a row repeat it) of up to {width} columns{remedy}"
        )
    filled = ((row.ljust(width, row[-1]), count, number) for row, count, number in rows)
    return [(row, number) for row, count, number in filled for _ in range(count)]


def _repeated(line: str, number: int, k: int) -> tuple[str, int, int]:
    """Return a row, how often it stands, and its line; it is the `k`-th row from the top."""
    found = _REPEATED.fullmatch(line)
    row, times = (found[1], found[2]) if found else (line, "")
    where = f"line {number}: map"
    if not row:
        raise UserError(f"{where}: row {k} from the top is empty")
    return row, _numbers(times, f"{where}: repeat", 1, (1, _WIDEST))[0] if found else 1, number


def _size(parts: Parts, world: World, longest: int, height: int) -> tuple[int, int]:
    """Return width and height of the map: as the header says, else as the world or the map has it.

    Raises:
        UserError: if the header's is no size, naming the one that is drawn.
    """
    if "size" not in parts.header:
        tall, wide = world.level_dtype["tiles"].shape
        return (longest, height) if world.any_size else (wide, tall)
    try:
        width, tall = _numbers(parts.header["size"], "size", 2, (1, _WIDEST))
    except UserError as error:
        drawn = _drawn_size(world, longest, height)
        raise UserError(f"{error}; the map that is drawn has {drawn}") from None
    return width, tall


def _drawn_size(world: World, longest: int, height: int) -> str:
    """Return the size of a map; its rows may be short of the width that all levels have."""
    tall, wide = world.level_dtype["tiles"].shape
    fits = not world.any_size and height == tall and longest <= wide
    return f"{wide if fits else longest} {height}"


def _read_map(rows: list[tuple[str, int]], world: World) -> _Reading:
    code_of = {char: code for code, char in world.symbols.tiles.items()}
    line_of = {
        c: (name, i) for name, *cs in world.symbols.entities.values() for i, c in enumerate(cs)
    }
    space = next(iter(world.symbols.tiles))
    marks = [mark for mark in (START, PROXY, CONFLICT) if mark not in world.refused_marks]
    known = "".join(dict.fromkeys([*code_of, *line_of, *marks]))
    goal_char = goal_sign(world)
    height = len(rows)
    reading = _Reading(np.full((height, len(rows[0][0])), space, np.int16))
    for y, x in np.ndindex(reading.tiles.shape):
        char = rows[height - 1 - y][0][x]
        if char in (*marks, goal_char) or code_of.get(char) in world.single_tiles:
            _mark(reading, char, (x, y), world)
        if char in line_of:
            name, side = line_of[char]
            reading.entities.append(f"{name} {x} {y} {SIDES[side]} 0")
        elif char in code_of:
            reading.tiles[y, x] = code_of[char]
        elif char in world.refused_marks:
            why = world.refused_marks[char]
            raise LevelError(f"{char!r} has no meaning in {world.name}: {why}", cell=(x, y))
        elif char not in marks:
            shown = _BLANKS.get(char) or repr(char)
            raise LevelError(
                f"{shown} at column {x}, row {y} means nothing: use one of {known}", cell=(x, y)
            )
    return reading


def _mark(reading: _Reading, char: str, cell: tuple[int, int], world: World) -> None:
    """Write down where a sign stands of which a level has one."""
    goal_char = goal_sign(world)
    mark = _GOAL if char == goal_char else char
    if mark in reading.cells and (mark != _GOAL or world.goal_is_cell):
        free = next(iter(world.symbols.tiles.values()))
        raise LevelError(
            f"{char!r} stands more than once (column {cell[0]}, row {cell[1]}): a level has one; "
            f"put a free sign, {free!r}, in the others",
            cell=cell,
        )
    reading.cells.setdefault(mark, cell)


def _entities(
    parts: Parts, mapped: list[str], world: World, size: tuple[int, int]
) -> NDArray[np.void]:
    """Return the entities that are listed or, without a list, those of the map."""
    lines = parts.entities or mapped
    numbers = parts.entity_lines or [parts.line_of.get("map", 0)] * len(mapped)
    kinds = {name: kind for kind, (name, *_) in world.symbols.entities.items()}
    out = np.zeros(len(lines), ENTITY_DTYPE)
    for row, line, number in zip(out, lines, numbers, strict=True):
        where = f"line {number}: entities: {line!r}"
        words = line.split()
        if len(words) != 5 or words[0] not in kinds or words[3] not in SIDES:
            raise UserError(
                f"{where} cannot be read: write name x y direction theme, with a name "
                f"of {', '.join(kinds)} and a direction of {', '.join(SIDES)}"
            )
        x = _centre(words[1], f"{where}: x", size[0])
        y = _centre(words[2], f"{where}: y", size[1])
        (theme,) = _numbers(words[4], f"{where}: theme", 1, (0, _MOST_THEMES))
        kind = kinds[words[0]]
        speed = world.entity_speeds.get(kind, 0.0)
        row["kind"], row["x"], row["y"], row["theme"] = kind, x, y, theme
        row["vx"] = (1 if words[3] == SIDES[1] else -1) * speed if speed else 0.0
    return out


def _centre(word: str, field_name: str, size: int) -> float:
    """Return the centre that a cell, or a number with a decimal point, stands for."""
    if "." not in word:
        return _numbers(word, field_name, 1, (0, size - 1))[0] + 0.5
    try:
        centre = float(word)
    except ValueError:
        centre = -1.0
    if not 0 <= centre < size:
        raise UserError(f"{field_name}: {word!r} should be a number from 0 to below {size}")
    return centre


def _look(header: dict[str, str], world: World) -> tuple[int, ...]:
    count = len(world.symbols.looks)
    given = header.get("look", " ".join(["0"] * count))
    return tuple(_numbers(given, "look", count, (0, _MOST_THEMES)))


def _require_known(header: dict[str, str], world: World) -> None:
    known = [*_HEADER, *(f.name for f in dataclasses.fields(world))]
    for key in header:
        if key not in known:
            raise UserError(
                f"{key}: is not known in a level's header: use one of {', '.join(known)}"
                f"{did_you_mean(key, known)}"
            )
    named = header.get("world", world.name)
    if named != world.name:
        raise UserError(f"world: {named!r} is not {world.name!r}: pass env={named}")


def _numbers(text: str, field_name: str, count: int, limits: tuple[int, int]) -> list[int]:
    try:
        numbers = [int(word) for word in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(limits[0] <= n <= limits[1] for n in numbers):
        what = "a whole number" if count == 1 else f"{count} whole numbers"
        raise UserError(
            f"{field_name}: {text[:80]!r} should be {what} from {limits[0]} to {limits[1]}"
        )
    return numbers


def _proxy_tile(tiles: NDArray[np.int16], world: World) -> tuple[int, int] | None:
    """Return the cell of the first of the world's proxy tiles that a level has."""
    for code in world.proxy_tiles:
        for y, x in np.argwhere(tiles == code).tolist():
            return x, y
    return None


__all__ = [
    "CONFLICT",
    "FORMAT",
    "PROXY",
    "START",
    "goal_sign",
    "header_of",
    "level_from_text",
    "level_rows",
    "level_to_text",
]
