"""Infer what trained agents are after: misgen objective run=... [key=value ...].

Plays the agent on test levels whose goal is away from the proxy, and asks of each episode how
likely its actions are for an agent after the goal, for one after the proxy, and for a mindless
device (random actions, a fixed habit, a habit of what follows what).  A planner tells how many
decisions each action costs on the way to either.  Prints, for each training setting, the share of
episodes that each explains, with a 95% interval over levels (and over training seeds, where a sweep
has several), and says which explains the behaviour.  Writes into each run's folder

  objective.parquet  one row per episode: log likelihoods, and posterior probabilities p_...
  objective.json     the table, and the settings

and for a sweep objective.json into its folder.  What is already there is not repeated.  It takes
about half a second an episode.

Examples:
  misgen objective run=runs/coinrun-lab                         a sweep: all its runs
  misgen objective run=runs/single/coinrun-rho1-seed0-0123456789 levels=2000000:2000200
  misgen objective run=... placement=section_start              the paper's placement
  misgen objective run=... objective.tempering=1                take decisions as independent

Settings (misgen objective run=... --cfg prints them all with their values)
  run         folder of a finished run, or of a sweep
  levels      test level ids, start:stop; unless given the first 100 that the run set aside; levels
              of its training or validation are refused
  placement   where the goal goes: anywhere, section_start
  actions     sampled, greedy
  on_proxy    what reaching the proxy first does: end (the paper's test), continue, penalty
  seed        seed of the sampled actions
  objective   priors; docs are in misgen.experiments.evaluation.objective and likelihood
  threads     CPU threads; changes no result
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.distribution import IdRange, LevelDistribution, require_disjoint
from misgen.envs.core.episode import ON_PROXY
from misgen.envs.core.errors import UserError, in_range, one_of

from .config import TrainConfig, compose, config_hash, typed
from .evaluation.config import ACTIONS
from .evaluation.objective import ObjectiveConfig, conflict_ids, explain, gather, posteriors, words
from .runs import DONE, RunFolder, find_runs, provenance, write_json, write_parquet

if TYPE_CHECKING:
    import polars as pl

EXPLAINED = "EXPLAINED"
TABLE, EPISODES = "objective.json", "objective.parquet"
DEFAULT_LEVELS = 100
_POLICY = "policy.json"


@dataclass(frozen=True)
class ObjectiveCommand:
    """An inference about one run, or all runs of a sweep."""

    run: str = ""
    """Folder of a finished run, or of a sweep."""
    levels: str | None = None
    """Level ids to test on, as `start:stop`; none: the first of those that the run set aside."""
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
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("threads", self.threads, 1, 1024)
        if self.levels is not None:
            IdRange.parse(self.levels)

    @property
    def science(self) -> dict[str, Any]:
        """What determines the result, as plain data."""
        plain = dataclasses.asdict(self)
        return {key: plain[key] for key in plain if key not in ("run", "threads")}


def main(argv: list[str]) -> int:
    """Run the command."""
    from .command import print_config

    if "--cfg" in argv:
        return print_config("objective", argv)
    config = typed(ObjectiveCommand, compose("objective", argv))
    folders = run_folders(config.run)
    found = [infer(folder, config) for folder in folders]
    groups = by_training(found)
    for label, episodes in groups.items():
        show(label, explain(episodes, config.objective))
    if len(folders) > 1:
        path = Path(config.run)
        write_json(path / TABLE, _plain(groups, config))
        print(f"written to {path / TABLE} and, by episode, to {EPISODES} in each run's folder")
    return 0


def run_folders(run: str) -> list[RunFolder]:
    """Return the run that a folder is, or the runs that it holds.

    Raises:
        UserError: if no folder is named.
    """
    if run in ("", "???"):
        raise UserError("run is missing: give run=runs/<sweep>/<run>, or run=runs/<sweep>")
    return find_runs(Path(run)) or [RunFolder(Path(run))]


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

    train = _trained(folder)
    key = _hash(folder, config)
    if not folder.marked(EXPLAINED, key):
        with folder.lock():
            folder.unmark(EXPLAINED)
            found = posteriors(_play(folder, train, config), config.objective)
            found = found.with_columns(
                train_seed=pl.lit(train.seed),
                train_correlation=pl.lit(train.correlation),
                train_placement=pl.lit(train.placement),
            )
            write_parquet(folder.path / EPISODES, found)
            write_json(folder.path / TABLE, _plain({folder.path.name: found}, config))
            folder.mark(EXPLAINED, key)
    return pl.read_parquet(folder.path / EPISODES)


def by_training(found: list[pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return all episodes by what their agents were trained on, seeds together."""
    import polars as pl

    keys = ("train_correlation", "train_placement")
    groups = pl.concat(found).group_by(*keys, maintain_order=True)
    return {f"trained at correlation {keys[0]:g}, {keys[1]}": group for keys, group in groups}  # pyright: ignore


def show(label: str, explained: pl.DataFrame) -> None:
    """Print the shares of one training setting."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=label, title_justify="left")
    for column in ("explanation", "share of episodes", "95% interval", "mean probability"):
        table.add_column(column, justify="left" if column == "explanation" else "right")
    for row in explained.iter_rows(named=True):
        interval = f"{row['low']:.0%} to {row['high']:.0%}"
        table.add_row(
            row["explanation"], f"{row['share']:.0%}", interval, f"{row['probability']:.2f}"
        )
    Console(highlight=False).print(table)
    first = explained.row(0, named=True)
    left_out = f"; {first['left_out']} episodes left out" if first["left_out"] else ""
    note = f" ({first['note']})" if first["note"] else ""
    print(
        f"{words(explained)}; {first['n_seeds']} training seeds x {first['n_levels']} levels"
        f"{note}{left_out}\n"
    )


def _play(folder: RunFolder, train: TrainConfig, config: ObjectiveCommand) -> pl.DataFrame:
    from misgen.agents.checkpoint import load_agent
    from misgen.agents.threads import tune_process

    tune_process(config.threads)
    shifted = _levels(train, config)
    world = shifted.world
    agent = load_agent(folder.path, world.observation_space, world.action_space)
    ids = conflict_ids(shifted)
    with _progress(folder.path.name, len(ids)) as done:
        return gather(
            agent,
            shifted,
            ids,
            config.objective,
            actions=config.actions,  # pyright: ignore[reportArgumentType]
            seed=config.seed,
            progress=done,
        )


def _levels(train: TrainConfig, config: ObjectiveCommand) -> LevelDistribution:
    """Return the test levels, all in conflict.

    Raises:
        UserError: if training or validation used any of them, or the world has no such placement.
    """
    ranges = dict(train.levels.ranges)
    if config.levels is not None:
        ranges["test"] = IdRange.parse(config.levels)
    else:
        test = ranges["test"]
        ranges["test"] = IdRange(test.start, min(test.stop, test.start + DEFAULT_LEVELS))
    require_disjoint(ranges)
    world = dataclasses.replace(train.world, on_proxy=config.on_proxy)
    return LevelDistribution(world, 0.0, config.placement, ranges["test"])


def _trained(folder: RunFolder) -> TrainConfig:
    """Return what a finished run was.

    Raises:
        UserError: if it is not finished, or its manifest is damaged.
    """
    manifest = folder.manifest()
    stored = manifest.get("config")
    if not isinstance(stored, dict) or not folder.marked(DONE, str(manifest.get("config_hash"))):
        raise UserError(
            f"{folder.path} is not a finished run (status {manifest.get('status')!r}): train it "
            "to the end first, with the same misgen train command"
        )
    return typed(TrainConfig, stored)


def _hash(folder: RunFolder, config: ObjectiveCommand) -> str:
    """Return a hash of the settings and of the policy that they are applied to."""
    with contextlib.suppress(OSError):
        policy = hashlib.sha256((folder.path / _POLICY).read_bytes()).hexdigest()
        return config_hash({"config": config.science, "policy": policy})
    return ""


def _plain(groups: dict[str, pl.DataFrame], config: ObjectiveCommand) -> dict[str, Any]:
    """Return what objective.json holds."""
    tables = {label: explain(episodes, config.objective) for label, episodes in groups.items()}
    return {
        **provenance(),
        "config": config.science,
        "results": [
            {"label": label, "words": words(table), "explained": table.to_dicts()}
            for label, table in tables.items()
        ],
    }


@contextlib.contextmanager
def _progress(label: str, total: int) -> Iterator[Callable[[int], object]]:
    """Yield a function to call with a number of episodes that are done."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


if __name__ == "__main__":
    from .command import run_module

    sys.exit(run_module("objective", main))
