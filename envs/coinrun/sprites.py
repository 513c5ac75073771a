"""CoinRun's sprites, painted by code (`misgen.envs.core.drawing.canvas`) at any resolution.

What has several looks in the original has several here, and as many: agents, grounds, backgrounds,
crates, enemies.  Each look exists in two disjoint sets, `level` (what the level's own numbers
choose from) and `other` (for tests of other appearances).  Coin, saw and lava look the same
everywhere, as in the original.

Every function returns premultiplied RGBA, float32 [height * n, width * n, 4], for `n` pixels a
cell, row 0 on top; what has a direction looks to the right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..core.drawing.canvas import Canvas, Color, rgb, shade

Pixels = NDArray[np.float32]

COUNTS = {"agent": 5, "ground": 6, "background": 62, "crate": 4, "enemy": 9}
"""Looks of each kind of thing in each set, as many as in the original."""
SETS = ("level", "other")

AGENT_SIZE = (1.0, 2.0156)
"""Width and height of the agent's sprite, in cells: 1.7415 times its box upward."""
STAND, STEP_A, STEP_B, JUMP = range(4)
"""Frames of the agent."""

_WHITE, _BLACK = rgb("#ffffff"), rgb("#1d2026")


# ---------------------------------------------------------------------------------------------
# The agent
# ---------------------------------------------------------------------------------------------

_SUITS = {
    "level": ("#37b34a", "#2f80ed", "#eb5fa5", "#f2b632", "#c9a27c"),
    "other": ("#7a3ff2", "#16b8b0", "#e8432f", "#a3b414", "#4a5568"),
}


def agent(kind: str, look: int, frame: int, n: int) -> Pixels:
    """Return the agent: a helmeted runner in `level`, a robot in `other`."""
    suit = rgb(_SUITS[kind][look])
    c = Canvas(n, *AGENT_SIZE)
    dark, light = shade(suit, -0.45), shade(suit, 0.35)
    lift = 0.06 if frame in (STEP_A, JUMP) else 0.0
    for x0, y0, x1, y1 in _LEGS[frame]:
        c.line(x0, y0, x1, y1, 0.24, dark)
        c.line(x1, y1, x1 + 0.1, y1, 0.18, shade(dark, -0.3))
    back, front = _ARMS[frame]
    c.line(0.34, 0.86 + lift, *back, 0.18, dark)
    c.box(0.24, 0.42 + lift, 0.76, 1.06 + lift, dark, round_by=0.2)
    c.box(0.28, 0.46 + lift, 0.72, 1.04 + lift, suit, round_by=0.17)
    c.ellipse(0.52, 0.7 + lift, 0.14, 0.2, light, 0.8)
    c.line(0.62, 0.86 + lift, *front, 0.18, shade(suit, -0.2))
    if kind == "level":
        _helmet(c, suit, lift)
    else:
        _robot_head(c, suit, lift)
    return c.pixels


_LEGS = {
    STAND: ((0.38, 0.44, 0.36, 0.1), (0.62, 0.44, 0.62, 0.1)),
    STEP_A: ((0.42, 0.46, 0.2, 0.22), (0.58, 0.46, 0.76, 0.12)),
    STEP_B: ((0.46, 0.44, 0.44, 0.1), (0.56, 0.44, 0.5, 0.16)),
    JUMP: ((0.4, 0.5, 0.24, 0.3), (0.6, 0.5, 0.74, 0.36)),
}
_ARMS = {
    STAND: ((0.22, 0.58), (0.72, 0.58)),
    STEP_A: ((0.14, 0.66), (0.86, 0.74)),
    STEP_B: ((0.2, 0.56), (0.7, 0.56)),
    JUMP: ((0.1, 1.06), (0.9, 1.1)),
}


def _helmet(c: Canvas, suit: Color, lift: float) -> None:
    y = 1.46 + lift
    c.disc(0.5, y, 0.44, shade(suit, -0.45))
    c.disc(0.5, y, 0.4, suit)
    c.ellipse(0.42, y + 0.2, 0.22, 0.12, shade(suit, 0.45), 0.9)
    c.ellipse(0.62, y - 0.03, 0.29, 0.24, shade(suit, -0.5))
    c.ellipse(0.63, y - 0.03, 0.26, 0.21, rgb("#fdebd8"))
    for x in (0.56, 0.76):
        c.ellipse(x, y, 0.055, 0.1, _BLACK)
        c.disc(x + 0.015, y + 0.05, 0.025, _WHITE)


def _robot_head(c: Canvas, suit: Color, lift: float) -> None:
    y = 1.42 + lift
    c.line(0.42, y + 0.3, 0.38, y + 0.48, 0.06, shade(suit, -0.45))
    c.disc(0.38, y + 0.5, 0.08, rgb("#ffdf5d"))
    c.box(0.08, y - 0.36, 0.92, y + 0.34, shade(suit, -0.5), round_by=0.12)
    c.box(0.12, y - 0.32, 0.88, y + 0.3, suit, round_by=0.1)
    c.box(0.34, y - 0.14, 0.92, y + 0.18, _BLACK, round_by=0.08)
    for x in (0.52, 0.76):
        c.disc(x, y + 0.03, 0.075, rgb("#8dfcff"))


# ---------------------------------------------------------------------------------------------
# The ground, lava
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ground:
    body: str
    top: str
    pattern: str


_GROUNDS = {
    "level": (
        _Ground("#b5763f", "#6cc644", "clods"),  # grass
        _Ground("#9c6b43", "#c58b55", "clods"),  # dirt
        _Ground("#8a6a86", "#d9a6c9", "craters"),  # planet
        _Ground("#d9a75a", "#f4d58a", "layers"),  # sand
        _Ground("#7f93a8", "#f5fbff", "clods"),  # snow
        _Ground("#7b7f86", "#a9aeb5", "stones"),  # stone
    ),
    "other": (
        _Ground("#a5452f", "#d9694b", "bricks"),
        _Ground("#e08bb8", "#fff0f7", "layers"),  # candy
        _Ground("#4a8ba8", "#a8ecff", "shards"),  # ice
        _Ground("#7d5434", "#a97a4c", "planks"),
        _Ground("#4d5966", "#8fa1b3", "plates"),  # metal
        _Ground("#3d5a45", "#8fd14f", "shards"),  # moss
    ),
}


def wall_mid(kind: str, look: int, n: int) -> Pixels:
    """Return a cell of ground under others; it fits beside itself."""
    ground = _GROUNDS[kind][look]
    c = Canvas(n)
    body = rgb(ground.body)
    c.fill(body)
    _PATTERNS[ground.pattern](c, shade(body, -0.2), shade(body, 0.16))
    return c.pixels


def wall_top(kind: str, look: int, n: int) -> Pixels:
    """Return a cell of ground with nothing above it."""
    ground = _GROUNDS[kind][look]
    c = Canvas(n)
    body, top = rgb(ground.body), rgb(ground.top)
    c.fill(body)
    _PATTERNS[ground.pattern](c, shade(body, -0.2), shade(body, 0.16))
    hem = 0.0 if ground.pattern in ("plates", "bricks", "planks") else 0.05
    edge = (0.66 + hem * np.sin(4 * np.pi * c.columns)).astype(np.float32)
    c.above(edge - 0.06, shade(body, -0.35), 0.6)
    c.above(edge, top)
    c.box(0, 0.9, 1, 1, shade(top, 0.3))
    return c.pixels


def _clods(c: Canvas, dark: Color, light: Color) -> None:
    for x, y, r in ((0.2, 0.72, 0.09), (0.68, 0.82, 0.07), (0.46, 0.4, 0.1), (0.84, 0.3, 0.08)):
        c.ellipse(x, y - 0.02, r * 1.3, r, dark)
        c.ellipse(x - 0.01, y + 0.01, r * 1.1, r * 0.75, light, 0.5)
    c.ellipse(0.18, 0.16, 0.09, 0.07, dark)


def _craters(c: Canvas, dark: Color, light: Color) -> None:
    for x, y, r in ((0.26, 0.7, 0.16), (0.72, 0.34, 0.2), (0.26, 0.2, 0.09), (0.8, 0.8, 0.08)):
        c.disc(x, y, r, dark)
        c.disc(x - 0.02, y - 0.025, r * 0.8, light, 0.45)


def _layers(c: Canvas, dark: Color, light: Color) -> None:
    for k, y in enumerate((0.2, 0.53, 0.86)):
        wave = (y + 0.05 * np.sin(2 * np.pi * (c.columns + 0.33 * k))).astype(np.float32)
        c.band(wave - 0.02, wave + 0.03, dark, 0.6)
        c.band(wave - 0.05, wave - 0.02, light, 0.6)


def _stones(c: Canvas, dark: Color, light: Color) -> None:
    c.fill(dark)
    for x0, y0, x1, y1 in ((0.04, 0.54, 0.5, 0.96), (0.58, 0.5, 0.96, 0.96)):
        c.box(x0, y0, x1, y1, light, round_by=0.1, alpha=0.75)
    for x0, y0, x1, y1 in ((0.04, 0.04, 0.32, 0.46), (0.4, 0.04, 0.96, 0.42)):
        c.box(x0, y0, x1, y1, light, round_by=0.1, alpha=0.55)


def _bricks(c: Canvas, dark: Color, light: Color) -> None:
    c.fill(shade(dark, -0.3))
    for row in range(4):
        for x in (-0.25, 0.25, 0.75) if row % 2 else (0.0, 0.5):
            color = light if (row + round(4 * x)) % 3 else dark
            c.box(x + 0.03, row / 4 + 0.03, x + 0.47, row / 4 + 0.22, color, round_by=0.02)


def _planks(c: Canvas, dark: Color, light: Color) -> None:
    for row in range(3):
        c.box(0, row / 3, 1, row / 3 + 0.05, dark)
        c.box(0.1 + 0.2 * row, row / 3 + 0.15, 0.5 + 0.2 * row, row / 3 + 0.19, dark)
        c.box(0, row / 3 + 0.28, 1, row / 3 + 0.32, light)


def _plates(c: Canvas, dark: Color, light: Color) -> None:
    c.box(0.0, 0.0, 1.0, 1.0, dark)
    c.box(0.06, 0.06, 0.94, 0.94, light, round_by=0.05)
    c.box(0.1, 0.06, 0.94, 0.9, shade(dark, 0.12), round_by=0.05)
    for x, y in product((0.2, 0.8), (0.2, 0.8)):
        c.disc(x, y, 0.06, light)


def _shards(c: Canvas, dark: Color, light: Color) -> None:
    c.polygon(((0.0, 1.0), (0.45, 1.0), (0.2, 0.45)), light)
    c.polygon(((0.55, 0.95), (0.95, 0.7), (0.6, 0.4)), dark)
    c.polygon(((0.1, 0.4), (0.5, 0.3), (0.3, 0.0)), dark)
    c.polygon(((0.6, 0.3), (1.0, 0.4), (0.9, 0.05)), light)


_PATTERNS = {
    "clods": _clods,
    "craters": _craters,
    "layers": _layers,
    "stones": _stones,
    "bricks": _bricks,
    "planks": _planks,
    "plates": _plates,
    "shards": _shards,
}

_LAVA, _GLOW = rgb("#d8360b"), rgb("#ffb02e")


def lava_mid(n: int) -> Pixels:
    """Return a cell of lava under others."""
    c = Canvas(n)
    c.fill(_LAVA)
    for x, y, r in ((0.25, 0.7, 0.1), (0.7, 0.42, 0.13), (0.35, 0.2, 0.07), (0.85, 0.85, 0.06)):
        c.disc(x, y, r, shade(_LAVA, -0.2))
        c.disc(x - 0.01, y + 0.01, r * 0.7, _GLOW, 0.55)
    return c.pixels


def lava_top(n: int) -> Pixels:
    """Return the surface of lava; clear above its waves."""
    c = Canvas(n)
    wave = (0.72 + 0.09 * np.sin(2 * np.pi * c.columns)).astype(np.float32)
    c.below(wave, rgb("#fff0a0"))
    c.below(wave - 0.08, _GLOW)
    c.below(wave - 0.24, _LAVA)
    c.disc(0.7, 0.26, 0.1, _GLOW, 0.6)
    return c.pixels


# ---------------------------------------------------------------------------------------------
# Things
# ---------------------------------------------------------------------------------------------


def coin(n: int) -> Pixels:
    """Return the coin."""
    c = Canvas(n)
    c.disc(0.5, 0.5, 0.44, rgb("#9a6400"))
    c.disc(0.5, 0.5, 0.4, rgb("#ffc928"))
    c.disc(0.5, 0.5, 0.3, rgb("#e09a0a"))
    c.disc(0.51, 0.49, 0.27, rgb("#ffd75a"))
    c.box(0.44, 0.32, 0.56, 0.68, rgb("#b87800"), round_by=0.05)
    c.ellipse(0.36, 0.72, 0.12, 0.05, _WHITE, 0.8)
    return c.pixels


def saw(n: int) -> Pixels:
    """Return a saw blade."""
    c = Canvas(n)
    steel, edge = rgb("#aab4bf"), rgb("#4a525c")
    teeth = 12
    for k in range(teeth):
        a, b = (2 * math.pi * (k + d) / teeth for d in (0.0, 0.9))
        tip, root = (0.5 + 0.49 * math.cos(a), 0.5 + 0.49 * math.sin(a)), 0.36
        p = (0.5 + root * math.cos(b), 0.5 + root * math.sin(b))
        q = (0.5 + root * math.cos(a - 0.25), 0.5 + root * math.sin(a - 0.25))
        c.polygon((p, tip, q), edge)
    c.disc(0.5, 0.5, 0.39, edge)
    c.disc(0.5, 0.5, 0.34, steel)
    c.disc(0.47, 0.54, 0.24, shade(steel, 0.4), 0.8)
    c.disc(0.5, 0.5, 0.14, edge)
    c.disc(0.5, 0.5, 0.07, rgb("#e5484d"))
    return c.pixels


_CRATES = {
    "level": ("#c98a4b", "#b0703a", "#d8a35e", "#a3805a"),
    "other": ("#5f7d8c", "#8a6fb0", "#5b9a6f", "#b35d6d"),
}


def crate(kind: str, look: int, n: int) -> Pixels:
    """Return a crate: of wood in `level`, of metal in `other`."""
    color = rgb(_CRATES[kind][look])
    dark, light = shade(color, -0.5), shade(color, 0.25)
    c = Canvas(n)
    c.box(0.01, 0.01, 0.99, 0.99, dark, round_by=0.05)
    c.box(0.06, 0.06, 0.94, 0.94, light, round_by=0.03)
    c.box(0.16, 0.16, 0.84, 0.84, shade(color, -0.15))
    if kind == "other":
        c.disc(0.5, 0.5, 0.2 + 0.03 * look, dark)
        c.disc(0.5, 0.5, 0.12 + 0.03 * look, light)
        return c.pixels
    if look in (0, 2):
        c.line(0.2, 0.2, 0.8, 0.8, 0.13, light)
    if look in (0, 3):
        c.line(0.2, 0.8, 0.8, 0.2, 0.13, light)
    if look == 1:
        for x in (0.38, 0.6):
            c.box(x, 0.16, x + 0.05, 0.84, dark)
    return c.pixels


_ENEMIES = {
    "level": {
        "slime": ("#9b59d0", "#3fae6a", "#e0607e"),
        "beetle": ("#d63b3b", "#3b6fd6", "#6b4a34"),
        "hedgehog": ("#6c4f8f", "#3f4a5a", "#c2571a"),
    },
    "other": {
        "ghost": ("#d9ecff", "#ffd6ef", "#c9f7cf"),
        "cube": ("#111827", "#7f1d1d", "#134e4a"),
        "mushroom": ("#f59e0b", "#10b981", "#6366f1"),
    },
}


def enemy(kind: str, look: int, frame: int, n: int) -> Pixels:
    """Return a walking enemy in one of its two frames."""
    shapes = _ENEMIES[kind]
    shape = list(shapes)[look % 3]
    color = rgb(shapes[shape][look // 3])
    c = Canvas(n)
    _SHAPES[shape](c, color, 0.04 * frame)
    return c.pixels


def _eyes(c: Canvas, x: float, y: float, gap: float = 0.2, r: float = 0.1) -> None:
    for k in (0, 1):
        c.disc(x + gap * k, y, r, _WHITE)
        c.disc(x + gap * k + 0.03, y, r * 0.5, _BLACK)


def _slime(c: Canvas, color: Color, bob: float) -> None:
    c.ellipse(0.5, 0.3, 0.49 - bob, 0.3, shade(color, -0.5))
    c.ellipse(0.5, 0.4 + bob, 0.4 - bob, 0.4 + bob, shade(color, -0.5))
    c.ellipse(0.5, 0.3, 0.45 - bob, 0.26, color)
    c.ellipse(0.5, 0.4 + bob, 0.36 - bob, 0.36 + bob, color)
    c.ellipse(0.4, 0.64 + bob, 0.12, 0.06, shade(color, 0.6), 0.8)
    _eyes(c, 0.54, 0.46 + bob)


def _beetle(c: Canvas, color: Color, bob: float) -> None:
    for x in (0.24, 0.48, 0.7):
        c.line(x, 0.24, x + 3 * bob - 0.06, 0.06, 0.09, _BLACK)
    c.disc(0.8, 0.4, 0.19, _BLACK)
    c.line(0.84, 0.52, 0.94, 0.74, 0.05, _BLACK)
    c.ellipse(0.44, 0.42, 0.42, 0.34, shade(color, -0.55))
    c.ellipse(0.44, 0.44, 0.38, 0.3, color)
    for x, y in ((0.26, 0.44), (0.44, 0.6), (0.54, 0.36)):
        c.disc(x, y, 0.07, _BLACK)
    c.disc(0.86, 0.44, 0.07, _WHITE)


def _hedgehog(c: Canvas, color: Color, bob: float) -> None:
    for k in range(7):
        a = math.pi * (0.12 + k / 7)
        x, y = 0.46 + 0.46 * math.cos(a), 0.3 + 0.52 * math.sin(a)
        c.polygon(((x, y), (0.46 + 0.2, 0.3), (0.46 - 0.2, 0.3)), shade(color, -0.45))
        c.line(0.46, 0.3, x, y, 0.1, shade(color, -0.45))
    c.ellipse(0.5, 0.3, 0.42, 0.26, color)
    c.ellipse(0.72, 0.28, 0.22, 0.18, shade(color, 0.55))
    c.disc(0.94, 0.28, 0.06, _BLACK)
    c.disc(0.74, 0.36, 0.06, _BLACK)
    for x in (0.3, 0.62):
        c.line(x, 0.12, x + 2 * bob, 0.05, 0.1, _BLACK)


def _ghost(c: Canvas, color: Color, bob: float) -> None:
    c.box(0.1, 0.1 + bob, 0.9, 0.98, shade(color, -0.4), round_by=0.38)
    c.box(0.15, 0.14 + bob, 0.85, 0.93, color, round_by=0.34)
    for x in (0.24, 0.5, 0.76):
        c.disc(x, 0.14 + bob, 0.11, color)
    for x in (0.46, 0.7):
        c.ellipse(x, 0.6, 0.08, 0.13, _BLACK)


def _cube(c: Canvas, color: Color, bob: float) -> None:
    for x in (0.28, 0.72):
        c.box(x - 0.1, 0.02, x + 0.1, 0.2, shade(color, 0.3))
    c.box(0.08, 0.12 + bob, 0.92, 0.92 + bob, shade(color, 0.45), round_by=0.06)
    c.box(0.13, 0.17 + bob, 0.87, 0.87 + bob, color, round_by=0.04)
    c.box(0.36, 0.5 + bob, 0.86, 0.66 + bob, rgb("#ff3b6b"))


def _mushroom(c: Canvas, color: Color, bob: float) -> None:
    c.box(0.3, 0.04, 0.7, 0.5, rgb("#f3e3c8"), round_by=0.1)
    c.ellipse(0.5, 0.56 + bob, 0.48, 0.36, shade(color, -0.5))
    c.ellipse(0.5, 0.59 + bob, 0.44, 0.32, color)
    for x, y in ((0.3, 0.68), (0.66, 0.76), (0.76, 0.54)):
        c.disc(x, y + bob, 0.08, _WHITE)
    _eyes(c, 0.5, 0.3, 0.16, 0.08)


_SHAPES = {
    "slime": _slime,
    "beetle": _beetle,
    "hedgehog": _hedgehog,
    "ghost": _ghost,
    "cube": _cube,
    "mushroom": _mushroom,
}


# ---------------------------------------------------------------------------------------------
# Backgrounds
# ---------------------------------------------------------------------------------------------

_SKIES = {  # sky at the bottom and at the top, and the furthest hill
    "level": (
        ("#e8f6ff", "#7cc0f0", "#9cc9b4"),
        ("#fff0d6", "#8fb7e8", "#b7b0c9"),
        ("#ffd9b8", "#7d83c9", "#b08aa8"),
        ("#dff5e6", "#6fb7c9", "#84bfa0"),
        ("#cfd9f2", "#3b4f8f", "#5d6fa3"),
        ("#f9e3ec", "#b29ad8", "#b79cc4"),
        ("#eef4d8", "#8cc7a8", "#a5bd84"),
    ),
    "other": (
        ("#2b2350", "#0b0a24", "#3d2f6b"),
        ("#5a1f3c", "#190a1f", "#7a2a4a"),
        ("#123f45", "#04161c", "#1b5a5e"),
        ("#f7d000", "#ff7a00", "#c9a400"),
        ("#3a3a3a", "#141414", "#575757"),
        ("#0f5132", "#062016", "#1b7a4c"),
        ("#7fd8ff", "#ff9ee5", "#b0a6ff"),
    ),
}


def background(kind: str, look: int, n: int, width: float, height: float) -> NDArray[np.uint8]:
    """Return a background, uint8 [height * n, width * n, 3]: hills (`level`) or towers (`other`).

    Its lowest rows show behind the bottom of the world.
    """
    skies = _SKIES[kind]
    low, high, far = (rgb(code) for code in skies[look % len(skies)])
    rng = np.random.default_rng((SETS.index(kind), look))
    c = Canvas(n, width, height)
    c.gradient(low, high)
    (_clouds if kind == "level" else _stars)(c, rng, width, height)
    for layer in range(3):
        color = shade(far, 0.35 - 0.3 * layer)
        base = 9.0 - 2.4 * layer + rng.uniform(-0.8, 0.8)
        ridge = (_hills if kind == "level" else _towers)(c.columns, rng, base)
        c.below(ridge, color)
    # Things stand out from what is behind them: pale it, towards the sky's own colour.
    haze = np.array(shade(low, 0.3) if kind == "level" else low)
    picture = c.pixels[..., :3] * 0.72 + haze * 0.28
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _clouds(c: Canvas, rng: np.random.Generator, width: float, height: float) -> None:
    if rng.random() < 0.5:
        c.disc(rng.uniform(4, width - 4), rng.uniform(12, 16), rng.uniform(1, 1.6), rgb("#fff6d0"))
    for _ in range(int(width / 4)):
        x, y, r = rng.uniform(0, width), rng.uniform(10, height), rng.uniform(0.5, 1.1)
        for dx, dy, part in (
            (-1.1, 0.0, 0.7),
            (0.0, 0.25, 1.0),
            (1.1, 0.0, 0.75),
            (0.4, -0.1, 0.9),
        ):
            c.ellipse(x + dx * r, y + dy * r, 1.3 * r * part, 0.8 * r * part, _WHITE, 0.35)


def _stars(c: Canvas, rng: np.random.Generator, width: float, height: float) -> None:
    for _ in range(int(width * 2)):
        x, y = rng.uniform(0, width), rng.uniform(4, height)
        c.disc(x, y, rng.uniform(0.05, 0.14), _WHITE, rng.uniform(0.3, 0.9))


def _hills(x: NDArray[np.float32], rng: np.random.Generator, base: float) -> NDArray[np.float32]:
    heights = np.full(len(x), base)
    for wave in (14.0, 6.0, 2.9):
        heights += wave / 9 * np.sin(2 * np.pi * (x / wave + rng.random()))
    return heights.astype(np.float32)


def _towers(x: NDArray[np.float32], rng: np.random.Generator, base: float) -> NDArray[np.float32]:
    edges = np.cumsum(rng.uniform(0.8, 2.2, int(x[-1]) + 4))
    heights = base + rng.uniform(-2.5, 2.5, len(edges) + 1)
    return heights[np.searchsorted(edges, x)].astype(np.float32)
