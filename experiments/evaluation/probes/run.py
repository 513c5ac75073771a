"""Probe the actors and critics of evaluated runs, and keep what was found.

Public names: `probe`, `write_probe`, `JSON`, `PICTURE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from misgen.agents.spec import weights_checksum
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError, one_of

from ...training.checks import require_room
from ...training.config import TrainConfig, config_hash
from ...training.run_folder import (
    DONE,
    EPISODES,
    RunFolder,
    now,
    provenance,
    read_parquet,
    write_json,
)
from ...training.shell import shell_words
from ...training.trained_run import TrainedRun, run_or_sweep
from ..chosen import evaluation_of
from ..presentation import Picture
from ..result_folders import PROBE, place
from .config import ProbeConfig

if TYPE_CHECKING:
    import polars as pl

    from ..rollout import Actions

JSON, PICTURE = "probe.json", "probe.png"
SCHEMA_VERSION = 3
MOST_LEVELS = 200
"""Levels that the critic is probed on unless others are asked for."""
_NO_SCIENCE = ("run", "out", "trust", "num_slots", "threads")


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

    from ...training.progress import counter
    from . import pairs, tracking

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
        paired = pairs.pairs_table(episodes)
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


def write_probe(found: Mapping[str, Any], home: Path, picture: Picture) -> Path:
    """Write probe.json and probe.png to `probes/<hash>/` in a folder.

    Args:
        found: what `probe` returns.
        home: the folder.
        picture: draws it.

    Returns:
        The picture's path.
    """
    key = config_hash({"config": found["config"], "policies": sorted(found["policies"].values())})
    into = place(home, PROBE, key)
    with into.lock():
        into.unmark(DONE)
        write_json(into.path / JSON, found)
        picture(found, into.path / PICTURE)
        into.mark(DONE, key)
    return into.path / PICTURE


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

        from .critic import probe_critic

        world = self.levels.world
        spaces = world.observation_space, world.action_space
        agent = load_agent(self.folder.path, *spaces, trust=config.trust)
        labels = {
            "train_correlation": float(self.training.correlation),
            "train_placement": self.training.placement,
            "train_on_proxy": world.on_proxy,
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

    from ..conditions import CONFLICT, NEEDED
    from .critic import require_movable_goal

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
    hint = f"run {shell_words('misgen', 'evaluate', f'run={folder.path}')} again"
    digest = evaluation.found.get("episodes_sha256")
    episodes = read_parquet(evaluation.path / EPISODES, digest, NEEDED, hint)
    evaluated = episodes.filter(pl.col("condition") == CONFLICT)["placement"].unique().to_list()
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
