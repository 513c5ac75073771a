"""Whom a page can watch: agents with known goals, those of the zoo, trained runs of a folder.

Public names: `offered`, `trained_world`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.agents import zoo
from misgen.envs.core.errors import UserError

from ..levels.watching import is_run, run_named
from ..training.run_folder import MANIFEST, RunFolder, find_runs

if TYPE_CHECKING:
    from misgen.envs.core.world import World

    from ..training.trained_run import TrainedRun

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
    trained = [f"{zoo.PREFIX}{name}" for name in zoo.names()]
    trained += [str(folder.path) for folder in _runs(Path(runs))][:_MOST]
    if named and is_run(named) and named not in trained:
        trained.insert(0, named)
    for name in trained:
        try:
            run = run_named(name)
        except UserError:
            continue  # not finished, or no run of ours
        if run.config.world.name == world.name:
            found.append({"name": name, "title": _title(name, run)})
    return found


def trained_world(path: str) -> World:
    """Return the world that a run's agent was trained in, with its parameters.

    Raises:
        UserError: if it is no finished run.
    """
    return run_named(path).config.world


def _runs(runs: Path) -> list[RunFolder]:
    """Return the run folders of all sweeps in a folder; none where there is no such folder."""
    sweeps = sorted(path for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []
    return [run for sweep in sweeps if not (sweep / MANIFEST).exists() for run in find_runs(sweep)]


def _title(name: str, run: TrainedRun) -> str:
    config = run.config
    if name.startswith(zoo.PREFIX):
        return name.replace(":", ": ", 1)
    if config.agent.unknown:
        return f"{run.folder.path.parent.name}: {run.folder.path.name}"
    return (
        f"{run.folder.path.parent.name}: {config.agent.algorithm}, ρ = {config.correlation:g}, "
        f"seed {config.seed}"
    )
