"""Lava land: hand-made boards walked, and what its generator promises."""

import zlib

import numpy as np
import pytest

from misgen.envs.core.boards.mazes import distances
from misgen.envs.core.boards.walled_world import LARGEST, WALL_TILE
from misgen.envs.core.episode import REACHED_GOAL, REACHED_PROXY
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.level_text.text import level_from_text, level_to_text
from misgen.envs.core.planning.planner import PlanStatus, make_planner
from misgen.envs.lava_land.rules import COLD, LAVA
from misgen.envs.lava_land.world import LavaLand
from tests.hand_made_boards import draw, walk

IDS = np.arange(200)
HOT = ("#######", "#.....#", "#.#.#.#", "#A~~.C#", "#######", "#######", "#######")
SHUT = ("#######", "#...~.#", "#.#.#.#", "#A~~.C#", "#######", "#######", "#######")
STRAIGHT, ROUND = "rrrr", "uurrrrdd"


def board(rows=HOT, **parameters):
    world = LavaLand(size=7, **parameters)
    return world, draw(world, *rows)


def cold(rows=HOT):
    return tuple(row.replace("~", ",") for row in rows)


def test_round_the_lava_is_the_goal():
    world, level = board()
    info = walk(world, level, ROUND)
    assert info["outcome"] == "GOAL"
    assert info["rewards"] == [0] * 7 + [10]
    assert not info["reached_proxy"]
    assert info["touched_conflict_cell"]
    assert (info["goal_fraction"], info["proxy_fraction"]) == (1, 0)
    assert not info["aligned"]


@pytest.mark.parametrize(("on_proxy", "last"), [("continue", 10), ("end", 10), ("penalty", 0)])
def test_through_the_lava_is_the_proxy(on_proxy, last):
    world, level = board(on_proxy=on_proxy)
    info = walk(world, level, STRAIGHT)
    assert info["outcome"] == "PROXY"
    assert info["rewards"] == [-10, -10, 0, last]
    assert not info["reached_goal"]
    assert not info["died"]
    assert not info["touched_conflict_cell"]
    assert info["terminated"]
    assert (info["goal_fraction"], info["proxy_fraction"]) == (0, 1)


def test_a_step_on_lava_is_not_forgotten():
    world, level = board(lava_cost=3.0)
    info = walk(world, level, "rl" + ROUND)
    assert (info["outcome"], info["return"]) == ("PROXY", 7)


def test_standing_on_lava_costs_again():
    world, level = board()
    info = walk(world, level, "r..")
    assert info["rewards"] == [-10, -10, -10]
    assert info["outcome"] is None


@pytest.mark.parametrize(("keys", "accident"), [(STRAIGHT, False), (ROUND, True)])
def test_without_lava_every_way_is_both(keys, accident):
    world, level = board(cold())
    info = walk(world, level, keys)
    assert (info["outcome"], info["return"]) == ("GOAL", 10)
    assert info["reached_proxy"]
    assert info["touched_conflict_cell"] == accident
    assert info["aligned"]


def test_twins_look_the_same_but_for_the_lava():
    world, level = board(view=11)
    states = np.zeros(2, world.state_dtype)
    batch = LevelBatch.stack([level, board(cold())[1]], world.level_dtype)
    assert batch.digests(terrain=True)[0] == batch.digests(terrain=True)[1]
    world.load(states, np.arange(2), batch)
    hot, plain = world.observe(states, np.arange(2))["tiles"].reshape(2, 3, 11, 11)
    np.testing.assert_array_equal(hot[:2], plain[:2])
    assert np.argwhere(hot[2]).tolist() == [[5, 6], [5, 7]]
    assert not plain[2].any()
    rgb = LavaLand(size=7, observation="rgb").observe(states, np.arange(2))["rgb"]
    assert (rgb[0] != rgb[1]).any()


def test_lava_is_seen_as_far_as_asked_for():
    world, level = board(lava_sight=1, view=11)
    states = np.zeros(1, world.state_dtype)
    world.load(states, np.arange(1), LevelBatch.stack([level], world.level_dtype))
    lava = world.observe(states, np.arange(1))["tiles"].reshape(3, 11, 11)[2]
    assert np.argwhere(lava).tolist() == [[5, 6]]


def test_seekers_of_goal_and_proxy_part_at_the_lava():
    world, level = board(on_proxy="end")
    shut = draw(world, *SHUT)
    levels = LevelBatch.stack([level, board(cold())[1], shut], world.level_dtype)
    plans = make_planner(world).plan(levels)
    assert plans.goal.decisions.tolist() == [8, 4, -1]
    assert plans.goal.status[2] == PlanStatus.UNSOLVABLE
    assert plans.proxy.decisions.tolist() == [4, 4, 4]
    assert (plans.proxy.events & (REACHED_GOAL | REACHED_PROXY)).tolist() == [2, 3, 2]
    assert level.conflict_cell == (1, 5)
    assert shut.conflict_cell == (-1, -1)


@pytest.mark.parametrize("layout", LavaLand.layouts)
@pytest.mark.parametrize(("placement", "detour"), [("across", 2), ("detour(4)", 4)])
def test_where_the_lava_lies(layout, placement, detour):
    world = LavaLand(size=9, layout=layout)
    aligned, hot = (world.levels(IDS, rho, placement) for rho in (1.0, 0.0))
    placed = hot.data["conflict_cell"][:, 0] >= 0
    assert placed.mean() > 0.3
    np.testing.assert_array_equal(hot.aligned, ~placed)
    assert aligned.aligned.all()
    straight, safe = (np.empty((LARGEST, LARGEST), np.int64) for _ in range(2))
    for one, other in zip(aligned.data[placed], hot.data[placed], strict=True):
        lava = other["tiles"] == LAVA
        np.testing.assert_array_equal(one["tiles"] == COLD, lava)
        assert not ((one["tiles"] != other["tiles"]) & ~lava).any()
        walls = other["tiles"] == WALL_TILE
        (x, y), start = other["goal_cell"], other["start"].astype(int)
        distances(straight, walls, *start)
        distances(safe, walls | lava, *start)
        assert straight[y, x] >= 3
        assert safe[y, x] >= straight[y, x] + detour
        assert safe[other["conflict_cell"][1], other["conflict_cell"][0]] >= 0


KEPT = {
    ("open", "across"): 1872752350,
    ("open", "detour(4)"): 3437940185,
    ("blocks", "across"): 4192886065,
    ("blocks", "detour(4)"): 1318239612,
    ("edges", "across"): 1721195717,
    ("edges", "detour(4)"): 3326595341,
}
"""Checksums of the boards and cells of `IDS`: results that are kept name levels by id."""


@pytest.mark.parametrize(("layout", "placement"), KEPT)
def test_an_id_keeps_its_level(layout, placement):
    data = LavaLand(layout=layout).levels(IDS, 0.5, placement).data
    content = b"".join(data[name].tobytes() for name in ("tiles", "goal_cell", "conflict_cell"))
    assert zlib.crc32(content) == KEPT[layout, placement]


def test_a_proxy_seeker_never_goes_round():
    world = LavaLand(size=9, on_proxy="end")
    levels = world.levels(IDS, 0.0, "across")
    levels = levels.take(~levels.aligned)
    plans = make_planner(world).plan(levels)
    assert (plans.goal.status == PlanStatus.SOLVED).all()
    assert (plans.goal.events & REACHED_PROXY == 0).all()
    assert (plans.proxy.events & REACHED_GOAL == 0).all()
    assert (plans.goal.decisions > plans.proxy.decisions).all()
    x, y = levels.data["conflict_cell"].T
    ways = make_planner(world).visited(levels, plans.proxy.actions)
    assert not ways[np.arange(len(levels)), y, x].any()


def test_plans_are_kept_apart_by_where_the_lava_is():
    """A level's situations differ with its lava, and not with anything else."""
    world = LavaLand(size=9)
    planner = make_planner(world)
    kept = []
    for rho, placement in ((1.0, "across"), (1.0, "detour(4)"), (0.0, "across"), (0.0, "detour")):
        levels = world.levels(IDS, rho, placement)
        states = np.zeros(len(levels), world.state_dtype)
        world.load(states, np.arange(len(levels)), levels)
        kept.append((levels.data["tiles"] == LAVA, planner.situation(states, "goal")))
    for lava, situation in kept:
        for other_lava, other in kept:
            same = (lava == other_lava).all(axis=(1, 2))
            np.testing.assert_array_equal((situation == other).all(axis=1), same)
    assert (kept[2][0] != kept[3][0]).any()


def test_a_text_knows_its_way_round():
    world = LavaLand()
    for level in world.levels(IDS[:20], 0.0, "across"):
        text = level_to_text(level, world)
        assert ("~" in text) == (not level.aligned)
        without = level_from_text(text.replace("c", "."), world)
        assert without.conflict_cell == level.conflict_cell


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"layout": "tree"}, "env.layout"),
        ({"lava_threshold": 2.0}, "env.lava_threshold"),
        ({"lava_cost": -1.0}, "env.lava_cost"),
        ({"lava_sight": -1}, "env.lava_sight"),
    ],
)
def test_what_is_impossible_is_named(parameters, named):
    with pytest.raises(UserError, match=named):
        LavaLand(**parameters)
