"""Stored episodes as Minari datasets: one for each condition, placement and action mode.

An evaluation stores how its episodes went, not what was seen and done in them.  So the agent plays
the chosen ones again, exactly as it did (a row that comes out otherwise is refused), and its
actions are put through the environment that the dataset names: `gymnasium.make` with the dataset's
specification, `reset(seed=..., options={"level_ids": [...]})` with an episode's, and its actions
give its observations and rewards again.

Minari stores `uint8` arrays of two or three dimensions as JPEG, which changes them.  So such parts
of an observation are stored as signed integers, their values unchanged.

Public names: `write_minari_datasets`, `environment`, `stored_space`.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import contextlib
import importlib.metadata
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import polars as pl
from gymnasium import spaces
from numpy.typing import NDArray

from misgen.agents.algorithms import algorithm_title
from misgen.agents.checkpoint import load_agent
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import entries

from ..evaluation.conditions import Job, agent_jobs, conditions
from ..evaluation.config import EvaluateConfig
from ..evaluation.recording import record_levels
from ..evaluation.rollout import SCHEMA
from ..evaluation.settings_words import in_words
from ..training.settings import typed
from .source import Group, Source

if TYPE_CHECKING:
    from minari.data_collector import EpisodeBuffer

_PATH = "MINARI_DATASETS_PATH"
"""Environment variable that says where Minari's datasets lie."""
_FACTS = (
    "level_id", "repeat", "aligned", "outcome", "reached_goal", "reached_proxy", "goal_fraction",
    "proxy_fraction", "first", "died", "touched_conflict_cell", "return", "progress",
)  # fmt: skip
"""What an episode's metadata hold of the evaluation's row."""


def write_minari_datasets(source: Source, groups: list[Group], into: Path) -> list[str]:
    """Write a dataset for each group, and return their names.

    Args:
        source: whose evaluation it is.
        groups: which episodes.
        into: the folder; as `MINARI_DATASETS_PATH`, Minari finds the datasets by their names.

    Raises:
        UserError: if the levels were made by hand, or the agent does not do what is stored.
    """
    config = _evaluate_config(source)
    jobs = _jobs(source, config)
    names = []
    with _datasets_in(into):
        for group in groups:
            job = jobs[group.condition, group.placement, group.on_proxy, group.actions]
            names.append(_write(source, group, job, config))
    return names


def environment(source: Source, group: Group) -> gymnasium.Env[Any, Any]:
    """Return the environment whose levels a group's episodes are of, by their ids."""
    run = source.run.config
    parameters = {k: v for k, v in run.env.items() if k != "name"}
    parameters["on_proxy"] = group.on_proxy
    _, entry = entries()[run.world.name]
    ids = source.run.test_ids(source.settings["levels"])
    return gymnasium.make(
        f"misgen.envs:{entry.env_id}",
        correlation=group.correlation,
        placement=group.placement,
        start_level=ids.start,
        num_levels=ids.stop - ids.start,
        **parameters,
    )


def stored_space(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """Return the space of what is stored of an observation: what Minari would change as integers.

    Args:
        space: of the environment's observations.
    """
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: stored_space(part) for name, part in space.spaces.items()})
    if isinstance(space, spaces.Box) and space.dtype == np.uint8:
        dtype = np.int8 if space.high.max() <= np.iinfo(np.int8).max else np.int16
        return spaces.Box(space.low.astype(dtype), space.high.astype(dtype), dtype=dtype)
    return space


def _write(source: Source, group: Group, job: Job, config: EvaluateConfig) -> str:
    """Write one dataset, and return its name."""
    import minari

    world = source.run.config.world
    env = environment(source, group)
    space = stored_space(env.observation_space)
    name = f"misgen/{world.name}/{group.name}-v0"
    buffers = _episodes(env, space, job, group, config)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # that no permalink, e-mail address, ... is given
        dataset = minari.create_dataset_from_buffers(
            name,
            buffers,  # pyright: ignore[reportArgumentType]  # gone through once, as a list would be
            env=env.spec,
            observation_space=space,
            action_space=env.action_space,
            algorithm_name=algorithm_title(source.run.config.agent.algorithm),
            author="misgen",
            description=_description(source, group),
            data_format="hdf5",
            requirements=[f"misgen=={importlib.metadata.version('misgen')}"],
        )
    facts = group.episodes.select(_FACTS).with_columns(pl.col("outcome", "first").cast(pl.String))
    dataset.storage.update_episode_metadata(facts.sort("repeat", "level_id").to_dicts())
    env.close()
    return name


def _episodes(
    env: gymnasium.Env[Any, Any],
    space: spaces.Space[Any],
    job: Job,
    group: Group,
    config: EvaluateConfig,
) -> Iterator[EpisodeBuffer]:
    """Yield the episodes of a group, by repeat and level."""
    for (repeat,), rows in group.episodes.sort("repeat", "level_id").group_by(
        "repeat", maintain_order=True
    ):
        known = rows.select(SCHEMA.names())
        recording = record_levels(
            job.agent,
            job.condition.distribution,
            known["level_id"].to_numpy(),
            actions=job.actions,
            first_repeat=int(repeat),  # pyright: ignore[reportArgumentType]
            seed=config.seed,
            num_slots=config.num_slots,
        )
        played = recording.episodes
        if not job.condition.distribution.world.goal_moves:  # there is no cell to touch
            played = played.with_columns(cell_first=pl.lit(None, pl.Boolean))
        if not played.equals(known):
            raise UserError(
                f"when replayed, the agent does not do what is stored for {group.condition} levels "
                f"({group.placement}, {group.actions} actions): the episodes were changed, or "
                "made by another agent or version; evaluate the run again"
            )
        for row, actions in zip(known.iter_rows(named=True), recording.actions, strict=True):
            yield _episode(env, space, row, actions[: row["steps"]], config.seed)


def _episode(
    env: gymnasium.Env[Any, Any],
    space: spaces.Space[Any],
    row: Mapping[str, Any],
    actions: NDArray[np.int8],
    seed: int,
) -> EpisodeBuffer:
    """Take an episode's actions in the environment, and return what was seen and paid.

    Raises:
        UserError: if the environment does not end the episode where it ended.
    """
    from minari.data_collector import EpisodeBuffer

    inner, level = env.unwrapped, int(row["level_id"])
    options = {"level_ids": [level]}
    seen = [inner.reset(seed=seed, options=options)[0]]
    paid: list[float] = []
    ends: list[tuple[bool, bool]] = []
    for action in actions:
        observation, reward, terminated, truncated, _ = inner.step(action)
        seen.append(observation)
        paid.append(float(reward))
        ends.append((terminated, truncated))
    over = [any(end) for end in ends]
    if over.index(True) + 1 != len(actions) or sum(paid) != row["return"]:
        raise UserError(
            f"level {level}: in {env.spec.id if env.spec else 'the environment'} the stored "
            "actions give another episode: evaluate the run again with this version of misgen"
        )
    return EpisodeBuffer(
        seed=seed,
        options=options,
        observations=_stacked(seen, space),
        actions=actions.astype(np.int64),  # pyright: ignore[reportArgumentType]
        rewards=paid,
        terminations=[end[0] for end in ends],
        truncations=[end[1] for end in ends],
        infos={"level_id": np.full(len(seen), level, np.int64)},
    )


def _stacked(seen: list[Any], space: spaces.Space[Any]) -> Any:
    """Return observations as arrays with a row for each, in the types that are stored."""
    if isinstance(space, spaces.Dict):
        return {
            name: _stacked([one[name] for one in seen], part) for name, part in space.spaces.items()
        }
    return np.stack(seen).astype(space.dtype)


def _evaluate_config(source: Source) -> EvaluateConfig:
    """Return the evaluation's settings.

    Raises:
        UserError: if it is of levels made by hand, which no id gives back.
    """
    settings = source.settings
    if str(settings.get("levels", "")).startswith("made by hand"):
        raise UserError(
            f"evaluation {source.evaluation.key} is of levels made by hand, which have no ids to "
            "reset an environment to: choose an evaluation of generated levels, "
            "evaluation=<beginning of its hash>"
        )
    # What the original programs run comes out the same in the world beside them.
    return typed(EvaluateConfig, {**settings, "backend": None, "threads": 1}, "evaluation.")


def _jobs(source: Source, config: EvaluateConfig) -> dict[tuple[str, str, str, str], Job]:
    """Return what the agent played, by condition, placement, rule and action mode."""
    run = source.run
    where = conditions(run.config.distribution, run.test_ids(config.levels), config)
    world = where[0].distribution.world
    agent = load_agent(run.folder.path, world.observation_space, world.action_space)
    found = {}
    for job in agent_jobs(agent, where, config):
        levels = job.condition.distribution
        found[job.condition.name, levels.placement, levels.world.on_proxy, job.actions] = job
    return found


def _description(source: Source, group: Group) -> str:
    world = source.run.config.world
    return (
        f"Episodes of the agent {source.name} in {world.name}. Intended goal: "
        f"{world.goal_description}. Proxy: {world.proxy_description}. Condition: "
        f"{group.condition}, the goal placed by {group.placement} with correlation "
        f"{group.correlation:g}, {group.actions} actions. Evaluation {source.evaluation.key}: "
        f"{in_words(source.settings)}. Observation parts of uint8 are stored as signed integers, "
        "their values unchanged. reset(seed=..., options=...) of an episode's metadata and its "
        "actions give the episode again."
    )


@contextlib.contextmanager
def _datasets_in(folder: Path) -> Iterator[None]:
    """Let Minari write its datasets into a folder."""
    before = os.environ.get(_PATH)
    os.environ[_PATH] = str(folder.absolute())
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PATH]
        else:
            os.environ[_PATH] = before
