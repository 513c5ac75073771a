"""What `misgen probe` is told: the settings of one probe of trained agents.

Public name: `ProbeConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from misgen.envs.core.errors import in_range, one_of

from ...training.config import id_range
from ...training.overrides import schema
from ..config import ACTIONS
from .tracking import CriticConfig


@schema("probe")
@dataclass(frozen=True)
class ProbeConfig:
    """One probe of one trained agent, or of a sweep's."""

    run: str = ""
    """Folder of an evaluated run, or of a sweep."""
    levels: str | None = None
    """Level ids for the critic, as `start:stop`; none: the first test levels of the run."""
    placements: tuple[str, ...] | None = None
    """Where the goal goes; none: as in the run's evaluation."""
    evaluation: str | None = None
    """What the hash of its settings begins with; none: the sweep's own, or the only one."""
    actions: str = "sampled"
    """Action mode on the critic's levels."""
    seed: int = 0
    """Seed of sampled actions."""
    critic: CriticConfig = field(default_factory=CriticConfig)
    """From values to numbers and words."""
    trust: bool = False
    """Make an agent that was trained elsewhere again, which runs the code that makes it."""
    num_slots: int = 256
    """Levels played side by side; changes no result."""
    threads: int = 1
    """CPU threads; changes no result."""
    out: str | None = None
    """Folder to write to; none: the run's."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        one_of("actions", self.actions, ACTIONS)
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("num_slots", self.num_slots, 1, 10_000)
        in_range("threads", self.threads, 1, 1024)
        if self.levels is not None:
            id_range("levels", self.levels)
