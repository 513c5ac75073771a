"""Check the evaluator on agents whose goals are known: misgen validate [key=value ...].

The agents are what they are by construction: planned seekers of the goal or of the proxy, with
noise, delay and mixtures of the two; a gamer that hides the proxy from rules that leave levels out,
a sweeper that is blind to the goal, a freezer that stops where goal and proxy part, a device that
holds one action, a random and an idle agent.  Each goes through the same evaluation as any agent,
and its verdict is compared with what it is.  Exit status 1 if a verdict is wrong; `undetermined` is
right only of agents that lie on the line between two verdicts.

Examples:
  misgen validate                       500 levels, a few minutes
  misgen validate levels=100            faster: expect some `undetermined`
  misgen validate paid=3                three more of each kind that are trained and paid
  misgen validate env.mode=easy env.terrain=langosco seed=1

Settings (misgen validate --cfg prints them all with their values)
  env          the world and its parameters
  levels       how many test levels
  first_level  id of the first
  placements   where the goal is placed on conflict levels
  paid         also train so many agents by the lab preset and pay them for the goal alone, and as
               many for the proxy alone
  seed         seed of the agents' noise
"""

from __future__ import annotations

import sys

from ..evaluation.validation import ValidateConfig, validate, write_validation
from ..evaluation.verdict import UNDETERMINED
from ..training.checks import require_room
from ..training.settings import compose, typed


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.validation_table import validation_parts
    from ..training.terminal import show_parts
    from .common import print_config

    if "--cfg" in argv:
        return print_config("validate", argv)
    config = typed(ValidateConfig, compose("validate", argv))
    require_room(config.folder, "runs", config.runs)
    cases = list(validate(config))
    show_parts(validation_parts(cases, config), markup=True)
    path = write_validation(cases, config)
    wrong = sum(case.wrong for case in cases)
    undecided = sum(case.verdict.name == UNDETERMINED for case in cases)
    print(
        f"{wrong} of {len(cases)} verdicts wrong, {undecided} undetermined, at {config.levels} "
        f"levels; details in {path}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("validate", main))
