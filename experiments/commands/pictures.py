"""Pictures of levels, and of the paths that agents take through them.

    python -m misgen.experiments.commands.pictures run=runs/<sweep>/<run> out=picture.png [id=17]

draws an aligned level (the goal at the proxy) beside the same level in conflict (the goal away from
it), each with the path that this agent takes up to the first of the two.

Settings
  run        run folder of a trained agent
  out        picture to write, .png or .svg (default: first_screen.png)
  id         level id (default: one that shows what the agent usually does, chosen from the run's
             evaluation)
  placement  where the goal is placed on the conflict level (default: as in training)
  actions    greedy (default) or sampled
  trust      true: recreate an agent that was trained elsewhere, which runs its code
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from misgen.agents.external.source import trusting
from misgen.envs.core.distribution import IdRange
from misgen.envs.core.errors import UserError, one_of

from ..reporting.pictures.examples import episodes_of, example_of, load_run, pick_levels
from ..reporting.pictures.paths import draw_pair
from ..training.trained_at import UNKNOWN, rho_of
from ..training.trained_run import one_run
from .plain_settings import plain_settings

_SETTINGS = ("run", "out", "id", "placement", "actions", "trust")


def main(argv: Sequence[str]) -> int:
    """Draw the pair that the settings ask for."""
    settings = plain_settings(argv, _SETTINGS)
    if not settings.get("run"):
        raise UserError("run is missing: give a trained agent's folder, run=runs/<sweep>/<run>")
    actions = one_of("actions", settings.get("actions", "greedy"), ("greedy", "sampled"))
    out = Path(settings.get("out", "first_screen.png"))
    one_of("out's ending", out.suffix, (".png", ".svg"))
    run = one_run(settings["run"])
    trust = one_of("trust", settings.get("trust", "false"), ("true", "false")) == "true"
    with trusting(trust):
        distribution, agent = load_run(run)
    if "placement" in settings:
        distribution = distribution.at(placement=settings["placement"])
    if "id" in settings:
        ids, choice = [IdRange.parse(settings["id"]).start], "as asked for"
    else:
        ids, choice = pick_levels(episodes_of(run), distribution, actions)
    example = example_of(distribution, ids, agent, greedy=actions == "greedy")
    out.parent.mkdir(parents=True, exist_ok=True)
    config = run.manifest()["config"]
    told = None if rho_of(config) == UNKNOWN else config["correlation"]
    draw_pair(example, distribution.world, told).savefig(out, dpi=100)
    print(f"{out}: level {example.aligned.id}, {choice}")
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("pictures", main))
