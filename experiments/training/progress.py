"""Showing progress: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_LINE_EVERY = 15.0  # seconds, where there is no terminal


@contextlib.contextmanager
def training_progress(total_steps: int, label: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that shows the record of a rollout."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from .terminal import make_console

    console = make_console(stderr=True)
    print(f"{label}: starting ...", file=sys.stderr)
    if not console.is_terminal:
        yield _lines(total_steps, label)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=total_steps, note="")
        yield lambda record: bar.update(task, completed=record["steps"], note=describe(record))


@contextlib.contextmanager
def episode_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows how many episodes are done, and of how many."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from .terminal import make_console

    console = make_console(stderr=True)
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def tracked(items: Sequence[T], label: str) -> Iterable[T]:
    """Return the items, with a bar of how many were taken."""
    from rich.progress import track

    from .terminal import make_console

    return track(items, label, console=make_console(stderr=True))


def counter(show: Callable[[int, int], object] | None, total: int) -> Callable[[int], None]:
    """Return a function to call with how many more are done; it calls `show(done, total)`."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if show:
            show(done, total)

    return count


def describe(record: dict[str, Any]) -> str:
    """Return a rollout's record in a few words."""
    return (
        f"{record['steps'] / 1e6:.2f}M steps  {record['steps_per_second']:,.0f}/s  "
        f"success {record['success']:.0%}"
    )


def _lines(total_steps: int, label: str) -> Callable[[dict[str, Any]], None]:
    last = time.monotonic()

    def show(record: dict[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last > _LINE_EVERY or record["steps"] >= total_steps:
            last = time.monotonic()
            print(f"{label}: {describe(record)}", file=sys.stderr, flush=True)

    return show
