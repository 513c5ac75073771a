"""Evaluate a trained agent: misgen evaluate run=... [key=value ...].

Plays the agent on levels that training never saw: as in training (held-out), and with the goal
moved away from the proxy (shifted, the same level ids), with sampled and with greedy actions; and a
random agent on the same levels.  Prints capability (reached the goal or the proxy) and goal
(reached the intended goal) with 95% intervals, and writes into <run>/evaluations/<hash>/, a folder
for each set of settings,

  episodes.parquet   one row per episode
  summary.json       every metric with its interval, outcomes, what the levels really were, and what
                     it was made from: settings, hashes of the weights and of the episodes

An evaluation that is already there with the same settings is not repeated, and one with others is
left as it is; misgen report, card and probe say which they use, and take evaluation=<hash>.

Examples:
  misgen evaluate run=runs/single/coinrun-rho1-seed0-0123456789
  misgen evaluate run=... shift.correlation=0 levels=2000000:2001000 actions=[greedy]
  misgen evaluate run=... levels=2000000:2010000 shift.placements=[anywhere]
  misgen evaluate run=runs/coinrun-lab shift=surface     capability x goal shifts, as heat maps
  misgen evaluate run=... levels=my_folder               on level files that you made, or
                                                         levels=[a.txt,b.txt]
  misgen evaluate run=... on_proxy=continue              go on after the proxy, as in training
  misgen evaluate run=... backend=procgen                the same agent in the original Procgen
  misgen evaluate power difference=0.1                   how many seeds and levels that needs
  misgen evaluate run=... accident_repeats=50            tell accidents from purpose more finely
  misgen evaluate protocol=counterfactual_pairs run=...  one protocol of configs/protocol, or
                     protocol=/path/mine.yaml; writes <run>/protocols/<name>-<hash>/protocol.json
  misgen evaluate protocol=iid run=... budgets=[100,1000] comparison=runs/comparison-coinrun

Settings (misgen evaluate run=... --cfg prints them all with their values)
  run                a finished run's folder, as misgen train prints it
  levels             test level ids, start:stop; the run's own test levels unless given; levels
                     of its training or validation are refused.  Or level files (misgen levels
                     edit): a folder of .txt files, a file, a list.  Those in conflict are the
                     shifted levels; their aligned twins are made where the world can
  shift              conflict: the goal leaves the proxy in every level; surface: crossed with
                     other values of the world's parameters (shift.parameters, shift.capability)
  shift.correlation  0 to 1: how often goal and proxy coincide in shifted levels
  shift.placements   where the goal goes: section_start (the paper's), anywhere, behind (above the
                     start), off_path (2 cells off a proxy-seeker's way; or 'off_path(3)')
  actions            sampled, greedy
  on_proxy           what reaching the proxy first does: end (the paper's test), continue, penalty
  backend            procgen: play in the original Procgen instead of the native world, which runs
                     beside it for the agent's observation; the outcomes are the same
  accident_repeats   episodes on each level's aligned twin; a conflict level counts as informative
                     if the agent touches the goal's cell there in under 10% of them
  planned            find out what planned seekers do on the shifted levels: which goals lie on a
                     proxy-seeker's way, which cannot be reached
  seed               seed of the sampled actions
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..evaluation.checks import require_evaluable
from ..evaluation.config import EvaluateConfig
from ..evaluation.evaluate_run import evaluate_run, evaluation_folder, is_evaluated
from ..training.checks import require_room
from ..training.overrides import ONE_RUN, keys_of, refuse_unused
from ..training.progress import episode_progress
from ..training.run_folder import SUMMARY, read_json
from ..training.settings import compose, typed
from ..training.trained_run import TrainedRun, one_run

_ONLY_SURFACE = {
    f"shift.{name}": "it is for shift=surface alone, with shift.parameters=[...]"
    for name in ("capability", "correlations", "levels")
}
_WITH_PROTOCOL = {"protocol": "name one beside it, such as protocol=iid"}
_ONLY_ONE = {"shift.correlation": "a surface has several: give shift.correlations=[1,0]"}


def main(argv: list[str]) -> int:
    """Run the command."""
    from .common import is_multirun, multirun, print_config, require_no_launcher
    from .evaluation_summary import print_summary

    if argv[:1] == ["power"]:
        from .evaluate_power import main as power

        return power(argv[1:])
    if "protocol" in keys_of(argv):
        from .evaluate_protocol import main as with_protocol

        return with_protocol(argv)
    if is_multirun(argv):
        return multirun("evaluate", "misgen.experiments.commands.evaluate:run_job", argv, _check)
    refuse_unused("evaluate", argv, ONE_RUN | _WITH_PROTOCOL)
    if "--cfg" in argv:
        return print_config("evaluate", argv)
    require_no_launcher(argv)
    config = typed(EvaluateConfig, compose("evaluate", argv))
    refuse_unused("evaluate", argv, _ONLY_ONE if config.shift.parameters else _ONLY_SURFACE)
    if config.shift.parameters:
        return _surface(config)
    folder = one_run(config.run)
    if is_evaluated(folder, config):
        print(f"{folder.path} was evaluated with these settings before:", file=sys.stderr)
    with episode_progress(folder.path.name) as show:
        evaluate_run(folder, config, show)
    into = evaluation_folder(folder, config).path
    print_summary(read_json(into / SUMMARY, "evaluate the run again"))
    print(f"written: {into}")
    return 0


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
    evaluate_run(one_run(config.run), config)


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("evaluate", main))
