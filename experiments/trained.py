"""What a trained run was, and which levels it may be tested on.

Public names: `chosen_runs`, `trained_config`, `held_out_levels`.
"""

from __future__ import annotations

from pathlib import Path

from misgen.envs.core.distribution import IdRange, require_disjoint
from misgen.envs.core.errors import UserError

from .config import TrainConfig, typed
from .runs import DONE, RunFolder, find_runs


def chosen_runs(run: str) -> list[RunFolder]:
    """Return the run that a folder is, or the runs that a sweep's folder holds.

    Raises:
        UserError: if no folder is named.
    """
    if run in ("", "???"):
        raise UserError("run is missing: give run=runs/<sweep>/<run>, or a sweep's folder")
    return find_runs(Path(run)) or [RunFolder(Path(run))]


def trained_config(folder: RunFolder) -> TrainConfig:
    """Return what a finished run was.

    Raises:
        UserError: if it is not finished, or its manifest is damaged.
    """
    manifest = folder.manifest()
    stored = manifest.get("config")
    if not isinstance(stored, dict) or not folder.marked(DONE, str(manifest.get("config_hash"))):
        raise UserError(
            f"{folder.path} is not a finished run (status {manifest.get('status')!r}): train it "
            "to the end first, with the same misgen train command"
        )
    return typed(TrainConfig, stored)


def held_out_levels(training: TrainConfig, levels: str | None, most: int | None = None) -> IdRange:
    """Return the test levels asked for, or those that the run set aside.

    Args:
        training: the run.
        levels: `start:stop`, or None.
        most: take the first so many of the run's own; None for all.

    Raises:
        UserError: if training or validation used any of them.
    """
    ranges = dict(training.levels.ranges)
    if levels is not None:
        ranges["test"] = IdRange.parse(levels)
    elif most is not None:
        own = ranges["test"]
        ranges["test"] = IdRange(own.start, min(own.stop, own.start + most))
    require_disjoint(ranges)
    return ranges["test"]
