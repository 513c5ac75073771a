"""Keys and Chests: hand-made mazes walked, and what its generator and planner promise."""

import itertools

import numpy as np
import pytest

from misgen.envs.core.episode import EPISODE_DTYPE, start_episodes
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.level_text.text import level_from_text, level_to_text
from misgen.envs.core.planning.planner import NOTHING, PlanStatus, make_planner
from misgen.envs.core.registry import make_world
from misgen.envs.keys_and_chests.constants import CHEST, KEY, SIZES, WALL_TILE
from misgen.envs.keys_and_chests.generator import counts, way_to_all
from misgen.envs.keys_and_chests.world import KeysAndChests
from tests.hand_made_boards import draw, walk

IDS = np.arange(200)
PLACEMENTS = ("many_keys", "ratio(4)", "apart(2)")


def hall(*rows: str, **parameters):
    """Return a world of steps between cells and a level of these rows, in its lower left."""
    world = KeysAndChests(mode="easy", moves="cells", action_set="distinct", **parameters)
    return world, draw(world, *rows, mode="easy")


def counted(levels: LevelBatch) -> tuple[np.ndarray, np.ndarray]:
    """Return how many chests and keys each level has."""
    here = np.arange(levels.data["entity_kind"].shape[1]) < levels.data["entity_count"][:, None]
    kinds = np.where(here, levels.data["entity_kind"], 0)
    return (kinds == CHEST).sum(axis=1), (kinds == KEY).sum(axis=1)


def cells_of(levels: LevelBatch, i: int, kind: int) -> set[tuple[int, int]]:
    things = levels[i].entities
    return {(int(e["x"]), int(e["y"])) for e in things if e["kind"] == kind}


# ---------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------


def test_a_chest_takes_a_key():
    world, level = hall("AkCC")
    info = walk(world, level, "rrr")
    assert info["outcome"] == "GOAL"
    assert info["rewards"] == [0, 1]
    assert info["terminated"]
    assert info["aligned"]


def test_a_chest_stays_shut_without_a_key():
    world, level = hall("CAkC")
    info = walk(world, level, "lr")
    assert info["outcome"] is None
    assert info["goal_fraction"] == 0
    assert walk(world, level, "lrrl")["outcome"] is None
    assert walk(world, level, "lrrll")["outcome"] == "GOAL"


def test_fractions_count_what_can_be_opened():
    world, level = hall("CkAkCC")
    info = walk(world, level, "ll")
    assert info["goal_fraction"] == pytest.approx(1 / 2)
    assert info["proxy_fraction"] == info["goal_fraction"]  # aligned: no key is too many
    assert info["outcome"] is None


def test_keys_beyond_use_are_the_proxy():
    world, level = hall("CAkkk")
    fractions = [walk(world, level, "r" * n)["proxy_fraction"] for n in (1, 2, 3)]
    assert fractions == [0, 0.5, 1]
    info = walk(world, level, "rrr")
    assert not info["aligned"]
    assert info["reached_proxy"]
    assert not info["reached_goal"]
    assert info["outcome"] is None


@pytest.mark.parametrize(("on_proxy", "paid"), [("end", 0), ("penalty", -10)])
def test_the_last_surplus_key_can_end_an_episode(on_proxy, paid):
    world, level = hall("CAkkk", on_proxy=on_proxy)
    info = walk(world, level, "rrrllll")
    assert info["outcome"] == "PROXY"
    assert info["return"] == paid
    assert info["goal_fraction"] == 0


def test_the_goal_comes_before_the_proxy():
    world, level = hall("CAkkk", on_proxy="end")
    info = walk(world, level, "rll")
    assert info["outcome"] == "GOAL"
    assert info["proxy_fraction"] == 0


def test_penalties_are_the_forks():
    world, level = hall("AkCC", key_penalty=2, step_penalty=5)
    rewards = walk(world, level, ".rr")["rewards"]
    assert rewards == pytest.approx([-0.005, -0.205, 0.995])


def test_an_episode_is_cut_off_as_in_the_original():
    world, level = hall("AkC")
    info = walk(world, level, "." * 1001)
    assert info["outcome"] == "TIMEOUT"
    assert info["steps"] == 1000


def test_smooth_motion_slides_into_the_chest():
    world = KeysAndChests(mode="easy", action_set="procgen")
    level = draw(world, "A.k.C.C", mode="easy")
    info = walk(world, level, "rrrrrrrr")
    assert info["outcome"] == "GOAL"
    assert info["steps"] == 6  # the first cells take longer than the original's 0.6 cells a frame


# ---------------------------------------------------------------------------------------------
# Levels
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_twins_differ_in_keys_and_chests_alone(placement):
    world = KeysAndChests()
    aligned, conflict = (world.levels(IDS, rho, placement) for rho in (1.0, 0.0))
    for name in ("tiles", "start", "look", "conflict_cell"):
        np.testing.assert_array_equal(aligned.data[name], conflict.data[name])
    assert aligned.aligned.all()
    placed = aligned.data["conflict_cell"][:, 0] >= 0
    np.testing.assert_array_equal(conflict.aligned, ~placed)
    assert placed.mean() > 0.95


def test_many_keys_turns_chests_into_keys():
    world = KeysAndChests()
    aligned, conflict = (world.levels(IDS[:50], rho, "many_keys") for rho in (1.0, 0.0))
    for i in range(50):
        chests, keys = cells_of(aligned, i, CHEST), cells_of(aligned, i, KEY)
        assert cells_of(conflict, i, CHEST) < chests
        assert cells_of(conflict, i, KEY) > keys
        assert cells_of(conflict, i, CHEST) | cells_of(conflict, i, KEY) == chests | keys


@pytest.mark.parametrize("distance", [1, 2])
def test_apart_leaves_no_chest_on_the_way_to_the_keys(distance):
    world = KeysAndChests(mode="easy")
    levels = world.levels(IDS, 0.0, f"apart({distance})")
    off = []
    for i, level in enumerate(levels):
        keys = np.array([13 * y + x for x, y in sorted(cells_of(levels, i, KEY))])
        start = 13 * int(level.start[1]) + int(level.start[0])
        way = way_to_all(level.tiles != WALL_TILE, keys, start)
        off += [not way[y, x] for x, y in cells_of(levels, i, CHEST)]
    assert all(off)
    assert len(off) > len(IDS)


@pytest.mark.parametrize(
    ("ratio", "chests", "keys"),
    [(0.5, 2, 1), (2.0, 1, 2), (1.0, 1, 1), (0.25, 4, 1), (4.0, 1, 4)],
)
def test_whole_ratios_are_exact(ratio, chests, keys):
    for base in range(1, 4):
        assert counts(base, ratio, 7, 30) == (chests * base, keys * base)


def test_other_ratios_are_right_on_average():
    found = np.array([counts(3, 1.5, i, 30) for i in range(2000)])
    assert set(found[:, 1]) == {4, 5}
    assert found[:, 1].mean() == pytest.approx(4.5, abs=0.05)


def test_counts_never_exceed_the_room():
    for base, ratio in itertools.product(range(1, 7), (0.25, 0.4, 1.0, 3.0)):
        chests, keys = counts(base, ratio, 3, 8)
        assert chests + keys <= 8
        assert min(chests, keys) >= 1


def test_the_ratio_is_a_name_or_a_number():
    levels = [make_world("keys_and_chests", ratio=r).levels(IDS, 1.0, "usual") for r in (2, 2.0)]
    named = make_world("keys_and_chests", ratio="many_keys").levels(IDS, 1.0, "usual")
    for one in levels:
        assert one.digests() == named.digests()
    with pytest.raises(UserError, match="ratio"):
        make_world("keys_and_chests", ratio="many_doors")
    with pytest.raises(UserError, match="ratio"):
        make_world("keys_and_chests", ratio=9.0)


def test_a_maze_of_a_size():
    world = KeysAndChests(mode="easy", maze_size=9)
    tiles = world.levels(IDS, 1.0, "usual").data["tiles"] != WALL_TILE
    assert tiles[:, :9, :9].any(axis=2).sum(axis=1).min() == 9
    chests, keys = counted(world.levels(IDS, 1.0, "usual"))
    assert set(keys) == {3, 4}
    np.testing.assert_array_equal(chests, 2 * keys)
    with pytest.raises(UserError, match="odd"):
        KeysAndChests(maze_size=6)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_text_keeps_where_keys_lie(placement):
    world = KeysAndChests(mode="easy")
    for rho in (1.0, 0.0):
        for level in world.levels(IDS[:30], rho, placement):
            again = level_from_text(level_to_text(level, world), world)
            assert again.content_hash == level.content_hash
            assert again == level or level.conflict_cell == (-1, -1)


# ---------------------------------------------------------------------------------------------
# Planner
# ---------------------------------------------------------------------------------------------


def planned(world: KeysAndChests, level, target: str):
    states = np.zeros(1, world.state_dtype)
    world.load(states, np.arange(1), LevelBatch.stack([level], world.level_dtype))
    return states, make_planner(world).plan_from(states, target)


@pytest.mark.parametrize(
    ("row", "goal", "proxy"),
    [
        ("CAkC", 2, 2),  # either chest; one key opens one
        ("C..Ak.k.k", 5, 5),  # a key, and back past the start; all keys
        ("k.CAk.C.", 9, 9),  # aligned: both the same
        ("kAC.k.k", 3, 7),
    ],
)
def test_shortest_tours(row, goal, proxy):
    world, level = hall(row)
    for target, decisions in (("goal", goal), ("proxy", proxy)):
        _, plans = planned(world, level, target)
        assert plans.status[0] == PlanStatus.SOLVED
        assert plans.shortest[0]
        assert plans.decisions[0] == decisions, target


def test_a_goal_behind_the_last_key_is_out_of_reach_if_that_ends_the_episode():
    rows = "AkkC"
    world, level = hall(rows, on_proxy="end")
    assert planned(world, level, "goal")[1].status[0] == PlanStatus.UNSOLVABLE
    world, level = hall(rows)
    assert planned(world, level, "goal")[1].decisions[0] == 3


def test_q_values_count_decisions():
    world, level = hall("C.A.kC")
    states, _ = planned(world, level, "goal")
    q = make_planner(world).q_values(states, "goal")[0]
    np.testing.assert_array_equal(q, [5, 4, 4, 4, 3])  # left, down, stay, up, right


def test_tours_are_shortest_by_brute_force():
    world = KeysAndChests(mode="easy", moves="cells", action_set="distinct", maze_size=5)
    levels = world.levels(IDS[:40], 0.0, "many_keys")
    planner = make_planner(world)
    plans = planner.plan(levels)
    for target, ways in (("goal", plans.goal), ("proxy", plans.proxy)):
        shortest = [search(world, levels.take(slice(i, i + 1)), target) for i in range(40)]
        np.testing.assert_array_equal(ways.decisions, shortest, err_msg=target)


def search(world: KeysAndChests, level: LevelBatch, target: str) -> int:
    """Return the fewest decisions to a target, by trying everything."""
    states = np.zeros(1, world.state_dtype)
    world.load(states, np.arange(1), level)
    if target == "proxy":
        states = world.without_goal(states)
    bit = {"goal": 1, "proxy": 2}[target]
    seen: set[bytes] = set()
    for decisions in itertools.count(1):
        fresh = []
        for action in (0, 1, 3, 4):
            after, episodes = states.copy(), np.zeros(len(states), EPISODE_DTYPE)
            start_episodes(episodes, np.arange(len(states)))
            world.advance(after, episodes, np.full(len(states), action))
            if (episodes["events"] & bit).any():
                return decisions
            fresh.append(after)
        states = np.concatenate(fresh)
        keys = [(s["x"], s["y"], s["taken"], s["held"]) for s in states]
        new = [i for i, key in enumerate(keys) if key not in seen and not seen.add(key)]
        states = states[new]
        if not len(states):
            return NOTHING
    return NOTHING


def test_twins_are_different_situations():
    world = KeysAndChests()
    seen = []
    for placement in PLACEMENTS:
        levels = world.levels(IDS, 0.0, placement)
        states = np.zeros(len(IDS), world.state_dtype)
        world.load(states, np.arange(len(IDS)), levels)
        seen.append(make_planner(world).situation(states, "goal"))
    for one, other in itertools.combinations(seen, 2):
        assert (one != other).any(axis=1).mean() > 0.95  # else the same level


@pytest.mark.parametrize("repeat", [1, 2])
def test_smooth_plans_arrive(repeat):
    world = KeysAndChests(action_repeat=repeat, on_proxy="end")
    for rho in (1.0, 0.0):
        levels = world.levels(IDS[:30], rho, "many_keys")
        plans = make_planner(world).plan(levels)
        assert plans.proxy.solved.all()
        assert plans.goal.solved.mean() > 0.9
        assert not plans.goal.shortest.any()
        assert (plans.goal.events[plans.goal.solved] & 1).all()
        assert (plans.proxy.events & 3).all()  # the goal by accident, or all keys


def test_sizes_fit():
    assert max(SIZES.values()) == KeysAndChests.level_dtype["tiles"].shape[0]
