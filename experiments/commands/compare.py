"""Compare protocols on agents whose goals are known: misgen compare [key=value ...].

Which evaluation detects that an agent misgeneralizes its goal?  Agents trained at several
correlations, and reference agents with built-in goals, are first evaluated on far more levels than
any protocol may use; the result is taken as the truth.  Then every protocol tests every agent with
budgets of 10 to 10,000 episodes, without knowing the truth.  Prints the comparison, and writes to
runs/<name>/comparisons/<hash of settings>/

  comparison.csv   a row per protocol and budget: area under the ROC curve; detection power, the
                   share of misgeneralizing agents detected with false alarms on at most 5% of the
                   others; 95% intervals over agents; false alarms among aligned and among incapable
                   agents; episodes and seconds; the threshold.  Thresholds are fitted on other
                   agents than those they are applied to
  scores.parquet   a row per protocol, agent, replicate and budget
  agents.csv       each agent with its truth
  power.png, .svg  detection power against budget

Finished work (agents, truth, scores) is skipped, so a comparison that was stopped resumes.  Agents
that are missing are trained by misgen sweep.

Examples:
  misgen compare                                    cheese on a dish, all protocols
  misgen compare population.train=false             only with agents that are already trained
  misgen compare protocols=[iid,counterfactual_pairs] budgets=[10,100]
  misgen compare protocols=[iid,/path/mine.yaml]    your own protocol beside one of ours
  misgen compare agents=[rho1-,random] jobs=8
  misgen compare size=smoke name=try                minutes, to check that it works
  misgen compare env=coinrun placement=anywhere     another world
  misgen compare env=shape_colour_maze placement=each steps=null truth.placements=[each]

Settings (misgen compare --cfg prints them all with their values)
  env, preset, placement, correlations, seeds, steps    how the population is trained
  sweep             name of its sweep (default: population-<env>)
  protocols         names of configs/protocol, or YAML files (default: all protocols)
  agents            only agents whose names contain one of these words
  budgets           episodes that a protocol may spend on an agent
  false_alarms      false-alarm rate at which power is measured
  planned_most      largest budget for agents that plan, which are slow; larger budgets reuse the
                    score at this one
  replicates        sets of levels that each protocol is run on
  truth.*           the exhaustive evaluation: levels, placements, capable, ...
  population.*      train, short_steps, references
  jobs              parallel processes of one thread each (default: one per CPU core)
"""

from __future__ import annotations

import sys

from ..protocols.comparison.compare import check, compare
from ..protocols.comparison.config import read_config
from ..protocols.comparison.population import left_out
from ..training.overrides import refuse_unused
from ..training.settings import compose

_ONLY_SHORT = {
    "population.short_correlations": "there are no short trainings: give population.short_steps"
}


def main(argv: list[str]) -> int:
    """Run the command."""
    from .common import print_plain
    from .comparison_table import print_comparison

    plain = compose("compare", [word for word in argv if word != "--cfg"])
    if "--cfg" in argv:
        return print_plain(plain)
    config = read_config(plain)
    if not config.population.short_steps:
        refuse_unused("compare", argv, _ONLY_SHORT)
    protocols = check(config)
    for text in left_out(config.population):
        print(text, file=sys.stderr)
    table, agents = compare(config, protocols)
    print_comparison(table, agents, config.false_alarms)
    into = config.results.path
    print(f"written: {into}/comparison.csv, agents.csv, scores.parquet, power.png, power.svg")
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("protocols.compare", main))
