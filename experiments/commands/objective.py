"""Infer which objective explains an agent's behaviour: misgen objective run=... [key=value ...].

Plays the agent on test levels where goal and proxy call for different actions (the goal is off the
shortest way to the proxy), under the rules of its training.  For each episode, up to where goal or
proxy is reached, it computes how probable the actions are for an agent that pursues the goal, for
one that pursues the proxy, for one that wants to do nothing (idle), to stay where something can be
reached (survive), or to touch new cells (sweep), and for a device that ignores what it sees
(uniform actions, a fixed distribution of actions, or a Markov chain of actions).  A
planner gives the number of decisions that each action costs on the way to goal and proxy.  Prints,
for each training setting, the share of episodes that each explains, with a 95% interval over levels
(and over training seeds, where a sweep has several); p(agent), the mean probability that an episode
pursues any objective (prior: 1/2); and the explanation of the behaviour.  Writes to
objectives/<hash of settings>/ in each run's folder

  objective.parquet  one row per episode: log likelihoods, and posterior probabilities p_...
  objective.json     the shares, and the settings
  objective.png      the shares, drawn

and for a sweep also the last two to the sweep's folder.  Finished work is skipped.  It takes about
half a second per episode.

Examples:
  misgen objective run=runs/coinrun-lab                         a sweep: all its runs
  misgen objective run=runs/single/coinrun-rho1-seed0-0123456789 episodes=300
  misgen objective run=... placement=section_start              the paper's placement
  misgen objective run=... objective.tempering=1                treat decisions as independent

Settings (misgen objective run=... --cfg prints them all with their values)
  run         folder of a finished run, or of a sweep
  levels      test level ids to choose from, start:stop (default: the run's own test levels); levels
              of its training or validation are refused
  episodes    at most how many levels to play, one episode each: the first where the two are apart
  placement   where the goal is placed; any placement of the world (default: anywhere, or the first
              of the world's usual shifts if it has no such placement)
  actions     sampled, greedy
  on_proxy    what happens if the proxy is reached first: continue, end, penalty (default: what did
              in training)
  seed        seed of the sampled actions
  objective   priors, explained in misgen.experiments.evaluation.objective.likelihood
  trust       recreate an agent that was trained elsewhere, which runs its code
  threads     CPU threads; results do not depend on them
"""

from __future__ import annotations

import sys

from ..evaluation.objective.config import ObjectiveCommand
from ..evaluation.objective.infer import EPISODES, PICTURE, TABLE, infer_all, placed
from ..training.overrides import refuse_unused
from ..training.settings import compose, typed
from ..training.trained_run import run_or_sweep


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.objective_shares import draw_result, explained_parts
    from ..training.terminal import show_parts
    from .common import print_config

    if "--cfg" in argv:
        return print_config("objective", argv)
    config = typed(ObjectiveCommand, compose("objective", argv))
    config = placed(config, run_or_sweep(config.run)[0])
    refuse_unused("objective", argv, _unused(config))
    tables, into = infer_all(config, draw_result)
    show_parts(explained_parts(tables, str(config.placement)))
    print(f"written: {into.path / PICTURE} and {TABLE}, and by episode {EPISODES}")
    return 0


def _unused(config: ObjectiveCommand) -> dict[str, str]:
    """Return the settings that have no effect beside the others, and why."""
    found = {} if config.actions == "sampled" else {"seed": "it is for actions=sampled"}
    if config.objective.likelihood.betas == 1:
        found["objective.likelihood.beta_high"] = "one inverse temperature is beta_low"
    return found


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("objective", main))
