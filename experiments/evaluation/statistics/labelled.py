"""Random numbers of one number in a table, by what it is called.

Public name: `labelled_generator`.
"""

from __future__ import annotations

import zlib

import numpy as np


def labelled_generator(label: str, *seeds: int) -> np.random.Generator:
    """Return the generator behind one interval: by its label, whichever others there are.

    Args:
        label: what tells the interval from all others of its table.
        seeds: set by people, if they may.
    """
    return np.random.default_rng([*seeds, zlib.crc32(label.encode())])
