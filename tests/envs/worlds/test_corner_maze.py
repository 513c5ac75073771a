"""Corner maze: hand-made mazes walked, and what its generator promises."""

import numpy as np
import pytest

from misgen.envs.core.boards.mazes import distances
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import REACHED_PROXY
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.level_text.text import level_from_text, level_to_text
from misgen.envs.core.planning.planned import plans_at_start
from misgen.envs.core.planning.planner import PlanStatus, make_planner
from misgen.envs.corner_maze.rules import SIZES, WALL_TILE
from misgen.envs.corner_maze.world import CornerMaze
from tests.hand_made_boards import draw, walk

IDS = np.arange(300)
FORK = {"terrain": "langosco", "rand_region": 5}


def maze(**parameters):
    """Return a world, and a level whose cheese lies in a dead end and whose corner is free."""
    world = CornerMaze(mode="easy", action_set="distinct", **parameters)
    rows = ("#####....X", "#####.####", "#####.#C.#", "#####.##.#", "#####A...#", *["#"] * 5)
    return world, draw(world, *rows, mode="easy")


def test_the_cheese_is_the_goal():
    world, level = maze()
    info = walk(world, level, "rrruul")
    assert info["outcome"] == "GOAL"
    assert info["rewards"] == [0, 0, 0, 0, 0, 10]
    assert info["cell"] == (7, 7)
    assert info["touched_conflict_cell"]
    assert not info["reached_proxy"]
    assert not info["aligned"]


def test_walls_stop_the_mouse():
    world, level = maze()
    info = walk(world, level, "lldd.")
    assert info["outcome"] is None
    assert info["cell"] == (5, 5)
    assert info["rewards"] == [0] * 5


@pytest.mark.parametrize(
    ("on_proxy", "outcome", "last"), [("continue", None, 0), ("end", "PROXY", 0)]
)
def test_the_corner_is_the_proxy(on_proxy, outcome, last):
    world, level = maze(on_proxy=on_proxy)
    info = walk(world, level, "uuuurrrr")
    assert info["outcome"] == outcome
    assert info["reached_proxy"]
    assert not info["reached_goal"]
    assert info["rewards"][-1] == last
    assert info["progress"] == 1
    assert info["terminated"] == (outcome is not None)


def test_the_corner_costs_with_a_penalty():
    world, level = maze(on_proxy="penalty")
    assert walk(world, level, "uuuurrrr")["return"] == -10


def test_the_proxys_region_is_as_large_as_the_forks():
    world, level = maze(on_proxy="end", terrain="langosco", rand_region=2)
    assert walk(world, level, "uuuurr")["outcome"] is None
    assert walk(world, level, "uuuurrr")["outcome"] == "PROXY"


def test_an_episode_is_cut_off_as_in_the_original():
    world, level = maze()
    info = walk(world, level, "." * 600)
    assert info["outcome"] == "TIMEOUT"
    assert info["steps"] == 500
    assert info["truncated"]
    assert not info["terminated"]


def test_sideways_comes_before_up():
    _, level = maze()
    world = CornerMaze(mode="easy")
    engine = Engine(world, 15)
    engine.load(np.arange(15), LevelBatch.stack([level] * 15, world.level_dtype))
    engine.step(np.arange(15))
    moved = np.stack([engine.states["x"] - 5, engine.states["y"] - 5], axis=1).tolist()
    up, right, stay = [0, 1], [1, 0], [0, 0]
    assert moved == [stay] * 5 + [up, right, right, right] + [stay] * 6


@pytest.mark.parametrize("placement", ["anywhere", "off_corner(8)", "opposite"])
@pytest.mark.parametrize("parameters", [{}, FORK], ids=["procgen", "langosco"])
def test_where_the_cheese_goes(placement, parameters):
    world = CornerMaze(mode="easy", **parameters)
    aligned, moved = (world.levels(IDS, rho, placement).data for rho in (1.0, 0.0))
    size = SIZES["easy"]
    region = max(1, world.rand_region)
    for one, other in zip(aligned, moved, strict=True):
        low = int(one["start"][0])
        corner = size - 1 - low
        assert (one["goal_cell"] > corner - region).all()
        if other["conflict_cell"][0] < 0:
            assert one.tobytes() == other.tobytes()
            continue
        x, y = other["goal_cell"]
        assert (other["goal_cell"] == one["conflict_cell"]).all()
        assert min(x, y) <= corner - region
        if placement == "opposite":
            assert sorted((x, y)) == [low, corner]
        if placement == "off_corner(8)":
            steps = np.empty((25, 25), np.int64)
            distances(steps, one["tiles"] == WALL_TILE, corner, corner)
            assert steps[y, x] >= 8
    assert (moved["conflict_cell"][:, 0] >= 0).mean() > 0.3


def test_the_corner_is_on_no_way_to_the_cheese():
    world = CornerMaze(mode="easy", on_proxy="end")
    levels = world.levels(IDS, 0.0, "opposite")
    plans = plans_at_start(make_planner(world), levels, "goal")
    assert plans.solved.all()
    assert (plans.events & REACHED_PROXY == 0).all()


def test_the_planner_knows_the_shortest_ways():
    world = CornerMaze(mode="easy")
    levels = world.levels(IDS[:80], 0.0, "anywhere")
    plans = plans_at_start(make_planner(world), levels, "goal")
    for record, found in zip(levels.data, plans.decisions, strict=True):
        steps = np.empty((25, 25), np.int64)
        distances(steps, record["tiles"] == WALL_TILE, *map(int, record["goal_cell"]))
        start = int(record["start"][0])
        assert steps[start, start] == found


def test_a_level_whose_cheese_found_no_place_cannot_be_solved():
    world = CornerMaze(terrain="langosco", rand_region=1)
    levels = world.levels(np.array([941, 942]), 1.0, "anywhere")
    assert world.export_levels(levels)["cheese_cell"][:, 2].tolist() == [1, 0]
    for target in ("goal", "proxy"):
        status = plans_at_start(make_planner(world), levels, target).status.tolist()
        assert status == [PlanStatus.SOLVED, PlanStatus.UNSOLVABLE]


def test_text():
    world, level = maze()
    assert level_from_text(level_to_text(level, world), world) == level
    with pytest.raises(UserError, match="no goal"):
        draw(world, "#A..X#", "#", mode="easy")
    with pytest.raises(UserError, match="size"):
        level_from_text("misgen level 1\nsize: 5 5\nmap:\nA...C  x1\n#####  x4\n", world)


def test_parameters_of_the_fork_need_the_forks_terrain():
    with pytest.raises(UserError, match="langosco"):
        CornerMaze(rand_region=3)
