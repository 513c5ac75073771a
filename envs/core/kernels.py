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
import types
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

    The kernel has two forms, each compiled when it is first needed: a plain loop, and one that is
    split among threads, which takes a microsecond longer to start.  It uses as many threads as it
    may, and no more than it has `least` rows for.  It is called from Python, by position, and not
    from other kernels.  Results are the same for any number of threads.

    Args:
        rows: name of the argument.
        least: rows that are worth a thread: `LIGHT` or `HEAVY`.
    """

    def compiled(kernel: Callable[P, None]) -> Callable[P, None]:
        place = list(inspect.signature(kernel).parameters).index(rows)
        alone: Any = numba.njit(cache=True)(_named(kernel, "alone"))
        split: Any = numba.njit(parallel=True, cache=True)(_named(kernel, "split"))

        @functools.wraps(kernel)
        def call(*args: Any) -> None:
            wanted = len(args[place]) // least
            if wanted < 2 or numba.config.NUMBA_NUM_THREADS < 2:  # pyright: ignore
                alone(*args)
                return
            allowed = numba.get_num_threads()
            if allowed < 2:
                alone(*args)
            elif wanted >= allowed:
                split(*args)
            else:
                numba.set_num_threads(wanted)
                try:
                    split(*args)
                finally:
                    numba.set_num_threads(allowed)

        return call  # pyright: ignore[reportReturnType]

    return compiled


def _named(kernel: Callable[P, None], form: str) -> Callable[P, None]:
    """Return a copy of a kernel under a name of its own, which is what compiled code is kept by."""
    parts = kernel.__globals__, kernel.__name__, kernel.__defaults__, kernel.__closure__
    copied = types.FunctionType(kernel.__code__, *parts)
    copied.__qualname__ = f"{kernel.__qualname__}.{form}"
    return copied


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
