"""Infer what the agents of finished runs are after, and keep what was found.

Public names: `infer_all`, `infer`, `check`, `placed`, `by_training`; `TABLE`, `EPISODES`,
`PICTURE`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from misgen.envs.core.distribution import LevelDistribution

from ...training.config import config_hash
from ...training.run_folder import (
    DONE,
    RunFolder,
    digest_beside,
    file_sha256,
    provenance,
    read_parquet,
    write_json,
    write_parquet,
)
from ...training.trained_at import rho_labels, rho_words
from ...training.trained_run import TrainedRun, run_or_sweep
from ..presentation import Picture
from ..result_folders import OBJECTIVE, place
from .behavioural_objective import gather, parting_ids, posteriors
from .config import ObjectiveCommand
from .explain import explain, sentence

if TYPE_CHECKING:
    import polars as pl

ANYWHERE = "anywhere"
TABLE, EPISODES, PICTURE = "objective.json", "objective.parquet", "objective.png"


def infer_all(
    config: ObjectiveCommand, picture: Picture
) -> tuple[dict[str, pl.DataFrame], RunFolder]:
    """Infer for one run, or all of a sweep, and write the files.

    Args:
        config: settings.
        picture: draws a result.

    Returns:
        What `explain` returns, by training setting; and the folder with the result.

    Raises:
        UserError: if a run is not finished, or the levels overlap with its training.
    """
    folders = run_or_sweep(config.run)
    config = placed(config, folders[0])
    for folder in folders:
        check(folder, config)
    found = [infer(folder, config, picture) for folder in folders]
    configs = [dataclasses.asdict(TrainedRun.read(folder).config) for folder in folders]
    groups = by_training(found, rho_labels(configs))
    tables = {label: explain(episodes, config.objective) for label, episodes in groups.items()}
    into = _folder(folders[0], config)
    if len(folders) > 1:
        into = _of_sweep(folders, config)
        policies = {one.path.name: _policy(one) for one in folders}
        with into.lock():
            _write(into, tables, config, policies, picture)
            into.mark(DONE, into.path.name)
    return tables, into


def placed(config: ObjectiveCommand, folder: RunFolder) -> ObjectiveCommand:
    """Return the settings with a placement: theirs, or else one that the run's world has."""
    if config.placement is not None:
        return config
    world = TrainedRun.read(folder).config.world
    named = ANYWHERE if ANYWHERE in world.placements else world.usual_shifts[0]
    return dataclasses.replace(config, placement=named)


def check(folder: RunFolder, config: ObjectiveCommand) -> LevelDistribution:
    """Return the levels that are chosen from; refuse a run on which nothing can be inferred.

    Raises:
        UserError: naming the setting.
    """
    from misgen.envs.core.planning.planner import make_planner

    from ...training.checks import require_room

    run, placement = TrainedRun.read(folder), placed(config, folder).placement
    require_room(folder.path, "run", config.run or folder.path)
    world = run.config.world.under(config.on_proxy)
    make_planner(world)
    return LevelDistribution(world, 0.0, str(placement), run.test_ids(config.levels))


def infer(folder: RunFolder, config: ObjectiveCommand, picture: Picture) -> pl.DataFrame:
    """Play a finished run's agent, unless it was done before, and return the evidence.

    Sets the number of CPU threads of numba and torch in this process.

    Args:
        folder: the training run.
        config: settings; its `run` is ignored.
        picture: draws a result.

    Returns:
        `posteriors`, and `train_seed`, `train_correlation`, `train_placement`.

    Raises:
        UserError: if the run is not finished, or the levels overlap with its training.
    """
    import polars as pl

    run, config = TrainedRun.read(folder), placed(config, folder)
    into, key = _folder(folder, config), _stamp(folder, config)
    if not into.marked(DONE, key):
        with into.lock():
            into.unmark(DONE)
            found = posteriors(_play(run, config), config.objective)
            found = found.with_columns(
                train_seed=pl.lit(run.config.seed),
                train_correlation=pl.lit(run.config.correlation),
                train_placement=pl.lit(run.config.placement),
            )
            write_parquet(into.path / EPISODES, found)
            tables = {folder.path.name: explain(found, config.objective)}
            _write(into, tables, config, {folder.path.name: _policy(folder)}, picture)
            into.mark(DONE, key)
    path = into.path / EPISODES
    digest, hint = digest_beside(path, TABLE), f"delete {DONE} beside it"
    columns = {"level_id": pl.Int64, "solvable": pl.Boolean, "train_seed": pl.Int64,
               "train_correlation": pl.Float64, "train_placement": pl.String}  # fmt: skip
    return read_parquet(path, digest, columns, hint)


def by_training(found: list[pl.DataFrame], labels: Mapping[float, str]) -> dict[str, pl.DataFrame]:
    """Return all episodes by what their agents were trained on, seeds together.

    Args:
        found: episodes of each run.
        labels: what is told of each training correlation.
    """
    import polars as pl

    keys = ("train_correlation", "train_placement")
    groups = pl.concat(found).sort(*keys, descending=True).group_by(*keys, maintain_order=True)
    return {f"{rho_words(labels[key[0]])}, {key[1]}": group for key, group in groups}


def _play(run: TrainedRun, config: ObjectiveCommand) -> pl.DataFrame:
    from misgen.agents.checkpoint import load_agent
    from misgen.agents.threads import tune_process
    from misgen.envs.core.planning.planned import strict
    from misgen.envs.core.planning.planner import make_planner

    from ...training.progress import counter, episode_progress

    tune_process(config.threads)
    conflict = check(run.folder, config)
    world = conflict.world
    path = run.folder.path
    agent = load_agent(path, world.observation_space, world.action_space, trust=config.trust)
    with episode_progress(path.name) as show:
        chosen = parting_ids(conflict, make_planner(strict(world)), config.episodes)
        return gather(
            agent,
            conflict,
            chosen,
            config.objective,
            actions=config.actions,  # pyright: ignore[reportArgumentType]
            seed=config.seed,
            progress=counter(show, len(chosen)),
        )


def _folder(folder: RunFolder, config: ObjectiveCommand) -> RunFolder:
    """Return where the run's result with these settings lies, or would."""
    levels = str(TrainedRun.read(folder).test_ids(config.levels))
    return place(folder.path, OBJECTIVE, config_hash(config.science | {"levels": levels}))


def _of_sweep(folders: list[RunFolder], config: ObjectiveCommand) -> RunFolder:
    """Return where the result for several runs lies."""
    names = {"config": config.science, "policies": sorted(map(_policy, folders))}
    return place(Path(config.run), OBJECTIVE, config_hash(names))


def _policy(folder: RunFolder) -> str:
    from misgen.agents.spec import weights_checksum

    return weights_checksum(folder.path)


def _stamp(folder: RunFolder, config: ObjectiveCommand) -> str:
    """Return a hash of the settings and of the policy that they are applied to."""
    return config_hash({"config": config.science, "policy": _policy(folder)})


def _write(
    into: RunFolder,
    tables: dict[str, pl.DataFrame],
    config: ObjectiveCommand,
    policies: dict[str, str],
    picture: Picture,
) -> None:
    """Write objective.json and objective.png."""
    rows = into.path / EPISODES
    found = {
        **provenance(),
        "config": config.science,
        "policies": policies,
        "episodes_sha256": file_sha256(rows) if rows.is_file() else None,
        "results": [
            {"label": label, "words": sentence(table), "explained": table.to_dicts()}
            for label, table in tables.items()
        ],
    }
    write_json(into.path / TABLE, found)
    picture(found, into.path / PICTURE)
