"""CoinRun as sprites in places: the same sprites, frames and looks that `pixels` draws.

Public names: `sheet`, `scenes`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..core.drawing.scene import Scenes, Sheet, Sprite, unit
from . import sprites
from .constants import (
    AGENT_RX,
    AGENT_RY,
    CRATE,
    ENEMY,
    ENTITY_R,
    GOAL,
    LAVA_MID,
    LAVA_TOP,
    PERMEABLE,
    SAW,
    WALL_MID,
    WALL_TOP,
)

_LAVA_MID, _LAVA_TOP, _COIN, _SAW = range(1, 5)
_FIRST_WALL = 5
_STILL = 0.01  # cells a frame, below which the agent stands
_BACKDROP = 10  # pixels a cell of the background
_BACKDROP_CELLS = (42.0, 18.0)


@lru_cache(maxsize=4)
def sheet(theme: str, texels: int) -> Sheet:
    """Return the sprites of a theme (`pixels.THEMES`): things, walls, crates, enemies, agents."""
    kind = "other" if theme == "other" else "level"
    n = texels
    clear: Sprite = np.zeros((n, n, 4), np.uint8)
    things = (sprites.lava_mid, sprites.lava_top, sprites.coin, sprites.saw)
    painted = [paint(n) for paint in things]
    for look in range(_count(theme, "ground")):
        painted += [sprites.wall_mid(kind, look, n), sprites.wall_top(kind, look, n)]
    painted += [sprites.crate(kind, look, n) for look in range(_count(theme, "crate"))]
    painted += [
        sprites.enemy(kind, look, frame, n)
        for look in range(_count(theme, "enemy"))
        for frame in range(2)
    ]
    painted += [
        sprites.agent(kind, look, frame, n)
        for look in range(_count(theme, "agent"))
        for frame in range(4)
    ]
    backdrop = sprites.background(kind, 0, _BACKDROP, *_BACKDROP_CELLS)
    return Sheet([clear, *[unit(one) for one in painted]], n, backdrop)


def scenes(states: NDArray[np.void], theme: str) -> Scenes:
    """Return what states [t] of one level show; arguments as for `sheet`."""
    most = int(states["count"].max(initial=0))
    things = np.concatenate([_entities(states, theme, most), _agents(states, theme)], axis=1)
    return Scenes(_tiles(states, theme), things)


def _count(theme: str, name: str) -> int:
    return 1 if theme == "fixed" else sprites.COUNTS[name]


def _first(theme: str, name: str) -> int:
    """Return the number of the first sprite of a kind of thing that has several looks."""
    at = _FIRST_WALL
    for kind, each in (("ground", 2), ("crate", 1), ("enemy", 2), ("agent", 4)):
        if kind == name:
            return at
        at += each * _count(theme, kind)
    raise ValueError(f"name={name!r} has no looks")


def _tiles(states: NDArray[np.void], theme: str) -> NDArray[np.uint8]:
    """Return the sprite of each cell, uint8 [t, height, width]."""
    tiles = states["tiles"]
    board = np.zeros(tiles.shape, np.uint8)
    for code, sprite in ((LAVA_MID, _LAVA_MID), (LAVA_TOP, _LAVA_TOP), (GOAL, _COIN)):
        board[tiles == code] = sprite
    ground = states["look"][:, 1] % _count(theme, "ground")
    wall = (_first(theme, "ground") + 2 * ground)[:, None, None] + (tiles == WALL_TOP)
    return np.where(np.isin(tiles, (WALL_MID, WALL_TOP, PERMEABLE)), wall, board).astype(np.uint8)


def _entities(states: NDArray[np.void], theme: str, most: int) -> NDArray[np.float32]:
    """Return saws, crates and enemies, as `Scenes.things`."""
    kind, look = states["kind"][:, :most], states["theme"][:, :most]
    x, speed = states["ex"][:, :most], states["evx"][:, :most]
    crate = _first(theme, "crate") + look % _count(theme, "crate")
    step = (3 * x).astype(np.int64) % 2
    enemy = _first(theme, "enemy") + 2 * (look % _count(theme, "enemy")) + step
    sprite = np.select([kind == SAW, kind == CRATE, kind == ENEMY], [_SAW, crate, enemy], -1)
    there = np.arange(most) < states["count"][:, None]
    mirrored = (kind == ENEMY) & (speed < 0)
    left, low = x - ENTITY_R, states["ey"][:, :most] - ENTITY_R
    return np.stack([left, low, np.where(there, sprite, -1), mirrored], axis=2, dtype=np.float32)


def _agents(states: NDArray[np.void], theme: str) -> NDArray[np.float32]:
    """Return the agent, as `Scenes.things`."""
    x, y, vx, vy = (states[name] for name in ("x", "y", "vx", "vy"))
    step = np.where((1.3 * x).astype(np.int64) % 2, sprites.STEP_A, sprites.STEP_B)
    frame = np.where(vy != 0, sprites.JUMP, np.where(np.abs(vx) < _STILL, sprites.STAND, step))
    look = states["look"][:, 0] % _count(theme, "agent")
    sprite = _first(theme, "agent") + 4 * look + frame
    agent = np.stack([x - AGENT_RX, y - AGENT_RY, sprite, vx < 0], axis=1, dtype=np.float32)
    return agent[:, None]
