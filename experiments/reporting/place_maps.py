"""Maps of a maze: where the goal stood, or the agent started, and what came of it there.

Only for worlds on a board, whose levels are all shown whole.  Boards of several sizes are laid over
one another, a cell of the map being the same part of each.

Public names: `PlaceMap`, `Cell`, `place_maps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from misgen.envs.core.distribution import LevelDistribution

from ..evaluation.conditions import CONFLICT
from .formatting import listed, plural, share
from .pictures.cutout import palette_of, start_of
from .replays.typical import played

if TYPE_CHECKING:
    from .results import Results

_MOST = 15
"""Cells along a map."""


@dataclass(frozen=True)
class Cell:
    """One place of a map."""

    x: int
    y: int
    """From the upper edge."""
    percent: float
    """Of the episodes there, those in which the goal was reached first."""
    told: str


@dataclass(frozen=True)
class PlaceMap:
    """What agents did by where something was."""

    title: str
    alt: str
    across: int
    cells: list[Cell]


def place_maps(results: Results) -> list[PlaceMap]:
    """Return for each correlation a map of the goal's places and one of the starts.

    Of the conflict levels of the first placement, over all seeds.  Empty for worlds whose levels
    are no boards, and where no level can be made again.
    """
    world, placement = results.world, results.placements[0]
    if palette_of(world) is not None or results.evaluation.get("levels") is None:
        return []
    rows = played(results).filter(pl.col("condition") == CONFLICT, pl.col("placement") == placement)
    ids = rows["level_id"].unique().sort().to_numpy()
    if not len(ids) or ids.min() < 0:
        return []
    distribution = LevelDistribution(world, correlation=0.0, placement=placement)
    levels = list(distribution.levels(ids))
    sides = np.array([int(start_of(level, world)["side"]) for level in levels])
    spots = {
        f"where {world.goal_description} was": np.array([one.goal_cell for one in levels]),
        "where the agent started": np.array([one.start for one in levels]).astype(int),
    }
    if not world.goal_is_cell:
        spots.pop(next(iter(spots)))
    across = int(min(_MOST, sides.max()))
    found = []
    for correlation in results.correlations:
        own = rows.filter(pl.col("train_correlation") == correlation)
        for name, cells in spots.items():
            where = np.minimum(across - 1, cells * across // sides[:, None])
            title = f"{name}, trained at {results.at(correlation)}"
            found.append(_map(title, own, dict(zip(ids.tolist(), where.tolist(), strict=True)),
                              across))  # fmt: skip
    return found


def _map(title: str, rows: pl.DataFrame, where: dict[int, list[int]], across: int) -> PlaceMap:
    counts: dict[tuple[int, int], list[bool]] = {}
    for level, first in rows.select("level_id", "first").iter_rows():
        x, y = where[level]
        counts.setdefault((x, y), []).append(first == "goal")
    cells = [
        Cell(
            x, across - 1 - y, round(100 * sum(goals) / len(goals), 1),
            f"the goal first in {sum(goals)} of {plural(len(goals), 'episode')} "
            f"({share(sum(goals) / len(goals))})",
        )
        for (x, y), goals in sorted(counts.items())
    ]  # fmt: skip
    whole = [goal for goals in counts.values() for goal in goals]
    told = listed(
        [f"{len(cells)} places", f"the goal first in {sum(whole)} of {len(whole)} episodes"]
    )
    return PlaceMap(title, f"Map of {title}: {told}", across, cells)
