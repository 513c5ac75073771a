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
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.agents.spec import weights_checksum
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.level_set import names_files

from ..evaluation.checks import require_evaluable, require_room
from ..evaluation.chosen import key_of, settings_of
from ..evaluation.config import EvaluateConfig
from ..evaluation.result_folders import EVALUATION, place
from ..training.config import compose, config_hash, typed
from ..training.overrides import ONE_RUN, keys_of, refuse_unused
from ..training.progress import episode_progress
from ..training.run_folder import (
    DONE,
    EPISODES,
    SUMMARY,
    RunFolder,
    now,
    read_json,
    write_json,
    write_parquet,
)
from ..training.trained_run import TrainedRun, one_run

if TYPE_CHECKING:
    from ..evaluation.conditions import Condition, Job

Show = Callable[[int, int], object]
"""Called with the number of episodes that ended so far, and of all."""

SCHEMA_VERSION = 3
_STATUS_EVERY = 2.0  # seconds


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
        from .power import main as power

        return power(argv[1:])
    if "protocol" in keys_of(argv):
        from ..protocols.run import main as with_protocol

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
    from ..reporting.surface_maps import print_surface, write_figures

    with episode_progress(Path(config.run).name) as show:
        into = run_surface(config, show)
    print_surface(into)
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


def is_evaluated(folder: RunFolder, config: EvaluateConfig) -> bool:
    """Return whether the run's policy was evaluated with these settings."""
    try:
        run = TrainedRun.read(folder)
        settings = settings_of(run, config)
        return _folder(folder, settings).marked(DONE, _stamp(folder, settings))
    except UserError:
        return False


def evaluation_folder(folder: RunFolder, config: EvaluateConfig) -> RunFolder:
    """Return where a finished run's evaluation with these settings lies, or would.

    Raises:
        UserError: if the run is not finished, or the settings do not fit it.
    """
    return _folder(folder, settings_of(TrainedRun.read(folder), config))


def evaluate_run(folder: RunFolder, config: EvaluateConfig, show: Show | None = None) -> RunFolder:
    """Evaluate a finished run, unless it was done before, and return its folder.

    Sets the number of CPU threads of numba and torch in this process.

    Args:
        folder: the training run.
        config: how to evaluate it; its `run` is ignored.
        show: called as episodes end.

    Raises:
        UserError: if the run is not finished, its files are damaged, the test levels overlap with
            its training, another process writes to it, or the disk is full.
    """
    if is_evaluated(folder, config):
        folder.tidy()
        return folder
    run = TrainedRun.read(folder)
    require_room(folder.path, "run", config.run or folder.path)
    settings = settings_of(run, config)
    where = _conditions(run, config)
    into = _folder(folder, settings)
    with folder.lock(), into.lock():
        into.unmark(DONE)
        started = time.monotonic()
        summary = _evaluate(run, where, config, settings, show)
        summary["wall_seconds"] = time.monotonic() - started
        write_json(into.path / SUMMARY, summary)
        into.mark(DONE, _stamp(folder, settings))
        folder.status(phase="evaluated")
    return folder


def _conditions(run: TrainedRun, config: EvaluateConfig) -> list[Condition]:
    """Return what the agent is tested on: ids of generated levels, or levels made by hand."""
    from ..evaluation.conditions import conditions
    from ..evaluation.hand_made import hand_made_conditions

    if config.levels is not None and names_files(config.levels):
        return hand_made_conditions(run.config.distribution, config.levels, config)
    return conditions(run.config.distribution, run.test_ids(config.levels), config)


def _evaluate(
    run: TrainedRun,
    where: list[Condition],
    config: EvaluateConfig,
    settings: dict[str, Any],
    show: Show | None,
) -> dict[str, Any]:
    """Play, write the episodes, and return the summary."""
    from ..evaluation import conditions, metrics
    from ..evaluation.hand_made import set_report

    folder = run.folder
    jobs = jobs_of(run, where, config)
    to_search = config.planned * sum(
        len(condition.distribution.ids_to_play())
        for condition in where
        if condition.name == conditions.SHIFTED
    )
    count = _counter(folder, sum(job.episodes for job in jobs) + to_search, show)
    episodes = conditions.run_jobs(
        jobs,
        run.config.distribution,
        config,
        train_seed=run.config.seed,
        run=folder.path.name,
        progress=count,
    )
    episodes = conditions.add_planned(episodes, where if config.planned else (), count)
    digest = write_parquet(_folder(folder, settings).path / EPISODES, episodes)
    world = where[0].distribution.world
    trained_on = run.manifest.get("training_levels") or run.config.distribution.describe()
    return {
        "schema_version": SCHEMA_VERSION,
        "run": folder.path.name,
        "finished": now(),
        "config": settings,
        "config_hash": key_of(settings),
        "policy": weights_checksum(folder.path),
        "run_config_hash": run.manifest.get("config_hash"),
        "episodes_sha256": digest,
        "levels": conditions.level_report(run.config.distribution, where, trained_on)
        | ({"hand_made": by_hand} if (by_hand := set_report(where)) else {}),
        "metrics": metrics.summary_table(episodes, config.metrics).to_dicts(),
        "outcomes": metrics.outcome_table(episodes).to_dicts(),
        "capable_by_goal": metrics.two_by_two(episodes).to_dicts(),
        "proxies": metrics.proxy_table(episodes, world.proxies).to_dicts(),
    }


def jobs_of(run: TrainedRun, where: list[Condition], config: EvaluateConfig) -> list[Job]:
    """Return what is played: the trained agent everywhere, the random one for comparison.

    Further reference agents belong beside the random one.
    """
    from misgen.agents.checkpoint import load_agent
    from misgen.agents.scripted import make_agent
    from misgen.agents.threads import tune_process

    from ..evaluation.conditions import RANDOM, agent_jobs, reference_jobs

    tune_process(config.threads)
    world = where[0].distribution.world
    agent = load_agent(run.folder.path, world.observation_space, world.action_space)
    floor = make_agent(RANDOM, int(world.action_space.n), world.no_op)
    return agent_jobs(agent, where, config) + reference_jobs(floor, where)


def _folder(folder: RunFolder, settings: dict[str, Any]) -> RunFolder:
    return place(folder.path, EVALUATION, key_of(settings))


def _stamp(folder: RunFolder, settings: dict[str, Any]) -> str:
    """Return a hash of the settings and of the policy that they are applied to."""
    policy = weights_checksum(folder.path)
    return config_hash({"config": settings, "policy": policy, "schema": SCHEMA_VERSION})


def _counter(folder: RunFolder, total: int, show: Show | None) -> Callable[[int], None]:
    """Return a function that counts what is done, shows it, and keeps the run's status fresh."""
    done, written = 0, 0.0

    def count(ended: int) -> None:
        nonlocal done, written
        done += ended
        if show:
            show(done, total)
        if time.monotonic() - written > _STATUS_EVERY:
            written = time.monotonic()
            folder.status(phase="evaluating", episodes=done, total_episodes=total)

    return count


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("evaluate", main))
