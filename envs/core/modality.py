"""What a world can show its agent: tiles or pixels.

Public names: `Modality`, `TILES`, `PIXELS`, `MODALITIES`, `modality_of`.

Whoever treats the two differently (encoders, saved policies, perturbations, cards) asks here what
an observation is, and does not look for keys itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Modality:
    """A kind of observation."""

    option: str
    """Value of `env.observation` that asks for it."""
    keys: tuple[str, ...]
    """Keys of the observation; the first is what the agent looks at."""
    name: str
    """Its name for people, a plural."""
    described: str
    """What a message calls such an observation."""

    @property
    def seen(self) -> str:
        """Key of what the agent looks at, beside which other keys are numbers about itself."""
        return self.keys[0]


TILES = Modality("grid", ("tiles", "body"), "tiles", "tile windows")
"""Classes of the cells around the agent (uint8 [height, width]), and its numbers (float32 [k])."""
PIXELS = Modality("rgb", ("rgb",), "pixels", "pixels")
"""A picture (uint8 [height, width, 3])."""
MODALITIES = {one.option: one for one in (TILES, PIXELS)}
"""By the value of `env.observation`."""


def modality_of(keys: Iterable[str]) -> Modality | None:
    """Return which modality an observation with these keys is, None for an unknown one."""
    found = set(keys)
    return next((one for one in MODALITIES.values() if found >= set(one.keys)), None)
