"""Infer what trained agents are after: misgen objective run=... [key=value ...].

Plays the agent on test levels where the goal and the proxy ask for different things (the goal is
away from the shortest way to the proxy), and asks of each episode how likely its actions are for an
agent after the goal, for one after the proxy, and for a mindless device (random actions, a fixed
habit, a habit of what follows what).  A planner tells how many decisions each action costs on the
way to either.  Prints, for each training setting, the share of episodes that each explains, with a
95% interval over levels (and over training seeds, where a sweep has several), p(agent), the mean
probability that an episode is after anything (1/2 beforehand), and which explains the behaviour.
Writes into objectives/<hash>/ in each run's folder, a folder for each set of settings,

  objective.parquet  one row per episode: log likelihoods, and posterior probabilities p_...
  objective.json     the shares, and the settings
  objective.png      the shares, drawn

and for a sweep the last two likewise into its own.  What is already there is not repeated.  It
takes about half a second an episode.

Examples:
  misgen objective run=runs/coinrun-lab                         a sweep: all its runs
  misgen objective run=runs/single/coinrun-rho1-seed0-0123456789 episodes=300
  misgen objective run=... placement=section_start              the paper's placement
  misgen objective run=... objective.tempering=1                take decisions as independent

Settings (misgen objective run=... --cfg prints them all with their values)
  run         folder of a finished run, or of a sweep
  levels      test level ids to choose from, start:stop; unless given those that the run set aside;
              levels of its training or validation are refused
  episodes    how many of them are played at most, one episode each: the first where the two part
  placement   where the goal goes; any placement of the world
  actions     sampled, greedy
  on_proxy    what reaching the proxy first does: end (the paper's test), continue, penalty
  seed        seed of the sampled actions
  objective   priors; explained in misgen.experiments.evaluation.objective
  threads     CPU threads; changes no result
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.episode import ON_PROXY
from misgen.envs.core.errors import in_range, one_of

from ..evaluation.config import ACTIONS
from ..evaluation.objective.behavioural_objective import (
    ObjectiveConfig,
    gather,
    parting_ids,
    posteriors,
)
from ..evaluation.objective.explain import explain, words
from ..evaluation.result_folders import OBJECTIVE, place
from ..training.config import compose, config_hash, id_range, typed
from ..training.run_folder import (
    DONE,
    RunFolder,
    digest_beside,
    file_sha256,
    provenance,
    read_parquet,
    write_json,
    write_parquet,
    write_with,
)
from ..training.trained_run import TrainedRun, run_or_sweep

if TYPE_CHECKING:
    import polars as pl

TABLE, EPISODES, PICTURE = "objective.json", "objective.parquet", "objective.png"


@dataclass(frozen=True)
class ObjectiveCommand:
    """An inference about one run, or all runs of a sweep."""

    run: str = ""
    """Folder of a finished run, or of a sweep."""
    levels: str | None = None
    """Level ids to choose from, as `start:stop`; none: those that the run set aside."""
    episodes: int = 100
    """How many levels are played at most, an episode each."""
    placement: str = "anywhere"
    """Where the goal goes on a conflict level."""
    actions: str = "sampled"
    """Action mode: sampled, greedy."""
    on_proxy: str = "end"
    """What reaching the proxy before the goal does in the test."""
    seed: int = 0
    """Seed of sampled actions."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """From episodes to probabilities."""
    threads: int = 1
    """CPU threads; changes no result."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        one_of("actions", self.actions, ACTIONS)
        one_of("on_proxy", self.on_proxy, ON_PROXY)
        in_range("episodes", self.episodes, 1, 1_000_000)
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("threads", self.threads, 1, 1024)
        if self.levels is not None:
            id_range("levels", self.levels)

    @property
    def science(self) -> dict[str, Any]:
        """What determines the result, as plain data."""
        plain = dataclasses.asdict(self)
        return {key: plain[key] for key in plain if key not in ("run", "threads")}


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.objective import print_explained
    from .common import print_config

    if "--cfg" in argv:
        return print_config("objective", argv)
    config = typed(ObjectiveCommand, compose("objective", argv))
    folders = run_or_sweep(config.run)
    for folder in folders:
        check(folder, config)
    groups = by_training([infer(folder, config) for folder in folders])
    tables = {label: explain(episodes, config.objective) for label, episodes in groups.items()}
    print_explained(tables, config.placement)
    into = _folder(folders[0], config)
    if len(folders) > 1:
        into = _of_sweep(folders, config)
        with into.lock():
            _write(into, tables, config, {one.path.name: _policy(one) for one in folders})
            into.mark(DONE, into.path.name)
    print(f"written: {into.path / PICTURE} and {TABLE}, and by episode {EPISODES}")
    return 0


def check(folder: RunFolder, config: ObjectiveCommand) -> LevelDistribution:
    """Return the levels that are chosen from; refuse a run on which nothing can be inferred.

    Raises:
        UserError: naming the setting.
    """
    from misgen.envs.core.planning.planner import make_planner

    from ..evaluation.checks import require_room

    run = TrainedRun.read(folder)
    require_room(folder.path, "run", config.run or folder.path)
    world = dataclasses.replace(run.config.world, on_proxy=config.on_proxy)
    make_planner(world)
    return LevelDistribution(world, 0.0, config.placement, run.test_ids(config.levels))


def infer(folder: RunFolder, config: ObjectiveCommand) -> pl.DataFrame:
    """Play a finished run's agent, unless it was done before, and return the evidence.

    Sets the number of CPU threads of numba and torch in this process.

    Args:
        folder: the training run.
        config: settings; its `run` is ignored.

    Returns:
        `posteriors`, and `train_seed`, `train_correlation`, `train_placement`.

    Raises:
        UserError: if the run is not finished, or the levels overlap with its training.
    """
    import polars as pl

    run = TrainedRun.read(folder)
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
            _write(into, tables, config, {folder.path.name: _policy(folder)})
            into.mark(DONE, key)
    path = into.path / EPISODES
    return read_parquet(path, digest_beside(path, TABLE), hint=f"delete {DONE} beside it")


def by_training(found: list[pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return all episodes by what their agents were trained on, seeds together."""
    import polars as pl

    keys = ("train_correlation", "train_placement")
    groups = pl.concat(found).sort(*keys, descending=True).group_by(*keys, maintain_order=True)
    return {f"ρ = {key[0]:g}, {key[1]}": group for key, group in groups}


def _play(run: TrainedRun, config: ObjectiveCommand) -> pl.DataFrame:
    from misgen.agents.checkpoint import load_agent
    from misgen.agents.threads import tune_process
    from misgen.envs.core.planning.planner import make_planner

    from ..training.progress import counter, episode_progress

    tune_process(config.threads)
    shifted = check(run.folder, config)
    world = shifted.world
    path = run.folder.path
    agent = load_agent(path, world.observation_space, world.action_space)
    with episode_progress(path.name) as show:
        chosen = parting_ids(shifted, make_planner(world), config.episodes)
        return gather(
            agent,
            shifted,
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
) -> None:
    """Write objective.json and objective.png."""
    from ..reporting.figures import png_bytes
    from ..reporting.objective import draw_explained

    rows = into.path / EPISODES
    found = {
        **provenance(),
        "config": config.science,
        "policies": policies,
        "episodes_sha256": file_sha256(rows) if rows.is_file() else None,
        "results": [
            {"label": label, "words": words(table), "explained": table.to_dicts()}
            for label, table in tables.items()
        ],
    }
    write_json(into.path / TABLE, found)
    picture = png_bytes(draw_explained(tables, config.placement))
    write_with(into.path / PICTURE, lambda handle: handle.write(picture))


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("objective", main))
