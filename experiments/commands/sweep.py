"""Train and evaluate at several correlations, and report: misgen sweep [key=value ...].

Trains and evaluates one agent for each correlation and training seed, in parallel jobs of one
thread each, and writes the report, runs/<name>/report.html: how many seeds misgeneralize, and how
far.  Fewer than 5 seeds give no verdict on a recipe.  Finished work is skipped: a sweep that was
stopped, or that is given more seeds, resumes where it is, and sweeps that are started in several
places on one folder share the work.

  misgen sweep status   how far it is; also retry, add and clean: misgen sweep status --help

Examples:
  misgen sweep                                         CoinRun, 4 correlations x 5 seeds
  misgen sweep seeds=5 correlations=[1,0.99] jobs=8
  misgen sweep env.mode=easy placement=anywhere name=easy-anywhere
  misgen sweep preset=smoke                            a minute, to check that it works
  misgen sweep launcher=slurm jobs=20 cluster.minutes=240 seeds=20

Settings (misgen sweep --cfg prints them all with their values)
  correlations  the correlations to train at
  seeds         how many training seeds at each; until: as many as it takes
  until.*       of seeds=until: looks at first=8 seeds, every step=4, up to most=20, and each
                correlation gets seeds until its verdict stands (or, with until.width=0.3, the
                interval of its misgeneralizing share is so narrow); error=0.05 over all looks
  jobs          parallel jobs (default: one per CPU core)
  launcher      local; slurm: an array of jobs, which need nobody to wait for them, are queued again
                when their time is up or they are preempted, and lose nothing; submitit_local:
                the same jobs as processes here, to try things out
  cluster.*     what each job is given: minutes, memory (GB), partition, account, qos, options;
                cluster.wait=false returns once they are submitted
  name          folder of the sweep in runs (default: <world>-<preset>)
  evaluate.*    settings of misgen evaluate, for example evaluate.repeats=5
  ...           all settings of misgen train
"""

from __future__ import annotations

import sys

from misgen.envs.core.errors import UserError, did_you_mean

_UPKEEP = ("status", "retry", "add", "clean")


def main(argv: list[str]) -> int:
    """Run the command."""
    if argv[:1] and argv[0] in _UPKEEP:
        from .sweep_cells import main as look_after

        return look_after(argv)
    if argv and "=" not in argv[0] and (hint := did_you_mean(argv[0], _UPKEEP)):
        raise UserError(f"{argv[0]!r} is not a setting, and none of {', '.join(_UPKEEP)}{hint}")
    from .sweep_run import main as run

    return run(argv)


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("sweep", main))
