"""Commands as people can paste them.

Public names: `shell_words`, `command_line`, `COMMAND`.
"""

from __future__ import annotations

import os
import shlex
import sys

COMMAND = "MISGEN_COMMAND"
"""Environment variable of jobs: the command that they are part of, as it can be pasted."""


def shell_words(*words: object) -> str:
    """Return a command as it can be pasted into a shell: quoted where needed."""
    return shlex.join(map(str, words))


def command_line() -> str:
    """Return the command that this process was started with, for people: nothing is read from it.

    In a job it is the command that the job is part of.
    """
    return os.environ.get(COMMAND) or shell_words("misgen", *sys.argv[1:])
