"""Playing in a terminal: the legend on the screen, taking over from an agent, handing back."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
CODE = "import sys; from misgen.experiments.commands.cli import main; sys.exit(main(sys.argv[1:]))"
LEVEL = ["env=cheese_on_a_dish", "id=5", "correlation=0"]


def at_a_terminal(
    argv: Sequence[str], keys: Sequence[tuple[bytes, bytes]], size: tuple[int, int] = (100, 40)
) -> tuple[int, str]:
    """Run a command on a terminal of our own.

    Args:
        argv: the command.
        keys: what to wait for on the screen, and what to press then; one after the other.
        size: columns and rows.

    Returns:
        Exit status, and all that was shown.
    """
    ours, theirs = os.openpty()
    environment = {
        **os.environ,
        "COLUMNS": str(size[0]),
        "LINES": str(size[1]),
        "NUMBA_NUM_THREADS": "1",
    }
    with (
        subprocess.Popen(
            [sys.executable, "-c", CODE, *argv],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            close_fds=True,
            env=environment,
        ) as process,
        open(ours, "r+b", buffering=0) as terminal,
    ):
        too_long = threading.Timer(120, process.kill)  # then reading ends, and the test fails
        too_long.daemon = True
        too_long.start()
        os.close(theirs)
        shown, seen, left = b"", 0, list(keys)
        with contextlib.suppress(OSError):  # the other end is closed
            while chunk := terminal.read(4096):
                shown += chunk
                if left and left[0][0] in shown[seen:]:
                    seen = len(shown)
                    terminal.write(left.pop(0)[1])
        too_long.cancel()
    return process.returncode, shown.decode(errors="replace").replace("\r\n", "\n")


def test_somebody_takes_over_from_an_agent_and_hands_back():
    keys = [
        (b"decision 1, goal_seeker plays", b"p"),
        (b"you play", b" "),
        (b"you play", b"\x1b[A"),
        (b"you play", b"a"),
    ]
    status, shown = at_a_terminal(["levels", "play", *LEVEL, "agent=goal_seeker"], keys)
    assert status == 0, shown
    assert "a lets goal_seeker play on, any move takes over from it" in shown
    assert "outcome GOAL" in shown
    alone = 11  # decisions of the goal-seeker by itself
    assert f"steps {alone + 1}" in shown or f"steps {alone + 2}" in shown


def test_the_legend_is_on_the_screen_and_going_back_undoes():
    keys = [(b"x quits", b"  b"), (b"decision 1, you play", b"s"), (b"decision 0, you play", b"x")]
    status, shown = at_a_terminal(["play", *LEVEL, "terminal=true"], keys)
    assert status == 0, shown
    screen = shown.split("\x1b[2J\x1b[H")[1]
    for words in ("the goal: the cheese", "C the goal", "# wall", "b goes back, s starts again"):
        assert words in screen, words
    assert "steps 0" in shown


@pytest.mark.parametrize("size", [(40, 12), (20, 5), (200, 60)])
def test_any_size_of_terminal_will_do(size):
    status, shown = at_a_terminal(["levels", "play", *LEVEL], [(b"x", b"x")], size)
    assert status == 0, shown
    first = shown.split("\x1b[2J\x1b[H")[1]
    assert ("the goal: the cheese" in " ".join(first.split())) == (size[0] > 100)


def test_an_agent_plays_to_the_end_by_itself():
    status, shown = at_a_terminal(["levels", "play", *LEVEL, "agent=goal_seeker"], [])
    assert status == 0
    assert "outcome GOAL" in shown
    assert "steps 11" in shown


def test_keys_of_the_help_are_no_actions():
    from misgen.envs.core.registry import make_world
    from misgen.experiments.commands import level_keyboard
    from misgen.experiments.levels.playing import action_of_key

    for world in (make_world("coinrun"), make_world("cheese_on_a_dish")):
        for key in (level_keyboard._AGENT, level_keyboard._STOP, level_keyboard._BACK, "x", "s"):
            assert action_of_key(key, world) is None


def test_the_legend_covers_every_sign_that_the_board_shows():
    from misgen.envs.core.level_text.legend import signs
    from misgen.envs.core.registry import make_world

    legend = "".join(signs(make_world("coinrun")))
    assert all(sign in legend for sign in "AC.#=~^|s<>B")
