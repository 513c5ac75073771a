"""The end of the pipe in a peer's Python.

A line that names a work, with its settings, has it prepared; each other line asks for a turn of
what was prepared last.  Answers are a line of JSON each.  Imports the standard library alone.

Public names: `serve`, `paced`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

Turn = Callable[..., dict[str, Any]]
"""Does some work; returns at least `cpu_seconds` and `seconds`, what it took in this process."""


def serve(**works: Callable[..., Turn]) -> None:
    """Answer until the pipe is closed.

    Args:
        works: by name, what prepares a kind of work and returns its turn.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    turn: Turn = dict
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if "work" in asked:
                turn, found = works[asked.pop("work")](**asked), {"ready": True}
            else:
                found = turn(**asked)
        except Exception:
            found = {"error": traceback.format_exc()}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def paced(step: Callable[[], int]) -> Turn:
    """Return a turn that calls `step`, which returns how much it did, for some `seconds`."""

    def turn(seconds: float) -> dict[str, Any]:
        done, wall, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - wall < seconds:
            done += step()
        return {
            "done": done,
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
        }

    step()  # compiled, if it has to be
    return turn
