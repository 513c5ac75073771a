"""How the maze looks in pictures for people."""

from __future__ import annotations

from ..core.drawing.palette import Palette, Style
from . import maze_rules as rules

PALETTE = Palette(
    tiles={
        rules.WALL: Style("block", "#7a6a58", "#7a6a58"),
        rules.GOAL: Style("disc", "#f6c21c", "#b07a00"),
    },
    entities={},
    agent=Style("body", "#8d99a6", "#3f4750"),
    proxy=Style("flag", "#ffffff", "#30343a"),
    sky=("#f6f1e7", "#f6f1e7"),
)
