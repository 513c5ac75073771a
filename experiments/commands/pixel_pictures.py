"""A picture of what pixels show.

    python -m misgen.experiments.commands.pixel_pictures [key=value ...]

On top a stretch of a level, as large as you like; below, enlarged, what an agent sees of some
levels with each of the themes.

Settings
  out      picture to write, .png or .webp (default: pixels.png)
  id       level id (default: 0)
  env      world (default: coinrun)
  cells    cells across of the stretch (default: 40)
  height   its height, in pixels (default: 416)

Public names: `stretch`, `seen`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.errors import UserError, did_you_mean, in_range, one_of
from misgen.envs.core.modality import RGB
from misgen.envs.core.registry import make_world
from misgen.envs.core.world import World

_SETTINGS = {"out": "pixels.png", "id": "0", "env": "coinrun", "cells": "40", "height": "416"}
_THEMES = ("level", "fixed", "other")
_ENLARGED = 3
_GAP = 8
_DECISIONS = 24  # to the right, before what is seen is shown


def main(argv: Sequence[str]) -> int:
    """Draw the picture that the settings ask for."""
    from PIL import Image

    settings = _settings(argv)
    out = Path(settings["out"])
    one_of("out's ending", out.suffix, (".png", ".webp"))
    name, first = settings["env"], IdRange.parse(settings["id"]).start
    height, cells = int(settings["height"]), float(settings["cells"])
    in_range("height", height, 64, 4096)
    in_range("cells", cells, 1, 64)
    wide = stretch(make_world(name), first, height, round(height * cells / 13))
    side = 64 * _ENLARGED
    count = (wide.shape[1] + _GAP) // (side + _GAP)
    rows = [wide]
    for theme in _THEMES:
        world = make_world(name, observation=RGB.option, theme=theme)
        pictures = [_enlarged(one, side) for one in seen(world, np.arange(first, first + count))]
        rows.append(_beside(pictures, wide.shape[1]))
    gap = np.full((_GAP, wide.shape[1], 3), 255, np.uint8)
    whole = np.concatenate([part for row in rows for part in (row, gap)][:-1])
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(whole).save(out, optimize=True)
    print(f"{out}: level {first}; below, by row, theme={', '.join(_THEMES)}")
    return 0


def stretch(world: World, level_id: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return a level from its left end on, uint8 [height, width, 3], the agent on its way."""
    engine = _started(world, np.array([level_id]))
    state = engine.states[0].copy()
    rng = np.random.default_rng(0)
    for _ in range(_DECISIONS):
        engine.step(rng.choice([7, 8], 1))
        if engine.episodes["running"][0]:
            state = engine.states[0].copy()
    cells = 13 * width / height
    middle = cells / 2 - 0.5, 6.5 - 1.5
    shift = middle[0] - float(state["x"]), middle[1] - float(state["y"])
    return world.picture(state, height, width, shift)


def seen(world: World, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return what agents see that have run and jumped to the right, uint8 [n, 64, 64, 3]."""
    engine = _started(world, ids)
    last = engine.observe()[RGB.seen]
    rng = np.random.default_rng(0)
    for _ in range(_DECISIONS):
        engine.step(rng.choice([7, 8], len(ids)))
        going = engine.episodes["running"]
        last[going] = engine.observe()[RGB.seen][going]
    return last


def _started(world: World, ids: NDArray[np.int64]) -> Engine:
    engine = Engine(world, len(ids))
    engine.load(np.arange(len(ids)), LevelDistribution(world).levels(ids))
    return engine


def _enlarged(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    times = side // len(picture)
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def _beside(pictures: list[NDArray[np.uint8]], width: int) -> NDArray[np.uint8]:
    """Return pictures side by side, spread over a width."""
    side = len(pictures[0])
    row = np.full((side, width, 3), 255, np.uint8)
    for x, picture in zip(
        np.linspace(0, width - side, len(pictures)).astype(int), pictures, strict=True
    ):
        row[:, x : x + side] = picture
    return row


def _settings(argv: Sequence[str]) -> dict[str, str]:
    """Return the settings of a command line, with defaults.

    Raises:
        UserError: for a setting that is not known.
    """
    settings = dict(_SETTINGS)
    for word in argv:
        name, _, value = word.partition("=")
        if name not in settings:
            hint = did_you_mean(name, settings)
            raise UserError(f"{name!r} is no setting: use one of {', '.join(settings)}{hint}")
        settings[name] = value
    return settings


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("pixel_pictures", main))
