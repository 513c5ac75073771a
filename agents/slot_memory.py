"""The memory of recurrent agents, kept by slot.

Public name: `emptied`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def emptied(memory: NDArray[np.float32], slots: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return a memory (float32 [2, layers, slots, width]) with nothing in `slots`.

    It has room for all of `slots`; what other slots remember is kept.
    """
    _, layers, known, width = memory.shape
    missing = int(np.max(slots, initial=-1)) + 1 - known
    if missing > 0:
        more = np.zeros((2, layers, missing, width), np.float32)
        memory = np.concatenate([memory, more], axis=2)
    memory[:, :, slots] = 0
    return memory
