"""How CoinRun looks in pictures for people (what agents see is in `observation.py`).

Barriers and the invisible coin of the paper's fork are as invisible here as in the game.
"""

from __future__ import annotations

from ..core.drawing.palette import Palette, Style
from .constants import CRATE, ENEMY, GOAL, LAVA_MID, LAVA_TOP, SAW, WALL_MID, WALL_TOP

_EARTH, _GRASS = "#9b7653", "#6aa84f"
_LAVA, _GLOW = "#d9480f", "#ffb33c"

PALETTE = Palette(
    tiles={
        WALL_MID: Style("block", _EARTH, _EARTH),
        WALL_TOP: Style("turf", _EARTH, _GRASS),
        LAVA_MID: Style("pool", _LAVA, _GLOW),
        LAVA_TOP: Style("wave", _LAVA, _GLOW),
        GOAL: Style("disc", "#f6c21c", "#b07a00"),
    },
    entities={
        CRATE: Style("crate", "#d9a866", "#8a5a2b"),
        SAW: Style("cog", "#8d99a6", "#3f4750"),
        ENEMY: Style("creature", "#8e5bb5", "#3d2254"),
    },
    agent=Style("body", "#1f6fd1", "#0c2f5e"),
    proxy=Style("flag", "#ffffff", "#30343a"),
    sky=("#f1f8fd", "#cfe6f6"),
    margin=(2, 3, 2, 3),
)
