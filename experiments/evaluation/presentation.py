"""How a result gets its words and pictures: given to a measurement by whoever presents it.

Measurements know their numbers alone; what people read and look at is made in `reporting`, which
builds on them.  A command puts the two together.

Public names: `Presentation`, `Picture`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Found = Mapping[str, Any]
"""What a result's JSON file holds."""
Picture = Callable[[Found, Path], object]
"""Draws a result and writes it to a path."""


@dataclass(frozen=True)
class Presentation:
    """What puts one kind of result into words and draws it."""

    sentences: Callable[[Found], list[str]]
    """Returns the findings, one sentence each."""
    picture: Picture
    """Draws it; the path is without an ending, one file is written for each format."""
