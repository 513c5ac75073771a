"""Tapes as a page carries them: one JSON text, deflated, with the sprites that they use.

Every number is a whole one: places are in 64ths of a cell, probabilities in percent, values in
parts of the largest.  A row of numbers that changes is written as its first and the differences,
one that does not as a single number.  `assets/unpack.js` reads it.

Public names: `Watched`, `packed`, `encoded`, `decoded`.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..pictures.cutout import window_of

if TYPE_CHECKING:
    from misgen.envs.core.drawing.scene import Sheet
    from misgen.envs.core.level import Level
    from misgen.envs.core.world import World

    from .taping import Tape
    from .typical import Pick

PLACES = 64
"""Parts of a cell."""
_VALUES = 999
"""The largest value of a pack."""
_TEXELS = (32, 64)
"""Pixels a cell, at least and at most."""
_BOARD = 960
"""Pixels along a board's sprites, about."""
_ARROWS = "↙←↖↓·↑↘→↗"
"""Procgen's first nine actions: sideways by thirds, then down, stay, up."""


@dataclass(frozen=True, eq=False)
class Watched:
    """An episode to watch, with its twin."""

    pick: Pick
    levels: tuple[Level, Level]
    """Aligned, in conflict."""
    tapes: tuple[Tape, Tape]
    as_stored: bool
    """Whether both came out as the evaluation has them."""


def packed(world: World, agents: Sequence[Mapping[str, Any]], all_of: Sequence[Watched]) -> Any:
    """Return what a page needs to show episodes, ready for JSON.

    Args:
        world: whose they are.
        agents: what is to be told of each agent; picks name them by their place.
        all_of: the episodes.
    """
    sides = [max(one.board.shape) for watched in all_of for one in watched.tapes]
    texels = int(np.clip(_BOARD // max(sides, default=1), *_TEXELS))
    largest = max((abs(v) for w in all_of for t in w.tapes for v in t.values), default=0.0)
    scale = _VALUES / largest if largest else 1.0
    columns, labels = _actions(world)
    pairs = [_pair(one, world, scale, columns) for one in all_of]
    used = {sprite for watched in all_of for one in watched.tapes for sprite in _used(one)}
    return {
        "goal": world.goal_description,
        "proxy": world.proxy_description,
        "marks": world.goal_is_cell,
        "repeat": world.action_repeat,
        "actions": labels,
        "scale": scale,
        "agents": list(agents),
        "sheet": _sheet(world.sheet(texels), used | {0}),
        "replays": pairs,
    }


def encoded(pack: Any) -> str:
    """Return a pack as text that stands in a page as it is: base64 of the deflated JSON."""
    text = json.dumps(pack, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def decoded(text: str) -> Any:
    """Return the pack that a text carries."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def _actions(world: World) -> tuple[list[int], list[str]]:
    """Return for each action the column of its kind, and the label of each column."""
    codes = [code if code < len(_ARROWS) else 4 for code in world.action_codes.tolist()]
    same = getattr(world, "representatives", None)
    same = list(range(len(codes))) if same is None else same.tolist()
    kinds: dict[str, int] = {}
    columns = [kinds.setdefault(_ARROWS[codes[one]], len(kinds)) for one in same]
    return columns, list(kinds)


def _used(one: Tape) -> set[int]:
    standing = {int(row[2]) for things in one.things for row in things if row[2] >= 0}
    return {*np.unique(one.board).tolist(), *(change[3] for change in one.changes), *standing}


def _pair(one: Watched, world: World, scale: float, columns: list[int]) -> dict[str, Any]:
    pick, view = one.pick, _view(one, world)
    return {
        "agent": pick.run,
        "placement": pick.placement,
        "level": pick.level,
        "did": pick.did,
        "why": pick.why,
        "same": one.as_stored,
        "view": view,
        "twins": [
            _twin(tape, level, view, scale, columns)
            for tape, level in zip(one.tapes, one.levels, strict=True)
        ],
    }


def _view(one: Watched, world: World) -> list[int]:
    """Return the columns and rows to show: from, to, from, to."""
    height, width = one.tapes[0].board.shape
    ways = [tape.way for tape in one.tapes]
    windows = [window_of(level, world, ways) for level in one.levels]
    lows, highs = np.min(windows, axis=0), np.max(windows, axis=0)
    return [int(lows[0]), min(width, int(highs[1])), int(lows[2]), min(height, int(highs[3]))]


def _twin(
    one: Tape, level: Level, view: list[int], scale: float, columns: list[int]
) -> dict[str, Any]:
    left, right, low, high = view
    result = one.result
    summed = np.zeros((len(one.actions), max(columns) + 1))
    np.add.at(summed.T, columns, np.array(one.probabilities).T)
    places = np.round(np.stack(one.things) * [PLACES, PLACES, 1, 1]).astype(int)  # [t, k, 4]
    return {
        "board": one.board[low:high, left:right].tolist(),
        "changes": [c for c in one.changes if left <= c[1] < right and low <= c[2] < high],
        "things": [[_track(places[:, k, j]) for j in range(4)] for k in range(places.shape[1])],
        "actions": [columns[action] for action in one.actions],
        "p": [_track(column) for column in np.round(100 * summed).astype(int).T],
        "values": [round(scale * value) for value in one.values],
        "goal": list(level.goal_cell),
        "proxy": list(level.proxy_cell),
        "goalAt": result["goal_at"],
        "proxyAt": result["proxy_at"],
        "died": result["died"],
        "steps": result["steps"],
    }


def _track(row: NDArray[np.int64]) -> Any:
    """Return a row of numbers as the page reads it."""
    if (row == row[0]).all():
        return int(row[0])
    return [int(row[0]), *np.diff(row).tolist()]


def _sheet(sheet: Sheet, used: Iterable[int]) -> dict[str, Any]:
    """Return the sprites in use one below the other, and where each of them is."""
    chosen = sorted(used)
    tops = np.cumsum([0, *(len(sheet.sprites[k]) for k in chosen)]).tolist()
    places: list[list[int] | None] = [None] * (chosen[-1] + 1)
    for number, top in zip(chosen, tops, strict=False):
        places[number] = [top, len(sheet.sprites[number])]
    image = np.concatenate([_straight(sheet.sprites[k]) for k in chosen])
    backdrop = sheet.backdrop
    return {
        "image": _data_uri(image),
        "texels": sheet.texels,
        "sprites": places,
        "backdrop": None if backdrop is None else _data_uri(backdrop),
    }


def _straight(sprite: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a sprite whose colours are not multiplied with how opaque they are."""
    alpha = sprite[..., 3:].astype(np.float64)
    colours = np.divide(255.0 * sprite[..., :3], alpha, out=np.zeros(sprite[..., :3].shape),
                        where=alpha > 0)  # fmt: skip
    return np.concatenate([np.clip(np.round(colours), 0, 255), alpha], axis=2).astype(np.uint8)


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
