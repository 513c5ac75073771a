"""Run a sweep, and report: what `misgen sweep` does with settings.

Public names: `main`, `finish`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from misgen.envs.core.processes import stopping_cleanly

from ..sweeps.config import SweepConfig, read_config
from ..sweeps.sweep import check, run
from ..training.checks import notes_of, unused_of
from ..training.overrides import refuse_unused
from ..training.settings import compose
from ..training.trackers import notes

_SURFACE = "a sweep's evaluations are no surface: misgen evaluate shift=surface run=<the sweep>"
_UNUSED = {
    "correlation": "a sweep trains at several: give correlations=[1,0.9]",
    "seed": "a sweep trains at several: seeds=3 stands for the seeds 0, 1 and 2",
    "evaluate.run": "a sweep evaluates the runs that it trains",
    "launcher": "a sweep runs its jobs itself: give jobs=2",
    "hydra": "a sweep runs its jobs itself: give jobs=2",
    **{
        f"evaluate.shift.{name}": _SURFACE
        for name in ("parameters", "capability", "correlations", "levels")
    },
}


def _unused(config: SweepConfig) -> dict[str, str]:
    """Return the settings of evaluations that have no effect beside the others, and why."""
    if "sampled" in config.evaluate.actions:
        return {}
    return {"evaluate.repeats": "greedy play needs one episode on each level"}


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
    if failed:
        names = ", ".join(folder.path.name for folder in failed)
        print(
            f"not done: {names}; {config.folder / 'sweep.log'} says why; run the sweep"
            " again to resume",
            file=sys.stderr,
        )
    if len(failed) < len(config.runs):
        from ..reporting.report import write_report
        from .report import print_report

        report = write_report(config.folder)
        print_report(config.folder)
        print(f"report: {report}")
    return 1 if failed else 0
