"""How a world's things look in pictures for people: shapes and colours, no drawing code.

A world has a module `palette` with one `PALETTE`.  What draws (the package
`misgen.experiments.reporting.pictures`) knows the shapes and no world's codes.

Public names: `Style`, `Palette`, `SHAPES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import one_of

FILLING = ("block", "turf", "pool", "wave")
"""Shapes that fill a cell: `turf` has another colour on top, `wave` is the surface of a `pool`."""
SHAPES = (*FILLING, "crate", "cog", "creature", "disc", "flag", "body")
"""And those that stand in one: `cog` is a toothed wheel, `creature` has eyes that look where it
goes, `flag` is dashed, as nobody sees it in the game, `body` is the agent."""


@dataclass(frozen=True)
class Style:
    """How one kind of thing is drawn."""

    shape: str
    """One of `SHAPES`."""
    fill: str
    """Main colour, as #rrggbb."""
    accent: str
    """Colour of its details, as #rrggbb."""

    def __post_init__(self) -> None:
        """Refuse a shape that nobody can draw.

        Raises:
            UserError: naming the shapes.
        """
        one_of("palette shape", self.shape, SHAPES)

    @property
    def fills_cell(self) -> bool:
        """Whether it fills its cell (ground, a liquid) instead of standing in it."""
        return self.shape in FILLING


@dataclass(frozen=True)
class Palette:
    """How a world's levels are drawn."""

    tiles: Mapping[int, Style]
    """Tile code -> style; codes left out are not drawn."""
    entities: Mapping[int, Style]
    """Entity kind -> style."""
    agent: Style
    """The agent, at its start."""
    proxy: Style
    """The mark of the proxy's cell."""
    sky: tuple[str, str]
    """Colours behind everything, bottom and top."""
    margin: tuple[int, int, int, int] | None = None
    """Cells to show left of, right of, below and above what matters; None shows the whole level."""
