"""What all parallel kernels share: a sensible number of threads, and a notice before compiling.

Public names: `parallel`, `announce_compiling`.

A parallel region waits for its slowest thread.  For a handful of rows a second thread gains
nothing and can cost much: on a busy machine it waits for a core, and a region of a microsecond
takes milliseconds.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, ParamSpec

import numba
from numba.core import event

P = ParamSpec("P")

LIGHT = 64
"""Rows that are worth a thread where a row takes some ten nanoseconds: moving, looking around."""
HEAVY = 2
"""The same where a row takes microseconds: generating, drawing, planning."""


def parallel(rows: str, least: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return a decorator that compiles a kernel whose `prange` goes over the rows of an argument.

    The kernel uses as many threads as it may, and no more than it has `least` rows for.  It is
    called from Python, by position, and not from other kernels.  Results are the same for any
    number of threads.

    Args:
        rows: name of the argument.
        least: rows that are worth a thread: `LIGHT` or `HEAVY`.
    """

    def compiled(kernel: Callable[P, None]) -> Callable[P, None]:
        place = list(inspect.signature(kernel).parameters).index(rows)
        run: Any = numba.njit(parallel=True, cache=True)(kernel)

        @functools.wraps(kernel)
        def call(*args: Any) -> None:
            wanted = max(1, len(args[place]) // least)
            most: int = numba.config.NUMBA_NUM_THREADS  # pyright: ignore
            if wanted >= most:  # as it often is, and asking for more takes a microsecond
                run(*args)
                return
            allowed = numba.get_num_threads()
            if wanted >= allowed:
                run(*args)
                return
            numba.set_num_threads(wanted)
            try:
                run(*args)
            finally:
                numba.set_num_threads(allowed)

        return call  # pyright: ignore[reportReturnType]

    return compiled


class _Announcer(event.Listener):
    """Says that kernels are being compiled, once in a process, and only where they really are."""

    told = False

    def on_start(self, event: Any) -> None:
        """Take note of a function whose compiled form is in no cache."""
        module = getattr(event.data["dispatcher"].py_func, "__module__", "")
        if self.told or not module.startswith("misgen.") or sys.stderr is None:
            return
        self.told = True
        print(
            f"compiling {'.'.join(module.split('.')[:3])} (some seconds to a minute; kept on disk "
            "for next time) ...",
            file=sys.stderr,
            flush=True,
        )

    def on_end(self, event: Any) -> None:
        """Do nothing."""


@functools.cache
def announce_compiling() -> None:
    """Have this process say on stderr when the first of our kernels must be compiled."""
    event.register("numba:compile", _Announcer())


announce_compiling()
