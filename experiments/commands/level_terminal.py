"""What `misgen levels` does at a terminal: editing a level, and playing one.

Public names: `edit`, `play`.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import LEVEL_FILE
from misgen.envs.core.reading import read_text

from ..levels.animation import FRAME_SECONDS
from ..levels.files import check, take_id, to_check, write_level
from ..levels.level_settings import LevelsCommand
from ..levels.playing import Choose, Playing, chooser
from .level_keyboard import play_at_the_keys


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
    choose = chooser(config, playing)
    if _is_terminal() and config.actions is None:
        play_at_the_keys(playing, choose, config)
    else:
        _run(playing, choose)
    if not sys.stdout.isatty() and playing.decisions:
        print()
        print("\n".join(playing.map()), flush=True)
    print("\n".join(playing.told()))
    if written := playing.write():
        print(written)
    return 0


def _run(playing: Playing, choose: Choose | None) -> None:
    """Play to the end; on a terminal each decision is shown.

    Raises:
        UserError: if nobody plays.
    """
    if choose is None:
        raise UserError(
            "there is no player: give agent=goal_seeker (or proxy_seeker, random, idle, a run's "
            "folder), "
            "or actions=RRUUL; on a terminal you can play yourself"
        )
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
        print("\n".join(playing.map()), flush=True)
    if live:
        time.sleep(FRAME_SECONDS)


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
