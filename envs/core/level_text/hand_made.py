"""Levels made by hand instead of generated from ids: from files, from text, or in Python.

Public names: `read_level`, `level_batch`, `levels_option`, `LEVEL_FILE`.

A level that has no id gets a negative one that is derived from its content (`Level.own_id`).  So
random numbers on it (a monster's moves, an agent's draws) depend on the level alone, and no
generated level has the same id.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..level import Level, LevelBatch, LevelError
from ..placement import USUAL
from ..reading import read_text, split_lines
from ..slots import shown
from ..world import World
from .text import level_from_text

LevelLike = Level | str | Path
"""A level, its text (several lines), or the path of a file with its text."""
LEVEL_FILE = "a level file, as misgen levels edit writes it"
"""What a file should be that holds no level."""


def read_level(level: LevelLike, world: World) -> Level:
    """Return a level of `world` from what stands for it.

    Args:
        level: a level, its text (several lines), or the path of a file with its text.
        world: its world.

    Raises:
        UserError: if it cannot be read, naming the file.
    """
    if isinstance(level, Level):
        return level
    if not isinstance(level, (str, Path)):
        raise UserError(
            f"{shown(level)} is not a level: give a Level, a level's text, or the path of a level "
            "file"
        )
    if isinstance(level, str) and len(split_lines(level)) > 1:
        return level_from_text(level, world)
    text = read_text(level, LEVEL_FILE)
    try:
        return level_from_text(text, world)
    except UserError as error:
        raise UserError(f"{level}: {error}") from None


def level_batch(levels: Sequence[LevelLike], world: World) -> LevelBatch:
    """Return levels of `world` as a batch that it can run, those of id -1 with `own_id`.

    Raises:
        UserError: for another world's level, or one made for other parameters of this world.
    """
    if not world.runs_any_level:
        raise UserError(
            f"env={world.name} runs only the original program's levels: use the native world for "
            "levels made by hand"
        )
    read = [read_level(level, world) for level in levels]
    wanted = world.levels(np.zeros(1, np.int64), 1.0, USUAL).variant
    for number, level in enumerate(read):
        if level.world != world.name:
            raise UserError(
                f"level {number} is of world {level.world!r}, not {world.name!r}: "
                f"run it with env={level.world}"
            )
        for (name, value), (_, own) in zip(level.variant, wanted, strict=True):
            if value != own:
                raise UserError(
                    f"level {number} is made for {name}={value}, the world has {name}={own}: "
                    f"give env.{name}={value}, or change the level's header"
                )
        _require_room(level, number, world)
        try:
            world.require_sound(level)
        except LevelError as error:
            raise UserError(f"level {number}: {error}") from None
    named = [
        level if level.id != -1 else dataclasses.replace(level, id=level.own_id) for level in read
    ]
    return LevelBatch.stack(named, world.level_dtype)


def levels_option(options: dict[str, Any] | None, world: World, count: int) -> LevelBatch | None:
    """Return `options["levels"]` as a batch of `count` levels, or None where it is not given.

    Raises:
        UserError: if they are not `count`, or not levels that `world` runs.
    """
    if not options or "levels" not in options:
        return None
    given = options["levels"]
    if isinstance(given, (Level, str, Path)) or not isinstance(given, Sequence):
        raise UserError(
            "options['levels'] must be a list, of levels, their texts or their files: write [level]"
        )
    if len(given) != count:
        raise UserError(
            f"options['levels'] has {len(given)} levels for {count} slots: give {count}"
        )
    return level_batch(given, world)


def _require_room(level: Level, number: int, world: World) -> None:
    fields = world.level_dtype
    if level.tiles.shape != fields["tiles"].shape:
        height, width = fields["tiles"].shape
        raise UserError(
            f"level {number} has {level.tiles.shape[1]} x {level.tiles.shape[0]} cells: a level of "
            f"{world.name} has {width} x {height}"
        )
    (room,) = fields["entity_kind"].shape
    if len(level.entities) > room:
        raise UserError(
            f"level {number} has {len(level.entities)} entities: {room} are the most in "
            f"{world.name}"
        )
