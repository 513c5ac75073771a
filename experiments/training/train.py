"""One training run, from its config to the files in its folder.

Public names: `train`, `train_agent`, `run_folder`, `is_done`, `rounded`.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.processes import stopping_cleanly

from .accounting import Meter, compute_of
from .checks import initial_weights_of, require_trainable
from .config import TrainConfig
from .run_folder import (
    DONE,
    EVALUATED,
    LEARNING,
    MANIFEST,
    STATE,
    RunFolder,
    curve_columns,
    now,
    provenance,
    read_json,
    read_parquet,
    snapshot_of,
    write_json,
    write_parquet,
)
from .settings import compose, typed
from .trackers import TrackedRun, open_trackers

if TYPE_CHECKING:
    from collections.abc import Callable

    from misgen.agents.learner import Learned
    from misgen.agents.spec import PolicySpec

_SAVE_EVERY = 10.0  # seconds between two writes of the learning curve and the status


def rounded(config: TrainConfig) -> list[str]:
    """Return a sentence for numbers of decisions that are rounded up to whole rollouts."""
    moved = [f"{a:,} after {b:,}" for a, b in config.kept_snapshots.items() if a != b]
    if not moved:
        return []
    return [
        f"snapshots are kept at the end of a rollout of {config.agent.rollout:,} decisions: "
        f"{', '.join(moved)}"
    ]


def run_folder(config: TrainConfig) -> RunFolder:
    """Return the folder that the run belongs in, whether or not it exists."""
    return RunFolder(Path(config.runs) / config.name / f"{config.slug}-{config.hash}")


def train(config: TrainConfig, show: Callable[[dict[str, Any]], None] | None = None) -> RunFolder:
    """Train, unless it was done before, and return the run's folder.

    The folder is marked `DONE`, unless `stop_after` came first: then another call continues.

    Args:
        config: the run.
        show: called after every rollout with its record.

    Raises:
        UserError: if it cannot be trained so, another process trains the same run, or the disk is
            full.
    """
    folder = run_folder(config)
    if is_done(folder, config):
        return folder
    require_trainable(config)
    with stopping_cleanly(), folder.lock():
        earlier = _spent_before(folder)
        meter = Meter()
        folder.unmark(DONE, EVALUATED)
        manifest = {
            **provenance(),
            "status": "running",
            "config": config.science,
            "config_hash": config.hash,
            "algorithm": config.agent.algorithm,
            "continues": config.agent.continues,
            "slug": config.slug,
            "name": config.name,
        }
        write_json(folder.path / MANIFEST, manifest | ({"compute": earlier} if earlier else {}))
        started = time.monotonic()
        try:
            manifest |= _train(config, folder, show)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            manifest |= {"status": "stopped" if stopped else "failed", "error": repr(error)}
            raise
        finally:
            manifest |= {"wall_seconds": time.monotonic() - started, "finished": now()}
            manifest["compute"] = manifest.get("compute", {}) | meter.read(earlier)
            folder.status(phase=manifest["status"])
            write_json(folder.path / MANIFEST, manifest)
        if manifest["status"] == "done":
            folder.mark(DONE, config.hash)
            folder.tidy(finished=True)
    return folder


def train_agent(*settings: str, show: Callable[[dict[str, Any]], None] | None = None) -> RunFolder:
    """Train with the settings of `misgen train`, and return the run's folder.

        train_agent("correlation=1", "preset=lab", "seed=3")

    Args:
        *settings: as on the command line; `misgen train --help` has them.
        show: called after every rollout with its record.

    Raises:
        UserError: as `train`, and for a setting that is not known.
    """
    return train(typed(TrainConfig, compose("train", settings)), show)


def _spent_before(folder: RunFolder) -> dict[str, Any]:
    """Return what earlier starts of a training that is not finished used."""
    try:
        manifest = read_json(folder.path / MANIFEST, "")
    except UserError:
        return {}
    return {} if manifest.get("status") == "done" else dict(manifest.get("compute") or {})


def is_done(folder: RunFolder, config: TrainConfig) -> bool:
    """Return whether the run is trained; then remove what a kill may have left."""
    done = folder.marked(DONE, config.hash)
    if done:
        folder.tidy(finished=True)
    return done


def _train(
    config: TrainConfig, folder: RunFolder, show: Callable[[dict[str, Any]], None] | None
) -> dict[str, Any]:
    """Train and write all but manifest and marker; return what the manifest gains.

    Its `status` is `done`, or `stopped` if the time was up before.
    """
    from misgen.agents.algorithms import make_learner
    from misgen.agents.checkpoint import save_policy
    from misgen.agents.resume import ResumeState
    from misgen.agents.spec import PolicySpec
    from misgen.envs.core.views.sb3 import MisgenVecEnv

    world = config.world
    env = MisgenVecEnv(config.distribution, config.agent.num_envs, config.seed, config.level_replay)
    spec = PolicySpec.of(
        config.agent,
        world.observation_space,
        world.action_space,
        str(dataclasses.asdict(world).get("action_set", "")),
        {"config": config.science},
    )
    tracked = TrackedRun(folder.path, config.slug, config.name, config.science)
    with open_trackers(config.logger, tracked) as log:
        curve = _Curve(config, folder, log, show)
        resume_state = ResumeState(
            folder.path / STATE,
            config.hash,
            60 * config.save_every,
            None if config.stop_after is None else 60 * config.stop_after,
            curve.write,
            curve.take_up,
        )
        try:
            learned = make_learner(config.agent.algorithm).learn(
                env,
                config.agent,
                config.seed,
                curve.add,
                resume_state,
                warm_start=initial_weights_of(config),
                snapshot=_Snapshots(config, folder, spec),
            )
        finally:
            curve.write()
    if resume_state.stopped:
        return {
            "status": "stopped",
            "continued_at": resume_state.cuts,
            "learning_sha256": curve.digest,
        }
    spec = dataclasses.replace(spec, reward_scale=learned.reward_scale)
    save_policy(folder.path, learned.network, spec)
    return {
        "status": "done",
        "continued_at": resume_state.cuts,
        "learning_sha256": curve.digest,
        "snapshots": {str(asked): kept for asked, kept in config.kept_snapshots.items()},
        "environment_steps": learned.steps,
        "gradients": learned.gradients,
        "parameters": sum(p.numel() for p in learned.network.parameters()),
        "compute": compute_of(config, learned.network, learned.steps),
        "training_levels": config.distribution.describe(),
        **({"level_replay": env.replayed} if env.replayed else {}),
    }


class _Snapshots:
    """Keeps the policy as it was after certain numbers of decisions."""

    def __init__(self, config: TrainConfig, folder: RunFolder, spec: PolicySpec) -> None:
        self._due = sorted(config.snapshots, reverse=True)
        self._run = folder.path
        self._spec = spec
        self._started = False

    def __call__(self, learned: Learned) -> None:
        """Keep the policy if a snapshot is due; a run that goes on has the earlier ones."""
        from misgen.agents.checkpoint import save_policy

        steps = learned.steps
        goes_on = steps > 0 and not self._started
        self._started = True
        passed = [due for due in self._due if due <= steps]
        del self._due[len(self._due) - len(passed) :]
        if goes_on or not passed:
            return
        spec = dataclasses.replace(self._spec, reward_scale=learned.reward_scale)
        save_policy(snapshot_of(self._run, steps), learned.network, spec)


class _Curve:
    """The learning curve: kept, shown, logged, and written every few seconds.

    Attributes:
        digest: SHA-256 of the file as it was last written; None before.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        log: Callable[[dict[str, float], int], object],
        show: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self._config = config
        self._folder = folder
        self._log = log
        self._show = show
        self.digest: str | None = None
        self._rows: list[dict[str, Any]] = []
        self._written = time.monotonic()

    def add(self, record: dict[str, Any]) -> None:
        """Take the record of a rollout."""
        row = {key: value for key, value in record.items() if key != "outcomes"}
        counts = record["outcomes"]
        total = max(1, sum(counts.values()))
        row |= {f"share_{name.lower()}": counts.get(name, 0) / total for name in _OUTCOMES}
        self._rows.append(row)
        self._log({k: v for k, v in row.items() if isinstance(v, int | float)}, row["steps"])
        if self._show:
            self._show(row)
        if time.monotonic() - self._written > _SAVE_EVERY or len(self._rows) == 1:
            self.write()

    def take_up(self, steps: int) -> None:
        """Go on with the curve of an earlier start, up to `steps`; what came later is redone."""
        import polars as pl

        # No digest: a killed run may have written the curve after all that could hold it.
        path = self._folder.path / LEARNING
        hint = f"restore it, or delete {STATE} beside it to start the run from its beginning"
        table = read_parquet(path, columns=curve_columns(), hint=hint)
        self._rows = table.filter(pl.col("steps") <= steps).to_dicts()

    def write(self) -> None:
        """Write the curve so far, and the status."""
        import polars as pl

        self._written = time.monotonic()
        if not self._rows:
            return
        # Read to the end: what an algorithm tells only later is a column too.
        table = pl.DataFrame(self._rows, infer_schema_length=None)
        self.digest = write_parquet(self._folder.path / LEARNING, table)
        last = self._rows[-1]
        self._folder.status(
            phase="training",
            steps=last["steps"],
            total_steps=self._config.agent.total_steps,
            steps_per_second=last["steps_per_second"],
            success=last["success"],
        )


_OUTCOMES = ("GOAL", "PROXY", "DEATH", "TIMEOUT")
