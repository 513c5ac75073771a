"""Run a sweep, and report: what `misgen sweep` does with settings.

Public names: `main`, `finish`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from misgen.envs.core.processes import stopping_cleanly

from ..sweeps.config import SweepConfig, read_config
from ..sweeps.launchers import LOCAL
from ..sweeps.plan import read_plan
from ..sweeps.sweep import check, run
from ..training.checks import notes_of, unused_of
from ..training.overrides import refuse_unused
from ..training.settings import compose
from ..training.shell import shell_words
from ..training.trackers import notes

_SHOWN = 10  # names in a message
_SURFACE = "a sweep's evaluations are no surface: misgen evaluate shift=surface run=<the sweep>"
_UNUSED = {
    "correlation": "a sweep trains at several: give correlations=[1,0.9]",
    "seed": "a sweep trains at several: seeds=3 stands for the seeds 0, 1 and 2",
    "evaluate.run": "a sweep evaluates the runs that it trains",
    "evaluate.logger": "a sweep's evaluations go where its trainings go: give logger=wandb",
    "hydra": "a sweep runs its jobs itself: give jobs=2, and launcher=slurm on a cluster",
    **{
        f"evaluate.shift.{name}": _SURFACE
        for name in ("parameters", "capability", "correlations", "levels")
    },
}


def _unused(config: SweepConfig) -> dict[str, str]:
    """Return the settings that have no effect beside the others, and why."""
    found = {}
    if "sampled" not in config.evaluate.actions:
        found["evaluate.repeats"] = "greedy play needs one episode on each level"
    if config.launcher == LOCAL:
        found["cluster"] = "it is for launcher=slurm"
    if config.until is None:
        found["until"] = "it is for seeds=until"
    return found


def main(argv: list[str]) -> int:
    """Run the command."""
    from .common import print_config

    refuse_unused("sweep", argv, _UNUSED)
    if "--cfg" in argv:
        return print_config("sweep", argv)
    config = read_config(compose("sweep", argv), argv)
    refuse_unused("sweep", argv, unused_of(config.runs[0]) | _unused(config))
    check(config)
    for text in (*notes_of(config.runs[0]), *notes(config.runs[0].logger)):
        print(text, file=sys.stderr)
    return finish(config, argv)


def finish(config: SweepConfig, words: Sequence[str]) -> int:
    """Do what is left of a sweep, and report."""
    with stopping_cleanly():
        failed = run(config, words)
    if config.launcher != LOCAL and not config.cluster.wait and failed:
        status = shell_words("misgen", "sweep", "status", config.folder)
        print(f"{len(failed)} agents are left to the jobs: {status}")
        return 0
    if failed:
        more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        names = ", ".join(folder.path.name for folder in failed[:_SHOWN]) + more
        print(
            f"not done: {names}; {config.folder / 'sweep.log'} says why; run the sweep"
            " again to resume",
            file=sys.stderr,
        )
    if len(failed) < len(read_plan(config.folder).cells):
        from ..reporting.report import write_report
        from ..reporting.tracked_report import track_report
        from .report import print_report

        report = write_report(config.folder)
        track_report(config.folder, config.runs[0].logger)
        print_report(config.folder)
        print(f"report: {report}")
    return 1 if failed else 0
