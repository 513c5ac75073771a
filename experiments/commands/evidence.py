"""Answer a question of the literature: misgen evidence <question> [key=value ...].

Trains, evaluates and tests what the question asks for, and writes to runs/<question>-<size>

  seeds.csv            every training seed (or agent: agents.csv), a row each, with its numbers
  <table>.csv          what is made of them, and <question>.png (.svg), the figure
  README.md            the page: the question, what was found, how sure, what it does not show
  provenance.json      how it was made: commands, days, hardware, CPU hours

It can be stopped at any time: what is done stays done, tables are made of it and say so, and the
same command goes on.  All arms of a stage grow together: two seeds of each, six, and so on.

Questions
  langosco_figure_2    how rarely may the coin be moved in training? (CoinRun)
  phase_diagram        frequency of conflicts, their variety, or time: what decides a seed?
  langosco_figure_4    how large must the cheese's region be? (Maze I)
  maze_2               shape or colour: which feature is followed? (Maze II)
  keys_and_chests      are keys gathered for their own sake?
  actor_and_critic     do actor and critic go for the same thing? (CoinRun)
  follow_the_leader    is a leader followed into mistakes, and worse than random?
  level_replay         do levels chosen by regret mend it, where conflicts are rare?
  detection            which evaluation detects misgeneralization?
  identifiability      can tests within the support tell what is pursued?
  anticipation         what does a test see that was told some of the cues?
  compute              is compute a proxy for what an agent goes for?
  emergence            when does an agent come to go for the goal?
  inheritance          what goal does an heir of another's agent have?

Examples:
  misgen evidence langosco_figure_2 size=smoke         a minute, to check that it works
  misgen evidence langosco_figure_2 size=lab jobs=2
  misgen evidence langosco_figure_2 train=false        tables of what is done so far
  misgen evidence langosco_figure_2 --cfg              what it is made of
  misgen evidence maze_2 seeds=20 earlier=docs/evidence/maze_2    more seeds than its page has

Settings
  size    smoke, lab (default) or full: how many arms and seeds
  arms    only these parts, by name, with commas between (--cfg lists them)
  seeds   seeds 0 to seeds - 1 of each part (default: as many as the size says)
  jobs    one-thread jobs side by side (default: one per CPU core)
  train   false: train nothing, make tables of what is done
  runs    folder that holds all runs
  out     folder of the results (default: runs/<question>-<size>)
  earlier folder of earlier results, such as docs/evidence/<question>: their rows are taken over,
          and what they hold is not done again
"""

from __future__ import annotations

import sys

from misgen.envs.core.errors import UserError
from misgen.envs.core.processes import stopping_cleanly

from ..evidence.collected import Done, collect
from ..evidence.config import EvidenceConfig
from ..evidence.earlier import require_all_kept
from ..evidence.run import carry_out, check
from ..evidence.told import write_results
from ..training.checks import require_room
from ..training.overrides import read_plain
from ..training.settings import typed


def main(argv: list[str]) -> int:
    """Run the command."""
    named = [word for word in argv if "=" not in word and word != "--cfg"]
    if len(named) > 1:
        raise UserError(f"{' and '.join(named)} are {len(named)} questions: give one at a time")
    words = [f"question={word}" if word in named else word for word in argv if word != "--cfg"]
    config = typed(EvidenceConfig, read_plain(EvidenceConfig, words))
    if "--cfg" in argv:
        return _print_arms(config)
    require_room(config.folder, "out" if config.out else "runs", config.out or config.runs)
    require_all_kept(config)
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
    rows, done = collect(config)
    if done.runs:
        write_results(config, rows, done)
    print(f"{config.question}: {done}", file=sys.stderr, flush=True)
    return done


def _print_results(config: EvidenceConfig) -> int:
    rows, done = collect(config)
    if not done.runs:
        print(f"nothing is done yet of {done.planned} {done.counts}", file=sys.stderr)
        return 1
    found = write_results(config, rows, done)
    print(found.paragraph)
    print(f"{done}; written: {config.folder}")
    return 0


def _print_arms(config: EvidenceConfig) -> int:
    """Print what the question is made of, as commands."""
    for number, stage in enumerate(config.stages):
        print(f"# stage {number + 1}")
        for arm in stage:
            print(arm.told(config))
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("evidence", main))
