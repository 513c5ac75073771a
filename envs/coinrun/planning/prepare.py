"""A level of CoinRun before its searches: enemies and their beats, crates, ceilings.

Public names: `remember`.
"""

from __future__ import annotations

import numpy as np

from ...core.episode import REACHED_GOAL
from ..constants import BARRIER, CRATE, ENEMY, SIZE, WALL_MID, WALL_TOP
from .search_memory import NODE, NONE, Memory, kernel

_STANDS = 1 << 14  # room for stands of a level's enemies


@kernel
def remember(s, task_of_all, most, greed):
    """Return room for searches of up to `most` nodes in the level of state `s`."""
    task = task_of_all.copy()
    cell = s.goal_cell if task[0].target == REACHED_GOAL else s.proxy_cell
    task[0].target_x, task[0].target_y = cell[0], cell[1]
    task[0].ceilings = _has_ceilings(s)
    estimates = np.int64(greed * (task[0].horizon + 1)) + 1
    enemies, beats, crates = _cast(s)
    stands = _STANDS if len(enemies) > 0 else 1
    return Memory(
        task,
        np.empty(most, NODE),
        np.full(_power_of_2(2 * most), NONE, np.int32),
        np.empty(estimates, np.int32),
        enemies,
        _find_meddled(s, enemies, beats),
        _leave_out_crowds(s, enemies, beats),
        np.empty((stands, 2 * len(enemies)), np.float32),
        np.full(stands, NONE, np.int32),
        np.full(2 * stands, NONE, np.int32),
        crates,
    )


@kernel
def _power_of_2(least):
    size = 1
    while size < least:
        size *= 2
    return size


@kernel
def _cast(s):
    """Return which entities are enemies, the columns of their beats, and where crates are."""
    enemies = np.empty(s.count, np.int64)
    beats = np.empty((s.count, 2), np.int64)
    crates = np.empty(s.count, np.float32)
    met, piled = 0, 0
    for j in range(s.count):
        if s.kind[j] == CRATE:
            crates[piled] = s.ex[j]
            piled += 1
        elif s.kind[j] == ENEMY:
            enemies[met] = j
            _write_beat(s, j, beats[met])
            met += 1
    return enemies[:met], beats[:met], crates[:piled]


@kernel
def _write_beat(s, j, beat):
    row = s.tiles[int(s.ey[j])]
    first = last = int(s.ex[j])
    while first > 0 and not _turns(row[first - 1]):
        first -= 1
    while last < SIZE - 1 and not _turns(row[last + 1]):
        last += 1
    beat[0], beat[1] = first, last


@kernel
def _turns(tile):
    return tile == WALL_MID or tile == WALL_TOP or tile == BARRIER


@kernel
def _find_meddled(s, enemies, beats):
    """Return which enemies meet crates: bool [m]."""
    meddled = np.zeros(len(enemies), np.bool_)
    for k in range(len(enemies)):
        for j in range(s.count):
            beside = abs(s.ey[j] - s.ey[enemies[k]]) < 1
            along = beats[k, 0] - 1 <= s.ex[j] <= beats[k, 1] + 2
            if s.kind[j] == CRATE and beside and along:
                meddled[k] = True
    return meddled


@kernel
def _leave_out_crowds(s, enemies, beats):
    """Return the beats with those that enemies share, as in pits, put away: nobody waits there."""
    kept = beats.copy()
    for a in range(len(enemies)):
        for b in range(len(enemies)):
            same_row = s.ey[enemies[a]] == s.ey[enemies[b]]
            if a != b and same_row and beats[a, 0] == beats[b, 0]:
                kept[a, 0], kept[a, 1] = 2 * SIZE, -SIZE
    return kept


@kernel
def _has_ceilings(s):
    """Return whether there is a wall with room below it, but for the top of the world."""
    for x in range(1, SIZE - 1):
        for y in range(2, SIZE - 1):
            if _is_wall(s.tiles[y, x]) and not _is_wall(s.tiles[y - 1, x]):
                return True
    return False


@kernel
def _is_wall(tile):
    return tile == WALL_MID or tile == WALL_TOP
