"""Settings of the `misgen levels` commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError, in_range
from misgen.envs.core.placement import USUAL
from misgen.envs.core.registry import make_world
from misgen.envs.core.world import World

from ..training.overrides import schema


@schema("levels")
@dataclass(frozen=True)
class LevelsCommand:
    """Settings of the `misgen levels` commands."""

    env: dict[str, Any]
    """World name and its parameters."""
    correlation: float = 1.0
    """Probability that a level is aligned."""
    placement: str = USUAL
    """Where the goal goes on a conflict level."""
    id: int = 0
    """The level to show or to edit."""
    ids: str = "0:500"
    """The levels to export or replay."""
    out: str | None = None
    """File to write."""
    actions: str | None = None
    """replay: the file with the actions; play: the actions themselves."""
    file: str | None = None
    """The level file to check or to play."""
    player: str | None = None
    """Who plays: an agent's name, or a run's folder; None: who is at the keys.  It is written
    `agent=...`, which hydra would look for in its group of that name."""
    seed: int = 0
    """Seed of a playing agent's sampled actions."""
    greedy: bool = False
    """Whether a playing agent takes its most probable action instead of drawing one."""
    trust: bool = False
    """Make a playing agent that was trained elsewhere again, which runs the code that makes it."""
    scale: int = 384
    """Height and width of an animation, in pixels."""
    overlay: bool = False
    """Whether an animation marks goal, proxy and path."""
    open: bool | None = None
    """edit: whether to open $EDITOR; None: if this is a terminal."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("scale", self.scale, 32, 2048)

    def world(self, parameters: Mapping[str, Any] | None = None) -> World:
        """Return the world, with other parameters if they are given (`name` among them)."""
        own = dict(self.env if parameters is None else parameters)
        return make_world(own.pop("name", "coinrun"), **own)

    def distribution(self, ids: str | int) -> LevelDistribution:
        """Return the levels of `ids`."""
        return LevelDistribution(self.world(), self.correlation, self.placement, IdRange.parse(ids))

    def require_file(self) -> str:
        """Return the level file.

        Raises:
            UserError: if none is given.
        """
        if self.file is None:
            raise UserError("file is missing: give file=level.txt, as misgen levels edit writes it")
        return self.file
