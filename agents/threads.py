"""Tune a process for training on a CPU.

Public name: `tune_process`.
"""

from __future__ import annotations

import ctypes
import os
import sys

# mallopt's parameters (malloc.h of glibc) and what they are set to, in bytes.
_SETTINGS = {
    -1: 1 << 30,  # M_TRIM_THRESHOLD: free memory at the heap's end that is kept
    -3: 1 << 25,  # M_MMAP_THRESHOLD: largest block taken from the heap; glibc < 2.35 allows no more
}


def tune_process(threads: int = 1) -> None:
    """Limit torch and Numba to `threads` CPU threads and let the allocator keep freed memory.

    A world's kernels wait for their slowest thread.  Where training jobs run side by side on all
    cores that thread is one that waits for its turn: with 2 Numba threads a job on a busy machine
    was 3 times slower than with 1.

    By default glibc hands each large tensor back to the system when it is freed, and pays for every
    new one with page faults.  That costs little with the `mlp` encoder and much with networks that
    make large activations.  Where the allocator is another one, only the thread count is set.

    Args:
        threads: at least 1; no more are used than there are cores, or than Numba was started with.
    """
    import numba
    import torch

    # Numba first: starting its threads sets torch's number, through OpenMP, to that of the cores.
    started_with: int = numba.config.NUMBA_NUM_THREADS  # pyright: ignore
    numba.set_num_threads(min(threads, started_with))
    torch.set_num_threads(min(threads, os.cpu_count() or 1))
    _keep_freed_memory()


def _keep_freed_memory() -> bool:
    """Raise glibc's thresholds; return whether there was a glibc to tell."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    done = [mallopt(name, size) for name, size in _SETTINGS.items()]
    return all(done)
