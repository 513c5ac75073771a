"""Evaluate the agent of a finished run, and keep what came of it in the run's folder.

Public names: `evaluate_run`, `is_evaluated`, `evaluation_folder`, `conditions_of`, `agent_of`,
`SCHEMA_VERSION`.

`<run>/evaluations/<hash>/`, a folder for each set of settings, holds `episodes.parquet`, one row an
episode (docs/columns.md has its columns), and `summary.json`: every metric with its interval,
outcomes, what the levels really were, and what it was made from.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from misgen.agents.spec import weights_checksum
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.level_set import names_files

from ..training.checks import require_room
from ..training.config import config_hash
from ..training.run_folder import (
    DONE,
    EPISODES,
    SUMMARY,
    RunFolder,
    now,
    write_json,
    write_parquet,
)
from ..training.trained_run import TrainedRun
from .chosen import key_of, settings_of
from .config import EvaluateConfig
from .result_folders import EVALUATION, place

if TYPE_CHECKING:
    from misgen.agents.base import Agent

    from .conditions import Condition

Show = Callable[[int, int], object]
"""Called with the number of episodes that ended so far, and of all."""

SCHEMA_VERSION = 4
"""Version of `summary.json`."""
_STATUS_EVERY = 2.0  # seconds


def is_evaluated(folder: RunFolder, config: EvaluateConfig) -> bool:
    """Return whether the run's policy was evaluated with these settings."""
    try:
        run = TrainedRun.read(folder)
        settings = settings_of(run, config)
        return _folder(folder, settings).marked(DONE, _stamp(folder, settings))
    except UserError:
        return False


def evaluation_folder(folder: RunFolder, config: EvaluateConfig) -> RunFolder:
    """Return where a finished run's evaluation with these settings lies, or would.

    Raises:
        UserError: if the run is not finished, or the settings do not fit it.
    """
    return _folder(folder, settings_of(TrainedRun.read(folder), config))


def evaluate_run(
    folder: RunFolder, config: EvaluateConfig, show: Show | None = None, *, again: bool = False
) -> RunFolder:
    """Evaluate a finished run, unless it was done before, and return its folder.

    Sets the number of CPU threads of numba and torch in this process.

    Args:
        folder: the training run.
        config: how to evaluate it; its `run` is ignored.
        show: called as episodes end.
        again: evaluate it even if that was done before with these settings.

    Raises:
        UserError: if the run is not finished, its files are damaged, the test levels overlap with
            its training, another process writes to it, or the disk is full.
    """
    if not again and is_evaluated(folder, config):
        folder.tidy()
        return folder
    run = TrainedRun.read(folder)
    require_room(folder.path, "run", config.run or folder.path)
    settings = settings_of(run, config)
    where = conditions_of(run, config)
    into = _folder(folder, settings)
    with folder.lock(), into.lock():
        into.unmark(DONE)
        started, worked = time.monotonic(), time.process_time()
        summary = _evaluate(run, where, config, settings, show)
        summary["wall_seconds"] = time.monotonic() - started
        summary["cpu_seconds"] = time.process_time() - worked
        write_json(into.path / SUMMARY, summary)
        into.mark(DONE, _stamp(folder, settings))
        folder.status(phase="evaluated")
    return folder


def conditions_of(run: TrainedRun, config: EvaluateConfig) -> list[Condition]:
    """Return what the agent is tested on: ids of generated levels, or levels made by hand."""
    from .conditions import conditions
    from .hand_made import hand_made_conditions

    if config.levels is not None and names_files(config.levels):
        return hand_made_conditions(run.config.distribution, config.levels, config)
    return conditions(run.config.distribution, run.test_ids(config.levels), config)


def _evaluate(
    run: TrainedRun,
    where: list[Condition],
    config: EvaluateConfig,
    settings: dict[str, Any],
    show: Show | None,
) -> dict[str, Any]:
    """Play, write the episodes, and return the summary."""
    from . import conditions, metrics
    from .aims import add_devices
    from .hand_made import set_report
    from .unseen import unseen_terrain
    from .verdict import judge_seeds

    folder = run.folder
    trained_on = run.training_levels() or run.config.distribution.describe()
    agent = agent_of(run, where, config)
    count = _counter(folder, conditions.count_episodes(agent, where, config), show)
    episodes = conditions.evaluate_on(
        agent,
        where,
        run.config.distribution,
        config,
        train_seed=run.config.seed,
        run=folder.path.name,
        progress=count,
    )
    episodes = add_devices(episodes, agent, where, config)
    digest = write_parquet(_folder(folder, settings).path / EPISODES, episodes)
    world = where[0].distribution.world
    seeds = metrics.seed_table(episodes, config.verdict)
    return {
        "schema_version": SCHEMA_VERSION,
        "run": folder.path.name,
        "finished": now(),
        "config": settings,
        "config_hash": key_of(settings),
        "policy": weights_checksum(folder.path),
        "run_config_hash": run.manifest.get("config_hash"),
        **({"unknown": list(unknown)} if (unknown := run.config.agent.unknown) else {}),
        "episodes_sha256": digest,
        "episodes_version": conditions.EPISODES_VERSION,
        "levels": conditions.level_report(run.config.distribution, where, trained_on)
        | ({"hand_made": by_hand} if (by_hand := set_report(where)) else {}),
        "metrics": seeds.to_dicts(),
        "unseen_terrain": []
        if trained_on.get("unknown")
        else unseen_terrain(episodes, run.config.distribution, where, config.verdict),
        "verdicts": [
            {**keys, **dataclasses.asdict(verdict)}
            for keys, _, verdict in judge_seeds(seeds, config.verdict)
        ],
        "outcomes": metrics.outcome_table(episodes).to_dicts(),
        "capable_by_goal": metrics.two_by_two(episodes).to_dicts(),
        "proxies": metrics.proxy_table(episodes, world.proxies).to_dicts(),
    }


def agent_of(run: TrainedRun, where: Sequence[Condition], config: EvaluateConfig) -> Agent:
    """Return the agent of a run, for the observations and actions of some conditions.

    Sets the number of CPU threads of numba and torch in this process.
    """
    from misgen.agents.checkpoint import load_agent
    from misgen.agents.threads import tune_process

    tune_process(config.threads)
    world = where[0].distribution.world
    spaces = world.observation_space, world.action_space
    return load_agent(run.folder.path, *spaces, trust=config.trust)


def _folder(folder: RunFolder, settings: dict[str, Any]) -> RunFolder:
    return place(folder.path, EVALUATION, key_of(settings))


def _stamp(folder: RunFolder, settings: dict[str, Any]) -> str:
    """Return a hash of the settings and of the policy that they are applied to."""
    policy = weights_checksum(folder.path)
    return config_hash({"config": settings, "policy": policy, "schema": SCHEMA_VERSION})


def _counter(folder: RunFolder, total: int, show: Show | None) -> Callable[[int], None]:
    """Return a function that counts what is done, shows it, and keeps the run's status fresh."""
    done, written = 0, 0.0

    def count(ended: int) -> None:
        nonlocal done, written
        done += ended
        if show:
            show(done, total)
        if time.monotonic() - written > _STATUS_EVERY:
            written = time.monotonic()
            folder.status(phase="evaluating", episodes=done, total_episodes=total)

    return count
