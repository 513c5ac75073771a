"""Train one agent: misgen train [key=value ...].

The agent is trained on levels of one world, in which the intended goal is where the proxy points
with probability `correlation`.  The policy, the learning curve and a manifest are written to
runs/<name>/<slug>-<hash>/.  A finished run with the same settings is skipped.  A run that is told
to stop (Ctrl-C, SIGTERM, stop_after) saves its state first, and one that was killed has that of
save_every; the same command resumes it, and on one thread it ends with the weights that it would
have had undisturbed (with agent=dqn it starts over).

Examples:
  misgen train correlation=0.98 preset=lab seed=3
  misgen train preset=smoke                              under a minute, to see that it works
  misgen train env.mode=hard placement=anywhere agent.total_steps=10000000
  misgen train -m correlation=1,0.9 seed=0,1             hydra's multirun, one after the other
  misgen train correlation=0.5 init=runs/single/coinrun-rho1-seed0-0123456789   fine-tuning
  misgen train logger=wandb                              log to W&B too (offline without a key)
  misgen train preset=smoke env.observation=rgb agent.encoder=impala     from pixels
  misgen train env=cheese_on_a_dish agent=recurrent_ppo                  an agent with a memory
  misgen train agent=distill agent.teacher=zoo:coinrun-rho1-seed0       a student of another agent
  until misgen train preset=paper stop_after=10; do :; done              on a GPU, in short runs

Settings (misgen train --cfg prints them all with their values)
  correlation   0 to 1: how often goal and proxy coincide in training
  placement     where the goal is placed when they do not; each world has its own placements
  distinct_conflicts  how many different conflict levels there are, each as often as the others,
                their share of all levels unchanged (default 0: as many as the ids have)
                (misgen levels list): in CoinRun section_start (the paper's), anywhere, ...
  level_replay  0 to 1: share of the levels that are not new, but drawn again from those on which
                the agent missed most of the goal (prioritized level replay; default 0)
  seed          training seed: weights, actions and the order of levels
  init          folder of a trained policy whose weights training starts from, with a new
                optimiser; the manifest holds their SHA-256, and other weights make another run
  snapshots     also keep the policy after these decisions: snapshots=[0,65536] writes
                snapshots/000000000/ and snapshots/000065536/ to the run's folder
  preset        smoke (under a minute), lab (minutes on a CPU), paper (the paper's settings, from
                pixels, for a GPU); a preset also adjusts the world's and the algorithm's settings
  env           the world (default: coinrun; all: misgen levels list) and its parameters:
                env.mode=easy, env.observation=rgb, ...
  agent         the algorithm: ppo, recurrent_ppo, a2c, dqn, distill (learns from another agent,
                agent.teacher=<its folder>), or one from another package; and its
                settings: agent.total_steps, agent.encoder=mlp|moe|cnn|impala|nature, ...
  levels        level ids of each split: levels.train=0:100000 (or all), levels.test=2000000:2001000
  logger        none, wandb, tensorboard, or one from another package
  name, runs    the sweep's name, and the folder that holds all runs
  save_every    minutes between saves of the state from which a killed run resumes
  stop_after    minutes after which to stop with exit status 75; the same command resumes
"""

from __future__ import annotations

import sys
from typing import Any

from ..training.checks import notes_of, require_trainable, unused_of
from ..training.config import TrainConfig
from ..training.overrides import ONE_RUN, refuse_unused
from ..training.progress import training_progress
from ..training.run_folder import DONE
from ..training.settings import compose, typed
from ..training.shell import shell_words
from ..training.trackers import notes
from ..training.train import is_done, rounded, run_folder, train

NOT_DONE = 75
"""Exit status of a run that `stop_after` stopped (EX_TEMPFAIL of sysexits.h: try again)."""


def main(argv: list[str]) -> int:
    """Run the command."""
    from .common import is_multirun, multirun, print_config

    if is_multirun(argv):
        return multirun("train", "misgen.experiments.commands.train:run_job", argv, _check)
    refuse_unused("train", argv, ONE_RUN)
    if "--cfg" in argv:
        return print_config("train", argv)
    config = typed(TrainConfig, compose("train", argv))
    refuse_unused("train", argv, unused_of(config))
    folder = run_folder(config)
    if is_done(folder, config):
        print(f"{folder.path} is finished: give another seed or name=... to train again")
        return 0
    require_trainable(config)
    for text in (*rounded(config), *notes_of(config), *notes(config.logger)):
        print(text, file=sys.stderr)
    with training_progress(config.agent.total_steps, config.slug) as show:
        train(config, show)
    if not folder.marked(DONE, config.hash):
        print(f"{folder.path} is not finished: the same command resumes it")
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
    config = typed(TrainConfig, plain)
    for text in notes(config.logger):
        print(text, file=sys.stderr)
    train(config)


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("train", main))
