"""In which order to visit keys and chests: the shortest tours through a maze.

A tour is a sequence of objects.  Whoever comes past a key takes it, and whoever comes past a chest
with a key opens it: so the next object of a tour is one to which the way is free of others.  In
Procgen's mazes one way leads from any cell to any other; on a hand-made board with several, only
the shortest is considered.

- The tour that opens all chests that can be opened is found by Dijkstra's algorithm over (object,
  what was taken); if that needs more than `MOST_NODES`, by going to the nearest chest with a key in
  hand and to the nearest key without.
- The tour that takes all keys has a length known at once: twice the passages between them, less the
  way to the farthest, where it ends.

Public names: `chest_tour`, `key_tour`, `distances_to`, `nearer`, `NO_TOUR`, `MOST_NODES`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..core.boards.board import WALL
from ..core.boards.mazes import distances
from .constants import CHEST, KEY, LARGEST, MOST_OBJECTS
from .rules import usable

MOST_NODES = 200_000
NO_TOUR = -1
_LONGEST = 4096
_ONE = np.uint32(1)
_NOWHERE = np.int64(1 << 30)


@njit(cache=True)
def distances_to(s, x, y):
    """Return the steps from every cell to x, y, int64 [LARGEST, LARGEST]; -1: none."""
    steps = np.empty((LARGEST, LARGEST), np.int64)
    distances(steps, s.board == WALL, x, y)
    return steps


@njit(cache=True)
def chest_tour(s, strict, tour):
    """Write the shortest tour that opens all chests that can be; return its length and exactness.

    Args:
        s: a state.
        strict: whether taking the last surplus key first would end the episode.
        tour: filled with objects, int64 [MOST_OBJECTS].

    Returns:
        Objects on the tour, or `NO_TOUR`; and whether no tour is shorter.
    """
    steps, between = _ways(s)
    count = int(s.count)
    node_at = np.empty(MOST_NODES, np.int64)  # object; `count` stands for where the agent is
    node_taken = np.empty(MOST_NODES, np.uint32)
    node_from = np.empty(MOST_NODES, np.int64)
    node_next = np.empty(MOST_NODES, np.int64)  # in the list of equally distant nodes
    first_at = np.full(_LONGEST, -1, np.int64)
    settled = {np.uint64(0): True}
    settled.clear()
    node_at[0], node_taken[0], node_from[0], node_next[0] = count, s.taken, -1, -1
    first_at[0] = 0
    nodes = 1
    for length in range(_LONGEST):
        while first_at[length] >= 0:
            node = first_at[length]
            first_at[length] = node_next[node]
            at, taken = node_at[node], node_taken[node]
            key = (np.uint64(taken) << np.uint64(8)) | np.uint64(at)
            if key in settled:
                continue
            settled[key] = True
            keys, chests = _taken(s, taken)
            if chests == usable(s):
                return _backwards(node, node_at, node_from, tour), True
            if strict and s.keys > s.chests and keys == s.keys:
                continue
            active = _active(s, taken, keys > chests)
            for j in range(count):
                bit = _ONE << np.uint32(j)
                free = active & bit and not (between[at, j] & active) and steps[at, j] >= 0
                if free and length + steps[at, j] < _LONGEST:
                    if nodes == MOST_NODES:
                        return _nearest_first(s, steps, between, strict, tour), False
                    node_at[nodes], node_taken[nodes] = j, taken | bit
                    node_from[nodes] = node
                    node_next[nodes] = first_at[length + steps[at, j]]
                    first_at[length + steps[at, j]] = nodes
                    nodes += 1
    return NO_TOUR, True


@njit(cache=True)
def _nearest_first(s, steps, between, strict, tour):
    """Write a tour that goes to the nearest chest with a key in hand, and else to a key."""
    at, taken, length = int(s.count), s.taken, 0
    keys, chests = _taken(s, taken)
    while chests < usable(s):
        active = _active(s, taken, keys > chests)
        best, way = -1, _NOWHERE
        for j in range(s.count):
            bit = _ONE << np.uint32(j)
            wanted = s.kind[j] == (CHEST if keys > chests else KEY)
            if active & bit and wanted and 0 <= steps[at, j] < way:
                best, way = j, steps[at, j]
        if best < 0:
            return NO_TOUR
        for j in range(s.count):  # what lies before it comes first
            bit = _ONE << np.uint32(j)
            if between[at, best] & active & bit and steps[at, j] < way:
                best, way = j, steps[at, j]
        tour[length] = best
        length += 1
        at, taken = best, taken | (_ONE << np.uint32(best))
        keys, chests = _taken(s, taken)
        if strict and s.keys > s.chests and keys == s.keys and chests < usable(s):
            return NO_TOUR
    return length


@njit(cache=True)
def key_tour(s, tour):
    """Write the shortest tour that takes all keys; return how many are left, or `NO_TOUR`."""
    steps, between = _ways(s)
    at, taken, length = int(s.count), s.taken, 0
    while True:
        left = _active(s, taken, False)
        if left == 0:
            return length
        best, way = -1, _NOWHERE
        for j in range(s.count):
            bit = _ONE << np.uint32(j)
            if left & bit and not (between[at, j] & left):
                if steps[at, j] < 0:
                    return NO_TOUR
                whole = steps[at, j] + _length(s, steps, j, left & ~bit)
                if whole < way:
                    best, way = j, whole
        tour[length] = best
        length += 1
        at, taken = best, taken | (_ONE << np.uint32(best))


@njit(cache=True)
def _length(s, steps, at, left):
    """Return the steps of the shortest tour in a tree from object `at` to all of `left`."""
    passages, farthest = 0, 0
    spanned = np.empty(MOST_OBJECTS, np.int64)
    spanned[0] = at
    count = 1
    for j in range(s.count):
        if not left & (_ONE << np.uint32(j)):
            continue
        farthest = max(farthest, steps[at, j])
        # In a tree, j is as far from the part spanned by others as from the nearest way between
        # any two of them.
        near = steps[spanned[0], j]
        for a in range(count):
            for b in range(a):
                one, other = spanned[a], spanned[b]
                off = (steps[one, j] + steps[other, j] - steps[one, other]) // 2
                near = min(near, off)
        passages += near
        spanned[count] = j
        count += 1
    return 2 * passages - farthest


@njit(cache=True)
def _ways(s):
    """Return the steps between objects, and which others lie between; the last row: the agent.

    Returns:
        int64 and uint32 [count + 1, count]: steps, -1 for none; bit j: object j lies between.
    """
    count = int(s.count)
    steps = np.empty((count + 1, count), np.int64)
    between = np.zeros((count + 1, count), np.uint32)
    for i in range(count + 1):
        if i < count:
            x0, y0 = int(s.ex[i]), int(s.ey[i])
        else:
            x0, y0 = int(s.x), int(s.y)
        field = distances_to(s, x0, y0)
        for j in range(count):
            x, y = int(s.ex[j]), int(s.ey[j])
            steps[i, j] = field[y, x]
            while field[y, x] > 1:
                x, y = nearer(field, x, y)
                if s.at[y, x] >= 0:
                    between[i, j] |= _ONE << np.uint32(s.at[y, x])
    return steps, between


@njit(cache=True)
def nearer(field, x, y):
    """Return the neighbour of x, y that is a step nearer."""
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        nx, ny = x + dx, y + dy
        inside = 0 <= nx < LARGEST and 0 <= ny < LARGEST
        if inside and field[ny, nx] == field[y, x] - 1:
            return nx, ny
    return x, y


@njit(cache=True)
def _taken(s, taken):
    """Return how many keys and chests are among `taken`."""
    keys, chests = 0, 0
    for j in range(s.count):
        if taken & (_ONE << np.uint32(j)):
            if s.kind[j] == KEY:
                keys += 1
            else:
                chests += 1
    return keys, chests


@njit(cache=True)
def _active(s, taken, with_key):
    """Return the objects that one who comes past takes or opens, as bits."""
    active = np.uint32(0)
    for j in range(s.count):
        bit = _ONE << np.uint32(j)
        if not taken & bit and (s.kind[j] == KEY or with_key):
            active |= bit
    return active


@njit(cache=True)
def _backwards(node, node_at, node_from, tour):
    length = 0
    at = node
    while node_from[at] >= 0:
        length += 1
        at = node_from[at]
    for i in range(length - 1, -1, -1):
        tour[i] = node_at[node]
        node = node_from[node]
    return length
