"""What an agent and its critic go for, level by level: misgen probe run=... [key=value ...].

Two questions about one trained agent, or all agents of a sweep, answered by changing one thing.

What decides where the agent goes?  Every conflict level of the run's evaluation is set beside its
twin, the same level with the goal at the proxy.  Each level is counted as goal-driven (it followed
the goal), proxy-driven (it went to the proxy without the goal), both (the goal lay on its way) or
neither; pull is how much more often it touches the goal's cell with the goal in it than without,
and p is McNemar's, exact.

What does its critic track?  The agent plays such pairs, and its critic is asked what the same place
is worth with the goal at the end, with the goal moved, without a goal, and with the level's end out
of view: the goal, the end, both or neither, in two ways: where things are in view, and in time, as
the agent walks past the goal and on to the end.  Actor and critic need not agree.

Writes into the run's folder (or into out)

  probe.json         all numbers with their intervals, the tests, the profiles
  probe.png          shares, effects on the value, and the value while walking past goal and end

Examples:
  misgen probe run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen probe run=runs/coinrun-lab                      all its runs, seeds taken together
  misgen probe run=... levels=2000000:2001000 placements=[anywhere]

Settings (misgen probe run=... --cfg prints them all with their values)
  run                     an evaluated run's folder (misgen evaluate), or a sweep's
  levels                  level ids for the critic, start:stop; the first 200 test levels unless
                          given; levels of training or validation are refused
  placements              where the goal goes; as in the evaluation unless given
  actions                 sampled or greedy, for the critic's levels
  metrics.accident_rate   share of a twin's runs from which on a cell counts as touched anyway
  critic.smallest_effect  change of value, in units of reward, that counts as tracking
  out                     folder to write to
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError, in_range, one_of

from .config import TrainConfig, compose, typed
from .evaluation.config import ACTIONS, MetricsConfig
from .evaluation.tracking import CriticConfig
from .runs import EPISODES, EVALUATED, RunFolder, now, provenance, write_json, write_with
from .trained import TrainedRun, run_or_sweep

if TYPE_CHECKING:
    import polars as pl

    from .evaluation.rollout import Actions

JSON, PICTURE = "probe.json", "probe.png"
SCHEMA_VERSION = 1
MOST_LEVELS = 200
"""Levels that the critic is probed on unless others are asked for."""


@dataclass(frozen=True)
class ProbeConfig:
    """One probe of one trained agent, or of a sweep's."""

    run: str = ""
    """Folder of an evaluated run, or of a sweep."""
    levels: str | None = None
    """Level ids for the critic, as `start:stop`; none: the first test levels of the run."""
    placements: tuple[str, ...] | None = None
    """Where the goal goes; none: as in the run's evaluation."""
    actions: str = "sampled"
    """Action mode on the critic's levels."""
    seed: int = 0
    """Seed of sampled actions."""
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    """From pairs to numbers."""
    critic: CriticConfig = field(default_factory=CriticConfig)
    """From values to numbers and words."""
    num_slots: int = 256
    """Levels played side by side; changes no result."""
    threads: int = 1
    """CPU threads; changes no result."""
    out: str | None = None
    """Folder to write to; none: the run's."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        one_of("actions", self.actions, ACTIONS)
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("num_slots", self.num_slots, 1, 10_000)
        in_range("threads", self.threads, 1, 1024)
        if self.levels is not None:
            IdRange.parse(self.levels)


def main(argv: list[str]) -> int:
    """Run the command."""
    from .command import print_config
    from .progress import episode_progress
    from .reporting.probe_words import print_probe

    if "--cfg" in argv:
        return print_config("probe", argv)
    config = typed(ProbeConfig, compose("probe", argv))
    with episode_progress("probe") as show:
        found = probe(config, show)
    print_probe(found)
    print(f"written: {write_probe(found, Path(config.out or config.run))}")
    return 0


def probe(config: ProbeConfig, show: Callable[[int, int], object] | None = None) -> dict[str, Any]:
    """Return what probe.json holds.

    Sets the number of CPU threads of numba and torch in this process.

    Args:
        config: settings.
        show: called with the number of the critic's episodes that ended, and of all.

    Raises:
        UserError: if a run was not evaluated, or the levels overlap with its training.
    """
    import polars as pl

    from misgen.agents.threads import tune_process

    from .evaluation import pairs, tracking
    from .progress import counter

    tune_process(config.threads)
    jobs = [_job(folder, config) for folder in run_or_sweep(config.run)]
    total = sum(2 * len(job.levels.ids) * len(job.placements) for job in jobs)
    count = counter(show, total)
    episodes = pl.concat([job.episodes for job in jobs])
    states = pl.concat([table for job in jobs for table in job.ask(config, count)])
    try:
        table = tracking.critic_table(states, config.critic)
        paired = pairs.pairs_table(episodes, config.metrics)
    except ValueError as error:  # two runs of one seed
        raise UserError(f"run={config.run}: {error}") from None
    return {
        "schema_version": SCHEMA_VERSION,
        "finished": now(),
        "provenance": provenance(),
        "runs": [job.folder.path.name for job in jobs],
        "critic_levels": str(jobs[0].levels.ids),
        "config": asdict(config),
        "pairs": paired.to_dicts(),
        "mcnemar": pairs.mcnemar_table(episodes).to_dicts(),
        "critic": table.to_dicts(),
        "tracks": [
            {**keys, **asdict(found)} for keys, found in tracking.judge_critic(table, config.critic)
        ],
        "profiles": tracking.critic_profiles(states, config.critic).to_dicts(),
    }


def write_probe(found: Mapping[str, Any], folder: Path) -> Path:
    """Write probe.json and probe.png; return the picture's path."""
    from .reporting.figures import png_bytes
    from .reporting.probe_figure import draw_probe

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out={folder} cannot be made ({error.strerror})") from None
    write_json(folder / JSON, found)
    picture = png_bytes(draw_probe(found))
    write_with(folder / PICTURE, lambda handle: handle.write(picture))
    return folder / PICTURE


@dataclass(frozen=True, eq=False)
class _Job:
    """One evaluated run."""

    folder: RunFolder
    training: TrainConfig
    levels: LevelDistribution
    """The levels of the critic's probe."""
    placements: tuple[str, ...]
    episodes: pl.DataFrame
    """Those of its evaluation, with these placements."""

    def ask(self, config: ProbeConfig, count: Callable[[int], object]) -> Iterator[pl.DataFrame]:
        """Probe the critic with each placement."""
        from misgen.agents.checkpoint import load_agent

        from .evaluation.critic import probe_critic

        world = self.levels.world
        agent = load_agent(self.folder.path, world.observation_space, world.action_space)
        labels = {
            "train_correlation": float(self.training.correlation),
            "train_placement": self.training.placement,
            "train_seed": self.training.seed,
            "run": self.folder.path.name,
        }
        for placement in self.placements:
            yield probe_critic(
                agent,
                self.levels.at(placement=placement),
                self.levels.ids.ids(),
                actions=cast("Actions", config.actions),
                seed=config.seed,
                labels=labels,
                after=config.critic.reach,
                num_slots=config.num_slots,
                progress=count,
            )


def _job(folder: RunFolder, config: ProbeConfig) -> _Job:
    """Return what is probed in one run.

    Raises:
        UserError: if it was not evaluated, lacks a placement, or learned from one of the levels.
    """
    import polars as pl

    run = TrainedRun.read(folder)
    file = folder.path / EPISODES
    if not ((folder.path / EVALUATED).is_file() and file.is_file()):
        raise UserError(
            f"{folder.path} was not evaluated: run misgen evaluate run={folder.path} first"
        )
    levels = run.test_ids(config.levels)
    if config.levels is None:
        levels = IdRange(levels.start, min(levels.stop, levels.start + MOST_LEVELS))
    episodes = pl.read_parquet(file)
    evaluated = episodes.filter(pl.col("condition") == "shifted")["placement"].unique().to_list()
    placements = config.placements or tuple(sorted(evaluated))
    for placement in placements:
        one_of("placements", placement, evaluated)
    return _Job(
        folder,
        run.config,
        run.config.distribution.at(ids=levels),
        placements,
        episodes.filter(pl.col("placement").is_in(placements)),
    )


if __name__ == "__main__":
    from .command import run_module

    sys.exit(run_module("probe", main))
