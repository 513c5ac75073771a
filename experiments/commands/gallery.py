"""A picture of every world.

    python -m misgen.experiments.commands.gallery [out=worlds.png id=3 side=256]

For each world on a board a level as training shows it (goal and proxy coincide), and under it the
same level with the two apart.

Public name: `gallery`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.boards.grid_world import GridWorld
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.errors import UserError, did_you_mean, in_range, one_of
from misgen.envs.core.registry import entries, world_class
from misgen.envs.core.world import World

_SETTINGS = {"out": "worlds.png", "id": "3", "side": "256"}
_GAP, _TITLE = 10, 30  # pixels
_ACROSS = 4  # worlds side by side


def main(argv: Sequence[str]) -> int:
    """Draw the picture that the settings ask for."""
    settings = dict(_SETTINGS)
    for word in argv:
        name, _, value = word.partition("=")
        if name not in settings:
            hint = did_you_mean(name, settings)
            raise UserError(f"{name!r} is no setting: use one of {', '.join(settings)}{hint}")
        settings[name] = value
    out = Path(settings["out"])
    one_of("out's ending", out.suffix, (".png", ".webp"))
    side = int(settings["side"])
    in_range("side", side, 64, 2048)
    from PIL import Image

    out.parent.mkdir(parents=True, exist_ok=True)
    worlds = [cls for name in entries() if issubclass(cls := world_class(name), GridWorld)]
    picture = gallery([_preset(cls.name) for cls in worlds], IdRange.parse(settings["id"]), side)
    Image.fromarray(picture).save(out, optimize=True)
    print(f"{out}: {', '.join(cls.name for cls in worlds)}; above aligned, below in conflict")
    return 0


def gallery(worlds: Sequence[World], ids: IdRange, side: int) -> NDArray[np.uint8]:
    """Return worlds, each with its name over an aligned level and its conflict twin.

    Args:
        worlds: what to draw.
        ids: the first of them in which a world finds a place for the goal off the proxy is drawn.
        side: pixels along a level.

    Returns:
        uint8 [height, width, 3].
    """
    columns = [_column(world, ids, side) for world in worlds]
    blank = np.full_like(columns[0], 255)
    columns += [blank] * (-len(columns) % _ACROSS)
    bands = [_joined(columns[k : k + _ACROSS], 1) for k in range(0, len(columns), _ACROSS)]
    return _joined(bands, 0)


def _joined(parts: Sequence[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    """Return pictures one beside (axis 1) or below (axis 0) the other, with gaps."""
    shape = list(parts[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, 255, np.uint8)
    return np.concatenate([one for part in parts for one in (part, gap)][:-1], axis=axis)


def _column(world: World, ids: IdRange, side: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    column = Image.new("RGB", (side, _TITLE + 2 * side + _GAP), "white")
    title = world.name.replace("_", " ")
    ImageDraw.Draw(column).text((side / 2, 4), title, "black", anchor="mt", font_size=18)
    place = world.shifts(["usual"])[0]
    conflict = LevelDistribution(world, 0.0, place, IdRange(ids.start, ids.start + 100))
    chosen = conflict.conflict_ids()[:1]
    for row, correlation in enumerate((1.0, 0.0)):
        engine = Engine(world, 1)
        engine.load(np.zeros(1, np.int64), conflict.at(correlation=correlation).levels(chosen))
        drawn = Image.fromarray(world.picture(engine.states[0], side, side))
        column.paste(drawn, (0, _TITLE + row * (side + _GAP)))
    return np.asarray(column)


def _preset(name: str) -> World:
    """Return a world as the lab preset has it."""
    from ..training.config import TrainConfig, compose, typed

    plain = compose("train", [f"env={name}", "preset=lab"])
    return typed(TrainConfig, plain).world


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("gallery", main))
