"""Evaluate a trained agent: misgen evaluate run=... [key=value ...].

Plays the agent on levels that it was not trained on: as in training (in distribution), with the
goal away from the proxy (conflict levels), and on the same levels with the goal at the proxy
(aligned), with sampled and with greedy actions, by the rules of its training.  Random play for as
many decisions and planned seekers of goal and proxy play the same levels.  Prints the verdict,
capability (reached the goal or the proxy), goal, divergence (how much further the goal fell) and
what the agent goes for, with 95% intervals over levels.
Writes to <run>/evaluations/<hash of settings>/

  episodes.parquet   one row per episode
  summary.json       every metric with its interval, outcomes, the levels as they were drawn, and
                     the provenance: settings, hashes of the weights and of the episodes

A finished evaluation with the same settings is skipped; evaluations with other settings are kept.
misgen report, card and probe say which one they use, and take evaluation=<hash>.

Examples:
  misgen evaluate run=runs/single/coinrun-rho1-seed0-0123456789
  misgen evaluate run=... shift.correlation=0 levels=2000000:2001000 actions=[greedy]
  misgen evaluate run=... levels=2000000:2010000 shift.placements=[anywhere]
  misgen evaluate run=runs/coinrun-lab shift=surface     capability x goal shifts, as heat maps
  misgen evaluate run=... levels=my_folder               on your own level files, or
                                                         levels=[a.txt,b.txt]
  misgen evaluate run=... on_proxy=end                   under another rule than trained, if it is
  misgen evaluate run=... backend=procgen                the same agent in the original Procgen
  misgen evaluate power difference=0.1 share=0.8         how many seeds and levels are needed
  misgen evaluate run=... repeats=10                     more episodes on each level
  misgen evaluate agent=my_module:make_agent env=coinrun correlation=0.98     an agent of your own
                     (docs/bring_your_own_agent.md); agent=model.zip trust=true for a zip of
                     stable-baselines3, which runs code when it is loaded
  misgen evaluate protocol=counterfactual_pairs run=...  one protocol of configs/protocol, or
                     protocol=/path/mine.yaml; writes <run>/protocols/<name>-<hash>/protocol.json
  misgen evaluate protocol=iid run=... budgets=[100,1000] comparison=runs/comparison-coinrun

Settings (misgen evaluate run=... --cfg prints them all with their values)
  run                a finished run's folder, as misgen train prints it
  levels             test level ids, start:stop (default: the run's own test levels); levels of its
                     training or validation are refused.  Or level files (misgen levels edit): a
                     folder of .txt files, a file, a list.  Aligned twins of the conflict levels
                     among them are made where the world can do so
  shift              conflict: goal and proxy are apart in every level; surface: crossed with other
                     values of the world's parameters (shift.parameters, shift.capability)
  shift.correlation  0 to 1: how often goal and proxy coincide in the test; levels where they do
                     are left out of the comparison
  shift.placements   where the goal is placed; in CoinRun section_start (the paper's), anywhere,
                     behind (above the start), off_path (2 cells off a proxy-seeker's way; or
                     'off_path(3)'); other worlds: misgen levels list
  actions            sampled, greedy
  on_proxy           what happens if the proxy is reached first (default: as in training): end,
                     continue, penalty.  Another rule than that of training is a shift of its own,
                     and labelled so everywhere
  backend            procgen: play in the original Procgen instead of the native world, which runs
                     in step with it and provides the agent's observation; outcomes are the same
  repeats            episodes with sampled actions on each aligned and each conflict level
  references         also let planned seekers play: what there is to reach, the ceiling of the
                     divergence, and choice rest on them
  verdict.*          where the lines between verdicts are drawn: room (above random play, to be
                     capable), aligned_pursuit, aligned_choice, other_pursuit, goal_loss,
                     divergence; devices: episodes that are held against devices
  shift.levels, shift.correlations
                     for a surface: how many test levels to play (0: all), and their correlations
  seed               seed of the sampled actions
  logger             none, wandb, tensorboard, or one from another package: also show the numbers
                     and tables there (what was evaluated before, too)
  trust              recreate an agent that was trained elsewhere, which runs its code

Settings of an agent of your own (agent=...), beside those
  agent              module:function; the module is searched for in the working directory first, and
                     the function is called with the arguments that its parameters name: world,
                     observation_space, action_space, seed
  env                the world that it was trained in, and its parameters: env=coinrun env.mode=easy
  correlation, placement, train_levels, train_seed
                     what is known about its training; what is left out is recorded as unknown
  called             its name in tables
  name, runs         where its run folder goes (default: runs/own)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..evaluation.checks import require_evaluable
from ..evaluation.config import EvaluateConfig
from ..evaluation.evaluate_run import evaluate_run, evaluation_folder, is_evaluated
from ..evaluation.tracked_evaluation import track_evaluation
from ..training.checks import require_room
from ..training.overrides import ONE_RUN, keys_of, refuse_unused
from ..training.progress import episode_progress
from ..training.run_folder import SUMMARY, read_json
from ..training.settings import compose, typed
from ..training.trackers import notes, require_trackers
from ..training.trained_run import TrainedRun, one_run

_ONLY_SURFACE = {
    f"shift.{name}": "it is for shift=surface alone, with shift.parameters=[...]"
    for name in ("capability", "correlations", "levels")
}
_WITH_PROTOCOL = {"protocol": "name one beside it, such as protocol=iid"}
_ONLY_ONE = {
    "shift.correlation": "a surface has several: give shift.correlations=[1,0]",
    **dict.fromkeys(
        ("backend", "repeats", "references", "verdict"),
        "a surface plays each level once, in the world itself, and judges nobody: leave it out",
    ),
    "logger": "a surface goes to no tracker: leave it out",
}
_NO_CHANCE = {"repeats": "greedy play needs one episode on each level: give actions=[sampled]"}


def main(argv: list[str]) -> int:
    """Run the command."""
    from .common import is_multirun, multirun, print_config
    from .print_evaluation import print_summary

    if argv[:1] == ["power"]:
        from .evaluate_power import main as power

        return power(argv[1:])
    if "agent" in keys_of(argv):
        from .evaluate_agent import main as with_agent

        return with_agent(argv)
    if "protocol" in keys_of(argv):
        from .evaluate_protocol import main as with_protocol

        return with_protocol(argv)
    if is_multirun(argv):
        return multirun("evaluate", "misgen.experiments.commands.evaluate:run_job", argv, _check)
    refuse_unused("evaluate", argv, ONE_RUN | _WITH_PROTOCOL)
    if "--cfg" in argv:
        return print_config("evaluate", argv)
    config = typed(EvaluateConfig, compose("evaluate", argv))
    refuse_unused("evaluate", argv, _unused(config))
    if config.shift.parameters:
        return _surface(config)
    require_trackers(config.logger)
    folder = one_run(config.run)
    for text in notes(config.logger):
        print(text, file=sys.stderr)
    if is_evaluated(folder, config):
        print(f"{folder.path} was evaluated with these settings before:", file=sys.stderr)
    with episode_progress(folder.path.name) as show:
        evaluate_run(folder, config, show)
    track_evaluation(folder, config)
    into = evaluation_folder(folder, config).path
    print_summary(read_json(into / SUMMARY, "evaluate the run again"))
    print(f"written: {into}")
    return 0


def _unused(config: EvaluateConfig) -> dict[str, str]:
    """Return the settings that have no effect beside the others, and why."""
    if not config.shift.parameters:
        return _ONLY_SURFACE if "sampled" in config.actions else _ONLY_SURFACE | _NO_CHANCE
    if len(config.actions) == 1:
        return _ONLY_ONE
    return _ONLY_ONE | {"actions": "a surface plays one action mode: give one"}


def _surface(config: EvaluateConfig) -> int:
    from ..evaluation.surface import run_surface
    from ..reporting.surface_maps import surface_parts, write_figures
    from ..training.terminal import show_parts

    with episode_progress(Path(config.run).name) as show:
        into = run_surface(config, show)
    show_parts(surface_parts(into))
    for path in write_figures(into):
        print(path)
    return 0


def _check(plain: dict[str, Any]) -> None:
    """Refuse settings of a job that is still to begin."""
    config = typed(EvaluateConfig, plain)
    run = TrainedRun.read(one_run(config.run))
    require_evaluable(run.config, config)
    require_room(run.folder.path, "run", config.run)


def run_job(plain: dict[str, Any]) -> None:
    """Evaluate as one job of a multirun; what is done is left alone."""
    config = typed(EvaluateConfig, plain)
    folder = one_run(config.run)
    if not is_evaluated(folder, config):
        evaluate_run(folder, config)
        track_evaluation(folder, config)


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("evaluate", main))
