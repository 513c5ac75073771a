"""What `misgen levels` does at a terminal: editing a level, and playing one.

Public names: `edit`, `play`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import LEVEL_FILE
from misgen.envs.core.reading import read_text

from ..levels.files import check, take_id, to_check, write_level
from ..levels.level_settings import LevelsCommand
from ..levels.playing import FRAME_SECONDS, Choose, Playing, action_of_key, chooser

if TYPE_CHECKING:
    from misgen.envs.core.world import World

_ARROWS = {"A": "U", "B": "D", "C": "R", "D": "L"}
"""Letter of each arrow key, by the last sign of what a terminal sends for it."""
_LEAVE = ("x", "\x03", "\x04")


def edit(config: LevelsCommand) -> int:
    """Write a level as text, have it edited, and check it."""
    out, written = write_level(config)
    if written:
        print(written)
    before = read_text(out, LEVEL_FILE)
    if config.open or (config.open is None and _is_terminal()):
        _open_editor(out)
    text = read_text(out, LEVEL_FILE)
    if text != before and (changed := take_id(out, text, before, config.world())):
        print(changed)
    checked = check(dataclasses.replace(config, file=str(out)))
    print("\n".join(checked.lines))
    return int(checked.wrong)


def play(config: LevelsCommand) -> int:
    """Play one level, print what happens, and draw it if a file is given."""
    playing = Playing(config)
    with contextlib.ExitStack() as stack:
        choose = chooser(config, playing) or _by_hand(playing.world, stack)
        _run(playing, choose)
    if not sys.stdout.isatty() and playing.decisions:
        print()
        print(playing.map(), flush=True)
    print("\n".join(playing.told()))
    if written := playing.write():
        print(written)
    return 0


def _run(playing: Playing, choose: Choose) -> None:
    """Play to the end, or until somebody leaves; on a terminal each decision is shown."""
    live = sys.stdout.isatty()
    _show(playing, live)
    while playing.running:
        action = choose()
        if action is None:
            return
        playing.step(action)
        _show(playing, live)


def _show(playing: Playing, live: bool) -> None:
    if live:
        print("\x1b[2J\x1b[H", end="")
    if live or playing.decisions == 0:
        print(playing.map(), flush=True)
    if live:
        time.sleep(FRAME_SECONDS)


def _by_hand(world: World, stack: contextlib.ExitStack) -> Choose:
    """Return who is at the keyboard.

    Raises:
        UserError: if there is none.
    """
    if not _is_terminal():
        raise UserError(
            "there is no player: give agent=goal_seeker (or proxy_seeker, random, idle, a run's "
            "folder), "
            "or actions=RRUUL; on a terminal you can play yourself"
        )
    keys = stack.enter_context(_keyboard())
    return lambda: _by_key(keys, world)


def _by_key(keys: Iterator[str], world: World) -> int | None:
    """Return the action of the next key that stands for one; None for x or the end."""
    for key in keys:
        if key in _LEAVE:
            return None
        action = action_of_key(key, world)
        if action is not None:
            return action
    return None


@contextlib.contextmanager
def _keyboard() -> Iterator[Iterator[str]]:
    """Yield the keys that are pressed, one by one, arrow keys as letters."""
    try:
        import termios
        import tty
    except ImportError:
        raise UserError(
            "this terminal cannot read single keys: use agent=... or actions=..."
        ) from None

    def keys() -> Iterator[str]:
        while sign := sys.stdin.read(1):
            if sign == "\x1b":
                sys.stdin.read(1)
                sign = _ARROWS.get(sys.stdin.read(1), "")
            yield sign

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin, termios.TCSADRAIN)  # keys pressed early are kept
        print("arrow keys move, Q E Z C are diagonals, space waits, x quits")
        yield keys()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _open_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UserError(
            f"EDITOR is not set, so {path} cannot be opened: export EDITOR=nano, or edit the "
            f"file yourself and run {to_check(path)}"
        )
    try:
        subprocess.run([*shlex.split(editor), str(path)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"EDITOR={editor!r} could not edit {path} ({error})") from None
