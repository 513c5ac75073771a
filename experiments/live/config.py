"""Settings of `misgen play`.

Public names: `PlayConfig`, `configured`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from misgen.envs.core.errors import UserError, in_range
from misgen.envs.core.placement import USUAL

from ..levels.files import overrides_of
from ..levels.level_settings import LevelsCommand
from ..training.overrides import keys_of, schema
from ..training.settings import compose, typed

_LONGEST_NAME = 40
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@schema("play")
@dataclass(frozen=True)
class PlayConfig:
    """Settings of `misgen play`."""

    env: dict[str, Any]
    """World name and its parameters."""
    correlation: float = 0.0
    """How often goal and proxy coincide in the levels that are opened."""
    placement: str = USUAL
    """Where the goal is where they do not."""
    id: int = 0
    """The first level."""
    file: str | None = None
    """A level file to begin with."""
    player: str | None = None
    """The agent to watch, written `agent=...` or `run=...`: its name, or a run's folder; None:
    nobody."""
    seed: int = 0
    """Seed of the agent's sampled actions, and of the order in which a test shows its levels."""
    greedy: bool = False
    """Whether the agent takes its most probable action instead of drawing one."""
    trust: bool = False
    """Make an agent that was trained elsewhere again, which runs the code that makes it."""
    terminal: bool = False
    """Play in this terminal instead of on a page."""
    port: int = 0
    """Port of the page; 0: any that is free."""
    open: bool | None = None
    """Whether to open a browser; None: if there is one on this screen."""
    called: str = "you"
    """What tables call the person who plays."""
    runs: str = "runs"
    """Folder that holds all runs."""
    name: str = "play"
    """Folder in it for what is played, saved and measured."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("correlation", self.correlation, 0.0, 1.0)
        in_range("port", self.port, 0, 65535)
        if 0 < self.port < 1024:
            raise UserError(f"port={self.port} is reserved: give one from 1024 to 65535, or 0")
        require_name("called", self.called)
        if not _PART.fullmatch(self.name):
            raise UserError(
                f"name={self.name!r} is no folder's name: use letters, digits, '_', '-' and '.'"
            )

    @property
    def levels_command(self) -> LevelsCommand:
        """The same for `misgen levels play`."""
        own = ("env", "correlation", "placement", "id", "file", "player", "seed", "greedy", "trust")
        return LevelsCommand(**{name: getattr(self, name) for name in own})


def require_name(field: str, name: str) -> str:
    """Return a person's name if tables can show it.

    Raises:
        UserError: naming the field.
    """
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UserError(
            f"{field}={name[:60]!r} is no name for a table: give 1 to {_LONGEST_NAME} letters"
        )
    return name


def configured(argv: Sequence[str]) -> PlayConfig:
    """Return the settings that a command line gives, with those that its file or run implies."""
    words = [re.sub("^run=", "agent=", word) for word in argv]
    if len(keys_of(argv).keys() & {"run", "agent"}) == 2:
        raise UserError("run and agent both name whom to watch: give one of them")
    # hydra would look for agent=... in its group of that name
    own = [re.sub("^agent=", "player=", word) for word in words]
    return typed(PlayConfig, compose("play", overrides_of(words) + own))
