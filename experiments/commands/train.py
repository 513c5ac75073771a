"""Train one agent: misgen train [key=value ...].

An agent learns on levels in which the intended goal stands where the proxy points with probability
`correlation`.  Its run folder, runs/<name>/<slug>-<hash>/, then holds the policy, the learning
curve and a manifest.  A run that is already there with the same settings is not repeated; one that
was killed, or stopped by stop_after, continues from its last saved state, with new episodes (with
agent=dqn it starts from its beginning).

Examples:
  misgen train correlation=0.98 preset=lab seed=3
  misgen train preset=smoke                              under a minute, to see that it works
  misgen train env.mode=hard placement=anywhere agent.total_steps=10e6 name=mine
  misgen train -m correlation=1,0.9 seed=0,1             hydra's multirun, one after the other
  misgen train correlation=0.5 init=runs/single/coinrun-rho1-seed0-0123456789   fine-tuning
  misgen train logger=wandb                              also to W&B (offline without a key)
  misgen train preset=smoke env.observation=rgb agent.encoder=impala     from pixels
  misgen train env=cheese_on_a_dish agent=recurrent_ppo                  an agent with a memory
  until misgen train preset=paper stop_after=10; do :; done              on a GPU, in short runs

Settings (misgen train --cfg prints them all with their values)
  correlation   0 to 1: how often goal and proxy coincide in training
  placement     where the goal goes when they do not: section_start (the paper's), anywhere
  seed          training seed: weights, actions and the order of levels
  init          folder of a trained policy whose weights training starts from (the optimiser starts
                anew); the manifest holds their SHA-256, and other weights make another run
  snapshots     decisions after which the policy is kept too: snapshots=[0,65536] leaves
                snapshots/000000000/ and snapshots/000065536/ in the run's folder
  preset        smoke (CI), lab (minutes on a CPU), paper (the paper's, from pixels, for a GPU)
  env           coinrun; env.mode, env.terrain, env.action_repeat, ...
  agent         the algorithm: ppo, recurrent_ppo, a2c, dqn, or another package's; its settings:
                agent.total_steps, agent.learning_rate, agent.encoder=mlp|cnn|impala|nature, ...
  levels        level ids of each split: levels.train=0:100000, levels.test=2000000:2001000
  logger        none, wandb, tensorboard, or another package's tracker
  name, runs    the sweep's name, and the folder that holds all runs
  save_every    minutes between writes of the state that a killed run continues from
  stop_after    minutes after which to stop with exit status 75; the same command continues
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.processes import stopping_cleanly

from ..evaluation.checks import initial_weights_of, require_trainable
from ..training.config import TrainConfig, compose, typed
from ..training.overrides import ONE_RUN, refuse_unused
from ..training.run_folder import (
    DONE,
    EVALUATED,
    LEARNING,
    MANIFEST,
    SNAPSHOTS,
    STATE,
    RunFolder,
    now,
    provenance,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from misgen.agents.learner import Learned
    from misgen.agents.spec import PolicySpec

NOT_DONE = 75
"""Exit status of a run that `stop_after` stopped (EX_TEMPFAIL of sysexits.h: try again)."""
_SAVE_EVERY = 10.0  # seconds between two writes of the learning curve and the status


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..training.shell import shell_words
    from .common import is_multirun, multirun, print_config, require_no_launcher

    if is_multirun(argv):
        return multirun("train", "misgen.experiments.commands.train:run_job", argv, _check)
    refuse_unused("train", argv, ONE_RUN)
    if "--cfg" in argv:
        return print_config("train", argv)
    require_no_launcher(argv)
    config = typed(TrainConfig, compose("train", argv))
    folder = run_folder(config)
    if _is_done(folder, config):
        print(f"{folder.path} is done; give another seed or name=... to train again")
        return 0
    require_trainable(config)
    for text in rounded(config):
        print(text, file=sys.stderr)
    with _progress(config) as show:
        train(config, show)
    if not folder.marked(DONE, config.hash):
        print(f"{folder.path} is not done: the same command continues it")
        return NOT_DONE
    print(f"{folder.path}\nnext: {shell_words('misgen', 'evaluate', f'run={folder.path}')}")
    return 0


def _check(plain: dict[str, Any]) -> None:
    """Refuse settings of a job that is still to begin."""
    config = typed(TrainConfig, plain)
    if not run_folder(config).marked(DONE, config.hash):
        require_trainable(config)


def run_job(plain: dict[str, Any]) -> None:
    """Train as one job of a multirun; a run that is done is left alone."""
    train(typed(TrainConfig, plain))


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
    if _is_done(folder, config):
        return folder
    require_trainable(config)
    with stopping_cleanly(), folder.lock():
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
        write_json(folder.path / MANIFEST, manifest)
        started = time.monotonic()
        try:
            manifest |= _train(config, folder, show)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            manifest |= {"status": "stopped" if stopped else "failed", "error": repr(error)}
            raise
        finally:
            manifest |= {"wall_seconds": time.monotonic() - started, "finished": now()}
            folder.status(phase=manifest["status"])
            write_json(folder.path / MANIFEST, manifest)
        if manifest["status"] == "done":
            folder.mark(DONE, config.hash)
            folder.tidy(finished=True)
    return folder


def _is_done(folder: RunFolder, config: TrainConfig) -> bool:
    """Return whether nothing is left to do, but to remove what a kill may have left."""
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
    from misgen.agents.resume import Continuation
    from misgen.agents.spec import PolicySpec
    from misgen.envs.core.views.sb3 import MisgenVecEnv

    from ..training.trackers import TrackedRun, open_trackers

    world = config.world
    env = MisgenVecEnv(config.distribution, config.agent.num_envs, config.seed)
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
        continuation = Continuation(
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
                continuation,
                initial=initial_weights_of(config),
                snapshot=_Snapshots(config, folder, spec),
            )
        finally:
            curve.write()
    if continuation.stopped:
        return {"status": "stopped", "continued_at": continuation.cuts}
    spec = dataclasses.replace(spec, reward_scale=learned.reward_scale)
    save_policy(folder.path, learned.network, spec)
    return {
        "status": "done",
        "continued_at": continuation.cuts,
        "snapshots": {str(asked): kept for asked, kept in config.kept_snapshots.items()},
        "environment_steps": learned.steps,
        "parameters": sum(p.numel() for p in learned.network.parameters()),
        "training_levels": config.distribution.describe(),
    }


class _Snapshots:
    """Keeps the policy as it was after certain numbers of decisions."""

    def __init__(self, config: TrainConfig, folder: RunFolder, spec: PolicySpec) -> None:
        self._due = sorted(config.snapshots, reverse=True)
        self._folder = folder.path / SNAPSHOTS
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
        save_policy(self._folder / f"{steps:09d}", learned.network, spec)


class _Curve:
    """The learning curve: kept, shown, logged, and written every few seconds."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        log: Callable[[dict[str, float], int], None],
        show: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self._config = config
        self._folder = folder
        self._log = log
        self._show = show
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

        from ..training.run_folder import read_parquet

        path = self._folder.path / LEARNING
        hint = f"restore it, or delete {STATE} beside it to start the run from its beginning"
        table = read_parquet(path, columns={"steps": pl.Int64}, hint=hint)
        self._rows = table.filter(pl.col("steps") <= steps).to_dicts()

    def write(self) -> None:
        """Write the curve so far, and the status."""
        import polars as pl

        from ..training.run_folder import write_parquet

        self._written = time.monotonic()
        if not self._rows:
            return
        # Read to the end: what an algorithm tells only later is a column too.
        table = pl.DataFrame(self._rows, infer_schema_length=None)
        write_parquet(self._folder.path / LEARNING, table)
        last = self._rows[-1]
        self._folder.status(
            phase="training",
            steps=last["steps"],
            total_steps=self._config.agent.total_steps,
            steps_per_second=last["steps_per_second"],
            success=last["success"],
        )


_OUTCOMES = ("GOAL", "PROXY", "DEATH", "TIMEOUT")


def _progress(config: TrainConfig) -> Any:
    from ..training.progress import training_progress

    return training_progress(config.agent.total_steps, config.slug)


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("train", main))
