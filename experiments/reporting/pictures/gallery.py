"""A picture of worlds: each as in training, and with goal and proxy apart.

Public names: `gallery`, `pair`, `side_by_side`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.world import World

_GAP, _TITLE = 10, 30  # pixels
_ACROSS = 4  # worlds side by side


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
    for row, drawn in enumerate(pair(world, ids, side)):
        column.paste(Image.fromarray(drawn), (0, _TITLE + row * (side + _GAP)))
    return np.asarray(column)


def pair(world: World, ids: IdRange, side: int) -> list[NDArray[np.uint8]]:
    """Return pictures of a level with goal and proxy together, and of the same with the two apart.

    Args:
        world: on a board, so that a picture shows all of it.
        ids: the first of them in which the world finds a place for the goal off the proxy is drawn.
        side: pixels along a level.
    """
    place = world.shifts(["usual"])[0]
    conflict = LevelDistribution(world, 0.0, place, IdRange(ids.start, ids.start + 100))
    chosen = conflict.conflict_ids()[:1]
    drawn = []
    for correlation in (1.0, 0.0):
        engine = Engine(world, 1)
        engine.load(np.zeros(1, np.int64), conflict.at(correlation=correlation).levels(chosen))
        drawn.append(world.picture(engine.states[0], side, side))
    return drawn


def side_by_side(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return pictures of equal height in a row."""
    return _joined(pictures, 1)
