"""Sentences on what was sampled because its range of ids is too large to list.

Public names: `sampling_notes`, `terrain_note`, `training_note`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sampling_notes(levels: Mapping[str, Any]) -> list[str]:
    """Return a sentence for training and test levels each, if they were sampled.

    Args:
        levels: what `suite.level_report` returned; older ones lack some keys.
    """
    test, found = levels.get("test", {}), []
    training = training_note(levels.get("training", {}))
    if training:
        found.append(training)
    if test.get("sampled"):
        found.append(
            f"The test range has {test['levels']:,} level ids: {test['levels_played']:,} of them, "
            "spread evenly over it, were played."
        )
    return found


def training_note(training: Mapping[str, Any]) -> str:
    """Return a sentence on training levels (`LevelDistribution.describe`), or nothing to say."""
    if not training.get("sampled"):
        return ""
    low, high = training["realised_correlation_low"], training["realised_correlation_high"]
    return (
        f"The training range has {training['levels']:,} level ids: what is said about"
        f" them is estimated from {training['levels_looked_at']:,}, spread evenly over it "
        "(realised ρ "
        f"{training['realised_correlation']:.4g} [{low:.4g}, {high:.4g}])."
    )


def terrain_note(test: Mapping[str, Any]) -> str:
    """Return which share of the test levels has a terrain that also occurs in training."""
    seen = test.get("terrain_seen_in_training")
    if seen is None:
        return "Whether test levels also occur in training is not known."
    sample = test.get("training_levels_looked_at")
    if sample is not None and seen == 0:
        return (
            f"None of {sample:,} training levels that were checked has the terrain of a test level."
        )
    if sample is not None:
        return (
            f"At least {seen:.1%} of the test levels have the terrain of some training level: of "
            f"{sample:,} training levels that were checked."
        )
    if seen == 0:
        return "No test level has the terrain of a training level."
    return f"{seen:.1%} of the test levels have the terrain of some training level."
