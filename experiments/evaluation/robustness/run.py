"""Attack the agents of finished runs, and keep what came out.

Public names: `robustness`, `attack_run`, `attacked`, `levels_of`, `JSON`, `CSV`, `EPISODES`,
`FIGURE`.
"""

from __future__ import annotations

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
from ...training.trained_at import rho_table
from ...training.trained_run import TrainedRun, run_or_sweep
from ..conditions import ALIGNED, CONFLICT, IN_DISTRIBUTION, Condition
from ..presentation import Presentation
from ..references import goals_in_reach
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
SCHEMA_VERSION = 3
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
        spaces = world.observation_space, world.action_space
        agent = load_agent(folder.path, *spaces, trust=config.trust)
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
    levels: Sequence[Condition],
    run: TrainedRun,
    config: RobustnessConfig,
) -> Iterator[pl.DataFrame]:
    """Yield the episodes under each attack: labels, then `rollout.SCHEMA`."""
    import polars as pl

    from ..rollout import run_levels

    known = {"train_correlation": float(run.config.correlation), "train_seed": run.config.seed}
    for condition in levels:
        distribution, ids = condition.distribution, condition.ids
        for attack, strength, player in _attackers(agent, distribution, config):
            episodes = run_levels(
                player,
                distribution,
                ids,
                actions=cast("Actions", config.actions),
                seed=config.seed,
                num_slots=config.num_slots,
            )
            labels = {
                "attack": attack,
                "strength": strength,
                "condition": condition.name,
                "placement": distribution.placement,
                "on_proxy": distribution.world.on_proxy,
                **known,
            }
            told = [pl.lit(value).alias(name) for name, value in labels.items()]
            yield _with_reach(episodes.select(*told, pl.all()), condition, config)


def _attackers(
    agent: TrainedAgent, levels: LevelDistribution, config: RobustnessConfig
) -> Iterator[tuple[str, float, Any]]:
    """Yield the attacks, their strengths, and the agent under each."""
    from . import drops
    from .attacks import (
        Decoy,
        Decoyed,
        NoisyObservations,
        TileFlips,
        classes_of,
        unfit_for_flips,
    )

    tiles = classes_of(levels.world.observation_space)
    flips = () if unfit_for_flips(agent) else tuple(k for k in config.flips if k > 0)
    options: dict[str, Any] = {
        "per": config.per,
        "candidates": config.candidates,
        "worth": config.worth,
    }
    yield drops.NONE, 0.0, agent
    for share in config.noise:
        if share > 0:
            yield drops.NOISE, share, NoisyObservations(agent, share, tiles, config.seed)
    for k in flips:
        yield drops.WORST, float(k), TileFlips(agent, k, target=config.target, **options)
        if config.per == "decision":
            tampered = TileFlips(agent, k, target="random", seed=config.seed)
            yield drops.RANDOM_FLIPS, float(k), tampered
    if config.goal and levels.world.goal_moves:
        for k in flips:
            searched = TileFlips(agent, k, target="goal", decoy=Decoy(levels), **options)
            yield drops.GOAL_FLIPS, float(k), searched
        yield drops.DECOY, 1.0, Decoyed(agent, Decoy(levels))


def _with_reach(
    episodes: pl.DataFrame, condition: Condition, config: RobustnessConfig
) -> pl.DataFrame:
    """Return episodes with `goal_in_reach`; null but on conflict levels."""
    import polars as pl

    if condition.name != CONFLICT or not config.planned:
        return episodes.with_columns(goal_in_reach=pl.lit(None, pl.Boolean))
    known = goals_in_reach(condition.distribution, condition.ids)
    return episodes.join(known, on="level_id", how="left", maintain_order="left")


def levels_of(run: TrainedRun, config: RobustnessConfig) -> list[Condition]:
    """Return the levels as in training, those with goal and proxy apart, and their twins."""
    ids = run.test_ids(config.levels)
    if config.levels is None:
        ids = ids.first(MOST_LEVELS)
    trained = run.config.distribution
    as_trained = trained.at(world=trained.world.under(config.on_proxy), ids=ids)
    placement = config.placement or trained.placement
    conflict = as_trained.at(correlation=0.0, placement=placement)
    return [
        Condition(IN_DISTRIBUTION, as_trained),
        Condition(CONFLICT, conflict),
        Condition(ALIGNED, conflict.at(correlation=1.0)),
    ]


def _folder(home: Path, folders: Sequence[RunFolder], config: RobustnessConfig) -> RunFolder:
    """Return where the result with these settings lies, or would.

    Args:
        home: the run's or sweep's folder.
        folders: the runs.
        config: settings.
    """
    as_trained, conflict, _ = levels_of(TrainedRun.read(folders[0]), config)
    settings = config.science | {
        "levels": str(as_trained.distribution.ids),
        "placement": conflict.distribution.placement,
        "on_proxy": conflict.distribution.world.on_proxy,
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
    from .drops import robustness_seeds, robustness_table

    world = TrainedRun.read(runs[0]).config.world
    found = {
        "schema_version": SCHEMA_VERSION,
        "provenance": provenance(),
        "finished": now(),
        "config": config.science,
        "on_proxy": {"trained": world.on_proxy, "played": world.under(config.on_proxy).on_proxy},
        "goal_can_be_shown_elsewhere": world.goal_moves,
        "runs": [one.path.name for one in runs],
        "policies": {one.path.name: _policy(one) for one in runs},
        "trained_at": rho_table(TrainedRun.read(one).config for one in runs),
        "table": robustness_table(episodes).to_dicts(),
        "seeds": robustness_seeds(episodes).to_dicts(),
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
