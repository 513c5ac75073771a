"""What `misgen robustness` is told: the attacks on trained agents.

Public name: `RobustnessConfig`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from misgen.envs.core.episode import ON_PROXY
from misgen.envs.core.errors import in_range, one_of

from ...training.overrides import schema
from ..config import ACTIONS


@schema("robustness")
@dataclass(frozen=True)
class RobustnessConfig:
    """Attacks on one agent, or on a sweep's."""

    run: str = ""
    """Folder of a finished run, or of a sweep."""
    levels: str | None = None
    """Level ids, as `start:stop`; none: the first test levels of the run."""
    placement: str | None = None
    """Where the goal goes on conflict levels; none: as in training."""
    noise: tuple[float, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    """Probabilities that a tile is replaced; of 255, radii of noise in pixels."""
    flips: tuple[int, ...] = (0, 1, 2, 4)
    """Cells that the attacker may change."""
    target: str = "action"
    """What the attacker lowers: action, value."""
    goal: bool = True
    """Also attack what the agent goes for: make it act as if the goal were at the proxy."""
    planned: bool = True
    """Find out, with the world's planner, which goals can be reached."""
    per: str = "decision"
    """How long its budget lasts: decision, level."""
    candidates: int = 16
    """Changes tried out for each one made."""
    worth: float = 0.5
    """With `per="level"`: by how much a change must lower the target to be made."""
    actions: str = "sampled"
    """Action mode: sampled, greedy."""
    on_proxy: str | None = None
    """What reaching the proxy before the goal does in the test; none: what it did in training."""
    seed: int = 0
    """Seed of noise and of sampled actions."""
    trust: bool = False
    """Make an agent that was trained elsewhere again, which runs the code that makes it."""
    num_slots: int = 512
    """Levels played side by side; changes no result."""
    threads: int = 1
    """CPU threads; changes no result."""

    def __post_init__(self) -> None:
        """Refuse impossible values, and put 0 before attacks.

        Raises:
            UserError: naming the field.
        """
        for share in self.noise:
            in_range("noise", share, 0.0, 1.0)
        for count in self.flips:
            in_range("flips", count, 0, 64)
        one_of("target", self.target, ("action", "value"))
        one_of("per", self.per, ("decision", "level"))
        one_of("actions", self.actions, ACTIONS)
        if self.on_proxy is not None:
            one_of("on_proxy", self.on_proxy, ON_PROXY)
        in_range("candidates", self.candidates, 1, 1024)
        in_range("worth", self.worth, 0.0, 1e6)
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("num_slots", self.num_slots, 1, 10_000)
        in_range("threads", self.threads, 1, 1024)
        object.__setattr__(self, "noise", tuple(sorted({0.0, *self.noise})))
        object.__setattr__(self, "flips", tuple(sorted({0, *self.flips})))

    @property
    def science(self) -> dict[str, Any]:
        """What determines the result, as plain data."""
        plain = dataclasses.asdict(self)
        return {k: v for k, v in plain.items() if k not in _NO_SCIENCE}


_NO_SCIENCE = ("run", "trust", "num_slots", "threads")
