"""Playing in a notebook, without another process: moves as letters, and the game as an animation.

Public names: `Play`, `animated`.
"""

from __future__ import annotations

import base64
import html
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.id_range import IdRange
from misgen.envs.core.level_text.writing import level_rows
from misgen.envs.core.placement import USUAL
from misgen.envs.core.registry import make_world

from ..levels.animation import Animation
from ..levels.game import Game
from ..levels.playing import read_keys
from .exercises import NotYet

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import World

_SCALE = 320
"""Pixels along an animation."""


class Play:
    """A level that you play by letters: L, R, U, D, and R*5 for five times R.

        game = Play("cheese_on_a_dish", level=5, size=7)
        game.moves("LLU")

    Show it, as the last line of a cell, to see where you are and how you came there.
    """

    def __init__(
        self,
        world: str,
        level: int,
        *,
        correlation: float = 0.0,
        placement: str = USUAL,
        **env: Any,
    ) -> None:
        """Start a level.

        Args:
            world: its name.
            level: its id.
            correlation: 0 for the level with its goal moved, 1 for the goal at the proxy.
            placement: where the goal goes when it is moved.
            **env: parameters of the world.

        Raises:
            UserError: if there is no such world, or no such level of it.
        """
        ids = IdRange.parse(level)
        levels = LevelDistribution(make_world(world, **env), correlation, placement, ids)
        self.game = Game(levels.world, levels.levels())

    def moves(self, letters: str) -> Play:
        """Take these moves, up to where the episode ends; small letters and spaces are fine.

        Raises:
            NotYet: naming the letter that stands for no move here.
        """
        try:
            actions = read_keys("".join(letters.upper().split()), self.game.world)
        except UserError as error:
            raise NotYet(str(error)) from None
        for action in actions:
            if not self.game.running:
                break
            self.game.step(action, "you")
        return self

    def restart(self) -> Play:
        """Begin anew."""
        self.game = Game(self.game.world, self.game.levels)
        return self

    @property
    def outcome(self) -> str:
        """What it came to: `GOAL`, `PROXY`, `DEATH`, `TIMEOUT`, or `running`."""
        return "running" if self.game.running else str(self.game.info()["outcome"])

    def __repr__(self) -> str:
        """Return the level as text, with you as A where you are, and what happened."""
        game = self.game
        rows = [list(row) for row in level_rows(game.level, game.world, start=False)[::-1]]
        x, y = game.path[game.at]
        rows[int(y)][int(x)] = "A"
        side = getattr(game.world, "size", len(rows))  # beyond it there are only walls
        shown = ["".join(row[:side]) for row in rows[:side]]
        return "\n".join([*shown[::-1], *self._told])

    def _repr_html_(self) -> str:
        told = "<br>".join(map(html.escape, self._told))
        return f"{animated(self.game)}<p>{told}</p>"

    @property
    def _told(self) -> list[str]:
        events = [f"move {at}: {words}" for at, _, words in self.game.events]
        return [*events, f"{len(self.game.actions)} moves, {self.outcome}"]


def animated(game: Game) -> str:
    """Return a game as an image for a page: its states so far, goal, proxy and path marked."""
    shown = Game(game.world, game.levels)
    with tempfile.TemporaryDirectory() as folder:
        film = Animation(Path(folder) / "play.webp", _SCALE, overlay=True)
        film.take(shown)
        for action in game.actions[: game.at]:
            shown.step(action, "")
            film.take(shown)
        film.write()
        data = base64.b64encode(film.out.read_bytes()).decode()
    return (
        f'<img width="{_SCALE}" alt="the level, with goal, proxy and the way taken" '
        f'src="data:image/webp;base64,{data}">'
    )


def played_by(name: str, world: World, levels: LevelBatch, seed: int = 0) -> Game:
    """Return a game that an agent has played to its end.

    Raises:
        UserError: if there is no such agent.
    """
    from ..levels.watching import Watched, make_watched

    game = Game(world, levels)
    watched = Watched(make_watched(name, world), game, seed=seed)
    while game.running:
        game.step(watched.answer().action, name)
    return game
