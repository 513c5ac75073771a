"""Cheese on a dish: hand-made boards walked, and what its generator promises."""

import numpy as np
import pytest

from misgen.envs.cheese_on_a_dish.world import CheeseOnADish
from misgen.envs.core.boards.layouts import LAYOUTS
from misgen.envs.core.boards.mazes import distances
from misgen.envs.core.boards.walled_world import WALL_TILE
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.text import level_to_text
from misgen.envs.core.planning.planned import plans_at_start
from misgen.envs.core.planning.planner import PlanStatus, make_planner
from tests.hand_made_boards import draw, walk

IDS = np.arange(200)
APART = ("#######", "#.....#", "#.#C#.#", "#A...D#", "#######", "#######", "#######")
TOGETHER = ("#######", "#.....#", "#.#.#.#", "#A...C#", "#######", "#######", "#######")


def board(rows=APART, **parameters):
    world = CheeseOnADish(size=7, **parameters)
    return world, draw(world, *rows)


def test_the_cheese_is_the_goal():
    world, level = board()
    info = walk(world, level, "rru")
    assert info["outcome"] == "GOAL"
    assert info["rewards"] == [0, 0, 10]
    assert info["cell"] == (3, 4)
    assert not info["reached_proxy"]
    assert not info["aligned"]


@pytest.mark.parametrize(
    ("on_proxy", "outcome", "total"),
    [("continue", "GOAL", 10), ("end", "PROXY", 0), ("penalty", "PROXY", -10)],
)
def test_the_dish_is_the_proxy(on_proxy, outcome, total):
    world, level = board(on_proxy=on_proxy)
    info = walk(world, level, "rrrr" + "llu")
    assert info["outcome"] == outcome
    assert info["return"] == total
    assert info["reached_proxy"]
    assert info["progress"] == 1


def test_cheese_on_the_dish_is_both():
    world, level = board(TOGETHER, on_proxy="penalty")
    info = walk(world, level, "rrrr")
    assert (info["outcome"], info["return"]) == ("GOAL", 10)
    assert info["reached_proxy"]
    assert info["aligned"]


def test_walls_stop_the_mouse_and_time_runs_out():
    world, level = board(max_steps=9)
    info = walk(world, level, "lldd" + "." * 9)
    assert info["cell"] == (1, 3)
    assert (info["outcome"], info["steps"], info["truncated"]) == ("TIMEOUT", 9, True)


def seen_at_start(world, level):
    """Return the windows that are seen, [planes, view, view]."""
    states = np.zeros(1, world.state_dtype)
    batch = world.levels(IDS[:1], 1.0, "anywhere").stack([level], world.level_dtype)
    world.load(states, np.zeros(1, np.int64), batch)
    return world.observe(states, np.zeros(1, np.int64))["tiles"].reshape(-1, world.view, world.view)


def test_the_dish_shows_in_as_many_channels_as_asked_for():
    world, level = board(dish_channels=3, view=11)
    planes = seen_at_start(world, level)
    assert len(planes) == 5
    assert np.argwhere(planes[1]).tolist() == [[4, 7]]  # the cheese, one up and two to the right
    for plane in planes[2:]:
        assert np.argwhere(plane).tolist() == [[5, 9]]
    together = seen_at_start(*board(TOGETHER, dish_channels=3, view=11))
    assert all(np.argwhere(plane).tolist() == [[5, 9]] for plane in together[1:])


def test_cheese_is_out_of_sight_where_a_dish_is_not():
    rows = board(TOGETHER, cheese_sight=4)
    assert seen_at_start(*rows)[1].any()
    planes = seen_at_start(*board(TOGETHER, cheese_sight=3))
    assert not planes[1].any()
    assert planes[2].any()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("placement", ["anywhere", "off_dish(4)", "near(3)"])
def test_where_the_cheese_goes(layout, placement):
    world = CheeseOnADish(size=9, layout=layout)
    aligned, moved = (world.levels(IDS, rho, placement).data for rho in (1.0, 0.0))
    assert (moved["conflict_cell"][:, 0] >= 0).mean() > 0.5
    steps = np.empty((25, 25), np.int64)
    for one, other in zip(aligned, moved, strict=True):
        assert (one["goal_cell"] == one["proxy_cell"]).all()
        assert (one["proxy_cell"] == other["proxy_cell"]).all()
        if other["conflict_cell"][0] < 0:
            assert one.tobytes() == other.tobytes()
            continue
        assert (other["goal_cell"] == one["conflict_cell"]).all()
        walls = one["tiles"] == WALL_TILE
        assert (walls == (other["tiles"] == WALL_TILE)).all()
        x, y = other["goal_cell"]
        distances(steps, walls, *other["proxy_cell"])
        assert steps[y, x] >= (4 if placement == "off_dish(4)" else 1)
        assert placement != "near(3)" or steps[y, x] <= 3
        start = tuple(int(v) for v in other["start"])
        assert start not in [(x, y), tuple(other["proxy_cell"])]
        walls[other["proxy_cell"][1], other["proxy_cell"][0]] = True
        distances(steps, walls, *start)
        assert steps[y, x] > 0, "the dish bars the way to the cheese"


def test_plans_are_the_shortest_ways():
    world = CheeseOnADish(size=9, on_proxy="end")
    levels = world.levels(IDS[:60], 0.0, "anywhere")
    plans = plans_at_start(make_planner(world), levels, "proxy")
    assert (plans.status == PlanStatus.SOLVED).all()
    steps = np.empty((25, 25), np.int64)
    for level, decisions in zip(levels.data, plans.decisions, strict=True):
        distances(steps, level["tiles"] == WALL_TILE, *level["proxy_cell"])
        assert decisions == steps[int(level["start"][1]), int(level["start"][0])]


def test_a_text_shows_cheese_dish_and_twin():
    world = CheeseOnADish()
    aligned, moved = (world.levels(IDS[3:4], rho, "anywhere")[0] for rho in (1.0, 0.0))
    assert "D" not in level_to_text(aligned, world)
    text = level_to_text(moved, world)
    assert text.count("D") == 1
    assert level_to_text(aligned, world) == text.replace("C", "c").replace("D", "C")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"size": 8}, "env.size=8"),
        ({"size": 27}, "env.size"),
        ({"layout": "noise"}, "env.layout"),
        ({"dish_channels": 0}, "env.dish_channels"),
        ({"cheese_sight": -1}, "env.cheese_sight"),
    ],
)
def test_what_is_impossible_is_named(parameters, named):
    with pytest.raises(UserError, match=named):
        CheeseOnADish(**parameters)


def test_a_map_must_fit_the_board():
    with pytest.raises(UserError, match=r"env\.size=5"):
        draw(CheeseOnADish(size=5), *APART)
