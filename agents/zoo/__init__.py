"""Trained agents that come with misgen, each in a folder of its own.

    load_agent("zoo:coinrun-rho1-seed0")
    misgen evaluate run=zoo:coinrun-rho1-seed0

Public names: `PREFIX`, `names`, `located`.

A folder holds what a training run's does (policy, manifest, learning curve), an evaluation with its
episodes, and the card made of it.  Weights are float16, widened when they are loaded; what was
evaluated are these rounded weights.  `misgen zoo make` made them all.
"""

from __future__ import annotations

from pathlib import Path

from misgen.envs.core.errors import UserError

PREFIX = "zoo:"
HOME = Path(__file__).parent


def names() -> list[str]:
    """Return the names of all agents."""
    return sorted(path.parent.name for path in HOME.glob("*/policy.json"))


def located(folder: str | Path) -> Path:
    """Return the folder that a path, or `zoo:<name>`, names.

    Raises:
        UserError: if the zoo has no such agent.
    """
    text = str(folder)
    if not text.startswith(PREFIX):
        return Path(folder)
    name = text.removeprefix(PREFIX)
    if name not in names():
        raise UserError(
            f"{text} is not in the zoo, which has {', '.join(names()) or 'no agents'}: give one of "
            "these after zoo:"
        )
    return HOME / name
