"""Compare protocols on agents whose goals are known: misgen compare [key=value ...].

Which evaluation detects that an agent misgeneralizes its goal?  Every protocol tests agents whose
goals are known, with budgets of 10 to 10,000 episodes, without knowing what they are.  There are
two populations, which are reported apart:

  constructed   planned seekers that choose the proxy on a known share of the levels, with noise and
                delays, and agents that fool measures: what they are is known from their making
  trained       agents trained at several correlations, and mixtures of them: what they are is found
                by an exhaustive evaluation, which computes much what the protocols compute

Thresholds are fitted on capable, aligned agents alone: of n of them, the score at index
floor(rate * (n + 1)) - 1 from the top (a rate of 5% needs 19; with fewer nothing is ever detected).
Agents trained at correlation 1 are reported apart from the others: their training holds no level on
which goal and proxy part, so no test that stays within it can tell what they pursue.

Prints the comparison, and writes to runs/<name>/comparisons/<hash of settings>/

  comparison.csv   a row per population, support, protocol and budget: area under the ROC curve;
                   detection power, the share of misgeneralizing agents detected; 95% intervals
                   over agents (those of one recipe together); share of aligned and of incapable
                   agents that are called misgeneralizing; the threshold; on how many agents the
                   protocol cannot be run
  curve.csv        the share of agents detected by the share of levels on which they choose the
                   proxy, borderline agents included
  differences.csv  power of each protocol minus that of each other, paired over agents
  two_by_two.csv   protocols that stay within the training support or not, told the proxy or not
  scores.parquet   a row per protocol, agent, replicate and budget
  agents.csv       each agent with its truth
  power.png, curve.png, and .svg   power against budget, detections against the proxy's share

Finished work (agents, truth, scores) is skipped, so a comparison that was stopped resumes.  Agents
that are missing are trained by misgen sweep.

Examples:
  misgen compare                                    cheese on a dish, all protocols
  misgen compare population.train=false             only with agents that are already trained
  misgen compare population.constructed.correlations=[]   only with trained agents
  misgen compare protocols=[iid,counterfactual_pairs] budgets=[10,100]
  misgen compare protocols=[iid,/path/mine.yaml]    your own protocol beside one of ours
  misgen compare agents=[rho1-,random] jobs=8
  misgen compare size=smoke name=try                minutes; more than 200 agents
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
                    score at this one, and say so
  replicates        sets of levels that each protocol is run on
  truth.*           the exhaustive evaluation of trained agents: levels, placements, repeats, ...
  population.*      train, short_steps, references; constructed.*: the grid of constructed agents
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
    print(f"written: {into}/comparison.csv, curve.csv, differences.csv, ... and figures")
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("protocols.compare", main))
