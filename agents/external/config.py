"""What a run's settings say of an agent that was trained elsewhere.

Public names: `EXTERNAL`, `TITLE`, `ExternalConfig`, `UNKNOWN`.  Imports no torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from misgen.envs.core.errors import UserError, one_of

from ..config import LearnerConfig

EXTERNAL = "external"
"""In place of an algorithm's name."""
TITLE = "trained elsewhere"
"""What people call that."""
UNKNOWN = ("correlation", "placement", "levels", "seed")
"""What may be unknown of a training; a run's config then holds what the agent is tested by."""


@dataclass
class ExternalConfig(LearnerConfig):
    """An agent of whose training nothing is known but what its owner says."""

    algorithm: str = EXTERNAL
    """Always `external`."""
    name: str = "agent"
    """What tables call it."""
    identity: str = ""
    """SHA-256 that tells it from others: see `identity`."""
    unknown: tuple[str, ...] = field(default_factory=tuple)
    """What is not known of its training, of `UNKNOWN`."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        super().__post_init__()
        for one in self.unknown:
            one_of("unknown", one, UNKNOWN)
        if not re.fullmatch("[0-9a-f]{64}", self.identity):
            raise UserError(
                f"agent.algorithm={EXTERNAL} trains nothing, and agent.identity={self.identity!r} "
                "names no agent: evaluate an agent of your own with misgen evaluate "
                "agent=my_module:make_agent"
            )

    @property
    def science(self) -> dict[str, Any]:
        """Which agent it is, as plain data; settings of a training there are none."""
        return {
            "algorithm": EXTERNAL,
            "name": self.name,
            "identity": self.identity,
            "unknown": list(self.unknown),
        }
