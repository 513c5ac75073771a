"""The correlation that agents were trained at, in words: of some it is not known.

An agent that was trained elsewhere may be evaluated without its correlation being told. Its config
then holds 1, at which levels as in training are played, and says that this is unknown.

Public names: `UNKNOWN`, `rho_of`, `rho_words`, `rho_labels`,
`rho_table`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import TrainConfig

UNKNOWN = "unknown"


def rho_of(config: Mapping[str, Any]) -> str:
    """Return the correlation that a run's training settings tell, such as `0.98`, or `unknown`.

    Args:
        config: the settings, as plain data.
    """
    if "correlation" in config["agent"].get("unknown", ()):
        return UNKNOWN
    return f"{float(config['correlation']):g}"


def rho_labels(configs: Iterable[Mapping[str, Any]]) -> dict[float, str]:
    """Return, for each correlation that runs' settings hold, what is told of it: `1 or unknown`."""
    found: dict[float, list[str]] = {}
    for config in configs:
        labels = found.setdefault(float(config["correlation"]), [])
        if (label := rho_of(config)) not in labels:
            labels.append(label)
    return {rho: " or ".join(sorted(labels)) for rho, labels in found.items()}


def rho_words(label: str) -> str:
    """Return a label for a sentence: `ρ = 0.98`, or `unknown ρ`."""
    return "unknown ρ" if label == UNKNOWN else f"ρ = {label}"


def rho_table(configs: Iterable[TrainConfig]) -> dict[str, str]:
    """Return `rho_labels` as stored results have it, by the correlation as text."""
    labels = rho_labels(dataclasses.asdict(config) for config in configs)
    return {f"{rho:g}": label for rho, label in labels.items()}
