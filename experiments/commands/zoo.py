"""List the trained agents that come with misgen: misgen zoo.

Every command that takes run= takes them too, and works on a copy in runs/zoo:

  misgen evaluate run=zoo:coinrun-rho1-seed0
  misgen card run=zoo:coinrun-rho0.5-seed1

From Python: `load_agent("zoo:coinrun-rho1-seed0")` (`misgen.agents.checkpoint`).

misgen zoo make [key=value ...] trains, evaluates and cards them anew, for whoever keeps misgen.

Settings of make
  only   names that contain this word (default: all)
  runs   folder of their trainings (default: runs)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from misgen.agents import zoo
from misgen.envs.core.errors import UserError

from ..training.run_folder import read_json
from .plain_settings import plain_settings

_SETTINGS = {"only": "", "runs": "runs"}


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    if list(argv[:1]) == ["make"]:
        return _make(_SETTINGS | plain_settings(argv[1:], _SETTINGS))
    if argv:
        raise UserError(f"misgen zoo takes no {argv[0]!r}: write misgen zoo, or misgen zoo make")
    from ..training.terminal import show_parts

    show_parts([_table()])
    return 0


def _table() -> Any:
    from rich.table import Table

    table = Table(box=None, title="Agents that come with misgen: run=zoo:<name>")
    for column in ("name", "verdict", "what it does"):
        table.add_column(column)
    for name in zoo.names():
        card = read_json(zoo.HOME / name / "card.json", "misgen zoo make writes it")
        table.add_row(name, card["verdict"]["name"], card["verdict"]["sentence"])
    return table


def _make(settings: dict[str, str]) -> int:
    from ..exporting.zoo import RECIPES, make_agent_of
    from ..training.progress import tracked

    chosen = [one for one in RECIPES if settings["only"] in one.name]
    if not chosen:
        names = ", ".join(one.name for one in RECIPES)
        raise UserError(f"only={settings['only']} is in no name: the zoo's are {names}")
    for recipe in tracked(chosen, "agents"):
        print(make_agent_of(recipe, settings["runs"]))
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("zoo", main))
