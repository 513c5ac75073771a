"""What worlds on a board show, beside the same cell by cell, on boards that no generator makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from misgen.envs.core.blocks import ENTRIES, copy_rows, fill_bytes, look_up
from misgen.envs.core.boards.board import WALL
from misgen.envs.core.boards.grid_world import GridWorld
from misgen.envs.core.registry import entries, make_world, world_class

SLOTS = 30
BOARDS = [name for name in entries() if issubclass(world_class(name), GridWorld)]
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in BOARDS),
    ("cheese_on_a_dish", {"dish_channels": 3}),
    ("shape_colour_maze", {"cues": "colour_pattern"}),
]


def random_states(world: GridWorld, rng: np.random.Generator) -> NDArray[np.void]:
    """Return states with anything anywhere: boards of all sizes, agents and movers on them."""
    states = np.zeros(SLOTS, world.state_dtype)
    largest = states["board"].shape[1]
    states["side"] = rng.integers(3, largest + 1, SLOTS)
    states["board"] = rng.integers(0, len(world.classes), states["board"].shape)
    for name in ("x", "y"):
        states[name] = rng.integers(0, states["side"])
    movers = states["mover"]
    movers[..., :2] = rng.integers(0, states["side"][:, None, None], movers[..., :2].shape)
    movers[..., 2] = rng.integers(0, len(world.classes), movers.shape[:2])
    movers[rng.random(movers.shape[:2]) < 0.5] = -1
    states["body"] = rng.normal(size=states["body"].shape)
    return states


def cell_by_cell(world: GridWorld, s: Any) -> NDArray[np.uint8]:
    """Return the windows of one state, uint8 [planes * view, view]."""
    view, side = world.view, int(s["side"])
    classes = np.empty((view, view), np.int64)
    for row in range(view):
        for column in range(view):
            x, y = int(s["x"]) + column - view // 2, int(s["y"]) + view // 2 - row
            inside = 0 <= x < side and 0 <= y < side
            classes[row, column] = s["board"][y, x] if inside else WALL
            for mx, my, thing in s["mover"].tolist():
                if mx >= 0 and (mx, my) == (x, y):
                    classes[row, column] = thing
    return np.concatenate([looks[classes] for looks in world._planes])


@pytest.mark.parametrize("view", [3, 7, 15, 23, 61])
@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=str)
def test_windows_are_what_they_are_cell_by_cell(name: str, settings: dict[str, Any], view: int):
    world = make_world(name, view=view, **settings)
    assert isinstance(world, GridWorld)
    states = random_states(world, np.random.default_rng(view))
    slots = np.array([*range(SLOTS), 3, 3, 0])  # in any order, and some twice
    seen = world.observe(states, slots)
    for k, slot in enumerate(slots.tolist()):
        wanted = cell_by_cell(world, states[slot])
        np.testing.assert_array_equal(seen["tiles"][k], wanted, f"slot {slot}")
    np.testing.assert_array_equal(seen["body"], states["body"][slots])


def test_all_board_worlds_are_compared():
    assert len(BOARDS) >= 8


def test_copied_bytes_and_no_others_change():
    cells = np.arange(100, dtype=np.uint8)
    for count in range(50):
        out = np.full(64, 255, np.uint8)
        wanted = out.copy()
        copy_rows(cells, 5, count, out, 11, 0, 1, count)
        wanted[11 : 11 + count] = cells[5 : 5 + count]
        np.testing.assert_array_equal(out, wanted, f"{count} bytes")
        fill_bytes(out, 9, count, 7)
        wanted[9 : 9 + count] = 7
        np.testing.assert_array_equal(out, wanted, f"{count} bytes")


@pytest.mark.parametrize("count", [3, 8, 13, 16, 17, 30])
def test_rows_are_copied_and_turned_upside_down(count: int):
    cells = np.arange(200, dtype=np.uint8).reshape(5, 40)
    out = np.full((6, 36), 255, np.uint8)
    wanted = out.copy()
    copy_rows(cells, 40 + 7, 40, out, 36 * 4 + 2, -36, 3, count)
    wanted[4:1:-1, 2 : 2 + count] = cells[1:4, 7 : 7 + count]
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("entries", [6, ENTRIES, 40])
def test_bytes_are_looked_up(entries: int):
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 256, (3, entries), np.uint8)
    for count in range(50):
        cells = rng.integers(0, entries, count + 3, np.uint8)
        out = np.full(3 * count + 8, 9, np.uint8)
        wanted = out.copy()
        wanted[5 : 5 + 3 * count] = tables[:, cells[3:]].ravel()
        look_up(cells, 3, tables, out, 5, count)
        np.testing.assert_array_equal(out, wanted, f"{count} bytes")


def test_more_classes_than_a_short_table_has():
    """A world of a package may have any number of them."""
    world: Any = make_world("cheese_on_a_dish")
    states = random_states(world, np.random.default_rng(0))
    states["board"] = np.random.default_rng(1).integers(0, 30, states["board"].shape)
    states["mover"] = -1
    features = tuple(tuple(int(c % 7 == k) for c in range(30)) for k in range(3))
    world = type("Many", (type(world),), {"features": features})()
    seen = world.observe(states, np.arange(SLOTS))
    for slot in range(SLOTS):
        np.testing.assert_array_equal(seen["tiles"][slot], cell_by_cell(world, states[slot]))
