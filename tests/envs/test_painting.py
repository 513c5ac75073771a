"""Levels changed cell by cell: in every world, and always into what the world runs."""

from __future__ import annotations

import numpy as np
import pytest

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import Level
from misgen.envs.core.level_text.hand_made import level_batch
from misgen.envs.core.level_text.painting import brushes, can_move, move, paint
from misgen.envs.core.level_text.text import level_from_text, level_rows, level_to_text
from misgen.envs.core.registry import entries, make_world
from misgen.envs.core.world import World

WORLDS = [name for name, (package, _) in entries().items() if not package.endswith(".procgen")]
CELLS = [name for name in WORLDS if make_world(name).goal_moves and make_world(name).goal_is_cell]


def level_of(name: str, correlation: float) -> tuple[Level, World]:
    world = make_world(name)
    return LevelDistribution(world, correlation).levels(np.array([3]))[0], world


def free_cells(level: Level, world: World) -> list[tuple[int, int]]:
    free = next(iter(world.symbols.tiles.values()))
    rows = level_rows(level, world)[::-1]
    return [(x, y) for y, row in enumerate(rows) for x, sign in enumerate(row) if sign == free]


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("correlation", [1.0, 0.0])
def test_whatever_is_moved_or_painted_is_a_level_that_runs_or_is_refused(name, correlation):
    level, world = level_of(name, correlation)
    before, rng = level_to_text(level, world), np.random.default_rng(0)
    free, height, width = free_cells(level, world), *level.tiles.shape
    changed = 0
    for cell in can_move(level, world):
        target = free[rng.integers(len(free))]
        changed += _fine(lambda c=cell, t=target: move(level, world, c, t), world)
    for sign in brushes(world):
        for _ in range(4):
            cell = int(rng.integers(width)), int(rng.integers(height))
            changed += _fine(lambda c=cell, s=sign: paint(level, world, c, s), world)
    assert changed > 5
    assert level_to_text(level, world) == before, "the level itself stays as it is"


def _fine(change, world: World) -> bool:
    try:
        found = change()
    except UserError as error:
        if str(error).startswith("line "):
            raise  # nobody sees the lines of a text here
        return False
    level_batch([found], world)
    again = level_from_text(level_to_text(found, world), world)
    assert again.content_hash == found.content_hash
    return True


@pytest.mark.parametrize("name", CELLS)
def test_a_goal_that_leaves_the_proxy_leaves_it_behind_and_comes_back(name):
    level, world = level_of(name, 1.0)
    target = next(cell for cell in free_cells(level, world) if cell != level.proxy_cell)
    try:
        away = move(level, world, level.goal_cell, target)
    except UserError:
        pytest.skip("the world puts its goal and proxy together by other means")
    if world.proxy_moves or level.proxy_cell != away.proxy_cell:
        pytest.skip("the proxy goes with the goal here")
    assert (away.goal_cell, away.proxy_cell, away.aligned) == (target, level.proxy_cell, False)
    back = move(away, world, target, level.proxy_cell)
    assert back.aligned
    assert back.content_hash == level.content_hash


def test_the_goal_put_onto_the_proxy_marks_where_it_was():
    level, world = level_of("corner_maze", 0.0)
    twin = move(level, world, level.goal_cell, level.proxy_cell)
    assert twin.aligned
    assert twin.conflict_cell == level.goal_cell


def test_things_that_a_level_has_once_are_moved_by_a_brush():
    level, world = level_of("corner_maze", 0.0)
    cell = free_cells(level, world)[0]
    for sign in "ACX":
        rows = "".join(level_rows(paint(level, world, cell, sign), world))
        assert rows.count(sign) == 1


def test_an_entity_keeps_its_place_in_the_list_and_its_look():
    level, world = level_of("keys_and_chests", 0.0)
    (x, y) = int(level.entities[0]["x"]), int(level.entities[0]["y"])
    target = next(c for c in free_cells(level, world) if c != level.conflict_cell)
    moved = move(level, world, (x, y), target)
    assert (int(moved.entities[0]["x"]), int(moved.entities[0]["y"])) == target
    for column in ("kind", "theme"):
        assert moved.entities[column].tolist() == level.entities[column].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda level, world: paint(level, world, (10, 10), "?"), "sign='?' is not known"),
        (lambda level, world: paint(level, world, (99, 0), "#"), "is not in the level: give 0 to"),
        (lambda level, world: move(level, world, (0, 0), (10, 10)), "nothing that can be moved"),
        (lambda level, world: move(level, world, level.goal_cell, (-1, 3)), "is not in the level"),
        (
            lambda level, world: paint(level, world, level.goal_cell, "#"),
            "there is no goal C: every level needs a start and a goal",
        ),
    ],
)
def test_mistakes(change, message):
    with pytest.raises(UserError) as raised:
        change(*level_of("corner_maze", 0.0))
    assert message in str(raised.value)
