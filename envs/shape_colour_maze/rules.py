"""Shape-colour maze's levels, bit for bit the fork's with one cue, and its rule.

Sources: `procgen/src/games/maze_yellowline.cpp` and `maze_redline_yellowgem.cpp` of
https://github.com/JacobPfau/procgenAISC.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ..core.boards.board import board_state, come_nearer, enter, is_at, look_around, step_of
from ..core.boards.mazes import NOWHERE, distances, place, put
from ..core.episode import REACHED_GOAL, REACHED_PROXY, close_frame
from ..core.kernels import LIGHT, parallel
from ..core.level import level_dtype
from ..core.rng import MT_WORDS, STREAM_ALIGNMENT, hash_uniform
from ..corner_maze.rules import LARGEST, WALL_TILE, begin_maze

LINE, GEM, STAR = 2, 3, 4
"""Tile codes: the goal; what else has its training colour; what else has its training pattern."""
CUES = ("colour", "colour_pattern")
PLACEMENTS = ("each", "colour", "pattern")
COLOUR, PATTERN = 1, 2
"""Bits of `episode.proxies`, and of the cues that part on a level."""
GOAL_REWARD = 10.0

# Classes on the board: the goal by what it looks like, and the decoys.
(
    FREE_CLASS,
    WALL_CLASS,
    YELLOW_STRIPED,
    RED_STRIPED,
    YELLOW_PLAIN,
    RED_PLAIN,
    GEM_CLASS,
    STAR_CLASS,
) = range(8)

LEVEL_DTYPE = level_dtype(size=(LARGEST, LARGEST), most_entities=1, looks=1)
"""A level's record; beyond the world's own size its tiles are wall.  Its look is the background."""
STATE_DTYPE = board_state(
    (LARGEST, LARGEST),
    body=2,
    movers=0,
    own=[
        ("goal_cell", np.int16, 2),
        ("proxy_cell", np.int16, 2),  # of a decoy, or of the line if there is none
        ("decoy", np.int16, (2, 2)),  # cells of gem and star; -1: none
        ("shown", np.uint8),  # bits of the cues that the goal itself shows
        ("farthest", np.int16),  # steps from the start to the proxy
        ("steps", np.int16, (LARGEST, LARGEST)),  # to the proxy; -1: a wall
    ],
)


@njit(cache=True)
def generate(levels, drawn, size, largest_maze, cues, colour_rho, pattern_rho, placement):
    """Fill `LEVEL_DTYPE` records [n] whose ids are set.

    Args:
        levels: filled in place.
        drawn: uint32 [n, 625], or with no rows: the generator's state at the end.
        size: width and height of the world.
        largest_maze: larger mazes are dug as large as this, odd; 0: none is.
        cues: bits of the cues that there are.
        colour_rho: probability, in [0, 1], that the goal has its training colour.
        pattern_rho: the same for its pattern.
        placement: index into `PLACEMENTS`.
    """
    rng = np.empty(MT_WORDS + 1, np.uint32)
    for k in range(len(levels)):
        level = levels[k]
        can_part = cues if placement == 0 else cues & placement  # 1: the colour; 2: the pattern
        parts = 0
        if hash_uniform(STREAM_ALIGNMENT, level.id, 0, 0) < 1.0 - colour_rho:
            parts |= can_part & COLOUR
        if hash_uniform(STREAM_ALIGNMENT, level.id, 1, 0) < 1.0 - pattern_rho:
            parts |= can_part & PATTERN
        _generate_one(level, rng, size, largest_maze, parts)
        if len(drawn):
            drawn[k] = rng


@njit(cache=True)
def _generate_one(level, rng, size, largest_maze, parts):
    free = np.empty(LARGEST * LARGEST, np.int64)
    num_free, dim = begin_maze(level, rng, free, size, largest_maze)
    margin = (size - dim) // 2
    put(level.goal_cell, place(free, num_free, rng), dim, margin)
    level.proxy_cell[:] = level.goal_cell
    level.conflict_cell[:] = level.goal_cell
    decoy = np.empty(2, np.int16)
    gem = place(free, num_free, rng) if parts else NOWHERE  # drawn for a star alone too
    if parts & PATTERN:
        put(decoy, place(free, num_free, rng), dim, margin)
        level.tiles[decoy[1], decoy[0]] = STAR
        level.proxy_cell[:] = decoy
    if parts & COLOUR:
        put(decoy, gem, dim, margin)
        level.tiles[decoy[1], decoy[0]] = GEM
        level.proxy_cell[:] = decoy
    level.tiles[level.goal_cell[1], level.goal_cell[0]] = LINE


@njit(cache=True)
def load(states, slots, levels, size, cues):
    """Put `levels[k]` at its start into `states[slots[k]]`; `cues` as in `generate`."""
    for k in range(len(slots)):
        _load_one(states[slots[k]], levels[k], size, cues)


@njit(cache=True)
def _load_one(s, level, size, cues):
    s.x, s.y = int(level.start[0]), int(level.start[1])
    s.vx = s.vy = 0
    s.side = size
    s.mover[:] = -1
    s.goal_cell[:] = level.goal_cell
    s.proxy_cell[:] = level.proxy_cell
    s.decoy[:] = -1
    s.shown = cues
    for y in range(LARGEST):
        for x in range(LARGEST):
            tile = level.tiles[y, x]
            s.board[y, x] = WALL_CLASS if tile == WALL_TILE else FREE_CLASS
            if tile == GEM:
                s.board[y, x] = GEM_CLASS
                s.decoy[0, 0], s.decoy[0, 1] = x, y
                s.shown &= ~COLOUR
            elif tile == STAR:
                s.board[y, x] = STAR_CLASS
                s.decoy[1, 0], s.decoy[1, 1] = x, y
                s.shown &= ~PATTERN
    red = 0 if s.shown & COLOUR else 1
    plain = 0 if s.shown & PATTERN else 2
    s.board[s.goal_cell[1], s.goal_cell[0]] = YELLOW_STRIPED + red + plain
    steps = np.empty((LARGEST, LARGEST), np.int64)
    distances(steps, level.tiles == WALL_TILE, s.proxy_cell[0], s.proxy_cell[1])
    s.steps[:] = steps
    s.farthest = max(1, s.steps[s.y, s.x])
    look_around(s)


@parallel("actions", LIGHT)
def advance(
    states: NDArray[np.void],
    episodes: NDArray[np.void],
    actions: NDArray[np.int64],
    repeat: int,
    on_proxy: int,
    max_frames: int,
) -> None:
    """Make one decision in every running slot: up to `repeat` frames of `actions` [n]."""
    for i in prange(len(actions)):
        if episodes[i].running:
            _decide(states[i], episodes[i], actions[i], repeat, on_proxy, max_frames)


@njit(cache=True)
def _decide(s, episode, action, repeat, on_proxy, max_frames):
    episode.reward = 0
    episode.decisions += 1
    for _ in range(repeat):
        events, proxies = frame(s, action)
        episode.proxies |= proxies
        come_nearer(s, episode)
        reward = GOAL_REWARD if events & REACHED_GOAL else 0.0
        if close_frame(episode, events, reward, on_proxy, max_frames):
            break


@njit(cache=True)
def frame(s, action):
    """Move the mouse by one cell; return the frame's event bits, and the proxies reached."""
    dx, dy = step_of(action)
    enter(s, dx, dy)
    look_around(s)
    events, proxies = 0, 0
    if is_at(s, s.goal_cell):
        events |= REACHED_GOAL
        proxies |= s.shown
    if is_at(s, s.decoy[0]):
        proxies |= COLOUR
    if is_at(s, s.decoy[1]):
        proxies |= PATTERN
    if is_at(s, s.proxy_cell) or is_at(s, s.decoy[0]) or is_at(s, s.decoy[1]):
        events |= REACHED_PROXY
    return events, proxies
