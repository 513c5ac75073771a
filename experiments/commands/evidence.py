"""Answer a question of the literature: misgen evidence <question> [key=value ...].

Trains and evaluates what the question asks for, as sweeps, and writes to runs/<question>-<size>

  seeds.csv            every training seed, a row each: its settings, verdict and numbers
  <table>.csv          what is made of them, and <question>.png (.svg), the figure
  README.md            the page: the question, what was found, how sure, what it does not show
  provenance.json      how it was made: commands, days, hardware, CPU hours

It can be stopped at any time: what is done stays done, tables are made of it and say so, and the
same command goes on.  All sweeps of a stage grow together, two seeds at a time.

Questions
  langosco_figure_2    how rarely may the coin be moved in training? (CoinRun)
  phase_diagram        frequency of conflicts, their variety, or time: what decides a seed?
  langosco_figure_4    how large must the cheese's region be? (Maze I)
  maze_2               shape or colour: which feature is followed? (Maze II)
  keys_and_chests      are keys gathered for their own sake?
  follow_the_leader    is a leader followed into mistakes, and worse than random?

Examples:
  misgen evidence langosco_figure_2 size=smoke         a minute, to check that it works
  misgen evidence langosco_figure_2 size=lab jobs=2
  misgen evidence langosco_figure_2 train=false        tables of what is done so far
  misgen evidence langosco_figure_2 --cfg              the sweeps that it is made of

Settings
  size    smoke, lab (default) or full: how many sweeps and seeds
  arms    only these sweeps, by name, with commas between
  seeds   training seeds 0 to seeds - 1 at each point (default: as many as the size says)
  jobs    one-thread jobs side by side (default: one per CPU core)
  train   false: train nothing, make tables of what is done
  runs    folder that holds all runs
  out     folder of the results (default: runs/<question>-<size>)
"""

from __future__ import annotations

import sys

from misgen.envs.core.processes import stopping_cleanly

from ..evidence.collected import progress_of, seed_rows
from ..evidence.config import EvidenceConfig
from ..evidence.run import carry_out, check, words_of
from ..evidence.told import Done, write_results
from ..training.checks import require_room
from ..training.overrides import read_plain
from ..training.settings import typed
from ..training.shell import shell_words


def main(argv: list[str]) -> int:
    """Run the command."""
    words = [f"question={word}" if "=" not in word and word[0] != "-" else word for word in argv]
    asked = [word for word in words if word != "--cfg"]
    config = typed(EvidenceConfig, read_plain(EvidenceConfig, asked))
    if "--cfg" in argv:
        return _print_sweeps(config)
    require_room(config.folder, "out" if config.out else "runs", config.out or config.runs)
    if not config.train:
        return _print_results(config)
    check(config)
    failed: set[str] = set()
    with stopping_cleanly():
        for names in carry_out(config):
            failed = failed | set(names)
            _write(config)
    for name in sorted(failed):
        print(f"not done: {name}; the sweep.log beside it says why", file=sys.stderr)
    return _print_results(config) or int(bool(failed))


def _write(config: EvidenceConfig) -> Done:
    """Write the results of what is done, if anything is."""
    done = Done(*progress_of(config))
    if done.runs:
        write_results(config, seed_rows(config), done)
    print(f"{config.question}: {done}", file=sys.stderr, flush=True)
    return done


def _print_results(config: EvidenceConfig) -> int:
    done = Done(*progress_of(config))
    if not done.runs:
        print(f"nothing is done yet of {done.planned} training runs", file=sys.stderr)
        return 1
    found = write_results(config, seed_rows(config), done)
    print(found.paragraph)
    print(f"{done}; written: {config.folder}")
    return 0


def _print_sweeps(config: EvidenceConfig) -> int:
    """Print the sweeps that the question is made of, as commands."""
    for number, stage in enumerate(config.stages):
        print(f"# stage {number + 1}")
        for arm in stage:
            print(shell_words("misgen", "sweep", *words_of(config, arm)))
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("evidence", main))
