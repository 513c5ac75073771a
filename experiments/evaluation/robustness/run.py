"""Attack the agents of finished runs, and keep what came out.

Public names: `robustness`, `attack_run`, `attacked`, `levels_of`, `JSON`, `CSV`, `EPISODES`,
`FIGURE`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from misgen.envs.core.distribution import LevelDistribution

from ...training.checks import require_room
from ...training.config import config_hash
from ...training.run_folder import (
    DONE,
    RunFolder,
    digest_beside,
    now,
    provenance,
    read_parquet,
    write_json,
    write_parquet,
    write_text,
)
from ...training.trained_run import TrainedRun, run_or_sweep
from ..presentation import Presentation
from ..result_folders import ROBUSTNESS, place
from .config import RobustnessConfig

if TYPE_CHECKING:
    import polars as pl

    from misgen.agents.base import TrainedAgent

    from ..rollout import Actions

JSON, CSV, EPISODES, FIGURE = (
    "robustness.json",
    "robustness.csv",
    "robustness.parquet",
    "robustness",
)
SCHEMA_VERSION = 2
MOST_LEVELS = 200
"""Test levels unless others are asked for."""


def robustness(
    config: RobustnessConfig,
    presentation: Presentation,
    show: Callable[[int, int], object] | None = None,
) -> tuple[dict[str, Any], RunFolder]:
    """Attack one run or all of a sweep, and write the files.

    Sets the number of CPU threads of numba and torch in this process.

    Args:
        config: settings.
        presentation: puts a result into words and draws it.
        show: called with the number of runs whose agents were attacked, and of all.

    Returns:
        What robustness.json holds, and its folder.

    Raises:
        UserError: if a run is not finished, or its training saw the levels.
    """
    import polars as pl

    from misgen.agents.threads import tune_process

    folders = run_or_sweep(config.run)
    for folder in folders:
        levels_of(TrainedRun.read(folder), config)
        require_room(folder.path, "run", config.run)
    tune_process(config.threads)
    played = []
    for number, folder in enumerate(folders):
        played.append(attack_run(folder, config, presentation))
        if show:
            show(number + 1, len(folders))
    found = _found(pl.concat(played), folders, config, presentation)
    into = _folder(Path(config.run), folders, config)
    if len(folders) > 1:
        with into.lock():
            _write(found, pl.concat(played), into, presentation)
            into.mark(DONE, into.path.name)
    return found, into


def attack_run(
    folder: RunFolder, config: RobustnessConfig, presentation: Presentation
) -> pl.DataFrame:
    """Attack a finished run's agent, unless that was done before, and return the episodes.

    Raises:
        UserError: if the run is not finished, or its training saw the levels.
    """
    import polars as pl

    from misgen.agents.checkpoint import load_agent

    from ..rollout import SCHEMA

    run = TrainedRun.read(folder)
    levels = levels_of(run, config)
    key = config_hash({"config": config.science, "policy": _policy(folder)})
    into = _folder(folder.path, [folder], config)
    if not into.marked(DONE, key):
        world = run.config.world
        agent = load_agent(folder.path, world.observation_space, world.action_space)
        with into.lock():
            into.unmark(DONE)
            episodes = pl.concat(attacked(agent, levels, run, config))
            found = _found(episodes, [folder], config, presentation)
            _write(found, episodes, into, presentation)
            into.mark(DONE, key)
    path = into.path / EPISODES
    digest, hint = digest_beside(path, JSON), f"delete {DONE} beside it"
    labels = {"attack": pl.String, "strength": pl.Float64, "condition": pl.String,
              "train_correlation": pl.Float64, "train_seed": pl.Int64}  # fmt: skip
    return read_parquet(path, digest, {**labels, **SCHEMA}, hint)


def attacked(
    agent: TrainedAgent,
    levels: dict[str, LevelDistribution],
    run: TrainedRun,
    config: RobustnessConfig,
) -> Iterator[pl.DataFrame]:
    """Yield the episodes under each attack: labels, then `rollout.SCHEMA`."""
    import polars as pl

    from ..rollout import run_levels
    from .attacks import NoisyObservations, TileFlips, unfit_for_flips

    tiles = agent.spec.tile_classes
    flips = (0,) if unfit_for_flips(agent) else config.flips
    options = {"per": config.per, "candidates": config.candidates, "worth": config.worth}
    jobs: list[tuple[str, float, Any]] = [("none", 0.0, agent)]
    jobs += [
        ("noise", p, NoisyObservations(agent, p, tiles, config.seed)) for p in config.noise if p > 0
    ]
    for k in [k for k in flips if k > 0]:
        jobs.append(("worst", float(k), TileFlips(agent, k, target=config.target, **options)))
        if config.per == "decision":
            tampered = TileFlips(agent, k, target="random", seed=config.seed)
            jobs.append(("random", float(k), tampered))
    for condition, distribution in levels.items():
        apart = distribution.correlation == 0
        for attack, strength, player in jobs:
            episodes = run_levels(
                player,
                distribution,
                distribution.conflict_ids() if apart else distribution.ids_to_play(),
                actions=cast("Actions", config.actions),
                seed=config.seed,
                num_slots=config.num_slots,
            )
            labels = {
                "attack": attack,
                "strength": strength,
                "condition": condition,
                "placement": distribution.placement,
                "train_correlation": float(run.config.correlation),
                "train_seed": run.config.seed,
            }
            yield episodes.select(*[pl.lit(v).alias(k) for k, v in labels.items()], pl.all())


def levels_of(run: TrainedRun, config: RobustnessConfig) -> dict[str, LevelDistribution]:
    """Return the levels as in training, and those with goal and proxy apart."""
    ids = run.test_ids(config.levels)
    if config.levels is None:
        ids = ids.first(MOST_LEVELS)
    trained = run.config.distribution
    world = dataclasses.replace(trained.world, on_proxy=config.on_proxy)
    held = trained.at(world=world, ids=ids)
    placement = config.placement or trained.placement
    return {"heldout": held, "conflict": held.at(correlation=0.0, placement=placement)}


def _folder(home: Path, folders: Sequence[RunFolder], config: RobustnessConfig) -> RunFolder:
    """Return where the result with these settings lies, or would.

    Args:
        home: the run's or sweep's folder.
        folders: the runs.
        config: settings.
    """
    levels = levels_of(TrainedRun.read(folders[0]), config)
    settings = config.science | {
        "levels": str(levels["heldout"].ids),
        "placement": levels["conflict"].placement,
    }
    policies = sorted(map(_policy, folders)) if len(folders) > 1 else []
    return place(home, ROBUSTNESS, config_hash({"config": settings, "policies": policies}))


def _policy(folder: RunFolder) -> str:
    from misgen.agents.spec import weights_checksum

    return weights_checksum(folder.path)


def _found(
    episodes: pl.DataFrame,
    runs: Sequence[RunFolder],
    config: RobustnessConfig,
    presentation: Presentation,
) -> dict[str, Any]:
    from .drops import robustness_table

    found = {
        "schema_version": SCHEMA_VERSION,
        "provenance": provenance(),
        "finished": now(),
        "config": config.science,
        "runs": [one.path.name for one in runs],
        "policies": {one.path.name: _policy(one) for one in runs},
        "table": robustness_table(episodes, seed=config.seed).to_dicts(),
    }
    return found | {"words": presentation.sentences(found)}


def _write(
    found: dict[str, Any], episodes: pl.DataFrame, into: RunFolder, presentation: Presentation
) -> None:
    import polars as pl

    from .drops import TABLE

    folder = into.path
    digest = write_parquet(folder / EPISODES, episodes)
    write_text(folder / CSV, pl.DataFrame(found["table"], TABLE).write_csv())
    presentation.picture(found, folder / FIGURE)
    write_json(folder / JSON, found | {"episodes_sha256": digest})
