"""A finished training run, as evaluations find it on disk.

Public names: `TrainedRun`, `folder_of`.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from misgen.agents.zoo import PREFIX, located
from misgen.envs.core.distribution import IdRange, require_disjoint
from misgen.envs.core.errors import UserError
from misgen.envs.core.id_range import ALL_IDS
from misgen.envs.core.level_text.level_set import names_files

from .config import LevelsConfig, TrainConfig
from .run_folder import DONE, MANIFEST, RunFolder, find_runs
from .settings import typed
from .shell import shell_words

_SAMPLED = 2000
"""Levels of a training that are looked at, to see whether its manifest is true."""
_DEVIATIONS = 5.0


@dataclass(frozen=True)
class TrainedRun:
    """A training run that came to its end."""

    folder: RunFolder
    config: TrainConfig
    manifest: dict[str, Any]

    @classmethod
    def read(cls, folder: RunFolder) -> TrainedRun:
        """Return what a run was.

        Raises:
            UserError: if it is not finished, or its manifest is damaged.
        """
        manifest = folder.manifest()
        config = config_of(folder, manifest)
        if not folder.marked(DONE, str(manifest.get("config_hash"))):
            raise UserError(
                f"{folder.path} is not a finished run (status {manifest.get('status')!r}): train "
                "it to the end first, with the same misgen train command"
            )
        return cls(folder, config, manifest)

    def training_levels(self) -> dict[str, Any]:
        """Return what the levels of training hold, as the manifest says; empty where it does not.

        They come of the config, which is held against its hash: a sample of them must look alike.

        Raises:
            UserError: if other levels are described.
        """
        said = dict(self.manifest.get("training_levels") or {})
        levels = self.config.distribution
        if not {"levels", "realised_correlation"} <= said.keys():
            return said
        share, count = float(said["realised_correlation"]), len(levels.ids)
        places = np.unique(np.linspace(0, count - 1, _SAMPLED).astype(np.int64))
        found = float(levels.levels(levels.drawn(places)).aligned.mean())
        doubt = 0.0
        if len(places) < count:
            doubt = math.sqrt(max(share * (1 - share), 0.0) / len(places))
            doubt += levels.is_sampled / _SAMPLED
        conflict = said.get("conflict_levels", round(count * (1 - share)))
        counted = (said["levels"], conflict) == (count, round(count * (1 - share)))
        if not counted or abs(found - share) > _DEVIATIONS * doubt + 1e-9:
            raise UserError(
                f"{self.folder.path / MANIFEST}: training_levels says {said['levels']} levels, "
                f"{conflict} of them in conflict, and its config makes {count}, about "
                f"{round(count * (1 - found))} of them in conflict: it was changed; restore it, or "
                "train again"
            )
        return said

    def test_ids(self, levels: str | tuple[str, ...] | None) -> IdRange:
        """Return the ids to test on: `levels`, or those that the run set aside.

        Raises:
            UserError: if training or validation used any of them, or they are files.
        """
        if levels is not None and (names_files(levels) or not isinstance(levels, str)):
            raise UserError(
                f"levels={levels!r} names level files, which this command does not play: give "
                "ids, start:stop"
            )
        return split_off(self.config.levels, levels)


def split_off(trained: LevelsConfig, levels: str | None) -> IdRange:
    """Return the ids to test on: `levels`, or those that a training sets aside.

    `all` are all but those of training and validation.

    Raises:
        UserError: if training or validation has any of them.
    """
    ranges = dict(trained.ranges)
    if levels is not None and levels.strip() == ALL_IDS:
        del ranges["test"]
        return IdRange.everything(tuple(ranges.values()))
    if levels is not None:
        ranges["test"] = IdRange.parse(levels)
    require_disjoint(ranges)
    return ranges["test"]


def config_of(folder: RunFolder, manifest: Mapping[str, Any]) -> TrainConfig:
    """Return the config that a run's manifest holds.

    Raises:
        UserError: naming the file and what does not fit.
    """
    try:
        return typed(TrainConfig, manifest["config"])
    except UserError as error:
        raise UserError(f"{folder.path / MANIFEST}: {error}") from None


def run_or_sweep(run: str) -> list[RunFolder]:
    """Return the run that a path names, or the runs of the sweep that it names.

    Raises:
        UserError: if none is named.
    """
    require_named(run)
    path = folder_of(run)
    return find_runs(path) or [RunFolder(path)]


def one_run(run: str) -> RunFolder:
    """Return the run that a path names.

    Raises:
        UserError: if none is named, or it is a sweep's.
    """
    require_named(run)
    path = folder_of(run)
    inside = find_runs(path)
    if inside:
        raise UserError(
            f"run={run} holds {len(inside)} runs: give one of them, such as "
            f"{shell_words(f'run={inside[0].path}')}"
        )
    return RunFolder(path)


def folder_of(run: str) -> Path:
    """Return the folder that `run` names; an agent of the zoo is copied to `runs/zoo` first."""
    if not run.startswith(PREFIX):
        return Path(run)
    source = located(run)
    target = Path("runs") / "zoo" / source.name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as beside:
            copy = Path(beside) / source.name
            shutil.copytree(source, copy, copy_function=shutil.copyfile)
            with contextlib.suppress(OSError):  # another process was sooner
                copy.rename(target)
    return target


def require_named(run: str) -> None:
    """Refuse a `run` that was left out.

    Raises:
        UserError: saying what to give.
    """
    if run in ("", "???"):
        raise UserError(
            "run is missing: give run=runs/<sweep>/<run>, as misgen train prints it, or run=zoo:"
            "<name> of an agent that comes with misgen (misgen zoo lists them)"
        )
