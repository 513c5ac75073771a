"""The words of a sweep's command line, and which of them are settings of its trainings.

Public names: `OWN_KEYS`, `train_words`.
"""

from __future__ import annotations

from collections.abc import Sequence

OWN_KEYS = ("correlations", "seeds", "jobs", "name", "evaluate")
"""Settings of a sweep that are none of a training."""
_NOT_TRAINING = (*OWN_KEYS, "correlation", "seed")


def train_words(words: Sequence[str]) -> list[str]:
    """Return those words of a sweep's command line that are settings of its trainings."""
    kept = []
    for word in words:
        key = word.lstrip("+").partition("=")[0]
        if key not in (*_NOT_TRAINING, "runs") and key.partition(".")[0] not in OWN_KEYS:
            kept.append(word)
    return kept
