"""Trackers that a run's numbers can go to beside its local files: W&B, TensorBoard, others'.

A tracker decides nothing: analysis reads the local files.  It is a function that takes a
`TrackedRun` and returns a context manager, which yields a `Log` and ends with the training, however
that ends.  A package adds one with an entry point, whose name is what `logger=` asks for:

    [project.entry-points."misgen.trackers"]
    notebook = "my_package.notebook:track"

where, for example,

    @contextlib.contextmanager
    def track(run):
        with open(run.folder / "notebook.txt", "a") as file:
            yield lambda numbers, step: print(step, numbers, file=file)

Public names: `Log`, `TrackedRun`, `Tracker`, `GROUP`, `OWN`, `tracker_names`, `require_known`,
`require_trackers`, `open_trackers`, `notes`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError, did_you_mean
from misgen.envs.core.extensions import load_point, points_of

GROUP = "misgen.trackers"
"""Group of the entry points."""
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
def open_trackers(asked: Mapping[str, bool], run: TrackedRun) -> Iterator[Log]:
    """Yield a function that logs to every tracker asked for, and close them whatever happens.

    Args:
        asked: whether it is asked for, by name.
        run: whose numbers they are.
    """
    require_trackers(asked)
    with contextlib.ExitStack() as stack:
        logs = [
            stack.enter_context(_tracker(name)(run)) for name, wanted in asked.items() if wanted
        ]

        def log(numbers: dict[str, float], step: int) -> None:
            for one in logs:
                one(numbers, step)

        yield log


def notes(asked: Mapping[str, bool]) -> list[str]:
    """Return a sentence for each tracker that will do less than one may expect."""
    if not asked.get("wandb") or _wandb_is_set_up():
        return []
    return ["W&B: no WANDB_API_KEY, so it writes offline; `wandb sync` sends it later"]


def _wandb_is_set_up() -> bool:
    return "WANDB_API_KEY" in os.environ or "WANDB_MODE" in os.environ


def _tracker(name: str) -> Tracker:
    return OWN[name] if name in OWN else load_point(_others()[name], "the tracker")


@lru_cache
def _others() -> dict[str, EntryPoint]:
    """Return the entry points of other packages, by name."""
    return points_of(GROUP, OWN, "a tracker")


@contextlib.contextmanager
def _wandb(run: TrackedRun) -> Iterator[Log]:
    import wandb

    remote = wandb.init(
        project="misgen",
        dir=str(run.folder),
        name=run.name,
        group=run.group,
        config=run.settings,
        mode=None if _wandb_is_set_up() else "offline",
    )
    try:
        yield lambda numbers, step: remote.log(numbers, step=step)
    finally:
        remote.finish()


@contextlib.contextmanager
def _tensorboard(run: TrackedRun) -> Iterator[Log]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run.folder / "tensorboard"))

    def log(numbers: dict[str, float], step: int) -> None:
        for key, value in numbers.items():
            writer.add_scalar(key, value, step)

    try:
        yield log
    finally:
        writer.close()


OWN: dict[str, Tracker] = {"wandb": _wandb, "tensorboard": _tensorboard}
"""misgen's own trackers, by name; each needs the package of its name."""
