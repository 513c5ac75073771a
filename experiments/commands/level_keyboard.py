"""Playing a level at a terminal: keys, what is on the screen, and an agent to hand over to.

Public name: `play_at_the_keys`.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import textwrap
from collections.abc import Iterator
from itertools import zip_longest

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.legend import signs

from ..levels.animation import FRAME_SECONDS
from ..levels.level_settings import LevelsCommand
from ..levels.playing import Choose, Playing, action_of_key

_ARROWS = {"A": "U", "B": "D", "C": "R", "D": "L"}
"""Letter of each arrow key, by the last sign of what a terminal sends for it."""
_LEAVE = ("x", "\x03", "\x04", "")
_AGENT, _STOP, _BACK, _AGAIN = "a", "p", "b", "s"
_HELP = "arrow keys move, {diagonals}space waits, b goes back, s starts again, x quits"
_DIAGONALS = "Q E Z C are diagonals, "
_HELP_AGENT = "a lets {name} play on, any move takes over from it, p stops it"
_NARROW = 56
_LEAST_LEGEND = 24
"""Columns of a terminal below which the legend is left out, and which it takes at least."""


def play_at_the_keys(playing: Playing, choose: Choose | None, config: LevelsCommand) -> None:
    """Let somebody play to the end, or until they leave; where an agent is named, it begins.

    Args:
        playing: the level.
        choose: gives the agent's next action; None if there is no agent.
        config: whose `player` the agent is.

    Raises:
        UserError: if the terminal cannot read single keys.
    """
    agent = config.player or ""
    auto = choose is not None
    with _keyboard() as keys:
        _draw(playing, agent, auto)
        while playing.running:
            key = keys.next(FRAME_SECONDS if auto else None)
            if key in _LEAVE:
                return
            if key is None:
                assert choose is not None
                playing.step(choose() or 0, agent)
            elif key == _AGENT and choose is not None:
                auto = True
            elif key == _STOP:
                auto = False
            elif key in (_BACK, _AGAIN):
                auto = False
                playing.go_to(playing.at - 1 if key == _BACK else 0)
            elif (action := action_of_key(key, playing.world)) is not None:
                auto = False
                playing.step(action, "you")
            _draw(playing, agent, auto)


def _draw(playing: Playing, agent: str, auto: bool) -> None:
    """Show the level, beside it what its signs mean, below it who plays, and the keys."""
    columns, lines = shutil.get_terminal_size()
    board = playing.map()
    wide = max(map(len, board))
    room = columns - wide - 3
    beside = _legend(playing, room) if columns >= _NARROW and room >= _LEAST_LEGEND else []
    if lines > len(board) + 6:
        beside = beside[: lines - 6]
    rows = [
        f"{row:<{wide}}   {words}".rstrip()
        for row, words in zip_longest(board, beside, fillvalue="")
    ]
    shown = [*rows, "", *_told(playing, agent, auto)]
    print("\x1b[2J\x1b[H" + "\n".join(shown), flush=True)


def _told(playing: Playing, agent: str, auto: bool) -> list[str]:
    columns = max(20, shutil.get_terminal_size().columns)
    who = agent if auto else "you"
    happened = [words for at, _, words in playing.events if at <= playing.at]
    state = f"decision {playing.at}, {who} play{'s' if auto else ''}"
    diagonals = _DIAGONALS if action_of_key("q", playing.world) is not None else ""
    lines = ["; ".join([state, *happened[-1:]]), _HELP.format(diagonals=diagonals)]
    if agent:
        lines.append(_HELP_AGENT.format(name=agent))
    return [part for line in lines for part in textwrap.wrap(line, columns - 1)]


def _legend(playing: Playing, room: int) -> list[str]:
    """Return what the signs mean that can stand on this board."""
    lines = []
    for sign, meaning in signs(playing.world).items():
        words = textwrap.wrap(meaning, max(10, room - len(sign) - 2))
        indent = " " * (len(sign) + 1)
        lines += [f"{sign} {words[0]}", *(f"{indent}{word}" for word in words[1:])]
    return lines


class _Keys:
    """Reads keys from a terminal, one by one, arrow keys as letters."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._waiting = ""

    def next(self, seconds: float | None) -> str | None:
        """Return the next key; None if none is pressed in time, "" where there are no more.

        Args:
            seconds: how long to wait; None: for ever.
        """
        if not self._waiting:
            if not select.select([self._file], [], [], seconds)[0]:
                return None
            self._waiting = os.read(self._file, 256).decode(errors="ignore")
            if not self._waiting:
                return ""
        key, self._waiting = self._waiting[0], self._waiting[1:]
        if key != "\x1b":
            return key
        end, self._waiting = self._waiting[1:2], self._waiting[2:]
        return _ARROWS.get(end, "?")


@contextlib.contextmanager
def _keyboard() -> Iterator[_Keys]:
    """Yield the keys that are pressed."""
    try:
        import termios
        import tty
    except ImportError:
        raise UserError(
            "this terminal cannot read single keys: use agent=... or actions=..., or misgen play, "
            "which plays in a browser"
        ) from None
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin, termios.TCSADRAIN)  # keys pressed early are kept
        yield _Keys(sys.stdin.fileno())
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
