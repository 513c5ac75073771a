"""Infer what trained agents are after: misgen objective run=... [key=value ...].

Plays the agent on test levels where the goal and the proxy ask for different things (the goal is
away from the shortest way to the proxy), and asks of each episode how likely its actions are for an
agent after the goal, for one after the proxy, and for a mindless device (random actions, a fixed
habit, a habit of what follows what).  A planner tells how many decisions each action costs on the
way to either.  Prints, for each training setting, the share of episodes that each explains, with a
95% interval over levels (and over training seeds, where a sweep has several), p(agent), the mean
probability that an episode is after anything (1/2 beforehand), and which explains the behaviour.
Writes into objectives/<hash>/ in each run's folder, a folder for each set of settings,

  objective.parquet  one row per episode: log likelihoods, and posterior probabilities p_...
  objective.json     the shares, and the settings
  objective.png      the shares, drawn

and for a sweep the last two likewise into its own.  What is already there is not repeated.  It
takes about half a second an episode.

Examples:
  misgen objective run=runs/coinrun-lab                         a sweep: all its runs
  misgen objective run=runs/single/coinrun-rho1-seed0-0123456789 episodes=300
  misgen objective run=... placement=section_start              the paper's placement
  misgen objective run=... objective.tempering=1                take decisions as independent

Settings (misgen objective run=... --cfg prints them all with their values)
  run         folder of a finished run, or of a sweep
  levels      test level ids to choose from, start:stop; unless given those that the run set aside;
              levels of its training or validation are refused
  episodes    how many of them are played at most, one episode each: the first where the two part
  placement   where the goal goes; any placement of the world
  actions     sampled, greedy
  on_proxy    what reaching the proxy first does: end (the paper's test), continue, penalty
  seed        seed of the sampled actions
  objective   priors; docs are in behavioural_objective and likelihood, two modules of
              misgen.experiments.evaluation.objective
  threads     CPU threads; changes no result
"""

from __future__ import annotations

import sys

from ..evaluation.objective.config import ObjectiveCommand
from ..evaluation.objective.infer import EPISODES, PICTURE, TABLE, infer_all
from ..training.settings import compose, typed


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.objective import draw_result, explained_parts
    from ..training.terminal import show_parts
    from .common import print_config

    if "--cfg" in argv:
        return print_config("objective", argv)
    config = typed(ObjectiveCommand, compose("objective", argv))
    tables, into = infer_all(config, draw_result)
    show_parts(explained_parts(tables, config.placement))
    print(f"written: {into.path / PICTURE} and {TABLE}, and by episode {EPISODES}")
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("objective", main))
