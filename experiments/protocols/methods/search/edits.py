"""Levels made out of others by small edits that leave the goal within reach.

Public name: `Editor`.

An edit repaints a cell or copies a small patch of terrain, or moves, turns, removes or doubles an
entity.  Neither the start, nor where goal and proxy are, nor anything that is one of them is
touched: goal and proxy coincide in a child exactly where they do in its parent.  With `move_goals`
an edit may also put the goal elsewhere.  A child is kept if there is a way to its goal: if its
parent's plan still works there, or the planner finds another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.boards.grid_world import GridWorld
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.world import World

from .planning import Plan, Solver

_MOST_EDITS = 3  # of one child
_AROUND = 4  # cells beyond start and goal that edits reach
_PATCH = 3  # largest patch, in cells
_HOP = 3  # cells that an entity or the goal moves
_GOAL_EDITS = 0.5  # share of the edits that move the goal, where that is allowed
_CELLS = ("goal_cell", "proxy_cell", "conflict_cell")


class Editor:
    """Makes children of levels."""

    def __init__(self, world: World, rng: np.random.Generator, *, move_goals: bool) -> None:
        """Edit levels of `world`.

        Args:
            world: by whose rules children are to be solvable.
            rng: what edits are drawn from.
            move_goals: whether an edit may put the goal elsewhere.

        Raises:
            UserError: if the world has no planner.
        """
        self.solver = Solver(world, quick=True)
        self._world = world
        self._rng = rng
        self._move_goals = move_goals and world.goal_is_cell
        self._free = next(iter(world.symbols.tiles))
        self._terrain = _terrain_codes(world)
        self._next_id = -2  # ids of children: negative, each its own

    def children(
        self, parents: LevelBatch, plans: Sequence[Plan]
    ) -> tuple[LevelBatch, list[Plan], NDArray[np.int64]]:
        """Return a child of each parent, where one could be made that can be solved.

        Args:
            parents: levels [n].
            plans: a way to the goal of each.

        Returns:
            The children [m <= n], a way to the goal of each, and whose child each is, int64 [m].
        """
        data = parents.data.copy()
        for record in data:
            self._edit(record)
        batch = LevelBatch(parents.world, data, parents.variant)
        same = batch.digests()
        keep = np.array([a != b for a, b in zip(same, parents.digests(), strict=True)], np.bool_)
        if not self._move_goals:
            keep &= batch.aligned == parents.aligned
        works = self.solver.still_work(batch, plans)
        found: list[Plan | None] = [
            p if ok else None for p, ok in zip(plans, works & keep, strict=True)
        ]
        lost = np.flatnonzero(keep & ~works)
        for k, plan in zip(lost.tolist(), self.solver.plans(batch.take(lost)), strict=True):
            found[k] = plan
        rows = np.array([k for k, plan in enumerate(found) if plan is not None], np.int64)
        made = batch.take(rows)
        made.data["id"] = self._next_id - np.arange(len(rows))
        self._next_id -= len(rows)
        return made, [plan for plan in found if plan is not None], rows

    def _edit(self, record: np.void) -> None:
        for _ in range(int(self._rng.integers(1, _MOST_EDITS + 1))):
            if self._move_goals and self._rng.random() < _GOAL_EDITS:
                self._move_goal(record)
            elif self._world.goal_is_cell and record["entity_count"] and self._rng.random() < 0.5:
                self._edit_entity(record)
            elif self._rng.random() < 0.5:
                self._paint(record)
            else:
                self._copy_patch(record)

    def _paint(self, record: np.void) -> None:
        """Give a cell another of the terrain codes that the level has, or free it."""
        x, y = self._cell_near_the_way(record)
        tiles = record["tiles"]
        if self._may_paint(record, x, y):
            codes = np.union1d(np.intersect1d(tiles, list(self._terrain)), [self._free])
            tiles[y, x] = self._rng.choice(codes[codes != tiles[y, x]])

    def _copy_patch(self, record: np.void) -> None:
        """Copy a small rectangle of terrain to another place."""
        to_x, to_y = self._cell_near_the_way(record)
        from_x, from_y = self._cell_near_the_way(record)
        width, height = self._rng.integers(1, _PATCH + 1, 2).tolist()
        tiles = record["tiles"]
        patch = tiles[from_y : from_y + height, from_x : from_x + width].copy()
        for (dy, dx), code in np.ndenumerate(patch):
            if code in self._terrain and self._may_paint(record, to_x + dx, to_y + dy):
                tiles[to_y + dy, to_x + dx] = code

    def _edit_entity(self, record: np.void) -> None:
        """Move, turn, remove or double an entity."""
        count = int(record["entity_count"])
        i, what = int(self._rng.integers(count)), int(self._rng.integers(4))
        names = [name for name in record.dtype.names or () if name.startswith("entity_")]
        fields = [record[name] for name in names if name != "entity_count"]
        if what == 0:
            record["entity_vx"][i] = -record["entity_vx"][i]
        elif what == 1:
            for values in fields:
                values[i : count - 1] = values[i + 1 : count].copy()
                values[count - 1] = 0
            record["entity_count"] = count - 1
        elif what == 2 or count < len(record["entity_x"]):
            hop_x, hop_y = self._rng.integers(-_HOP, _HOP + 1, 2).tolist()
            x, y = int(record["entity_x"][i]) + hop_x, int(record["entity_y"][i]) + hop_y
            if self._is_free(record, x, y):
                at = i if what == 2 else count
                for values in fields:
                    values[at] = values[i]
                record["entity_x"][at], record["entity_y"][at] = x + 0.5, y + 0.5
                record["entity_count"] = max(count, at + 1)

    def _move_goal(self, record: np.void) -> None:
        """Put the goal in a free cell nearby; where proxies move, one at the goal comes along."""
        tiles, goal = record["tiles"], record["goal_cell"]
        hop_x, hop_y = self._rng.integers(-_HOP, _HOP + 1, 2).tolist()
        x, y = int(goal[0]) + hop_x, int(goal[1]) + hop_y
        if not self._is_free(record, x, y):
            return
        was = bool((goal == record["proxy_cell"]).all())
        tiles[goal[1], goal[0]], tiles[y, x] = self._free, tiles[goal[1], goal[0]]
        goal[:] = x, y
        if self._world.proxy_moves:
            if was:
                record["proxy_cell"] = x, y
        else:
            record["conflict_cell"] = x, y

    def _cell_near_the_way(self, record: np.void) -> tuple[int, int]:
        """Draw a cell in the box around start, goal and proxy."""
        height, width = record["tiles"].shape
        cells = [record["start"].astype(np.int64), *(record[name] for name in _CELLS)]
        known = np.array([cell for cell in cells if cell[0] >= 0], np.int64)
        low = np.maximum(known.min(axis=0) - _AROUND, 1)
        high = np.minimum(known.max(axis=0) + _AROUND, (width - 2, height - 2))
        x, y = self._rng.integers(low, high + 1).tolist()
        return x, y

    def _may_paint(self, record: np.void, x: int, y: int) -> bool:
        """Return whether a cell is terrain, and neither the border nor anything's place."""
        tiles = record["tiles"]
        height, width = tiles.shape
        inside = 1 <= x < width - 1 and 1 <= y < height - 1
        return inside and int(tiles[y, x]) in self._terrain and not _is_taken(record, x, y)

    def _is_free(self, record: np.void, x: int, y: int) -> bool:
        return self._may_paint(record, x, y) and record["tiles"][y, x] == self._free


def _is_taken(record: np.void, x: int, y: int) -> bool:
    """Return whether a cell is the start or beside it, a goal's, a proxy's or an entity's."""
    start_x, start_y = (int(v) for v in record["start"])
    if abs(x - start_x) <= 1 and abs(y - start_y) <= 1:
        return True
    n = int(record["entity_count"])
    here = (record["entity_x"][:n].astype(int) == x) & (record["entity_y"][:n].astype(int) == y)
    marked = any(int(record[name][0]) == x and int(record[name][1]) == y for name in _CELLS)
    return marked or bool(here.any())


def _terrain_codes(world: World) -> frozenset[int]:
    """Return the tile codes that are terrain and nothing else: free space, walls, hazards.

    On a board, where a tile may be a thing to collect, free space and walls alone.
    """
    kept = [c for c in world.symbols.tiles if c not in (world.goal_tile, *world.proxy_tiles)]
    if isinstance(world, GridWorld):
        kept = [code for code in kept if world.class_of_tile.get(code, 0) <= 1]
    return frozenset(code for code in kept if code >= 0)
