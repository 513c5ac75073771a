"""What a sweep is to do, in its folder: its settings and its cells, for whoever works on it.

Whoever sees the folder can go on with it: nothing has to be given again, and a folder that was
moved or copied is read where it lies now.  To read it, no world and no network is loaded.

Public names: `Plan`, `write_plan`, `read_plan`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError

from ..training.run_folder import SWEEP, RunFolder, read_json, write_json
from ..training.shell import command_line, shell_words
from .ledger import LEDGER, PLAN, Cell, Ledger
from .words import train_words

if TYPE_CHECKING:
    from ..training.config import TrainConfig
    from .config import SweepConfig


@dataclass(frozen=True)
class Plan:
    """A sweep's settings and cells, as they lie in its folder."""

    folder: Path
    plain: dict[str, Any]
    """The settings, as `SweepConfig` has them."""
    evaluation: str
    """The hash of the settings of its evaluations."""
    words: tuple[str, ...]
    """The settings as they were given on the command line."""
    command: str
    """The command that made it, for people."""
    cells: tuple[Cell, ...]
    extends: tuple[str, ...] = ()
    """Names of plans to which cells were added to make this one."""

    @cached_property
    def config(self) -> SweepConfig:
        """The settings, checked, for the folder where it lies now.

        Raises:
            UserError: if they cannot be read, or the sweep was made by an earlier version.
        """
        from ..training.settings import typed
        from .config import SweepConfig

        if not self.plain:
            raise UserError(
                f"{self.folder} is the sweep of an earlier version, which did not note all that it "
                "takes to go on: run misgen sweep again, with its settings"
            )
        train = {**self.plain["train"], "runs": str(self.folder.parent)}
        return typed(SweepConfig, {**self.plain, "train": train, "name": self.folder.name})

    @cached_property
    def file(self) -> str:
        """The name of its file, which stays when the grid is changed under the sweep's name."""
        own = "\n".join([self.evaluation, *(cell.name for cell in self.cells)])
        return f"plan-{hashlib.sha256(own.encode()).hexdigest()[:10]}.json"

    def grown(self) -> Plan:
        """Return the sweep's latest plan if cells were added to this one, or else this one."""
        with contextlib.suppress(OSError, UserError):
            changed = (self.ledger.path / PLAN).stat().st_mtime_ns
            if _LOOKED.get((self.ledger.path, self.file)) != changed:
                _LOOKED[self.ledger.path, self.file] = changed
                latest = read_plan(self.folder)
                if self.file in latest.extends:
                    return latest
        return self

    @cached_property
    def ledger(self) -> Ledger:
        """What is known of the cells."""
        return Ledger(self.folder, self.evaluation)

    @cached_property
    def by_run(self) -> dict[str, Cell]:
        """The cells by the hash of their training's settings."""
        return {cell.run: cell for cell in self.cells}

    def run(self, cell: Cell) -> TrainConfig:
        """Return the training of a cell."""
        return self.config.run(cell.correlation, cell.seed)

    def run_folder(self, cell: Cell) -> RunFolder:
        """Return the folder of a cell's training."""
        return RunFolder(self.folder / cell.name)

    def repeats(self, cell: Cell, stage: str) -> str:
        """Return the command that repeats what a cell failed in, in the foreground."""
        from ..evaluation.chosen import again, settings_of
        from ..training.trained_run import TrainedRun

        folder = self.run_folder(cell)
        if stage == "evaluation":
            run = TrainedRun(folder, self.run(cell), {})
            return again(folder.path, settings_of(run, self.config.evaluate))
        own = [f"correlation={cell.correlation!r}", f"seed={cell.seed}"]
        own += [f"runs={self.folder.parent}", f"name={self.folder.name}"]
        return shell_words("misgen", "train", *train_words(self.words), *own)


_LOOKED: dict[tuple[Path, str], int] = {}
"""For each plan: when the sweep's latest was written that this process has looked at."""


def write_plan(
    config: SweepConfig, words: Sequence[str], extends: Sequence[str] = (), command: str = ""
) -> Plan:
    """Write down what a sweep is to do, and return it.

    Args:
        config: the sweep.
        words: its settings, as they are given after `misgen sweep`.
        extends: names of plans to which cells were added to make it: whoever works on them takes
            these on.
        command: the command that made it, for people; this process's, if none is given.
    """
    from ..evaluation.chosen import key_of, settings_of
    from ..training.train import run_folder
    from ..training.trained_run import TrainedRun

    runs = config.runs
    first = TrainedRun(run_folder(runs[0]), runs[0], {})
    plan = Plan(
        config.folder,
        dataclasses.asdict(config),
        key_of(settings_of(first, config.evaluate)),
        tuple(words),
        command or command_line(),
        tuple(Cell(run_folder(one).path.name, one.correlation, one.seed) for one in runs),
        tuple(extends),
    )
    plan.ledger.make()
    plain = {
        "sweep": plan.plain,
        "evaluation": plan.evaluation,
        "words": list(plan.words),
        "command": plan.command,
        "cells": [[cell.name, cell.correlation, cell.seed] for cell in plan.cells],
        "extends": list(plan.extends),
    }
    for name in (plan.file, PLAN):
        write_json(plan.ledger.path / name, plain)
    return plan


def read_plan(folder: Path, name: str = PLAN) -> Plan:
    """Return what the sweep in a folder is to do.

    Args:
        folder: the sweep's.
        name: of the plan's file; that of the latest, if none is given.

    Raises:
        UserError: if it is none, or was made by an earlier version.
    """
    path = folder / LEDGER / name
    if not path.exists():
        if (folder / SWEEP).exists():
            return _of_before(folder)
        raise UserError(
            f"{folder} holds no sweep: give the folder of one, as misgen sweep makes it, such as "
            "runs/coinrun-lab"
        )
    hint = "run misgen sweep again, with its settings"
    plain = read_json(path, hint)
    try:
        cells = tuple(Cell(str(name), float(rho), int(seed)) for name, rho, seed in plain["cells"])
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: cells cannot be read ({error}): {hint}") from None
    return Plan(
        folder,
        plain["sweep"],
        plain["evaluation"],
        tuple(plain.get("words") or ()),
        str(plain.get("command") or ""),
        cells,
        tuple(plain.get("extends") or ()),
    )


def _of_before(folder: Path) -> Plan:
    """Return what is known of a sweep of an earlier version, which had no plan.

    Raises:
        UserError: if its file cannot be read, or is none of a sweep.
    """
    hint = "run misgen sweep again, with its settings"
    sweep = read_json(folder / SWEEP, hint)
    names, seeds = sweep.get("runs") or [], sweep.get("seeds") or 0
    grid = list(itertools.product(sweep.get("correlations") or [], range(seeds)))
    if len(grid) != len(names):
        raise UserError(f"{folder / SWEEP} does not say what its runs are: {hint}")
    cells = tuple(Cell(name, *at) for name, at in zip(names, grid, strict=True))
    told = str(sweep.get("command") or "")
    return Plan(folder, {}, str(sweep.get("evaluation") or ""), (), told, cells)
