"""Commands as people can paste them.

Public name: `shell_words`.
"""

from __future__ import annotations

import shlex


def shell_words(*words: object) -> str:
    """Return a command as it can be pasted into a shell: quoted where needed."""
    return shlex.join(map(str, words))
