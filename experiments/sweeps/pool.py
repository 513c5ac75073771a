"""Pieces of work done side by side on this machine, each in a process with one thread.

Public names: `side_by_side`.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from .launchers import environment, thread_variables

T = TypeVar("T")


def side_by_side(
    work: Callable[..., Any], pieces: Sequence[T], *others: Any, processes: int
) -> Iterator[tuple[T, Any, BaseException | None]]:
    """Do pieces of work; yield each that ended, with what it returned or what it raised.

    With one process they are done in this one, in their order, and what they raise is raised.

    Args:
        work: called as `work(piece, *others)`; like these, it must be what processes can be sent.
        pieces: in the order in which they begin.
        others: the same for all.
        processes: how many, at most.
    """
    if processes <= 1:
        _one_thread()
        for piece in pieces:
            yield piece, work(piece, *others), None
        return
    with environment(thread_variables(1)):  # for the processes to start with
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(
            min(processes, len(pieces)), mp_context=spawn, initializer=_one_thread
        )
        try:
            waiting = {pool.submit(work, piece, *others): piece for piece in pieces}
            for future in as_completed(waiting):
                error = future.exception()
                yield waiting[future], None if error else future.result(), error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    from misgen.agents.threads import tune_process

    tune_process(1)
