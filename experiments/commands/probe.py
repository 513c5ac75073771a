"""Test what an agent and its critic follow, level by level: misgen probe run=... [key=value ...].

Answers two questions about one trained agent, or all agents of a sweep, by changing one thing at a
time.

What determines where the agent goes?  Every conflict level of the run's evaluation is compared with
its aligned twin, the same level with the goal at the proxy, episode by episode, with the same
random numbers.  Each pair is counted as goal-driven (the agent reached the goal first, and does not
go there on the twin), proxy-driven (it reached the proxy first), both (the goal lay on its way) or
neither.  Pull is how much more often it touches the goal's cell before the proxy with the goal in
it than without; p is from McNemar's exact test.

What does its critic track?  The agent plays such pairs, and its critic values the same place with
the goal at the end, with the goal moved, without a goal, and with the level's end out of view.  The
answer is the goal, the end, both or neither, found in two ways: where these are in view, and over
time, as the agent walks past the goal and on to the end.  Actor and critic need not agree.

Writes to probes/<hash of settings>/ in the run's folder (or in out)

  probe.json         all numbers with their intervals, the tests, the profiles
  probe.png          shares, effects on the value, and the value while walking past goal and end

Examples:
  misgen probe run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen probe run=runs/coinrun-lab                      all its runs, seeds taken together
  misgen probe run=... levels=2000000:2001000 placements=[anywhere]

Settings (misgen probe run=... --cfg prints them all with their values)
  run                     an evaluated run's folder (misgen evaluate), or a sweep's
  levels                  level ids for the critic, start:stop (default: the first 200 test levels);
                          levels of training or validation are refused
  placements              where the goal is placed (default: as in the evaluation)
  actions                 sampled or greedy, for the critic's levels
  evaluation              which of the run's evaluations, by the beginning of its hash (default: the
                          sweep's own, or the only one)
  critic.smallest_effect  change of value, in units of reward, that counts as tracking
  trust                   recreate an agent that was trained elsewhere, which runs its code
  out                     folder to write to
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..evaluation.probes.config import ProbeConfig
from ..evaluation.probes.run import probe, write_probe
from ..training.overrides import refuse_unused
from ..training.settings import compose, typed


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.probe_figure import draw_result
    from ..reporting.probe_sentences import probe_parts
    from ..training.progress import episode_progress
    from ..training.terminal import show_parts
    from .common import print_config

    if "--cfg" in argv:
        return print_config("probe", argv)
    hashes = [word for word in argv if word.startswith("evaluation=")]  # 12e4 is one, no number
    plain = compose("probe", [word for word in argv if word not in hashes])
    if hashes:
        plain["evaluation"] = hashes[-1].partition("=")[2]
    config = typed(ProbeConfig, plain)
    if config.actions != "sampled":
        refuse_unused("probe", argv, {"seed": "it is for actions=sampled"})
    with episode_progress("probe") as show:
        found = probe(config, show)
    show_parts(probe_parts(found))
    print(f"written: {write_probe(found, Path(config.out or config.run), draw_result)}")
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("probe", main))
