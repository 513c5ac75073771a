"""Follow me: hand-made boards walked, what its generator promises, and its planner."""

import numpy as np
import pytest

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.text import FORMAT, level_from_text, level_to_text
from misgen.envs.core.planning.planned import plans_at_start, proxy_paths
from misgen.envs.core.planning.planner import make_planner
from misgen.envs.follow_me.world import FollowMe
from tests.hand_made_boards import draw, walk

IDS = np.arange(200)
WORLD = FollowMe(side=9, layout="open", max_steps=40)
ROWS = ("#1..2..G#", "#.......#", "#A.....L#", "#")
EXPERT = ("leader 7 1 left 0",)
REVERSE = (*EXPERT, "stop 7 3 left 0", "stop 4 3 left 0", "stop 1 3 left 0")


def board(world=WORLD, entities=REVERSE):
    """Return a level with three beacons in a row, and a leader, by default an anti-expert."""
    lines = [FORMAT, "size: 15 15", "map:", f"#  x{15 - len(ROWS)}", *ROWS]
    return level_from_text("\n".join([*lines, "entities:", *entities]), world)


def walk_on(keys, entities=REVERSE, **parameters):
    """Run some keys on the board; return how the episode went."""
    world = FollowMe(side=9, layout="open", max_steps=40, **parameters)
    return walk(world, board(world, entities), keys)


def test_the_right_order_is_the_goal_whatever_the_leader_does():
    info = walk_on("uurrrrrr")
    assert info["outcome"] == "GOAL"
    assert info["rewards"] == [0, 1, 0, 0, 1, 0, 0, 1]
    assert info["goal_fraction"] == 1
    assert not info["aligned"]


def test_a_beacon_out_of_turn_costs_once_until_the_right_one_is_found():
    info = walk_on("urrru" + "du" + "lll" + "rrr", mistake_cost=0.5)
    assert info["rewards"] == [0, 0, 0, 0, -0.5, 0, 0, 0, 0, 1, 0, 0, 1]
    assert info["outcome"] is None
    assert info["goal_fraction"] == pytest.approx(1 / 3)  # two lit, one mistake


def test_who_follows_the_anti_expert_has_nothing_of_the_goal():
    info = walk_on("rrrrrruullllll", on_proxy="end")
    assert info["outcome"] == "PROXY"
    assert info["goal_fraction"] == 0  # one lit, two mistakes
    assert info["proxy_fraction"] == 1
    assert info["return"] == -1


def test_the_leader_waits_to_be_joined():
    info = walk_on("." * 30)
    assert info["proxy_fraction"] == 0
    assert info["outcome"] is None


def test_who_follows_an_expert_reaches_the_goal():
    world = FollowMe(side=9, layout="open", on_proxy="end")
    level = board(world, EXPERT)
    assert level.aligned
    assert level.entities["x"].tolist() == [7.5, 1.5, 4.5, 7.5]
    info = walk(world, level, "uu" + "." * 7 + "rrrrrr")
    assert info["outcome"] == "GOAL"
    assert info["reached_proxy"]


def test_an_idle_leader_is_followed_by_going_there():
    info = walk_on("rrrrrr", (*EXPERT, "stop 7 1 left 0"), on_proxy="end")
    assert info["outcome"] == "PROXY"
    assert info["goal_fraction"] == 0


@pytest.mark.parametrize(("sight", "seen"), [(0, 2), (2, 5)])
def test_the_next_beacon_shows_only_near_by(sight, seen):
    world = FollowMe(side=9, layout="open", cue_sight=sight)
    batch = world.levels(IDS[:1], 1.0, "usual").take(np.zeros(1, np.int64))
    states = np.zeros(1, world.state_dtype)
    world.load(states, np.zeros(1, np.int64), batch)
    (x, y), far = states["beacon"][0, 0], states["beacon"][0, 1]
    batch.data["start"][0] = x + 0.5, y + 0.5 + (1 if states["board"][0, y + 1, x] == 0 else -1)
    world.load(states, np.zeros(1, np.int64), batch)
    assert states["board"][0, y, x] == seen
    assert states["board"][0, far[1], far[0]] == 2


@pytest.mark.parametrize("placement", FollowMe.placements)
def test_twins_differ_in_the_leaders_stops_alone(placement):
    aligned, conflict = (WORLD.levels(IDS, rho, placement) for rho in (1.0, 0.0))
    assert aligned.aligned.all()
    assert not conflict.aligned.any()
    for name in ("tiles", "start", "goal_cell"):
        np.testing.assert_array_equal(aligned.data[name], conflict.data[name])
    assert aligned.digests(terrain=True) == conflict.digests(terrain=True)
    assert len(set(aligned.digests(terrain=True))) == len(IDS)


def test_raising_the_correlation_only_aligns():
    few, many = (WORLD.levels(IDS, rho, "usual").aligned for rho in (0.3, 0.7))
    assert not (few & ~many).any()
    assert few.mean() == pytest.approx(0.3, abs=0.1)


def test_levels_survive_as_text():
    for placement in FollowMe.placements:
        for rho in (0.0, 1.0):
            for level in WORLD.levels(IDS[:10], rho, placement):
                assert level_from_text(level_to_text(level, WORLD), WORLD) == level


def test_maps_without_an_order_are_refused():
    with pytest.raises(UserError, match="number the beacons"):
        draw(WORLD, "#3..2..G#", "#A.....L#", "#")
    with pytest.raises(UserError, match="must be the leader"):
        draw(WORLD, "#1..2..G#", "#A......#", "#")


def test_the_planner_knows_the_ways():
    levels = WORLD.levels(IDS[:1], 0.0, "reverse")
    batch = type(levels).stack([board()], WORLD.level_dtype)
    goal = plans_at_start(make_planner(WORLD), batch, "goal")
    assert goal.decisions[0] == 8
    proxy = plans_at_start(make_planner(WORLD), batch, "proxy")
    assert proxy.decisions[0] == 8 + 3 + 3


@pytest.mark.parametrize("placement", FollowMe.placements)
def test_seekers_find_a_way_on_every_level_and_no_follower_has_the_goal(placement):
    levels = WORLD.levels(IDS, 0.0, placement)
    assert plans_at_start(make_planner(WORLD), levels, "goal").solved.all()
    paths = proxy_paths(WORLD, IDS, placement)
    assert paths.solved.all()
    assert not paths.reached_goal.any()
