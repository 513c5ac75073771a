"""What a world can show its agent: tiles or pixels.

Public names: `Modality`, `GRID`, `RGB`, `MODALITIES`, `modality_of`.

Code that treats the two differently (encoders, saved policies, perturbations, cards) uses this
module to find out what an observation is, instead of looking for keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


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

    def of(self, *parts: T) -> dict[str, T]:
        """Return an observation, or its spaces, from its parts in the order of `keys`."""
        return dict(zip(self.keys, parts))  # noqa: B905 (checking their number takes as long)


GRID = Modality("grid", ("tiles", "body"), "tiles", "tile windows")
"""Classes of the cells around the agent (uint8 [height, width]), and its numbers (float32 [k])."""
RGB = Modality("rgb", ("rgb",), "pixels", "pixels")
"""A picture (uint8 [height, width, 3])."""
MODALITIES = {one.option: one for one in (GRID, RGB)}
"""By the value of `env.observation`."""


def modality_of(keys: Iterable[str]) -> Modality | None:
    """Return which modality an observation with these keys is, None for an unknown one."""
    found = set(keys)
    return next((one for one in MODALITIES.values() if found >= set(one.keys)), None)
