"""Which level files an evaluation played, whatever they are called.

Public name: `fingerprint`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from misgen.envs.core.level_text.hand_made import LEVEL_FILE
from misgen.envs.core.level_text.level_set import level_files
from misgen.envs.core.level_text.text import header_of
from misgen.envs.core.reading import read_text


def fingerprint(source: str | Sequence[str]) -> str:
    """Return a digest of what level files hold, whatever their names and their order.

    Raises:
        UserError: if one cannot be read.
    """
    texts = sorted(read_text(path, LEVEL_FILE) for path in level_files(source))
    for text in texts:
        header_of(text)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:20]
