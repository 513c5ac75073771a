"""CoinRun's planner: plans that can be replayed, known shortest times, and what has no plan."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from misgen.envs.coinrun.generator import LEVEL_DTYPE
from misgen.envs.coinrun.planning.planner import Budget, CoinRunPlanner
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import DIED, EPISODE_DTYPE, REACHED_GOAL, REACHED_PROXY
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import Level, LevelBatch
from misgen.envs.core.planning.planner import NOTHING, Plans, PlanStatus, TargetPlans, make_planner
from tests.hand_made import draw, same_records

RIGHT, NEITHER, JUMP_RIGHT = 7, 4, 8
IDS = np.arange(12)

FLAT = draw("A.......C#", "=")
CLIMB = draw("......C....#", "....====..X#", "A..======.=#", "=")
CRATES = draw("....BC.#", "....BBX#", "A...BB=#", "=")
ENEMY = draw("....|.....|..#", "A...|..<..|.C#", "=")
SAW = draw("A..s..X.C#", "=")
PASSAGE = draw("##########", ".........#", "A...X...C#", "=")
OVER = draw("A...X...C#", "=")
ACCIDENT = draw("A...C...X#", "=")
WALLED_IN = draw("....###..#", "....#C#..#", "A...###.X#", "=")
CHASM = draw("A.^^^^^^^^^^^^^^^^^^C#", "=")


def world(**changes: Any) -> CoinRun:
    settings = {"action_set": "distinct", "action_repeat": 3, "max_steps": 300}
    return CoinRun(**(settings | changes))


def batch(*levels: Level) -> LevelBatch:
    return LevelBatch.stack(levels, LEVEL_DTYPE)


def states_of(levels: LevelBatch, rules: CoinRun) -> NDArray[np.void]:
    states = np.zeros(len(levels), rules.state_dtype)
    rules.load(states, np.arange(len(levels)), levels)
    return states


def plan(level: Level, **changes: Any) -> Plans:
    return make_planner(world(**changes)).plan(batch(level))


def replay(
    levels: LevelBatch, plans: TargetPlans, rules: CoinRun
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Run the plans in the engine; return each episode's decisions and events.

    For the way to the proxy the goal is taken off the board, as the plan takes no notice of it.
    """
    engine = Engine(rules, len(levels))
    engine.load(np.arange(len(levels)), levels)
    if plans.target == "proxy":
        engine.states["goal_cell"] = -1
    for t in range(plans.actions.shape[1]):
        engine.episodes["running"] &= plans.actions[:, t] != NOTHING
        engine.step(np.maximum(plans.actions[:, t], 0))
    return engine.episodes["decisions"], engine.episodes["events"]


def brute_force(states: NDArray[np.void], rules: CoinRun, target: str, most: int) -> float:
    """Return the fewest decisions to the target, by trying all actions in all exact states.

    Two states count as one only if they are equal in every bit.  Inf: it takes more than `most`.
    """
    bit = {"goal": REACHED_GOAL, "proxy": REACHED_PROXY}[target]
    states = states.copy()
    if target == "proxy":
        states["goal_cell"] = -1
    for depth in range(1, most + 1):
        count = int(rules.action_space.n)
        children = np.repeat(states, count)
        episodes = np.zeros(len(children), EPISODE_DTYPE)
        episodes["running"] = True
        rules.advance(children, episodes, np.tile(np.arange(count), len(states)))
        if (episodes["events"] & bit).any():
            return depth
        alive = children[~episodes["terminated"]]
        motion = [alive[name] for name in ("x", "y", "vx", "vy", "last_y", "on_crate")]
        unlike = np.column_stack([*motion, alive["ex"], alive["evx"]])
        _, first = np.unique(unlike, axis=0, return_index=True)
        states = alive[first]
    return np.inf


# --- known times


def frames_to_run(cells: float) -> int:
    """Frames to run so far from rest: the speed is 0.5 (1 - 0.8^k) cells in frame k."""
    passed, frames = 0.0, 0
    while passed < cells:
        frames += 1
        passed += 0.5 * (1 - 0.8**frames)
    return frames


@pytest.mark.parametrize("repeat", [1, 3, 4])
@pytest.mark.parametrize("column", [3, 5, 8, 20])
def test_running_takes_as_long_as_the_formula_says(column, repeat):
    """From x = 0.5 until the body's right side, at x + 0.499, is in the coin's column."""
    found = plan(draw("A".ljust(column, ".") + "C#", "="), action_repeat=repeat).goal
    frames = frames_to_run(column - 0.999)
    assert found.decisions.tolist() == [-(-frames // repeat)]
    assert found.shortest.all()


def shaft(row: int) -> Level:
    """Return a level with the coin right above the start, in that row."""
    return draw("C#", *[".#"] * (row - 2), "A#", "=")


@pytest.mark.parametrize(("row", "frames"), [(3, 1), (4, 2), (5, 3), (6, 3), (7, 5), (8, 6)])
def test_a_jump_rises_by_1_5_cells_and_then_less(row, frames):
    """The head, at 2.1564, rises by 1.5, 1.3, 1.1, 0.9, 0.7, 0.5, 0.3 and 0.1 cells."""
    for repeat in (1, 3):
        found = plan(shaft(row), action_repeat=repeat).goal
        assert found.decisions.tolist() == [-(-frames // repeat)]


# --- what the plans promise


HAND_MADE = {
    "flat": FLAT,
    "climb": CLIMB,
    "crates": CRATES,
    "enemy": ENEMY,
    "saw": SAW,
    "over the proxy": OVER,
    "accident": ACCIDENT,
}


@pytest.mark.parametrize("repeat", [1, 3])
@pytest.mark.parametrize("name", HAND_MADE)
def test_plans_reach_their_target_when_they_say(name, repeat):
    levels = batch(HAND_MADE[name])
    for on_proxy in ("continue", "end"):
        rules = world(action_repeat=repeat, on_proxy=on_proxy)
        plans = make_planner(rules).plan(levels)
        for one, bit in ((plans.goal, REACHED_GOAL), (plans.proxy, REACHED_PROXY)):
            assert one.solved.all()
            decisions, events = replay(levels, one, rules)
            assert decisions.tolist() == one.decisions.tolist()
            assert events[0] & bit
            assert not events[0] & DIED
            assert (one.actions != NOTHING).sum() == one.decisions[0]


@pytest.mark.parametrize("placement", CoinRun.placements)
@pytest.mark.parametrize(("mode", "repeat"), [("hard", 3), ("hard", 1), ("easy", 3)])
def test_plans_for_generated_levels_reach_their_targets(mode, repeat, placement):
    rules = world(mode=mode, action_repeat=repeat, max_steps=1000, on_proxy="end")
    levels = LevelDistribution(rules, 0.0, placement).levels(IDS)
    plans = make_planner(rules).plan(levels)
    for one, bit in ((plans.goal, REACHED_GOAL), (plans.proxy, REACHED_PROXY)):
        decisions, events = replay(levels, one, rules)
        assert one.solved.sum() >= len(IDS) - 2
        assert decisions[one.solved].tolist() == one.decisions[one.solved].tolist()
        assert (events[one.solved] & bit).all()
        assert (one.decisions[~one.solved] == NOTHING).all()


SMALL = {
    "flat": draw("A......C#", "="),
    "step up": draw("....C..#", "..===.X#", "A.===.=#", "="),
    "crates": draw("....C..#", "..B.BB.#", "A.B.BBX#", "="),
    "enemy": draw("....|...|..#", "A...|.<.|.C#", "="),
    "saw": draw("A..s..C#", "="),
    "over the proxy": draw("A..X..C#", "="),
    "down": draw("A......#", "==.....#", "==....C#", "="),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("target", ["goal", "proxy"])
def test_no_shorter_plan_exists(name, target):
    rules = world(on_proxy="end")
    found = getattr(plan(SMALL[name], on_proxy="end"), target)
    states = states_of(batch(SMALL[name]), rules)
    assert found.decisions.tolist() == [brute_force(states, rules, target, most=9)]


def test_on_aligned_levels_goal_and_proxy_have_one_plan():
    for on_proxy in ("continue", "end"):
        rules = world(mode="hard", max_steps=1000, on_proxy=on_proxy)
        plans = make_planner(rules).plan(LevelDistribution(rules, 1.0).levels(IDS))
        assert np.array_equal(plans.goal.decisions, plans.proxy.decisions)
        assert np.array_equal(plans.goal.actions, plans.proxy.actions)


def test_the_way_to_the_goal_avoids_a_proxy_that_ends_the_episode():
    through, over = (plan(OVER, on_proxy=on_proxy).goal for on_proxy in ("continue", "end"))
    assert through.events[0] & REACHED_PROXY
    assert not over.events[0] & REACHED_PROXY
    assert over.decisions[0] > through.decisions[0]
    assert plan(PASSAGE, on_proxy="continue").goal.solved.all()
    for on_proxy in ("end", "penalty"):
        assert plan(PASSAGE, on_proxy=on_proxy).goal.status.tolist() == [PlanStatus.UNSOLVABLE]


def test_the_way_to_the_proxy_takes_no_notice_of_the_goal():
    found = plan(ACCIDENT, on_proxy="end").proxy
    assert found.events[0] & REACHED_GOAL
    without = plan(draw("A.......C#", "=")).goal
    assert found.decisions.tolist() == without.decisions.tolist()


# --- what has no plan


@pytest.mark.parametrize(
    "level", [WALLED_IN, CHASM, shaft(9)], ids=["walled in", "chasm", "too high"]
)
@pytest.mark.parametrize("repeat", [1, 3])
def test_levels_without_a_way_are_called_so(level, repeat):
    found = plan(level, action_repeat=repeat).goal
    assert found.status.tolist() == [PlanStatus.UNSOLVABLE]
    assert found.decisions.tolist() == [NOTHING]
    assert (found.actions == NOTHING).all()
    assert not found.shortest.any()


def test_a_time_out_that_is_too_short_leaves_no_way():
    needed = int(plan(FLAT, action_repeat=1).goal.decisions[0])
    for repeat in (1, 3):
        enough = plan(FLAT, action_repeat=repeat, max_steps=needed).goal
        short = plan(FLAT, action_repeat=repeat, max_steps=needed - 1).goal
        assert enough.status.tolist() == [PlanStatus.SOLVED]
        assert short.status.tolist() == [PlanStatus.UNSOLVABLE]


def test_a_search_that_runs_out_of_nodes_says_so():
    rules = world()
    planner = CoinRunPlanner(rules, budget=Budget(nodes=3))
    assert planner.plan(batch(CLIMB)).goal.status.tolist() == [PlanStatus.UNKNOWN]


# --- q values


@pytest.mark.parametrize("name", HAND_MADE)
@pytest.mark.parametrize("target", ["goal", "proxy"])
def test_the_best_q_value_is_the_plans_length(name, target):
    level, rules = HAND_MADE[name], world(on_proxy="end")
    planner = make_planner(rules)
    found = getattr(planner.plan(batch(level)), target)
    q = planner.q_values(states_of(batch(level), rules), target)[0]
    assert q.min() == found.decisions[0]
    assert q[found.actions[0, 0]] == q.min()


def test_q_values_by_hand():
    """Running: a decision of standing still costs one; one of running back costs more."""
    rules = world()
    q = make_planner(rules).q_values(states_of(batch(FLAT), rules), "goal")[0]
    shortest = plan(FLAT).goal.decisions[0]
    assert q[RIGHT] == shortest
    assert q[NEITHER] == shortest + 1
    assert (q[[0, 1, 2]] > shortest).all()


@pytest.mark.parametrize("name", ["crates", "saw", "over the proxy", "down"])
def test_q_values_agree_with_brute_force(name):
    """Whatever comes first, nothing shorter exists after it; from 10 decisions on, not tried."""
    rules = world(on_proxy="end")
    start = states_of(batch(SMALL[name]), rules)
    q = make_planner(rules).q_values(start, "goal")[0]
    for action in range(9):
        after, episode = start.copy(), np.zeros(1, EPISODE_DTYPE)
        episode["running"] = True
        rules.advance(after, episode, np.array([action]))
        fewest = 1 + brute_force(after, rules, "goal", most=8)
        assert min(q[action], 10) == min(fewest, 10), f"action {action}"


def test_an_action_that_kills_is_hopeless():
    """With decisions of eight frames, running on ends in the saw; jumping goes over it."""
    rules = world(action_repeat=8)
    q = make_planner(rules).q_values(states_of(batch(SAW), rules), "proxy")[0]
    assert np.isinf(q[RIGHT])
    assert np.isfinite(q[[NEITHER, JUMP_RIGHT]]).all()


def test_q_values_without_a_way_are_infinite():
    rules = world()
    q = make_planner(rules).q_values(states_of(batch(WALLED_IN), rules), "goal")
    assert np.isinf(q).all()


def test_an_action_that_reaches_the_target_costs_one():
    rules = world()
    q = make_planner(rules).q_values(states_of(batch(draw("AC#", "=")), rules), "goal")[0]
    assert q[RIGHT] == 1


def test_actions_beyond_the_ninth_do_nothing():
    rules = world(action_set="procgen")
    q = make_planner(rules).q_values(states_of(batch(FLAT), rules), "goal")[0]
    assert q.shape == (15,)
    assert (q[9:] == q[NEITHER]).all()


@pytest.mark.parametrize("target", ["goal", "proxy"])
def test_q_along_an_episode_is_q_at_each_of_its_states(target):
    rules = world(on_proxy="end")
    planner = make_planner(rules)
    levels = batch(CLIMB, ENEMY)
    chosen = np.random.default_rng(0).choice([4, 7, 7, 8], (2, 8))
    chosen[1, 6:] = NOTHING
    along = planner.q_along(levels, chosen, target)
    engine = Engine(rules, 2)
    engine.load(np.arange(2), levels)
    for t in range(chosen.shape[1]):
        single = planner.q_values(engine.states, target)
        for i in range(2):
            wanted = single[i] if chosen[i, t] != NOTHING else np.full(9, np.nan)
            assert np.array_equal(along[i, t], wanted, equal_nan=True), f"level {i}, decision {t}"
        engine.step(np.maximum(chosen[:, t], 0))


def test_along_a_plan_the_value_falls_by_one():
    rules = world(on_proxy="end")
    planner = make_planner(rules)
    levels = batch(CLIMB, ENEMY, CRATES)
    plans = planner.plan(levels).goal
    q = planner.q_along(levels, plans.actions, "goal")
    for i, length in enumerate(plans.decisions):
        best = q[i, :length].min(axis=1)
        assert best.tolist() == list(range(length, 0, -1))


# --- cells


def test_visited_cells():
    rules = world()
    planner = make_planner(rules)
    idle = planner.visited(batch(FLAT), np.array([[NEITHER] * 5]))[0]
    assert np.argwhere(idle).tolist() == [[1, 0], [2, 0]]  # 1.16 high: two cells
    run = planner.visited(batch(ACCIDENT), np.full((1, 12), RIGHT))[0]
    assert np.flatnonzero(run.any(axis=1)).tolist() == [1, 2]
    assert np.flatnonzero(run[1]).tolist() == list(range(9))  # past the coin, up to the wall


def test_visited_cells_end_with_death_and_with_the_actions():
    planner = make_planner(world())
    dead = planner.visited(batch(SAW), np.full((1, 12), RIGHT))[0]
    assert 2 <= np.flatnonzero(dead.any(axis=0)).max() <= 3
    stopped = planner.visited(batch(FLAT), np.array([[RIGHT, NOTHING, RIGHT, RIGHT]]))[0]
    assert np.flatnonzero(stopped.any(axis=0)).tolist() == [0, 1]


# --- what changes nothing


def test_threads_change_nothing():
    if numba.config.NUMBA_NUM_THREADS < 2:  # pyright: ignore
        pytest.skip("Numba was started with one thread")
    rules = world(mode="hard", max_steps=1000, on_proxy="end")
    levels = LevelDistribution(rules, 0.0).levels(IDS)
    planner = make_planner(rules)
    found = []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        plans = planner.plan(levels)
        q = planner.q_along(levels, plans.goal.actions[:, :3], "goal")
        found.append((plans.goal.actions, plans.proxy.actions, plans.goal.nodes, q))
    for one, two in zip(*found, strict=True):
        assert np.array_equal(one, two, equal_nan=one.dtype.kind == "f")


def test_states_are_left_as_they_are():
    rules = world()
    planner = make_planner(rules)
    states = states_of(batch(ENEMY, CRATES), rules)
    before = states.copy()
    planner.plan_from(states, "goal")
    planner.q_values(states, "proxy")
    assert same_records(states, before)


def test_plans_do_not_depend_on_the_batch():
    rules = world(mode="hard", max_steps=1000)
    levels = LevelDistribution(rules, 0.0).levels(IDS[:4])
    planner = make_planner(rules)
    together = planner.plan(levels).goal
    for i in range(4):
        alone = planner.plan(levels.take(slice(i, i + 1))).goal
        assert alone.actions[0].tolist() == together.actions[i][: alone.actions.shape[1]].tolist()


def test_unknown_targets_are_refused():
    rules = world()
    with pytest.raises(UserError, match="target"):
        make_planner(rules).plan_from(states_of(batch(FLAT), rules), "cheese")
