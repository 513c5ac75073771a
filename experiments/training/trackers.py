"""Trackers that numbers can go to beside the local files: W&B, TensorBoard, others'.

A tracker decides nothing: analysis reads the local files, and a tracker that fails is told of once
and left out, while what it was to show goes on.  Three kinds of runs are shown, all of a sweep in
one group: a training, with its curve; an evaluation; and the report of a sweep.

A tracker is a function that takes a `TrackedRun` and returns a context manager, which yields a
`Log` and ends with the run, however that ends.  What it yields may also have methods
`table(name, table)`, for a Polars table, and `figure(name, path)`, for a PNG; one that has none
gets numbers only.  A package adds one with an entry point, whose name is what `logger=` asks for:

    [project.entry-points."misgen.trackers"]
    notebook = "my_package.notebook:track"

where, for example,

    @contextlib.contextmanager
    def track(run):
        with open(run.folder / "notebook.txt", "a") as file:
            yield lambda numbers, step: print(step, numbers, file=file)

Public names: `Log`, `Logs`, `TrackedRun`, `Tracker`, `TRAIN`, `EVALUATE`, `REPORT`, `GROUP`,
`tracker_names`, `require_known`, `require_trackers`, `open_trackers`, `notes`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError, did_you_mean, plain_sentence
from misgen.envs.core.extensions import load_point, points_of

from .own_trackers import OWN, why_offline

if TYPE_CHECKING:
    import polars as pl

GROUP = "misgen.trackers"
"""Group of the entry points."""
TRAIN, EVALUATE, REPORT = "train", "evaluate", "report"
"""Kinds of runs."""
Log = Callable[[dict[str, float], int], object]
"""Takes numbers by name, and the step they belong to."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run."""

    folder: Path
    """The run's folder; all files of a tracker go there."""
    name: str
    """The run's name."""
    group: str
    """The sweep's name."""
    settings: dict[str, Any]
    """The run's settings, to be shown."""
    kind: str = TRAIN
    """`train`, `evaluate` or `report`."""


class Tracker(typing.Protocol):
    """What opens a tracker for a run."""

    def __call__(self, run: TrackedRun) -> AbstractContextManager[Log]:
        """Return a context manager that yields where the run's numbers are to go."""
        ...


def tracker_names() -> list[str]:
    """Return the names of all trackers, misgen's own first.

    Raises:
        UserError: if two packages call theirs the same.
    """
    return [*OWN, *_others()]


def require_known(asked: Mapping[str, bool]) -> None:
    """Refuse what is no tracker.

    Raises:
        UserError: naming it.
    """
    known = tracker_names()
    for name, wanted in asked.items():
        if name not in known:
            raise UserError(
                f"logger.{name}={wanted} is not a tracker: use one of {', '.join(known)}, or "
                f"install the package that brings it{did_you_mean(name, known)}"
            )


def require_trackers(asked: Mapping[str, bool]) -> None:
    """Refuse trackers whose package is not installed, or is at fault.

    Raises:
        UserError: saying what to install or mend.
    """
    require_known(asked)
    for name in (name for name, wanted in asked.items() if wanted):
        if name in OWN and importlib.util.find_spec(name) is None:
            raise UserError(
                f"logger.{name}=true needs the package {name}, which is not installed: "
                f"pip install {name}, or leave logger={name} out"
            )
        if not callable(_tracker(name)):
            raise UserError(
                f"logger.{name}=true is {_others()[name].value}, which is no function that opens a "
                "tracker: fix or uninstall that package"
            )


@contextlib.contextmanager
def open_trackers(asked: Mapping[str, bool], run: TrackedRun) -> Iterator[Logs]:
    """Yield what logs to every tracker asked for, and close them whatever happens.

    Args:
        asked: whether it is asked for, by name.
        run: whose numbers they are.

    Raises:
        UserError: for what is no tracker, or is not installed; not for one that fails.
    """
    require_trackers(asked)
    with contextlib.ExitStack() as stack:
        wanted = [name for name, wanted in asked.items() if wanted]
        yield Logs([stack.enter_context(_Guard(name, run)) for name in wanted])


class Logs:
    """Where the numbers of a run go: all its trackers."""

    def __init__(self, guards: list[_Guard]) -> None:
        self._guards = guards

    def __call__(self, numbers: Mapping[str, float], step: int) -> None:
        """Log numbers by name, and the step they belong to."""
        for one in self._guards:
            one.tell(None, dict(numbers), step)

    def table(self, name: str, table: pl.DataFrame) -> None:
        """Show a table."""
        for one in self._guards:
            one.tell("table", name, table)

    def figure(self, name: str, path: Path) -> None:
        """Show a picture, a PNG."""
        for one in self._guards:
            one.tell("figure", name, path)


class _Guard:
    """A tracker whose faults end nothing but itself."""

    def __init__(self, name: str, run: TrackedRun) -> None:
        self._name = name
        self._run = run
        self._manager: AbstractContextManager[Log] | None = None
        self._log: Log | None = None

    def __enter__(self) -> _Guard:
        with self._survived():
            manager = _tracker(self._name)(self._run)
            self._log = manager.__enter__()
            self._manager = manager
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._manager is not None:
            with self._survived():
                self._manager.__exit__(kind, error, trace)

    def tell(self, method: str | None, *what: Any) -> None:
        """Call the log, or a method of it if it has that."""
        to: Any = self._log if method is None else getattr(self._log, method, None)
        if to is not None:
            with self._survived():
                to(*what)

    @contextlib.contextmanager
    def _survived(self) -> Iterator[None]:
        """Tell of the first fault, and log nothing more."""
        told = self._manager is not None and self._log is None
        try:
            yield
        except Exception as error:  # a stranger's may be of any kind
            self._log = None
            why = f"{type(error).__name__}: {plain_sentence(error)}"[:300]
            if not told:
                _LOG.warning(
                    "logger=%s failed (%s) and is left out: all numbers are in %s",
                    *(self._name, why, self._run.folder),
                )


_LOG = logging.getLogger(__name__)


def notes(asked: Mapping[str, bool]) -> list[str]:
    """Return a sentence for each tracker that will do less than one may expect."""
    if not asked.get("wandb") or not (why := why_offline()):
        return []
    return [f"W&B: {why}, so it writes offline; `wandb sync` sends it later"]


def _tracker(name: str) -> Tracker:
    return OWN[name] if name in OWN else load_point(_others()[name], "the tracker")


@lru_cache
def _others() -> dict[str, EntryPoint]:
    """Return the entry points of other packages, by name."""
    return points_of(GROUP, OWN, "a tracker")
