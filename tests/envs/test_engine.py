"""The engine: what may change a trajectory and what may not, and how episodes end."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from misgen.envs.coinrun.generator import LEVEL_DTYPE
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import (
    DIED,
    EPISODE_DTYPE,
    REACHED_GOAL,
    REACHED_PROXY,
    TOUCHED_CONFLICT_CELL,
    Outcome,
    close_frame,
    outcome_of,
)
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.registry import entries, make_world
from misgen.envs.core.views.single_env import MisgenEnv
from misgen.envs.core.views.vector_env import MisgenVectorEnv
from misgen.envs.make import vector
from tests.hand_made import actions, draw, play, same_records, start

STEPS = 400
WORLD = CoinRun(action_set="distinct", max_steps=100)
MIXED = LevelDistribution(WORLD, correlation=0.5)

FLAT = draw("A....C....X#", "=")  # the coin at x = 5, the level's end at 10
ALIGNED = draw("A....c....C#", "=")
NEAR = draw("A..C#", "=")


# --- determinism


def rollout(seed: int, slots: int, action_seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return what a vector view gives in `STEPS` steps, [t, slots, ...], resets included.

    The actions of a slot do not depend on how many slots there are.
    """
    env = MisgenVectorEnv(MIXED, slots)
    columns = [np.random.default_rng([action_seed, slot]) for slot in range(slots)]
    chosen = np.stack([rng.choice([4, 5, 7, 8, 7, 8], STEPS) for rng in columns], axis=1)
    observation, _ = env.reset(seed=seed)
    rows = []
    for t in range(STEPS):
        row = {**observation, "level_id": env.engine.level_ids.copy()}
        observation, reward, terminated, truncated, _ = env.step(chosen[t])
        rows.append({**row, "reward": reward, "terminated": terminated, "truncated": truncated})
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def difference(
    one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]], slots: int
) -> str | None:
    """Return the first place where two rollouts differ in a slot below `slots`, None if none."""
    for name in one:
        a, b = one[name][:, :slots], other[name][:, :slots]
        wrong = np.argwhere((a != b).reshape(*a.shape[:2], -1).any(axis=2))
        if len(wrong):
            step, slot = wrong[0]
            found = f"{a[step, slot]}, then {b[step, slot]}"
            return f"{name} differs first in slot {slot} at step {step}: {found}"
    return None


@pytest.fixture(scope="module")
def seed_0() -> dict[str, NDArray[Any]]:
    return rollout(0, 7)


def test_a_rollout_is_worth_comparing(seed_0):
    assert seed_0["terminated"].sum() > 20
    assert seed_0["truncated"].sum() > 3
    assert len(np.unique(seed_0["level_id"])) > 30
    assert (seed_0["reward"] == 10).sum() > 3


def test_same_seed_same_everything(seed_0):
    found = difference(seed_0, rollout(0, 7), 7)
    assert found is None, f"seed 0 twice: {found}"


def test_another_seed_other_levels(seed_0):
    other = rollout(1, 7)
    assert difference(seed_0, other, 7) is not None
    same = (other["level_id"][0] == seed_0["level_id"][0]).sum()
    assert same == 0, "seed 1 begins with levels of seed 0"


def test_slots_run_different_levels(seed_0):
    assert len(np.unique(seed_0["level_id"][0])) == 7


@pytest.mark.parametrize("slots", [1, 3])
def test_number_of_slots_changes_nothing(seed_0, slots):
    found = difference(seed_0, rollout(0, slots), slots)
    assert found is None, f"seed 0, {slots} slots beside 7: {found}"


def test_number_of_threads_changes_nothing(seed_0):
    most: int = numba.config.NUMBA_NUM_THREADS  # pyright: ignore
    if most < 2:
        pytest.skip("Numba was started with one thread")
    numba.set_num_threads(2)
    found = difference(seed_0, rollout(0, 7), 7)
    assert found is None, f"seed 0, 2 threads beside 1: {found}"


QUICK = ("coinrun", "cheese_on_a_dish")
OTHERS = [n for n in entries() if n not in QUICK and not n.startswith("procgen")]


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)]
)
def test_both_forms_of_the_kernels_do_the_same(name, monkeypatch):
    """The plain loop, and the one that is split among threads."""
    found = []
    for threads in (1, 2):
        monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", threads)
        monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
        env = vector(150, name, correlation=0.5, max_steps=20)
        env.reset(seed=0)
        count = int(env.distribution.world.action_space.n)
        chosen = np.random.default_rng(0).integers(0, count, (30, 150))
        steps = [env.step(each)[:4] for each in chosen]
        found.append((steps, env.engine.states, env.engine.episodes))
    (one, *records), (two, *others) = found
    for a, b in zip(one, two, strict=True):
        assert all(np.array_equal(a[0][key], b[0][key]) for key in a[0])
        assert all(np.array_equal(x, y) for x, y in zip(a[1:], b[1:], strict=True))
    assert all(same_records(x, y) for x, y in zip(records, others, strict=True))


def test_levels_do_not_depend_on_threads_or_batches():
    ids = np.arange(40)
    one = MIXED.levels(ids).data
    assert len(np.unique(one["entity_count"])) > 5
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))  # pyright: ignore
    assert same_records(MIXED.levels(ids).data, one)
    singles = [MIXED.levels(ids[i : i + 1]).data for i in range(len(ids))]
    assert same_records(np.concatenate(singles), one)
    assert same_records(MIXED.levels(ids[::-1]).data[::-1], one)


def test_what_a_step_returns_is_the_callers_own():
    """Later steps do not change it, nor does changing it change the engine."""
    env = vector(20, "cheese_on_a_dish", correlation=0.5, max_steps=7)
    env.reset(seed=0)
    kept = []
    for t in range(30):
        ended = env.engine.step(np.full(20, t % 5))
        found = {"slots": ended, **env.engine.columns(ended)}
        kept.append((found, {name: values.copy() for name, values in found.items()}))
        env.engine.load(ended, env.distribution.levels(ended))
    assert sum(len(found["slots"]) for found, _ in kept) > 20
    for found, copied in kept:
        assert all(np.array_equal(found[name], copied[name]) for name in copied)
        found["slots"][:] = -1
    env.step(np.zeros(20, np.int64))


def test_a_level_leaves_nothing_behind_in_its_slot():
    """A level runs the same in a slot that another level was in."""
    fresh, used = Engine(WORLD, 1), Engine(WORLD, 1)
    slot, chosen = np.zeros(1, np.int64), actions("rrRrrRRrjrR" * 10)
    busy = MIXED.levels(np.arange(50))
    most = int(np.argmax(busy.data["entity_count"]))
    used.load(slot, busy.take(slice(most, most + 1)))
    for action in chosen:
        used.step(np.array([action]))
    for level in range(30):
        for engine in (fresh, used):
            engine.load(slot, busy.take(slice(level, level + 1)))
        fresh.states[:] = np.zeros(1, fresh.states.dtype)
        fresh.load(slot, busy.take(slice(level, level + 1)))
        for action in chosen:
            assert list(fresh.step(action[None])) == list(used.step(action[None])), level
            for name, values in fresh.observe().items():
                np.testing.assert_array_equal(values, used.observe()[name], f"level {level}")


def test_slots_that_have_ended_stand_still():
    engine = start(NEAR, slots=3)
    for _ in range(30):
        if len(engine.step(np.array([7, 4, 4]))):
            break
    assert engine.episodes["running"].tolist() == [False, True, True]
    states, episodes = engine.states[:1].copy(), engine.episodes[:1].copy()
    moved = engine.states[1]["x"].copy()
    while not len(ended := engine.step(np.array([8, 7, 4]))):
        pass
    assert ended.tolist() == [1]  # slot 0 is not reported again
    assert same_records(engine.states[:1], states)
    assert same_records(engine.episodes[:1], episodes)
    assert engine.states["x"][1] > moved


def test_loading_one_slot_leaves_the_others_alone():
    engine = start(FLAT, slots=3)
    for _ in range(5):
        engine.step(actions("rrr"))
    before = engine.states.copy(), engine.episodes.copy()
    engine.load(np.array([1]), MIXED.levels(np.array([17])))
    for old, new in zip(before, (engine.states, engine.episodes), strict=True):
        assert same_records(old[[0, 2]], new[[0, 2]])
    assert engine.level_ids.tolist() == [-1, 17, -1]
    assert engine.states["x"][1] == 1.5
    assert engine.episodes["decisions"].tolist() == [5, 0, 5]


# --- how episodes end


def test_the_coin_ends_it():
    info = play(FLAT, "r" * 40)
    assert info["outcome"] == "GOAL"
    assert info["terminated"]
    assert not info["truncated"]
    assert info["reached_goal"]
    assert not info["reached_proxy"]
    assert not info["died"]
    assert not info["aligned"]
    assert info["return"] == info["rewards"][-1] == 10
    assert not any(info["rewards"][:-1])
    assert info["steps"] == len(info["rewards"]) == info["frames"] < 40
    assert 0.2 < info["progress"] < 0.6


def test_the_coin_at_the_end_is_goal_and_proxy():
    info = play(ALIGNED, "r" * 60)
    assert info["outcome"] == "GOAL"
    assert info["aligned"]
    assert info["reached_goal"]
    assert info["reached_proxy"]
    assert info["return"] == 10
    assert info["progress"] == 1


@pytest.mark.parametrize(
    ("rows", "entities"),
    [
        (("A..s...C#", "="), ()),
        (("A.......C#", "===^^^=="), ()),
        (("A.......C#", "===~~~=="), ()),
        (("A..<....C#", "="), ()),
        (("A.......C#", "="), ("enemy 6 1 left 0",)),
    ],
    ids=["saw", "lava", "deep lava", "enemy", "listed enemy"],
)
def test_death(rows, entities):
    info = play(draw(*rows, entities=entities), "r" * 60)
    assert info["outcome"] == "DEATH"
    assert info["died"]
    assert info["terminated"]
    assert not info["truncated"]
    assert not info["reached_goal"]
    assert info["return"] == 0


def test_an_enemy_comes_to_who_waits():
    info = play(draw("A.....<..C#", "="), "." * 100)
    assert info["outcome"] == "DEATH"
    assert 20 < info["steps"] < 60


def test_jumping_saves():
    level = draw("A....s.....C#", "=")
    assert play(level, "r" * 60)["outcome"] == "DEATH"
    assert play(level, "rrrrrrR" + "r" * 60)["outcome"] == "GOAL"


def test_time_out_truncates():
    info = play(FLAT, "." * 20, max_steps=15)
    assert info["outcome"] == "TIMEOUT"
    assert info["truncated"]
    assert not info["terminated"]
    assert info["steps"] == 15
    assert info["return"] == 0
    assert play(FLAT, "." * 14, max_steps=15)["outcome"] is None


def test_the_coin_in_the_last_frame_terminates():
    steps = play(FLAT, "r" * 40)["steps"]
    info = play(FLAT, "r" * 40, max_steps=steps)
    assert info["outcome"] == "GOAL"
    assert info["terminated"]
    assert not info["truncated"]
    info = play(FLAT, "r" * 40, max_steps=steps - 1)
    assert info["outcome"] == "TIMEOUT"
    assert info["return"] == 0


OVERSHOT = draw("A.........X..C#", "=")  # the end first, the coin behind it


def test_proxy_continue():
    info = play(OVERSHOT, "r" * 100)
    assert info["outcome"] == "GOAL"
    assert info["reached_proxy"]
    assert info["reached_goal"]
    assert info["return"] == 10


def test_proxy_end():
    info = play(OVERSHOT, "r" * 100, on_proxy="end")
    assert info["outcome"] == "PROXY"
    assert info["terminated"]
    assert not info["reached_goal"]
    assert info["return"] == 0
    assert info["progress"] == 1
    assert info["steps"] < play(OVERSHOT, "r" * 100)["steps"]


def test_proxy_penalty():
    info = play(OVERSHOT, "r" * 100, on_proxy="penalty")
    assert info["outcome"] == "PROXY"
    assert info["terminated"]
    assert info["return"] == info["rewards"][-1] == -10


@pytest.mark.parametrize("on_proxy", ["continue", "end", "penalty"])
def test_on_proxy_does_not_touch_the_goal(on_proxy):
    """Neither where the coin comes first nor where it stands at the end."""
    for level in (FLAT, ALIGNED):
        info = play(level, "r" * 60, on_proxy=on_proxy)
        assert info["outcome"] == "GOAL"
        assert info["return"] == 10


def test_proxy_then_time_out_or_death_is_proxy():
    passed = draw("A.....X.......C#", "=")
    info = play(passed, "r" * 25 + "l" * 60, max_steps=60)
    assert info["outcome"] == "PROXY"
    assert info["truncated"]
    deadly = draw("A.....X...s....C#", "=")
    info = play(deadly, "r" * 80)
    assert info["outcome"] == "PROXY"
    assert info["died"]
    assert info["terminated"]


@pytest.mark.parametrize(
    ("saw", "goal", "died"), [(4, False, True), (5, True, True), (6, True, False)]
)
def test_coin_and_death_in_one_frame_give_both(saw, goal, died):
    """A saw in the coin's cell is touched in the frame in which the coin is."""
    info = play(draw("A....C.#", "=", entities=(f"saw {saw} 1 left 0",)), "r" * 60)
    assert info["terminated"]
    assert (info["reached_goal"], info["died"]) == (goal, died)
    assert info["outcome"] == ("GOAL" if goal else "DEATH")
    assert info["return"] == (10 if goal else 0)


def test_action_repeat_stops_at_the_end():
    frames = play(FLAT, "r" * 40)["frames"]
    for repeat in (2, 3, 7):
        info = play(FLAT, "r" * 40, action_repeat=repeat)
        assert info["frames"] == frames
        assert info["steps"] == -(-frames // repeat)
        assert info["return"] == info["rewards"][-1] == 10


def test_action_repeat_is_the_action_repeated():
    keys = "rrRjrl.RrRjdrrR" * 6
    for level_id in range(8):
        level = MIXED.levels(np.array([level_id]))[0]
        once = start(level, CoinRun())
        thrice = start(level, CoinRun(action_repeat=3))
        for action in actions(keys):
            for _ in range(3):
                ended = once.step(np.array([action]))
                if len(ended):
                    break
            assert list(thrice.step(np.array([action]))) == list(ended), level_id
            assert same_records(once.states, thrice.states), level_id
            if len(ended):
                break


def test_max_steps_counts_frames():
    info = play(FLAT, "." * 40, max_steps=20, action_repeat=3)
    assert info["frames"] == 20
    assert info["steps"] == 7


def test_touched_conflict_cell():
    assert play(ALIGNED, "r" * 60)["touched_conflict_cell"]  # on the way to the end
    assert not play(draw("A.....C#", "====="), "r" * 60)["touched_conflict_cell"]  # there is none
    assert play(FLAT, "r" * 60)["touched_conflict_cell"]  # it is the coin's own cell
    above = draw("......c.....", ".", ".", ".", "A...........C#", "=")
    assert not play(above, "r" * 60)["touched_conflict_cell"]
    # The six frames of a jump's rise are enough for the row it hangs in.
    assert play(above, "rrrrrr" + "R" * 60)["touched_conflict_cell"]


def test_progress_is_the_furthest_way():
    there = play(FLAT, "r" * 8)["progress"]
    and_back = play(FLAT, "r" * 8 + "l" * 20)
    assert 0 < there < 0.5
    assert and_back["progress"] >= there
    assert and_back["outcome"] is None


def test_actions_that_do_nothing():
    ends = []
    for action in (4, *range(9, 15)):
        engine = start(FLAT)
        for key in (7, 7, 7, 8, action, action, action, 7, action):
            engine.step(np.array([key]))
        ends.append(engine.states.copy())
    assert all(same_records(ends[0], end) for end in ends)
    assert ends[0]["x"][0] > 1


@given(st.lists(st.integers(0, 15), min_size=1, max_size=30), st.sampled_from([0, 1, 2]))
def test_the_rule_that_closes_a_frame(frames: list[int], on_proxy: int):
    """Against the rule in words, over random event sequences."""
    episode = np.zeros(1, EPISODE_DTYPE)
    seen, paid, limit = 0, 0.0, 20
    for t, events in enumerate(frames, start=1):
        episode["reward"] = 0
        reward = 10.0 if events & REACHED_GOAL else 0.0
        ended = close_frame(episode[0], events, reward, on_proxy, limit)
        proxy_first = (
            bool(events & REACHED_PROXY) and not seen & REACHED_PROXY and not events & REACHED_GOAL
        )
        seen |= events
        penalty = 10.0 if proxy_first and on_proxy == 2 else 0.0
        paid += reward - penalty
        terminated = bool(events & (REACHED_GOAL | DIED)) or (proxy_first and on_proxy > 0)
        assert episode["reward"][0] == reward - penalty
        assert episode["terminated"][0] == terminated
        assert episode["truncated"][0] == (not terminated and t >= limit)
        assert ended == (terminated or t >= limit)
        assert episode["events"][0] == seen
        assert episode["returns"][0] == paid
        assert episode["frames"][0] == t
        if ended:
            break


def test_outcomes_are_the_first_that_applies():
    codes = [outcome_of(events) for events in range(16)]
    for events, code in enumerate(codes):
        expected = (
            Outcome.GOAL
            if events & REACHED_GOAL
            else Outcome.PROXY
            if events & REACHED_PROXY
            else Outcome.DEATH
            if events & DIED
            else Outcome.TIMEOUT
        )
        assert Outcome(code) is expected
    np.testing.assert_array_equal(codes[TOUCHED_CONFLICT_CELL:], codes[:TOUCHED_CONFLICT_CELL])


def test_infos_are_plain_and_results_arrays():
    engine = start(FLAT, slots=2)
    while not len(ended := engine.step(actions("rr"))):
        pass
    results = engine.results(ended)
    infos = engine.infos(ended)
    assert [type(value) for value in infos[0].values()] == [
        *(int, bool, str, bool, bool, float, float, int),
        *(int, int, int, int, bool),  # what came first, and when
        *(bool, bool, int, float, float),
    ]
    assert list(results) == list(infos[0])
    assert all(len(column) == 2 for column in results.values())


def test_generated_levels_stay_within_their_records():
    """Room for entities is enough: the kernel does not check."""
    for terrain in ("procgen", "langosco", "langosco_aisc"):
        levels = LevelDistribution(CoinRun(terrain=terrain)).levels(np.arange(5000))
        assert levels.data["entity_count"].max() < LEVEL_DTYPE["entity_x"].shape[0] - 5


def test_single_env_is_the_engine():
    env = MisgenEnv(MIXED)
    env.reset(options={"level_ids": [17]})
    level = MIXED.levels(np.array([17]))
    engine = Engine(WORLD, 1)
    engine.load(np.zeros(1, np.int64), level)
    assert isinstance(level, LevelBatch)
    for action in actions("rrRRrrjr" * 8):
        _, reward, terminated, truncated, info = env.step(action)
        ended = engine.step(action[None])
        assert reward == engine.episodes["reward"][0]
        assert (terminated or truncated) == bool(len(ended))
        if len(ended):
            assert info == engine.infos(ended)[0]
            break
        assert info == {}


def test_columns_hold_the_results_of_their_slots_and_else_nothing():
    engine = WORLD.make_engine(8)
    engine.load(np.arange(8), MIXED.levels(np.arange(8)))
    while engine.episodes["running"].any():
        engine.step(np.full(8, 7))
    slots = np.array([6, 1, 4])
    rows, columns = engine.results(slots), engine.columns(slots)
    assert list(rows) == list(columns)
    others = np.setdiff1d(np.arange(8), slots)
    for name, column in columns.items():
        np.testing.assert_array_equal(column[slots], rows[name], name)
        assert column.dtype == rows[name].dtype, name
        assert not column[others].any(), name
    np.testing.assert_array_equal(rows["level_id"], slots)


# --- what is paid for


@pytest.mark.parametrize(
    ("pays", "fraction"), [("goal", "goal_fraction"), ("proxy", "proxy_fraction")]
)
@pytest.mark.parametrize("name", ["coinrun", "keys_and_chests", "monster_world", "tree_gridworld"])
def test_what_is_paid_for_alone_is_paid_and_in_full(name, pays, fraction):
    world = make_world(name, pays=pays, max_steps=200)
    engine = Engine(world, 32)
    levels = LevelDistribution(world, 0.5).levels(np.arange(32))
    engine.load(np.arange(32), levels)
    rng = np.random.default_rng(0)
    paid = np.zeros(32)
    while (running := engine.episodes["running"].copy()).any():
        engine.step(rng.integers(0, int(world.action_space.n), 32))
        paid[running] += engine.episodes["reward"][running]
    found = engine.results(np.arange(32))
    assert found[fraction].any() or (name, pays) == ("tree_gridworld", "goal")  # the work of ages
    np.testing.assert_allclose(found["return"], 10 * found[fraction], atol=1e-4)
    np.testing.assert_allclose(paid, found["return"], atol=1e-4)


def test_a_punishment_does_not_go_with_being_paid_for_one_thing():
    with pytest.raises(UserError, match=r"env\.pays=proxy .* env\.on_proxy=end"):
        CoinRun(pays="proxy", on_proxy="penalty")
    with pytest.raises(UserError, match=r"env\.pays"):
        CoinRun(pays="both")
