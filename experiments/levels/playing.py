"""Playing one level: who chooses the actions, and what is seen and told of it.

Public names: `Playing`, `Choose`, `chooser`, `read_keys`, `action_of_key`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import level_batch

from .animation import Animation
from .files import read_file
from .game import Game
from .level_settings import LevelsCommand
from .watching import Watched, make_watched

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import World

_CODES = {"L": 1, "D": 3, ".": 4, "U": 5, "R": 7, "Z": 0, "Q": 2, "C": 6, "E": 8}
"""Procgen's action of each letter."""
_WORD = re.compile(r"([LDURZQCE.])(?:\*(\d{1,4}))?")

Choose = Callable[[], int | None]
"""Returns the next action, or None to leave."""


class Playing(Game):
    """One level being played: what is told of it, and an animation if a file is to be drawn."""

    def __init__(self, config: LevelsCommand) -> None:
        """Start a level.

        Raises:
            UserError: if the level, or the file to draw, cannot be.
        """
        self._animation: Animation | None = None
        if config.out is not None:
            out = Animation.checked(config.out)
            self._animation = Animation(out, config.scale, config.overlay)
        world = config.world()
        super().__init__(world, _levels(config, world))
        self._take_up()

    @property
    def decisions(self) -> int:
        """How many were taken."""
        return self.at

    def step(self, action: int, who: str = "") -> None:
        """Take an action."""
        super().step(action, who)
        self._take_up()

    def map(self) -> list[str]:
        """Return what the slot holds now, as rows of text."""
        from misgen.envs.core.level_text.scene import scene

        return scene(self.world, self.engine.states[0], self.levels[0])

    def told(self) -> list[str]:
        """Return what happened, and how it went."""
        info = self.info()
        if self.running:
            info["outcome"] = "none yet"
        log = [f"decision {at}: {words}" for at, _, words in self.events if at <= self.at]
        return [*log, ", ".join(f"{name} {_plain(value)}" for name, value in info.items())]

    def write(self) -> str:
        """Write the animation, if there is a file for it, and return what was written."""
        return self._animation.write() if self._animation else ""

    def _take_up(self) -> None:
        if self._animation:
            self._animation.take(self)


def chooser(config: LevelsCommand, playing: Playing) -> Choose | None:
    """Return what chooses the actions: given ones, or an agent; None for who is at the keys.

    Raises:
        UserError: if there is no such agent or action.
    """
    if config.actions is not None:
        if config.player is not None:
            raise UserError("agent and actions exclude each other: give one of them")
        given = iter(read_keys(config.actions, playing.world))
        return lambda: next(given, None)
    if config.player is None:
        return None
    agent = make_watched(config.player, playing.world, trust=config.trust)
    watched = Watched(agent, playing, seed=config.seed, greedy=config.greedy)
    return lambda: watched.answer().action


def read_keys(text: str, world: World) -> list[int]:
    """Return the world's actions that a string of letters stands for.

    Raises:
        UserError: naming the letter that stands for none.
    """
    codes = world.action_codes.tolist()
    known = "".join(letter for letter, code in _CODES.items() if code in codes)
    found: list[int] = []
    at = 0
    for word in _WORD.finditer(text):
        if word.start() != at or _CODES[word[1]] not in codes:
            break
        found += [codes.index(_CODES[word[1]])] * int(word[2] or 1)
        at = word.end()
    if at < len(text):
        raise UserError(
            f"actions={text[:60]!r}: {text[at]!r} at place {at + 1} is not an action here: use "
            f"{known}, and R*20 for 20 times R"
        )
    return found


def _levels(config: LevelsCommand, world: World) -> LevelBatch:
    level = read_file(config, world)
    return level_batch([level], world) if config.file else config.distribution(config.id).levels()


def action_of_key(key: str, world: World) -> int | None:
    """Return the action of a key, a letter or a space; None if it stands for none."""
    codes = world.action_codes.tolist()
    code = _CODES.get("." if key == " " else key.upper())
    return codes.index(code) if code in codes else None


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
