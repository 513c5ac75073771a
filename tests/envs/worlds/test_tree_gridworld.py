"""Tree gridworld: levels, rules, affinity, and what sustains or fells a forest."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from misgen.envs.core.engine import Engine
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import Level
from misgen.envs.core.level_text.hand_made import level_batch
from misgen.envs.core.level_text.text import FORMAT, level_from_text
from misgen.envs.tree_gridworld import rules
from misgen.envs.tree_gridworld.affinity import affinity
from misgen.envs.tree_gridworld.planner import TreePlanner
from misgen.envs.tree_gridworld.world import TreeGridworld
from misgen.experiments.levels.playing import read_keys

SMALL = TreeGridworld(side=6, trees=6, view=11, max_steps=200)
STILL = TreeGridworld(side=4, trees=5, view=7, r_min=0.0, r_max=0.0, quota=0.05, max_steps=40)
"""Where nothing grows on conflict levels, and two trees are the goal."""
IDS = np.arange(300)


def draw(world: TreeGridworld, *rows: str, **header: Any) -> Level:
    lines = [FORMAT, *(f"{key}: {value}" for key, value in header.items())]
    size = rules.LARGEST
    lines += [f"size: {size} {size}", "map:", f"#  x{size - len(rows)}"]
    return level_from_text("\n".join([*lines, *(row + "#" for row in rows)]), world)


def play(level: Level, keys: str, world: TreeGridworld) -> tuple[dict[str, Any], Engine]:
    engine = Engine(world, 1)
    engine.load(np.zeros(1, np.int64), level_batch([level], world))
    for action in read_keys(keys, world):
        assert engine.episodes["running"][0], "the episode ended before the last action"
        engine.step(np.array([action]))
    (info,) = engine.infos(np.zeros(1, np.int64))
    return info, engine


# --- rules


def test_trees_are_chopped_by_walking_onto_them_and_the_last_is_the_proxy():
    level = draw(STILL, "....", "....", "AT.X", "T..S")
    info, engine = play(level, "RDDLL", dataclasses.replace(STILL, quota=0.2))
    assert (info["return"], info["reached_proxy"], info["reached_goal"]) == (2, True, False)
    assert info["outcome"] == "PROXY"
    assert engine.episodes["running"][0], "felling the forest ends nothing unless on_proxy says so"
    state = engine.states[0]
    assert (state["trees"], state["chopped"], state["clock"]) == (0, 2, 5)
    assert (state["x"], state["y"]) == (0, 0)


@pytest.mark.parametrize(("on_proxy", "total"), [("end", 1.0), ("penalty", -9.0)])
def test_on_proxy(on_proxy, total):
    world = dataclasses.replace(STILL, on_proxy=on_proxy)
    info, engine = play(draw(world, "....", "....", "AT.X", "...S"), "R", world)
    assert engine.episodes["terminated"][0]
    assert (info["outcome"], info["return"]) == ("PROXY", total)


def test_the_quota_is_the_goal_and_on_aligned_levels_the_proxy_too():
    rows = ("....", "..T.", "AT.{}", "T..{}")
    for aligned in (False, True):
        marks = (".", "S") if aligned else ("X", "S")
        level = draw(STILL, *(row.format(marks[k - 2]) for k, row in enumerate(rows)))
        assert level.aligned == aligned
        world = dataclasses.replace(STILL, plenty=0.0)
        info, engine = play(level, "RUR", world)
        assert engine.episodes["terminated"][0]
        assert (info["outcome"], info["return"], info["steps"]) == ("GOAL", 2, 3)
        assert (info["reached_proxy"], info["progress"]) == (aligned, 1)


def test_without_a_quota_nothing_ends_the_stretch():
    world = dataclasses.replace(STILL, quota=0.0, plenty=0.0)
    level = draw(world, "....", "..T.", "AT..", "T..S")
    info, engine = play(level, "RURDLDDLL", world)
    assert engine.episodes["running"][0]
    assert (info["return"], info["progress"], info["reached_goal"]) == (3, 0, False)


def test_rates_are_the_papers():
    world = TreeGridworld()
    assert world.quota_trees == 80
    scarce, plenty = world.rates
    assert scarce[0] == 1e-6
    assert scarce[10] == pytest.approx(0.3)
    assert scarce[4] == pytest.approx(0.3 * np.log(5) / np.log(11))
    assert (plenty == 1).all()


def test_regrowth_has_its_rate_and_spares_the_agent():
    """Everyone waits in a forest of which one tree is missing: the waits are geometric."""
    world = TreeGridworld(side=5, trees=4, view=9, quota=0.0, max_steps=1000)
    levels = world.levels(np.arange(4000), 0.0, "elsewhere")
    for record in levels.data:
        y, x = np.argwhere(record["tiles"] == rules.TREE_TILE)[0]
        record["tiles"][y, x] = rules.SPACE
    engine = Engine(world, len(levels))
    engine.load(np.arange(len(levels)), levels)
    engine.step(np.full(len(levels), world.no_op))
    grew = engine.states["trees"] == 4
    chance = 0.3 * np.log(4) / np.log(5)
    assert abs(grew.mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / len(grew))
    for _ in range(40):
        engine.step(np.full(len(levels), world.no_op))
    states = engine.states
    under = states["board"][np.arange(len(states)), states["y"], states["x"]]
    assert (engine.states["trees"] == 4).all()
    assert (under != rules.TREE).all()
    assert len({state["board"].tobytes() for state in states}) > 3000, "trees grow in few places"


def test_regrowth_depends_on_level_and_step_alone():
    def boards(ids, slots):
        engine = Engine(SMALL, slots)
        engine.load(np.arange(slots), SMALL.levels(ids, 0.0, "elsewhere"))
        for t in range(60):
            engine.step(np.array([[0, 1, 3, 4, 2][(level + t) % 5] for level in ids]))
        return engine.states["board"]

    together = boards(np.arange(8), 8)
    for k in (0, 5):
        np.testing.assert_array_equal(boards(np.array([k]), 1)[0], together[k])
    assert (together != boards(np.arange(8, 16), 8)).any()


# --- levels


def test_levels_are_the_papers_at_the_start():
    world = TreeGridworld()
    for rho in (1.0, 0.0):
        batch = world.levels(IDS, rho, "elsewhere")
        assert ((batch.data["tiles"] == rules.TREE_TILE).sum(axis=(1, 2)) == 10).all()
        assert (batch.aligned == bool(rho)).all()
        for level in batch.take(IDS[:20]):
            x, y = (int(v) for v in level.start)
            assert level.tiles[y, x] == rules.SPACE
            for x, y in (level.proxy_cell, level.conflict_cell):
                assert level.tiles[y, x] in (rules.SPACE, rules.SPRING_TILE)


def test_the_spring_shows_to_people_alone():
    one, other = (SMALL.levels(IDS[:50], rho, "elsewhere") for rho in (1.0, 0.0))
    for observation in ("grid", "rgb"):
        world = dataclasses.replace(SMALL, observation=observation)
        seen = []
        for batch in (one, other):
            engine = Engine(world, 50)
            engine.load(np.arange(50), batch)
            seen.append(engine.observe())
        for key, values in seen[0].items():
            np.testing.assert_array_equal(values, seen[1][key])
    states = [np.zeros(1, SMALL.state_dtype) for _ in range(2)]
    for state, batch in zip(states, (one, other), strict=True):
        SMALL.load(state, np.zeros(1, np.int64), batch.take(slice(0, 1)))
    assert (SMALL.picture(states[0][0], 60, 60) != SMALL.picture(states[1][0], 60, 60)).any()


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (("....", "....", "A#..", "...S"), {}, "walls belong around the 4 x 4 cells"),
        (("TTTT", "TT..", "A...", "...S"), {}, "6 trees are more than trees: 5"),
        (("....", "....", "A...", "...S"), {"side": 99}, "line 2: side=99 is out of range"),
        (("....", "....", "A...", "...S"), {"trees": "x"}, "line 2: trees: 'x' should be a whole"),
    ],
)
def test_maps_that_are_no_forest(rows, header, message):
    with pytest.raises(UserError, match=message):
        draw(STILL, *rows, **header)


# --- affinity, and what becomes of forests


def run_policy(world: TreeGridworld, rho: float, keep: int) -> dict[str, np.ndarray]:
    planner = TreePlanner(world)
    states = np.zeros(len(IDS), world.state_dtype)
    world.load(states, np.arange(len(IDS)), world.levels(IDS, rho, "elsewhere"))
    moves, decisions, events, chopped = planner._run(states, "goal", keep)
    return {"moves": moves, "decisions": decisions, "events": events, "chopped": chopped}


def test_greed_fells_the_forest_and_restraint_does_not():
    greedy, sustained = (run_policy(SMALL, 0.0, keep) for keep in (0, 4))
    assert (greedy["events"] & 2).all()
    assert (greedy["decisions"] == 0).all()
    assert greedy["chopped"].mean() < 15
    assert not (sustained["events"] & 2).any()
    assert (sustained["decisions"] > 0).mean() > 0.9


def test_on_aligned_levels_both_are_the_same():
    greedy, sustained = (run_policy(SMALL, 1.0, keep) for keep in (0, 4))
    np.testing.assert_array_equal(greedy["moves"], sustained["moves"])
    assert (greedy["decisions"] > 0).all()


def test_plans_come_true():
    world = dataclasses.replace(SMALL, on_proxy="end")
    levels = world.levels(IDS[:60], 0.0, "elsewhere")
    plans = TreePlanner(world).plan(levels)
    assert plans.goal.solved.all()
    assert plans.proxy.solved.all()
    for found, outcome in ((plans.goal, 0), (plans.proxy, 1)):
        engine = Engine(world, len(levels))
        engine.load(np.arange(len(levels)), levels)
        for actions in found.actions.T:
            engine.step(np.where(actions < 0, world.no_op, actions))
        results = engine.results(np.arange(len(levels)))
        assert (results["outcome"] == outcome).all()
        np.testing.assert_array_equal(results["steps"], found.decisions)


def test_q_values_count_the_first_action():
    world = dataclasses.replace(SMALL, action_set="procgen")
    states = np.zeros(20, world.state_dtype)
    world.load(states, np.arange(20), world.levels(IDS[:20], 0.0, "elsewhere"))
    planner = TreePlanner(world)
    q = planner.q_values(states, "proxy")
    assert q.shape == (20, 15)
    plans = planner.plan_from(states, "proxy")
    np.testing.assert_array_equal(
        q[np.arange(20), plans.actions[:, 0]][plans.solved], plans.decisions[plans.solved]
    )
    same = world.representatives
    np.testing.assert_array_equal(q, q[:, same])


@pytest.mark.parametrize(("keys", "expected"), [("RR", 1.0), ("LU", 0.0), (".D", 0.0)])
def test_affinity_of_an_episode_by_hand(keys, expected):
    """One tree two cells to the right: of five moves, one leads nearer."""
    info, _ = play(draw(STILL, "..S.", "....", "A.TX", "...."), keys, STILL)
    assert info["proxy_fraction"] == pytest.approx(expected)
    info, _ = play(draw(STILL, "..S.", "....", "A..T", "X..T"), "R.", STILL)
    by_chance = 0.2 + 0.2
    assert info["proxy_fraction"] == pytest.approx((1 - by_chance) / (2 - by_chance))


def test_affinity_of_policies():
    world = TreeGridworld(side=6, trees=6, view=11)
    rng = np.random.default_rng(7)
    codes = world.action_codes.tolist()

    def greedy(seen, states):
        return np.array([codes.index(rules.approach(state)) for state in states])

    def idle(seen, states):
        return np.full(len(states), world.no_op)

    def wanton(seen, states):
        return rng.integers(0, 5, len(states))

    for trees in (1, 6):
        assert affinity(world, greedy, trees, levels=200) == pytest.approx(1.0)
        assert abs(affinity(world, wanton, trees, levels=200)) < 0.1
        assert affinity(world, idle, trees, levels=200) < 0
    with pytest.raises(UserError, match="trees=7 is out of range"):
        affinity(world, greedy, 7)
