"""Boards have room for what a world puts on them, in every layout and however small they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from misgen.envs.core.boards.layouts import LAYOUTS, lay_out, most_room
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import make_world

IDS = np.arange(4000)
SMALLEST: list[tuple[str, dict[str, Any]]] = [
    ("cheese_on_a_dish", {"size": 5}),
    ("lava_land", {"size": 5}),
    ("follow_me", {"side": 7, "beacons": 2}),
    ("follow_me", {"side": 7, "beacons": 3}),
    ("follow_me", {"side": 7, "beacons": 5}),
    ("monster_world", {"side": 7, "apples": 1, "shields": 1, "monsters": 1}),
    ("monster_world", {"side": 7, "monsters": 6}),
]
CASES = [
    *(
        (name, {"layout": layout, **settings})
        for name, settings in SMALLEST
        for layout in LAYOUTS
        if (name, layout) != ("lava_land", "tree")  # it has none
    ),
    ("monster_world", {"layout": "edges", "side": 7, "monsters": 10}),
]


def board(size: int, layout: str, level_id: int, least: int) -> tuple[int, NDArray[np.bool_]]:
    """Return how many connected cells a board has, and its walls."""
    walls, cells = np.empty((size, size), np.bool_), np.empty(size * size, np.int64)
    return int(lay_out(walls, LAYOUTS.index(layout), level_id, least, cells)), walls


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_the_smallest_boards_have_room_for_all_things(name: str, settings: dict[str, Any]):
    world = make_world(name, **settings)
    for correlation in (0.0, 1.0):
        levels = LevelDistribution(world, correlation).levels(IDS)
        start = levels.data["start"].astype(int)
        assert (start != levels.data["goal_cell"]).any(axis=1).all()
        assert (start != levels.data["proxy_cell"]).any(axis=1).all()
        for level in levels.take(slice(50)):
            world.require_sound(level)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [5, 7])
def test_a_board_has_as_much_room_as_is_said(size: int, layout: str):
    most = most_room(layout, size)
    assert max(board(size, layout, level_id, 1)[0] for level_id in range(200)) <= most
    assert board(size, layout, 0, most)[0] == most


def test_only_boards_without_room_are_drawn_again():
    again = 0
    for level_id in range(400):
        room, walls = board(7, "edges", level_id, 1)
        roomy, others = board(7, "edges", level_id, 10)
        assert roomy >= 10
        assert (room >= 10) == (walls == others).all()
        again += room < 10
    assert 0 < again < 100


def test_more_things_than_a_board_has_cells_are_refused():
    with pytest.raises(UserError, match=r"env\.monsters=7 are too many .* room for 6; give fewer"):
        make_world("monster_world", side=7, layout="tree", monsters=7)
    make_world("monster_world", side=7, layout="tree", monsters=6)
