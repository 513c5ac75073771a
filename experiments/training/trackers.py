"""Trackers that a run's numbers can go to beside its local files: W&B and TensorBoard.

A sink decides nothing: analysis reads the local files.

Public names: `open_sinks`, `notes`, `Log`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .checks import require_trackers
from .config import LoggerConfig

Log = Callable[[dict[str, float], int], None]
"""Takes numbers by name, and the step they belong to."""


@contextlib.contextmanager
def open_sinks(
    config: LoggerConfig, folder: Path, name: str, group: str, settings: dict[str, Any]
) -> Iterator[Log]:
    """Yield a function that logs to every sink asked for, and close them whatever happens.

    Args:
        config: which sinks.
        folder: the run's folder; all files of the sinks go there.
        name: the run's name.
        group: the sweep's name.
        settings: the run's settings, shown by the sinks.
    """
    require_trackers(config)
    with contextlib.ExitStack() as stack:
        logs = []
        if config.wandb:
            logs.append(stack.enter_context(_wandb(folder, name, group, settings)))
        if config.tensorboard:
            logs.append(stack.enter_context(_tensorboard(folder)))

        def log(numbers: dict[str, float], step: int) -> None:
            for one in logs:
                one(numbers, step)

        yield log


def notes(config: LoggerConfig) -> list[str]:
    """Return a sentence for each tracker that will do less than one may expect."""
    if not config.wandb or _wandb_is_set_up():
        return []
    return ["W&B: no WANDB_API_KEY, so it writes offline; `wandb sync` sends it later"]


def _wandb_is_set_up() -> bool:
    return "WANDB_API_KEY" in os.environ or "WANDB_MODE" in os.environ


@contextlib.contextmanager
def _wandb(folder: Path, name: str, group: str, settings: dict[str, Any]) -> Iterator[Log]:
    import wandb

    run = wandb.init(
        project="misgen",
        dir=str(folder),
        name=name,
        group=group,
        config=settings,
        mode=None if _wandb_is_set_up() else "offline",
    )
    try:
        yield lambda numbers, step: run.log(numbers, step=step)
    finally:
        run.finish()


@contextlib.contextmanager
def _tensorboard(folder: Path) -> Iterator[Log]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def log(numbers: dict[str, float], step: int) -> None:
        for key, value in numbers.items():
            writer.add_scalar(key, value, step)

    try:
        yield log
    finally:
        writer.close()
