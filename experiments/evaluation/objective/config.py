"""What `misgen objective` is told: the settings of one inference about trained agents.

Public name: `ObjectiveCommand`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from misgen.envs.core.episode import ON_PROXY
from misgen.envs.core.errors import in_range, one_of

from ...training.config import id_range
from ...training.overrides import schema
from ..config import ACTIONS
from .behavioural_objective import OBJECTIVES, ObjectiveConfig


@schema("objective")
@dataclass(frozen=True)
class ObjectiveCommand:
    """An inference about one run, or all runs of a sweep."""

    run: str = ""
    """Folder of a finished run, or of a sweep."""
    levels: str | None = None
    """Level ids to choose from, as `start:stop`; none: those that the run set aside."""
    episodes: int = 100
    """How many levels are played at most, an episode each."""
    placement: str | None = None
    """Where the goal goes on a conflict level; none: `anywhere`, or in a world without such a
    placement the first of its usual shifts."""
    actions: str = "sampled"
    """Action mode: sampled, greedy."""
    on_proxy: str | None = None
    """What reaching the proxy before the goal does in the test; none: what it did in training."""
    seed: int = 0
    """Seed of sampled actions."""
    objective: ObjectiveConfig = field(
        default_factory=lambda: ObjectiveConfig(objectives=OBJECTIVES)
    )
    """From episodes to probabilities."""
    trust: bool = False
    """Make an agent that was trained elsewhere again, which runs the code that makes it."""
    threads: int = 1
    """CPU threads; changes no result."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        one_of("actions", self.actions, ACTIONS)
        if self.on_proxy is not None:
            one_of("on_proxy", self.on_proxy, ON_PROXY)
        in_range("episodes", self.episodes, 1, 1_000_000)
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("threads", self.threads, 1, 1024)
        if self.levels is not None:
            id_range("levels", self.levels)

    @property
    def science(self) -> dict[str, Any]:
        """What determines the result, as plain data."""
        plain = dataclasses.asdict(self)
        return {key: plain[key] for key in plain if key not in ("run", "trust", "threads")}
