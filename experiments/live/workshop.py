"""Changing a level on a page: painting, checking, reading it as text, and saving it.

Public name: `Workshop`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import level_batch
from misgen.envs.core.level_text.legend import legend
from misgen.envs.core.level_text.painting import paint
from misgen.envs.core.level_text.text import header_of, level_from_text, level_to_text

from ..levels.files import parameters_of, side_of, solve
from ..training.run_folder import write_text
from ..training.shell import shell_words
from .diary import BY_HAND

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import World

    from .diary import Origin
    from .requests import Fields
    from .session import Session

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,60}")
_MOST_UNDONE = 200
_LONGEST = 100_000


class Workshop:
    """The editor of a session.

    Attributes:
        before: the world, levels and origins that changes were made to, the last one at the end.
    """

    def __init__(self, session: Session) -> None:
        """Edit the level that a session shows."""
        self._session = session
        self.before: list[tuple[World, LevelBatch, Origin]] = []

    def remember(self) -> None:
        """Note the level that is about to be changed, so that this can be undone."""
        session = self._session
        self.before.append((session.world, session.game.levels, session.origin))
        del self.before[:-_MOST_UNDONE]

    def paint(self, fields: Fields) -> None:
        """Paint a cell."""
        session = self._session
        level = session.game.level
        painted = paint(level, session.world, fields.cell("cell"), fields.text("sign", 1))
        if painted is level:
            return
        levels = level_batch([painted], session.world)
        self.remember()
        session.start(levels, BY_HAND)

    def undo(self, fields: Fields) -> None:
        """Take the last change back."""
        if not self.before:
            raise UserError("nothing was changed that could be undone")
        world, levels, origin = self.before.pop()
        self._session.enter(world)
        self._session.start(levels, origin)

    def check(self, fields: Fields) -> dict[str, Any]:
        """Return what `misgen levels check` says of the level."""
        game = self._session.game
        lines, wrong = solve(game.level, game.world)
        return {"lines": [side_of(game.level), *(line.strip() for line in lines)], "wrong": wrong}

    def text(self, fields: Fields) -> dict[str, Any]:
        """Return the level as text."""
        return {"text": self._text()}

    def read(self, fields: Fields) -> None:
        """Start the level that a text describes."""
        session = self._session
        text = fields.text("text", _LONGEST)
        parameters = parameters_of(header_of(text))
        name = parameters.pop("name")
        world = session.world_named(name, parameters)
        level = level_from_text(text, world)
        levels = level_batch([dataclasses.replace(level, id=-1)], world)
        self.remember()
        own = {**dataclasses.asdict(session.world)}
        same = name == session.world.name and all(
            str(own.get(k)) == v for k, v in parameters.items()
        )
        if not same:
            session.enter(world)
        session.start(levels, BY_HAND)

    def save(self, fields: Fields) -> dict[str, Any]:
        """Write the level to a file of the session's folder."""
        session = self._session
        name = fields.text("name").removesuffix(".txt")
        if not _FILE.fullmatch(name):
            raise UserError(
                f"name={name[:60]!r} is no name of a file here: use up to 60 letters, digits, '_' "
                "and '-'"
            )
        path = session.diary.folder / "levels" / f"{name}.txt"
        if path.exists():
            raise UserError(f"{path} is there already: give the level another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, self._text(legend(session.world)))
        file = f"file={path}"
        return {
            "file": str(path),
            "commands": [
                shell_words("misgen", "play", file),
                shell_words("misgen", "levels", "check", file),
                shell_words("misgen", "evaluate", "run=...", f"levels={path.parent}"),
            ],
        }

    def _text(self, notes: tuple[str, ...] = ()) -> str:
        session = self._session
        level = session.game.level
        if session.origin.by_hand:
            level = dataclasses.replace(level, id=-1)
        return level_to_text(level, session.world, notes)
