"""The three views of the engine: each one's contract, and that they show the same thing."""

from __future__ import annotations

import re
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_env_sb3
from stable_baselines3.common.vec_env import VecMonitor

import misgen.envs  # noqa: F401 (registers the worlds)
from misgen.envs.coinrun.observation import CLASSES, WINDOW
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import LevelDistribution, LevelStream
from misgen.envs.core.engine import Engine
from misgen.envs.core.errors import UserError
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.envs.core.views.single_env import MisgenEnv
from misgen.envs.core.views.vector_env import MisgenVectorEnv

ID = "misgen/CoinRun-v0"
WORLD = CoinRun(action_set="distinct", action_repeat=2, max_steps=80)
MIXED = LevelDistribution(WORLD, correlation=0.5)
INFO_KEYS = {
    *("level_id", "aligned", "outcome", "reached_goal", "reached_proxy", "died"),
    *("goal_fraction", "proxy_fraction", "proxies"),
    *("first", "first_proxies", "goal_at", "proxy_at", "cell_first"),
    *("touched_conflict_cell", "steps", "return", "progress"),
}


def random_actions(steps: int, slots: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).choice([1, 4, 5, 7, 8, 7, 8, 8], (steps, slots))


def assert_same_observation(one: dict[str, Any], other: dict[str, Any], what: object) -> None:
    assert set(one) == set(other) == {"tiles", "body"}
    for key, values in one.items():
        assert values.dtype == other[key].dtype
        np.testing.assert_array_equal(values, other[key], f"{key} {what}")


def step_sb3(env: MisgenVecEnv, actions: NDArray[np.int64]) -> tuple[Any, ...]:
    return env.step(actions)


# --- each view's contract


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"correlation": 0.98, "mode": "easy", "action_set": "distinct"},
        {"correlation": 0, "placement": "anywhere", "terrain": "langosco", "max_steps": 40},
    ],
)
def test_gymnasium_check(arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(ID, **arguments).unwrapped, skip_render_check=True)


def test_stable_baselines_check():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # It would have windows of tiles flattened; the encoders here read them as they are.
        warnings.filterwarnings("ignore", "Your observation tiles has an unconventional shape")
        check_env_sb3(MisgenEnv(MIXED), skip_render_check=True)


def test_made_by_gymnasium():
    env = gymnasium.make(ID, correlation=0.25, mode="easy", start_level=100, num_levels=7)
    unwrapped: Any = env.unwrapped
    assert isinstance(unwrapped, MisgenEnv)
    distribution = unwrapped.distribution
    assert distribution.correlation == 0.25
    assert distribution.world == CoinRun(mode="easy")
    assert str(distribution.ids) == "100:107"
    assert gymnasium.spec(ID).max_episode_steps is None  # the engine truncates, no wrapper does
    by_module = gymnasium.make("misgen.envs:misgen/CoinRun-v0")
    assert isinstance(by_module.unwrapped, MisgenEnv)


def test_vector_made_by_gymnasium():
    env: Any = gymnasium.make_vec(ID, num_envs=3, correlation=0.5, placement="anywhere")
    assert isinstance(env.unwrapped, MisgenVectorEnv)
    assert env.num_envs == 3
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observation, infos = env.reset(seed=3)
    assert observation in env.observation_space
    assert infos["level_id"].shape == (3,)
    observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert (reward.dtype, terminated.dtype, truncated.dtype) == (np.float32, np.bool_, np.bool_)
    assert reward.shape == terminated.shape == truncated.shape == (3,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"correlation": 1.2}, "correlation=1.2 is out of range"),
        ({"correlation": float("nan")}, "correlation=nan is out of range"),
        ({"placement": "nowhere"}, "placement='nowhere' is not known"),
        ({"mode": "hrad"}, "did you mean 'hard'?"),
        ({"mdoe": "hard"}, "env.mdoe='hard' is not a parameter of coinrun"),
        ({"max_steps": 0}, "env.max_steps=0 is out of range"),
        ({"max_steps": "100"}, "env.max_steps='100' must be of type int"),
        ({"action_repeat": True}, "env.action_repeat=True must be of type int"),
        ({"num_levels": -1}, "is not a range of level ids"),
        ({"num_levels": 1.5}, "num_levels=1.5 is not allowed: give a whole number"),
        ({"start_level": True}, "start_level=True is not allowed: give a whole number"),
        ({"start_level": -1}, "is not a range of level ids"),
    ],
)
def test_impossible_arguments(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        gymnasium.make(ID, **arguments)


def test_step_before_reset():
    with pytest.raises(UserError, match="call reset first"):
        MisgenEnv(MIXED).step(np.int64(0))
    for view in (MisgenVectorEnv(MIXED, 2), MisgenVecEnv(MIXED, 2)):
        with pytest.raises(UserError, match="call reset first"):
            view.step(np.zeros(2, np.int64))


def test_step_after_the_end():
    """It would pay the last reward again."""
    env = MisgenEnv(MIXED)
    env.reset(seed=0)
    while not any(env.step(np.int64(7))[2:4]):
        pass
    with pytest.raises(UserError, match="after the episode's end"):
        env.step(np.int64(7))
    env.reset()
    env.step(np.int64(7))


def test_observations_are_fresh():
    """What a view returned never changes under the caller's hands."""
    env = MisgenVectorEnv(MIXED, 2)
    first, _ = env.reset(seed=0)
    kept = {key: values.copy() for key, values in first.items()}
    rewards = [env.step(np.full(2, 7))[1] for _ in range(60)]
    assert_same_observation(first, kept, "after 60 steps")
    assert not np.shares_memory(rewards[0], rewards[1])


def test_options_choose_the_levels():
    ids = [17, 3, 17, 99_999_999]
    env = MisgenVectorEnv(MIXED, 4)
    observation, infos = env.reset(seed=0, options={"level_ids": ids})
    assert infos["level_id"].tolist() == ids
    for slot, level_id in enumerate(ids):
        single = MisgenEnv(MIXED)
        alone, info = single.reset(options={"level_ids": [level_id]})
        assert info == {"level_id": level_id}
        assert_same_observation(alone, {k: v[slot] for k, v in observation.items()}, level_id)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level_ids": [1, 2]}, "has 2 ids for 3 slots"),
        ({"level": [1, 2, 3]}, "reset option='level' is not known: use one of level_ids, levels"),
        ({"level_ids": [1, 2, -1]}, "are not level ids"),
        ({"level_ids": [1, 2, 2**31]}, "are not level ids"),
        ({"level_ids": [1, 2, 2.5]}, "are not level ids"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UserError, match=message):
        MisgenVectorEnv(MIXED, 3).reset(options=options)


def test_seeds():
    env = MisgenEnv(MIXED)
    first = [env.reset(seed=5 if i == 0 else None)[1]["level_id"] for i in range(6)]
    again = [env.reset(seed=5 if i == 0 else None)[1]["level_id"] for i in range(6)]
    other = [env.reset(seed=6 if i == 0 else None)[1]["level_id"] for i in range(6)]
    assert first == again
    assert len(set(first)) == 6
    assert not set(first) & set(other)
    unseeded = {MisgenEnv(MIXED).reset()[1]["level_id"] for _ in range(4)}
    assert len(unseeded) > 1


# --- the end of an episode in the vector views


def test_final_infos_belong_to_the_finished_episode():
    """Against each slot's level played on its own, over many resets."""
    slots, steps = 5, 150
    env = MisgenVectorEnv(MIXED, slots)
    observation, infos = env.reset(seed=11)
    alone = [MisgenEnv(MIXED) for _ in range(slots)]
    level_ids = infos["level_id"].copy()
    for slot, single in enumerate(alone):
        single.reset(options={"level_ids": [level_ids[slot]]})
    ends = 0
    for t, action in enumerate(random_actions(steps, slots)):
        observation, reward, terminated, truncated, infos = env.step(action)
        done = terminated | truncated
        assert bool(infos) == bool(done.any())
        if infos:
            assert set(infos) == {"final_obs", "_final_obs", "final_info", "_final_info"}
            np.testing.assert_array_equal(infos["_final_obs"], done)
            np.testing.assert_array_equal(infos["_final_info"], done)
            assert [obs is not None for obs in infos["final_obs"]] == done.tolist()
            assert {key for key in infos["final_info"] if key[0] != "_"} == INFO_KEYS
        for slot, single in enumerate(alone):
            what = f"slot {slot}, level {level_ids[slot]}, step {t}"
            last, *rest, info = single.step(action[slot])
            assert rest == [reward[slot], terminated[slot], truncated[slot]], what
            now = {key: values[slot] for key, values in observation.items()}
            if not done[slot]:
                assert_same_observation(last, now, what)
                continue
            ends += 1
            assert_same_observation(last, infos["final_obs"][slot], what)
            assert info["level_id"] == level_ids[slot]
            for name in INFO_KEYS - {"outcome"}:
                assert infos["final_info"][f"_{name}"][slot]
                assert infos["final_info"][name][slot] == info[name], f"{name}, {what}"
            level_ids[slot] = env.engine.level_ids[slot]
            begun, _ = single.reset(options={"level_ids": [level_ids[slot]]})
            assert_same_observation(begun, now, what)
    assert ends > 15


def test_vec_env_is_the_vector_env():
    """Both views of five slots, in every array, over many resets."""
    slots = 5
    gym_view, sb3_view = MisgenVectorEnv(MIXED, slots), MisgenVecEnv(MIXED, slots, seed=11)
    one, _ = gym_view.reset(seed=11)
    other = sb3_view.reset()
    assert_same_observation(one, other, "at reset")
    ends = truncations = 0
    for t, action in enumerate(random_actions(150, slots)):
        one, reward, terminated, truncated, infos = gym_view.step(action)
        other, reward_sb3, done, infos_sb3 = step_sb3(sb3_view, action)
        assert_same_observation(one, other, f"at step {t}")
        np.testing.assert_array_equal(reward, reward_sb3)
        np.testing.assert_array_equal(terminated | truncated, done)
        assert [bool(info) for info in infos_sb3] == done.tolist()
        for slot in np.flatnonzero(done):
            info = infos_sb3[slot]
            ends += 1
            truncations += int(truncated[slot])
            assert_same_observation(infos["final_obs"][slot], info["terminal_observation"], t)
            assert info["TimeLimit.truncated"] is bool(truncated[slot])
            assert info["episode"] == {"r": info["return"], "l": info["steps"]}
            for name in INFO_KEYS - {"outcome"}:
                assert infos["final_info"][name][slot] == info[name]
    assert ends > 15
    assert truncations > 0


def test_the_three_views_of_one_slot_are_one():
    single, vector, vec = MisgenEnv(MIXED), MisgenVectorEnv(MIXED, 1), MisgenVecEnv(MIXED, 1, 4)
    now, info = single.reset(seed=4)
    one, infos = vector.reset(seed=4)
    other = vec.reset()
    levels = {info["level_id"]}
    assert infos["level_id"].tolist() == [info["level_id"]] == [vec.engine.level_ids[0]]
    for t, action in enumerate(random_actions(600, 1)):
        now, reward, terminated, truncated, info = single.step(action[0])
        one, *rest, infos = vector.step(action)
        other, reward_sb3, done, infos_sb3 = step_sb3(vec, action)
        assert [values[0] for values in rest] == [reward, terminated, truncated], t
        assert (reward_sb3[0], done[0]) == (reward, terminated or truncated), t
        assert bool(info) == done[0]
        if done[0]:
            sb3_info = dict(infos_sb3[0])
            assert_same_observation(now, infos["final_obs"][0], t)
            assert_same_observation(now, sb3_info.pop("terminal_observation"), t)
            assert sb3_info.pop("TimeLimit.truncated") is (truncated and not terminated)
            del sb3_info["episode"]
            assert info == sb3_info
            now, info = single.reset()
            levels.add(info["level_id"])
        assert_same_observation(now, {k: v[0] for k, v in one.items()}, t)
        assert_same_observation(now, {k: v[0] for k, v in other.items()}, t)
    assert len(levels) > 10


def test_truncation_and_termination_exclude_each_other():
    env = MisgenVectorEnv(MIXED, 16)
    env.reset(seed=0)
    ended = np.zeros(2, int)
    for action in random_actions(200, 16):
        _, _, terminated, truncated, _ = env.step(action)
        assert not (terminated & truncated).any()
        ended += [terminated.sum(), truncated.sum()]
    assert (ended > 5).all()


# --- what stable-baselines3 asks of a VecEnv


def test_vec_env_attributes_and_seeds():
    env = MisgenVecEnv(MIXED, 3, seed=1)
    assert env.get_attr("distribution") == [MIXED] * 3
    assert env.get_attr("num_envs", [0, 2]) == [3, 3]
    assert env.env_is_wrapped(VecMonitor, 1) == [False]
    with pytest.raises(UserError, match="cannot be set"):
        env.set_attr("distribution", MIXED)
    with pytest.raises(UserError, match="cannot be called"):
        env.env_method("reset")
    env.reset()
    first = env.engine.level_ids.copy()
    env.reset()
    assert not np.array_equal(env.engine.level_ids, first)  # the stream goes on
    assert list(env.seed(1)) == [1, 1, 1]
    env.reset()
    np.testing.assert_array_equal(env.engine.level_ids, first)
    env.close()


def test_stable_baselines_learns_from_it():
    """PPO as it comes, bootstrapping at time-outs, runs on the view."""
    env = VecMonitor(MisgenVecEnv(MIXED, 4, seed=0))
    model = PPO("MultiInputPolicy", env, n_steps=64, batch_size=128, n_epochs=1, seed=0)
    model.learn(512)
    assert model.num_timesteps == 512
    assert model.ep_info_buffer
    returns = {entry["r"] for entry in model.ep_info_buffer}
    assert returns <= {0.0, 10.0}


# --- what may be seen


def test_observations_lie_in_their_space_and_use_all_classes():
    """Over long random play in all modes: bounds, shapes and codes."""
    seen: set[int] = set()
    for mode in ("easy", "hard"):
        world = CoinRun(mode=mode, max_steps=150)
        env = MisgenVectorEnv(LevelDistribution(world, 0.5, "anywhere"), 64)
        space = env.observation_space
        observation, _ = env.reset(seed=0)
        for action in np.random.default_rng(1).choice([2, 4, 5, 7, 8, 7, 8, 8], (400, 64)):
            assert observation in space
            assert observation["tiles"].shape == (64, WINDOW, WINDOW)
            assert (observation["body"][:, 2:] >= 0).all()
            assert (observation["body"][:, 2:] < 1).all()
            seen.update(np.unique(observation["tiles"]).tolist())
            observation, *_ = env.step(action)
    assert seen == set(range(len(CLASSES)))


@pytest.mark.parametrize("placement", ["section_start", "anywhere"])
@pytest.mark.parametrize("terrain", ["procgen", "langosco", "langosco_aisc"])
def test_nothing_tells_the_twins_apart_but_the_coin_in_sight(terrain, placement):
    """The same id at correlation 1 and 0, played alike: whatever differs is the coin itself."""
    count, steps = 200, 60
    ids = np.arange(count)
    world = CoinRun(terrain=terrain)
    slots = np.arange(count)
    twins = []
    for correlation in (1.0, 0.0):
        engine = Engine(world, count)
        engine.load(slots, LevelDistribution(world, correlation, placement).levels(ids))
        twins.append(engine)
    aligned, conflict = twins
    assert aligned.aligned.all()
    assert not conflict.aligned.any()
    coin = CLASSES.index("coin")
    moves = np.random.default_rng(0).choice([4, 5, 7, 8, 8], (steps, count))
    different = blind = 0
    for t in range(steps):
        alive = aligned.episodes["running"] & conflict.episodes["running"]
        one, other = aligned.observe(), conflict.observe()
        np.testing.assert_array_equal(one["body"][alive], other["body"][alive], f"step {t}")
        names = ("proxy_cell", "goal_cell")
        shown = np.stack([in_window(conflict, name) & alive[:, None, None] for name in names])
        for place, seen in zip(shown, (one["tiles"], other["tiles"]), strict=True):
            assert (seen[place] >= coin).all()  # the coin, or what stands before it
        differs = (one["tiles"] != other["tiles"]) & alive[:, None, None]
        where = np.argwhere(differs & ~shown.any(axis=0))
        assert not len(where), f"level {where[0][0]} at step {t}: {where[0]}"
        for at, with_coin, without in ((shown[0], one, other), (shown[1], other, one)):
            assert (with_coin["tiles"][differs & at] == coin).all()
            assert (without["tiles"][differs & at] == CLASSES.index("free")).all()
        different += int(differs.any(axis=(1, 2)).sum())
        blind += int((alive & ~shown.any(axis=(0, 2, 3))).sum())
        for engine in twins:
            engine.step(moves[t])
    assert different > 1000
    assert blind > 100


def in_window(engine: Engine, name: str) -> NDArray[np.bool_]:
    """Return where in each slot's window a cell lies, bool [n, WINDOW, WINDOW], row 0 on top."""
    out = np.zeros((engine.num_slots, WINDOW, WINDOW), np.bool_)
    column = engine.states[name][:, 0] - engine.states["x"].astype(int) + WINDOW // 2
    row = engine.states["y"].astype(int) + WINDOW // 2 - engine.states[name][:, 1]
    inside = (column >= 0) & (column < WINDOW) & (row >= 0) & (row < WINDOW)
    out[np.flatnonzero(inside), row[inside], column[inside]] = True
    return out


def test_the_window_is_centred_and_upright():
    """Against the level's own tiles, cell by cell, at the start of some levels."""
    world = CoinRun()
    engine = Engine(world, 20)
    levels = LevelDistribution(world).levels(np.arange(20))
    engine.load(np.arange(20), levels)
    engine.states["x"] += 7
    engine.states["y"] += 5
    window = engine.observe()["tiles"]
    names = {15: "wall", 16: "wall", 17: "lava", 18: "lava", 1: "coin"}
    kinds = {2: "saw", 20: "crate"}
    for i, level in enumerate(levels):
        things = {(int(e["x"]), int(e["y"])): e for e in level.entities}
        for row in range(WINDOW):
            for column in range(WINDOW):
                x, y = 8 + column - 6, 6 + 6 - row
                expected = names.get(int(level.tiles[y, x]), "free")
                if (x, y) in things:
                    thing = things[x, y]
                    direction = "right" if thing["vx"] > 0 else "left"
                    expected = kinds.get(int(thing["kind"]), f"enemy to the {direction}")
                assert CLASSES[window[i, row, column]] == expected, (i, x, y)


def test_streams_are_those_of_the_distribution():
    """A view takes its levels from the stream of its seed, slot by slot."""
    env = MisgenVectorEnv(MIXED, 3)
    env.reset(seed=8)
    taken = [[int(level_id)] for level_id in env.engine.level_ids]
    for action in random_actions(200, 3):
        _, _, terminated, truncated, _ = env.step(action)
        for slot in np.flatnonzero(terminated | truncated):
            taken[slot].append(int(env.engine.level_ids[slot]))
    stream = LevelStream(MIXED, 3, 8)
    drawn = [stream.next(np.arange(3)).ids.tolist() for _ in range(max(map(len, taken)))]
    for slot, ids in enumerate(taken):
        assert len(ids) > 3
        assert ids == [row[slot] for row in drawn][: len(ids)]
