"""The available encoders: what each reads, and its default widths.

Public names: `Encoder`, `ENCODERS`, `encoders_of`.  Imports no torch: the networks themselves are
in `networks` and `vision`.
"""

from __future__ import annotations

from dataclasses import dataclass

from misgen.envs.core.modality import GRID, RGB, Modality


@dataclass(frozen=True)
class Encoder:
    """A network that turns observations into features."""

    reads: Modality
    """The observations it takes."""
    hidden: tuple[int, ...]
    """Widths of its fully connected layers, unless others are asked for."""
    channels: tuple[int, ...]
    """Channels of its convolutions, unless others are asked for."""
    has_channels: bool = True
    """Whether it has convolutions at all."""
    stages: int | None = None
    """How many convolutions it has; None for as many as asked for."""
    has_experts: bool = False
    """Whether its fully connected layers are mixtures of experts, after the first."""


ENCODERS = {
    "mlp": Encoder(GRID, (128, 128), (16, 32), has_channels=False),
    "cnn": Encoder(GRID, (128, 128), (16, 32)),
    "moe": Encoder(GRID, (128, 128), (16, 32), has_channels=False, has_experts=True),
    "impala": Encoder(RGB, (256,), (16, 32, 32)),
    "nature": Encoder(RGB, (512,), (32, 64, 64), stages=3),
}
"""By the value of `agent.encoder`."""


def encoders_of(modality: Modality) -> list[str]:
    """Return the names of the encoders that read a modality."""
    return [name for name, encoder in ENCODERS.items() if encoder.reads is modality]
