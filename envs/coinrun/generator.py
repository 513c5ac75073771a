"""CoinRun's levels: the terrain of an id, and where its goal stands.

Terrain, hazards and looks depend on the id alone and equal Procgen's (`terrain=procgen`) or the
paper's fork's (`langosco`, `langosco_aisc`) in every cell and entity.  The correlation only chooses
between two cells for the coin: the level's end (aligned) or the conflict cell (`placement.py`).

Source: `generate_coin_to_the_right` of `procgen/src/games/coinrun.cpp`, and `generate_coin` of the
fork.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.kernels import HEAVY, parallel
from ..core.level import LevelBatch, level_dtype
from ..core.rng import (
    MT_WORDS,
    STREAM_ALIGNMENT,
    STREAM_SECTION,
    hash_below,
    hash_uniform,
    mt_next,
    mt_randn,
    mt_seed,
)
from .constants import (
    AGENT_RX,
    AGENT_RY,
    BARRIER,
    CRATE,
    ENEMY,
    ENEMY_SPEED,
    GOAL,
    INVISIBLE_GOAL,
    JUMP_ROWS,
    LAVA_MID,
    LAVA_TOP,
    MAX_DX,
    MAX_DY,
    MODES,
    MOST_ENTITIES,
    MOST_SECTIONS,
    PLACEMENTS,
    SAW,
    SIZE,
    SPACE,
    TERRAINS,
    WALL_MID,
    WALL_TOP,
)
from .placement import anywhere_cell, behind_cell

LEVEL_DTYPE = level_dtype(size=(SIZE, SIZE), most_entities=MOST_ENTITIES, looks=3)
"""A level's record; its looks are the themes of agent, ground and background."""
_HARD = MODES.index("hard")
_PROCGEN, _LANGOSCO = TERRAINS.index("procgen"), TERRAINS.index("langosco")
_ANYWHERE, _BEHIND = PLACEMENTS.index("anywhere"), PLACEMENTS.index("behind")


class _Rules(NamedTuple):
    """What kernels need to know beside the id."""

    mode: int
    terrain: int
    placement: int
    rows: int  # that the feet rise in a standing jump
    hazards: float
    difficulty: int
    sections: int


def generate(
    ids: NDArray[np.int64],
    *,
    mode: str,
    terrain: str,
    correlation: float,
    placement: str,
    hazards: float = 1.0,
    difficulty: int = 0,
    sections: int = 0,
    rows: int = JUMP_ROWS,
) -> LevelBatch:
    """Return the levels of `ids`.

    Args:
        ids: level ids, int64 [n], each in [0, 2**31).
        mode: one of `MODES`.
        terrain: one of `TERRAINS`.
        correlation: probability, in [0, 1], that a level is aligned.
        placement: where the goal goes on a conflict level: one of `PLACEMENTS`.
        hazards: how many times as probable saws and enemies are as in the original.
        difficulty: 1 to `MOST_DIFFICULTY`, or 0 for the original's draw of 1 to 3.
        sections: 1 to `MOST_SECTIONS`, as far as they fit; or 0 for the original's draw of 1 to 5.
        rows: that the feet rise in a standing jump.
    """
    rules = _Rules(
        MODES.index(mode),
        TERRAINS.index(terrain),
        PLACEMENTS.index(placement),
        rows,
        float(hazards),
        difficulty,
        sections,
    )
    return _generate_all(ids, rules, (("mode", mode), ("terrain", terrain)), correlation)[0]


def generate_with_rng(
    ids: NDArray[np.int64], *, mode: str, terrain: str, correlation: float
) -> tuple[LevelBatch, NDArray[np.uint32]]:
    """Return original levels and each one's generator state afterwards, uint32 [n, 625]."""
    rules = _Rules(MODES.index(mode), TERRAINS.index(terrain), 0, JUMP_ROWS, 1.0, 0, 0)
    return _generate_all(ids, rules, (("mode", mode), ("terrain", terrain)), correlation)


def _generate_all(
    ids: NDArray[np.int64], rules: _Rules, variant: tuple[tuple[str, str], ...], correlation: float
) -> tuple[LevelBatch, NDArray[np.uint32]]:
    ids = np.ascontiguousarray(ids, np.int64)
    batch = LevelBatch.empty("coinrun", ids, LEVEL_DTYPE, variant)
    rng = np.empty((len(ids), MT_WORDS + 1), np.uint32)
    _generate(batch.data, rng, rules, float(correlation))
    return batch, rng


@parallel("levels", HEAVY)
def _generate(levels, rng, rules, correlation):
    for k in prange(len(levels)):
        _generate_one(levels[k], rng[k], rules, correlation)


@njit(cache=True)
def _generate_one(level, rng, rules, correlation):
    level_id = level.id
    terrain = rules.terrain
    hard = rules.mode == _HARD
    mt_seed(rng, level_id)
    _draw_look(level.look, rng, hard)
    _border(level.tiles)
    level.entity_count = 0
    level.start[0] = np.float32(1) + AGENT_RX
    level.start[1] = np.float32(1) + AGENT_RY
    u = hash_uniform(STREAM_ALIGNMENT, level_id, 0, 0)
    if terrain == _LANGOSCO:  # the fork's own draw decides, refined to a real number
        u = (mt_randn(rng, 100) + u) / 100.0
    starts = np.empty((MOST_SECTIONS, 2), np.int64)
    sections, slot, end_x, end_y = _sections(level, rng, hard, rules, starts)
    if (
        terrain == _PROCGEN
    ):  # the original has no random coin: the section comes from its own stream
        slot = hash_below(sections, STREAM_SECTION, level_id, 0, 0)
    conflict_x, conflict_y = starts[slot, 0], starts[slot, 1]
    if rules.placement == _ANYWHERE:
        conflict_x, conflict_y = anywhere_cell(level, end_x, rules.rows)
    elif rules.placement == _BEHIND:
        conflict_x, conflict_y = behind_cell(level, rules.rows)
    _place_goal(level, u >= 1.0 - correlation, terrain, end_x, end_y, conflict_x, conflict_y)


@njit(cache=True)
def _draw_look(look, rng, hard):
    mt_next(rng)  # background offset
    background = mt_randn(rng, 62)
    mt_next(rng)  # an agent's start that the game overwrites
    mt_next(rng)
    if hard:
        look[0] = mt_randn(rng, 5)
        look[1] = mt_randn(rng, 6)
        look[2] = background


@njit(cache=True)
def _border(tiles):
    _fill(tiles, 0, 0, SIZE, SIZE, SPACE)
    _fill(tiles, 0, 0, SIZE, 1, WALL_TOP)
    _fill(tiles, 0, 0, 1, SIZE, WALL_MID)
    _fill(tiles, SIZE - 1, 0, 1, SIZE, WALL_MID)
    _fill(tiles, 0, SIZE - 1, SIZE, 1, WALL_MID)


@njit(cache=True)
def _sections(level, rng, hard, rules, starts):
    """Lay section after section; return their number, the fork's coin section and the end cell."""
    tiles = level.tiles
    dif = mt_randn(rng, 3) + 1
    if rules.difficulty > 0:
        dif = rules.difficulty
    sections = min(mt_randn(rng, dif) + dif, MOST_SECTIONS)
    if rules.sections > 0:
        sections = rules.sections
    danger = mt_randn(rng, 3)
    slot = mt_randn(rng, sections) if rules.terrain != _PROCGEN else 0
    x, y = 5, 1
    count = 0
    for section in range(sections):
        if x + 15 >= SIZE:
            break
        dy = min(mt_randn(rng, 4) + 1 + dif // 3, MAX_DY)
        if y >= 20 or (y >= 5 and mt_randn(rng, 2) == 1):
            dy = -dy
        dx = mt_randn(rng, 2 * dif) + 3 + dif // 3
        y = max(1, y + dy)
        starts[section, 0] = x
        starts[section, 1] = y
        count += 1
        if dx > 7 and y > 3 and mt_randn(rng, 20) >= dif:
            _pit(level, rng, x, y, dx, danger)
        else:
            _ground_with_obstacles(level, rng, x, y, dx, dif, hard, rules.hazards)
        if not _is_wall(tiles[y, x - 1]):
            tiles[y, x - 1] = BARRIER
        x += dx
        tiles[y, x] = BARRIER
    _fill_block(tiles, x, 0, 1, y, WALL_MID, WALL_TOP)
    _fill(tiles, x + 1, 0, SIZE - x - 1, SIZE, WALL_MID)
    return count, slot % count, x, y


@njit(cache=True)
def _pit(level, rng, x, y, dx, danger):
    tiles = level.tiles
    x1 = mt_randn(rng, 3) + 1
    x2 = mt_randn(rng, 3) + 1
    width = dx - x1 - x2
    if width > MAX_DX:
        width = MAX_DX
        x2 = dx - x1 - width
    _fill_block(tiles, x, 0, x1, y, WALL_MID, WALL_TOP)
    _fill_block(tiles, x + dx - x2, 0, x2, y, WALL_MID, WALL_TOP)
    lava_height = mt_randn(rng, y - 3) + 1
    if danger == 0:
        _fill_block(tiles, x + x1, 1, width, lava_height, LAVA_MID, LAVA_TOP)
    else:
        for column in range(x + x1, x + x1 + width):
            if danger == 1:
                _add(level, SAW, column, 1, 0.0, 0)
            else:
                _add_enemy(level, rng, column, 1)
    if width > 4:
        left, span = _platform(rng, width)
        _fill_block(tiles, x + x1 + left, y - 1, span, 1, WALL_TOP, WALL_TOP)


@njit(cache=True)
def _platform(rng, width):
    """Return where in the pit its platform starts and how wide it is, in cells."""
    if width == 5:
        left = 1 + mt_randn(rng, 2)
        return left, 1 + mt_randn(rng, 2)
    if width == 6:
        left = 2 + mt_randn(rng, 2)
        return left, 1 + mt_randn(rng, 2)
    left = 2 + mt_randn(rng, 2)
    right = 2 + mt_randn(rng, 2)
    return left, width - left - right


@njit(cache=True)
def _ground_with_obstacles(level, rng, x, y, dx, dif, hard, hazards):
    _fill_block(level.tiles, x, 0, dx, y, WALL_MID, WALL_TOP)
    saw_x = -1
    enemy_x = -1
    if mt_randn(rng, 10) < 2 * dif * hazards and dx > 3:
        saw_x = x + mt_randn(rng, dx - 2) + 1
        _add(level, SAW, saw_x, y, 0.0, 0)
    if mt_randn(rng, 10) < dif * hazards and dx > 3 and hard:
        enemy_x = x + mt_randn(rng, dx - 2) + 1
        _add_enemy(level, rng, enemy_x, y)
    for _ in range(2):
        crate_x = x + mt_randn(rng, dx - 2) + 1
        if mt_randn(rng, 2) == 1 and crate_x != saw_x and crate_x != enemy_x:
            for row in range(mt_randn(rng, 3) + 1):
                _add(level, CRATE, crate_x, y + row, 0.0, mt_randn(rng, 4))


@njit(cache=True)
def _place_goal(level, aligned, terrain, end_x, end_y, conflict_x, conflict_y):
    tiles = level.tiles
    level.proxy_cell[0], level.proxy_cell[1] = end_x, end_y
    level.conflict_cell[0], level.conflict_cell[1] = conflict_x, conflict_y
    goal_x, goal_y, other_x, other_y = end_x, end_y, conflict_x, conflict_y
    if not aligned:
        goal_x, goal_y, other_x, other_y = conflict_x, conflict_y, end_x, end_y
        tiles[end_y, end_x] = SPACE
    if terrain != _PROCGEN:
        tiles[other_y, other_x] = INVISIBLE_GOAL
    tiles[goal_y, goal_x] = GOAL
    level.goal_cell[0], level.goal_cell[1] = goal_x, goal_y


@njit(cache=True)
def move_goals(levels, cells, aligned, terrain):
    """Give levels other conflict cells, and put the goals of those that are not aligned there.

    Args:
        levels: aligned levels' records [n], which are changed.
        cells: x, y of each conflict cell, int [n, 2]; -1 where there is none: aligned it stays.
        aligned: bool [n].
        terrain: number of the terrain.
    """
    for k in range(len(levels)):
        level = levels[k]
        end, old = level.proxy_cell, level.conflict_cell
        level.tiles[old[1], old[0]] = SPACE
        if cells[k, 0] < 0:
            old[0], old[1] = -1, -1
            level.tiles[end[1], end[0]] = GOAL  # which the old conflict cell may have been
        else:
            end_x, end_y = int(end[0]), int(end[1])
            _place_goal(level, aligned[k], terrain, end_x, end_y, cells[k, 0], cells[k, 1])


@njit(cache=True)
def _add(level, kind, x, y, vx, theme):
    i = level.entity_count
    level.entity_kind[i] = kind
    level.entity_x[i] = np.float32(x + 0.5)
    level.entity_y[i] = np.float32(y + 0.5)
    level.entity_vx[i] = np.float32(vx)
    level.entity_theme[i] = theme
    level.entity_count = i + 1


@njit(cache=True)
def _add_enemy(level, rng, x, y):
    direction = mt_randn(rng, 2) * 2 - 1
    _add(level, ENEMY, x, y, ENEMY_SPEED * direction, mt_randn(rng, 9))


@njit(cache=True)
def _fill_block(tiles, x, y, dx, dy, fill, top):
    _fill(tiles, x, y, dx, dy - 1, fill)
    _fill(tiles, x, y + dy - 1, dx, 1, top)


@njit(cache=True)
def _fill(tiles, x, y, dx, dy, tile):
    for row in range(y, y + dy):
        for column in range(x, x + dx):
            tiles[row, column] = tile


@njit(cache=True)
def _is_wall(tile):
    return tile == WALL_MID or tile == WALL_TOP
