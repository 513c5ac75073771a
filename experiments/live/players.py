"""Whom a page can watch: agents with known goals, and the trained runs of a folder.

Public names: `offered`, `trained_world`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError

from ..training.run_folder import MANIFEST, RunFolder, find_runs
from ..training.trained_run import TrainedRun, one_run

if TYPE_CHECKING:
    from misgen.envs.core.world import World

_MOST = 200
"""Runs that are offered: more would make no list that anybody reads."""


def offered(world: World, runs: str, named: str | None) -> list[dict[str, Any]]:
    """Return the agents that can play a world: `name`, and `title`, what a list calls it.

    Args:
        world: where they are to play.
        runs: folder that holds all runs.
        named: a run that is offered whatever folder it is in; None for none.
    """
    from misgen.agents.known import SEEKERS, names

    found = [
        {"name": name, "title": name.replace("_", " ")}
        for name in names()
        if world.planner or name not in SEEKERS
    ]
    paths = [named] if named and Path(named).is_dir() else []
    for folder in _runs(Path(runs)):
        if str(folder.path) not in paths and len(paths) < _MOST:
            paths.append(str(folder.path))
    for path in paths:
        try:
            run = TrainedRun.read(RunFolder(Path(path)))
        except UserError:
            continue  # not finished, or no run of ours
        if run.config.world.name == world.name:
            found.append({"name": path, "title": _title(run)})
    return found


def trained_world(path: str) -> World:
    """Return the world that a run's agent was trained in, with its parameters.

    Raises:
        UserError: if it is no finished run.
    """
    return TrainedRun.read(one_run(path)).config.world


def _runs(runs: Path) -> list[RunFolder]:
    """Return the run folders of all sweeps in a folder; none where there is no such folder."""
    sweeps = sorted(path for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []
    return [run for sweep in sweeps if not (sweep / MANIFEST).exists() for run in find_runs(sweep)]


def _title(run: TrainedRun) -> str:
    config = run.config
    if config.agent.unknown:
        return f"{run.folder.path.parent.name}: {run.folder.path.name}"
    return (
        f"{run.folder.path.parent.name}: {config.agent.algorithm}, ρ = {config.correlation:g}, "
        f"seed {config.seed}"
    )
