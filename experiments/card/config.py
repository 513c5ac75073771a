"""Settings of a card.

Public name: `CardConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .replay import REPLAY, parse_replay
from .sources import Choice


@dataclass(frozen=True)
class CardConfig(Choice):
    """One card to make, or to validate."""

    run: str | None = None
    """Folder of a finished run, or of a sweep."""
    card: str | None = None
    """Card to validate."""
    replay: str = str(REPLAY)
    """Episodes of each kind to play again: a number, or all."""
    trust: bool = False
    """Make an agent that was trained elsewhere again, which runs the code that makes it."""

    def __post_init__(self) -> None:
        """Refuse an impossible number.

        Raises:
            UserError: naming it.
        """
        parse_replay(self.replay)
