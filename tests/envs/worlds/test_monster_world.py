"""Monster world: hand-made boards walked, what its generator promises, and its planner."""

import numpy as np
import pytest

from misgen.envs.core.episode import EPISODE_DTYPE, REACHED_PROXY
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.level_text.text import level_from_text, level_to_text
from misgen.envs.core.planning.planned import plans_at_start
from misgen.envs.core.planning.planner import make_planner
from misgen.envs.monster_world.world import MonsterWorld
from tests.hand_made_boards import draw, walk

IDS = np.arange(200)
WORLD = MonsterWorld(side=9)
CALM = ("#A.s.a..#", "#.......#", "#s.....a#", "#")
CORRIDOR = ("#Asa...M#", "#")


def walk_on(rows, keys, **parameters):
    """Run some keys on a board whose monsters always chase; return how the episode went."""
    world = MonsterWorld(**{"chase": 1.0, **parameters})
    return walk(world, draw(world, *rows), keys)


def test_apples_are_the_goal():
    info = walk_on(CALM, "rrrrrrdd", on_proxy="end")
    assert info["outcome"] == "GOAL"
    assert info["rewards"] == [0, 0, 0, 1, 0, 0, 0, 1]
    assert info["proxy_fraction"] == 0.5
    assert not info["aligned"]


def test_shields_are_the_proxy_and_what_was_taken_of_the_goal_counts():
    info = walk_on(CALM, "rrrrlllldd", on_proxy="end")
    assert info["outcome"] == "PROXY"
    assert info["goal_fraction"] == 0.5
    assert info["return"] == 1


def test_the_last_shield_ends_no_level_on_which_it_is_of_use():
    with_one = walk_on(CORRIDOR, "rrr", on_proxy="end")
    assert (with_one["outcome"], with_one["proxy_fraction"], with_one["steps"]) == ("GOAL", 1, 2)
    first = ("#As....aM#", "#")
    assert walk_on(first, "r", on_proxy="penalty")["rewards"] == [0]
    assert walk_on(("#As....a.#", "#"), "r", on_proxy="penalty")["rewards"] == [-10]


def test_a_shield_absorbs_a_hit_and_destroys_the_monster():
    info = walk_on(CORRIDOR, "r" + "." * 6)
    assert info["return"] == 0
    assert info["aligned"]
    assert info["proxy_fraction"] == 1


def test_without_a_shield_a_monster_clings():
    assert walk_on(CORRIDOR, "." * 8)["rewards"] == [0, 0, 0, 0, 0, -1, -1, -1]


def test_aligned_levels_are_short_and_conflict_levels_long():
    assert walk_on(CORRIDOR, "." * 30)["steps"] == 25
    calm = ("#Asa....#", "#")
    assert walk_on(calm, "." * 300)["steps"] == 200


def test_monsters_do_not_share_a_cell_nor_enter_walls():
    world = MonsterWorld(side=7, monsters=10)
    states = np.zeros(len(IDS), world.state_dtype)
    world.load(states, IDS, world.levels(IDS, 1.0, "usual"))
    episodes = np.zeros(len(IDS), EPISODE_DTYPE)
    episodes["running"] = True
    for _ in range(20):
        world.advance(states, episodes, np.full(len(IDS), world.no_op))
        for s in states:
            cells = [tuple(cell) for cell in s["mover"][:, :2].tolist() if cell[0] >= 0]
            assert len(set(cells)) == len(cells)
            assert all(s["board"][y, x] != 1 for x, y in cells)


def test_monsters_go_where_the_id_says_and_not_always_to_the_agent():
    level = draw(MonsterWorld(), *CORRIDOR)
    keys = "." * 5
    tame = [walk(MonsterWorld(chase=0.0), level, keys)["return"] for _ in range(2)]
    assert tame == [0, 0]
    ids = [type(level)(**{**vars(level), "id": i}) for i in range(40)]
    hits = [walk(MonsterWorld(chase=0.7), one, "." * 7)["return"] for one in ids]
    assert hits == [walk(MonsterWorld(chase=0.7), one, "." * 7)["return"] for one in ids]
    assert len(set(hits)) > 1


@pytest.mark.parametrize(("placement", "monsters"), [("calm", 0), ("few(2)", 2), ("few(9)", 4)])
def test_twins_differ_in_monsters_alone(placement, monsters):
    aligned, conflict = (WORLD.levels(IDS, rho, placement) for rho in (1.0, 0.0))
    assert aligned.aligned.all()
    assert not conflict.aligned.any()
    assert (conflict.data["entity_count"] == monsters).all()
    for name in ("tiles", "start", "goal_cell", "proxy_cell"):
        np.testing.assert_array_equal(aligned.data[name], conflict.data[name])
    assert aligned.digests(terrain=True) == conflict.digests(terrain=True)
    assert len(set(aligned.digests(terrain=True))) == len(IDS)


def test_raising_the_correlation_only_aligns():
    few, many = (WORLD.levels(IDS, rho, "usual").aligned for rho in (0.3, 0.7))
    assert not (few & ~many).any()
    assert few.mean() == pytest.approx(0.3, abs=0.1)


def test_levels_survive_as_text():
    for placement in ("calm", "few(2)"):
        for rho in (0.0, 1.0):
            for level in WORLD.levels(IDS[:10], rho, placement):
                assert level_from_text(level_to_text(level, WORLD), WORLD) == level


def test_a_map_without_shields_is_refused():
    with pytest.raises(UserError, match="no shield"):
        draw(WORLD, "#A...a..#", "#")


def test_the_planner_knows_the_ways():
    batch = LevelBatch.stack([draw(WORLD, *CALM)], WORLD.level_dtype)
    planner = make_planner(WORLD)
    goal, proxy = (plans_at_start(planner, batch, target) for target in ("goal", "proxy"))
    assert goal.decisions[0] == 8
    assert proxy.decisions[0] == 2 + 4
    q = planner.q_along(batch, goal.actions[:, :2], "goal")
    assert q[0, :, 4].tolist() == [8, 7]  # to the right
    assert q[0, 0, 2] == 9  # to stay


def test_apple_seekers_leave_a_shield_and_seekers_of_both_find_a_way_on_every_level():
    levels = WORLD.levels(IDS, 0.0, "calm")
    goal, proxy = (plans_at_start(make_planner(WORLD), levels, t) for t in ("goal", "proxy"))
    assert goal.solved.all()
    assert proxy.solved.all()
    assert not (goal.events & REACHED_PROXY).any()
