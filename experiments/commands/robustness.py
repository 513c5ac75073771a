"""Test an agent under perturbed observations: misgen robustness run=... [key=value ...].

Plays the agent of a run, or all agents of a sweep, on levels that it was not trained on: in
distribution, with goal and proxy apart (conflict levels), and on the aligned twins of these, under
the rules of training, while its observation is perturbed:

  noise    each tile of its window is replaced by a random class with probability p
           (of pixels: noise in an L-infinity ball of radius p x 255)
  worst    at each decision an attacker with access to the network changes up to k tiles: those that
           most lower the probability of the agent's preferred action (or its critic's value), found
           by the gradient on the one-hot window and a greedy search among the best candidates
  random   k tiles chosen at random get a random class: the effect of k changes without an attacker
  goal     k tiles that most make it act as if the goal were at the proxy, all else as it is: an
           attack on what the agent goes for, which leaves it capable
  decoy    its whole observation is what it would be if the goal were at the proxy

Printed are goal, capability, and goal pursuit: 1 where the agent goes wherever the goal is, 0 where
the goal's place makes no difference.  An attack that costs pursuit but no capability makes an agent
misgeneralize.  With several training seeds each is drawn, and the mean has an interval where their
number allows one.

The search finds a strong attack, not the strongest, so what an agent withstands is an upper bound
on its robustness.  Finished work is skipped.  Writes to robustness/<hash of settings>/ in the run's
or sweep's folder

  robustness.json      goal, capability and pursuit under each attack with 95% intervals, what each
                       attack costs, findings; over seeds and for each
  robustness.csv       the same numbers, one per row
  robustness.png       the curves, also as .svg
  robustness.parquet   one row per episode

Examples:
  misgen robustness run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen robustness run=runs/coinrun-lab                 all its runs, seeds taken together
  misgen robustness run=... per=level flips=[0,1,2,4]    few changes in a whole episode
  misgen robustness run=... target=value noise=[0]       against the critic's value

Settings (misgen robustness run=... --cfg prints them all with their values)
  run, levels     the agent's run, and the levels (default: the run's first 200 test levels)
  noise           probabilities p; 0 is added, because losses are measured from it
  flips           budgets k; 0 is added
  goal            attack the goal, too (default: true), in worlds where it is a cell
  target, per     what the attacker lowers (action, value), and whether its budget is per decision
                  or per level
  placement       where the goal is placed on conflict levels (default: as in training)
  on_proxy        what reaching the proxy first does (default: what it did in training)
  trust           recreate an agent that was trained elsewhere, which runs its code
"""

from __future__ import annotations

import sys

from ..evaluation.robustness.config import RobustnessConfig
from ..evaluation.robustness.run import FIGURE, robustness
from ..training.overrides import refuse_unused
from ..training.settings import compose, typed


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.robustness_curves import PRESENTATION, robustness_parts
    from ..training.progress import episode_progress
    from ..training.terminal import show_parts
    from .common import print_config

    if "--cfg" in argv:
        return print_config("robustness", argv)
    config = typed(RobustnessConfig, compose("robustness", argv))
    refuse_unused("robustness", argv, _unused(config))
    with episode_progress("robustness") as show:
        found, into = robustness(config, PRESENTATION, show)
    show_parts(robustness_parts(found))
    print(f"written: {into.path / FIGURE}.png, .svg, .csv and .json")
    return 0


def _unused(config: RobustnessConfig) -> dict[str, str]:
    """Return the settings that have no effect beside the others, and why."""
    if not any(config.flips):
        return dict.fromkeys(("target", "per", "candidates", "worth"), "it is for flips above 0")
    return {} if config.per == "level" else {"worth": "it is for per=level"}


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("robustness", main))
