"""Its settings, and its entry in misgen's register; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from misgen.agents.algorithms import Algorithm
from misgen.agents.config import A2CConfig
from misgen.agents.limits import Number, Rule


@dataclass
class AWRConfig(A2CConfig):
    """A2C's settings, and how sharply good decisions are preferred."""

    rules: ClassVar[Mapping[str, Rule]] = {
        **A2CConfig.rules,
        "temperature": Number(0.0, 100.0, closed=False),
        "most_weight": Number(1.0, 1e6),
    }

    algorithm: str = "awr"
    """Name of the algorithm."""
    temperature: float = 0.5
    """Advantages are divided by this: the lower, the more only the best decisions count."""
    most_weight: float = 20.0
    """Largest weight of a decision."""


AWR = Algorithm(AWRConfig, "awr.learner:AWRLearner", "Advantage-weighted regression")
