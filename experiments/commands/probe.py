"""Test what an agent and its critic follow, level by level: misgen probe run=... [key=value ...].

Answers two questions about one trained agent, or all agents of a sweep, by changing one thing at a
time.

What determines where the agent goes?  Every conflict level of the run's evaluation is compared with
its twin, the same level with the goal at the proxy.  Each level is counted as goal-driven (the
agent followed the goal), proxy-driven (it went to the proxy without the goal), both (the goal lay
on its way) or neither.  Pull is how much more often it touches the goal's cell with the goal in it
than without; p is from McNemar's exact test.

What does its critic track?  The agent plays such pairs, and its critic values the same place with
the goal at the end, with the goal moved, without a goal, and with the level's end out of view.  The
answer is the goal, the end, both or neither, found in two ways: where these are in view, and over
time, as the agent walks past the goal and on to the end.  Actor and critic need not agree.

Writes to probes/<hash of settings>/ in the run's folder (or in out)

  probe.json         all numbers with their intervals, the tests, the profiles
  probe.png          shares, effects on the value, and the value while walking past goal and end

Examples:
  misgen probe run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen probe run=runs/coinrun-lab                      all its runs, seeds taken together
  misgen probe run=... levels=2000000:2001000 placements=[anywhere]

Settings (misgen probe run=... --cfg prints them all with their values)
  run                     an evaluated run's folder (misgen evaluate), or a sweep's
  levels                  level ids for the critic, start:stop (default: the first 200 test levels);
                          levels of training or validation are refused
  placements              where the goal is placed (default: as in the evaluation)
  actions                 sampled or greedy, for the critic's levels
  evaluation              which of the run's evaluations, by the beginning of its hash (default: the
                          sweep's own, or the only one)
  metrics.accident_rate   a cell counts as touched anyway from this share of the twin's runs on
  critic.smallest_effect  change of value, in units of reward, that counts as tracking
  out                     folder to write to
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from misgen.agents.spec import weights_checksum
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError, in_range, one_of

from ..evaluation.chosen import evaluation_of
from ..evaluation.config import ACTIONS, MetricsConfig
from ..evaluation.probes.tracking import CriticConfig
from ..evaluation.result_folders import PROBE, place
from ..training.checks import require_room
from ..training.config import TrainConfig, config_hash, id_range
from ..training.overrides import schema
from ..training.run_folder import (
    DONE,
    EPISODES,
    RunFolder,
    now,
    provenance,
    read_parquet,
    write_json,
    write_with,
)
from ..training.settings import compose, typed
from ..training.shell import shell_words
from ..training.trained_run import TrainedRun, run_or_sweep

if TYPE_CHECKING:
    import polars as pl

    from ..evaluation.rollout import Actions

JSON, PICTURE = "probe.json", "probe.png"
SCHEMA_VERSION = 2
MOST_LEVELS = 200
"""Levels that the critic is probed on unless others are asked for."""
_NO_SCIENCE = ("run", "out", "num_slots", "threads")


@schema("probe")
@dataclass(frozen=True)
class ProbeConfig:
    """One probe of one trained agent, or of a sweep's."""

    run: str = ""
    """Folder of an evaluated run, or of a sweep."""
    levels: str | None = None
    """Level ids for the critic, as `start:stop`; none: the first test levels of the run."""
    placements: tuple[str, ...] | None = None
    """Where the goal goes; none: as in the run's evaluation."""
    evaluation: str | None = None
    """What the hash of its settings begins with; none: the sweep's own, or the only one."""
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
            id_range("levels", self.levels)


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.probe_sentences import print_probe
    from ..training.progress import episode_progress
    from .common import print_config

    if "--cfg" in argv:
        return print_config("probe", argv)
    hashes = [word for word in argv if word.startswith("evaluation=")]  # 12e4 is one, no number
    plain = compose("probe", [word for word in argv if word not in hashes])
    if hashes:
        plain["evaluation"] = hashes[-1].partition("=")[2]
    config = typed(ProbeConfig, plain)
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

    from ..evaluation.probes import pairs, tracking
    from ..training.progress import counter

    jobs = [_job(folder, config) for folder in run_or_sweep(config.run)]
    _require_one_evaluation(jobs, config)
    _require_seeds_once(jobs, config.run)
    out = config.out or config.run
    require_room(Path(out), "out" if config.out else "run", out)
    tune_process(config.threads)
    total = sum(2 * len(job.levels.ids_to_play()) * len(job.placements) for job in jobs)
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
        "policies": {job.folder.path.name: job.policy for job in jobs},
        "critic_levels": str(jobs[0].levels.ids),
        "config": _settings(jobs, config),
        "pairs": paired.to_dicts(),
        "mcnemar": pairs.mcnemar_table(episodes).to_dicts(),
        "critic": table.to_dicts(),
        "tracks": [
            {**keys, **asdict(found)} for keys, found in tracking.judge_critic(table, config.critic)
        ],
        "profiles": tracking.critic_profiles(states, config.critic).to_dicts(),
    }


def _require_seeds_once(jobs: list[_Job], run: str) -> None:
    """Refuse two runs of one training seed: they would be taken for one agent.

    Raises:
        UserError: naming them.
    """
    known: dict[tuple[float, str, int], str] = {}
    for job in jobs:
        trained = job.training
        key = (float(trained.correlation), trained.placement, trained.seed)
        if key in known:
            raise UserError(
                f"run={run}: {known[key]} and {job.folder.path.name} are two runs of one seed "
                f"(correlation {key[0]:g}, {key[1]}, seed {key[2]}): give run=... for one of them"
            )
        known[key] = job.folder.path.name


def _settings(jobs: list[_Job], config: ProbeConfig) -> dict[str, Any]:
    """Return what determines the result, what was left open filled in."""
    plain = {k: v for k, v in asdict(config).items() if k not in _NO_SCIENCE}
    return plain | {
        "levels": str(jobs[0].levels.ids),
        "placements": list(jobs[0].placements),
        "evaluation": jobs[0].evaluation,
    }


def _require_one_evaluation(jobs: list[_Job], config: ProbeConfig) -> None:
    """Refuse runs that were evaluated with different settings.

    Raises:
        UserError: naming two.
    """
    for job in jobs:
        if job.evaluation != jobs[0].evaluation:
            raise UserError(
                f"run={config.run} holds runs that were evaluated with different settings, "
                f"{jobs[0].folder.path.name} ({jobs[0].evaluation}) and {job.folder.path.name} "
                f"({job.evaluation}): evaluate them alike, and choose with "
                "evaluation=<beginning of its hash>"
            )


def write_probe(found: Mapping[str, Any], home: Path) -> Path:
    """Write probe.json and probe.png to `probes/<hash>/` in a folder; return the picture's path."""
    from ..reporting.figures import png_bytes
    from ..reporting.probe_figure import draw_probe

    key = config_hash({"config": found["config"], "policies": sorted(found["policies"].values())})
    into = place(home, PROBE, key)
    with into.lock():
        into.unmark(DONE)
        write_json(into.path / JSON, found)
        picture = png_bytes(draw_probe(found))
        write_with(into.path / PICTURE, lambda handle: handle.write(picture))
        into.mark(DONE, key)
    return into.path / PICTURE


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
    evaluation: str
    """Hash of that evaluation's settings."""
    policy: str
    """SHA-256 of its weights."""

    def ask(self, config: ProbeConfig, count: Callable[[int], object]) -> Iterator[pl.DataFrame]:
        """Probe the critic with each placement."""
        from misgen.agents.checkpoint import load_agent

        from ..evaluation.probes.critic import probe_critic

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
                self.levels.ids_to_play(),
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

    from ..evaluation.conditions import NEEDED
    from ..evaluation.probes.critic import require_movable_goal

    run = TrainedRun.read(folder)
    require_movable_goal(run.config.world)
    evaluation = evaluation_of(folder, config.evaluation)
    if evaluation is None:
        raise UserError(
            f"{folder.path} was not evaluated: run "
            f"{shell_words('misgen', 'evaluate', f'run={folder.path}')} first"
        )
    levels = run.test_ids(config.levels)
    if config.levels is None:
        levels = levels.first(MOST_LEVELS)
    hint = f"run misgen evaluate run={folder.path} again"
    digest = evaluation.found.get("episodes_sha256")
    episodes = read_parquet(evaluation.path / EPISODES, digest, NEEDED, hint)
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
        evaluation.key,
        weights_checksum(folder.path),
    )


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("probe", main))
