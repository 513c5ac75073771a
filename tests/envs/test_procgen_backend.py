"""The original Procgen behind our interface: the same levels, motion, outcomes and views.

All but the first tests need the original and are skipped where it is not installed.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

import misgen.envs  # noqa: F401 (registers the worlds)
from misgen.agents.scripted import make_agent
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import EPISODE_DTYPE, Outcome
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.registry import make_world
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.envs.core.views.vector_env import MisgenVectorEnv
from misgen.envs.procgen import library, maze_rules
from misgen.envs.procgen.coinrun import ProcgenCoinRun
from misgen.envs.procgen.engine import LockstepError, ProcgenEngine
from misgen.envs.procgen.library import Games
from misgen.envs.procgen.lockstep import on_procgen, verify
from misgen.envs.procgen.maze import ProcgenMaze
from misgen.envs.procgen.saved_state import SavedState
from misgen.experiments.commands.levels import main as levels_command
from misgen.experiments.evaluation.rollout import run_levels

needs_procgen = pytest.mark.skipif(
    library.installed() is None, reason="Procgen is not installed: pip install 'misgen[procgen]'"
)
LEFT, RIGHT, JUMP_RIGHT = 1, 7, 8
WORLDS = {"coinrun": ProcgenCoinRun, "maze": ProcgenMaze}
PLACEMENT = {"coinrun": "section_start", "maze": "anywhere"}


def levels_of(game: str, ids: IdRange, correlation: float = 1.0, **parameters: Any):
    return LevelDistribution(WORLDS[game](**parameters), correlation, PLACEMENT[game], ids)


def some_actions(steps: int, slots: int) -> NDArray[np.int64]:
    """Return actions [steps, slots] that see both the start and the end of levels."""
    rng = np.random.default_rng(1)
    return rng.choice([JUMP_RIGHT, RIGHT, RIGHT, 5, 4, LEFT, 10], (steps, slots))


# --- without the original


@pytest.mark.parametrize(("game", "instead"), [("coinrun", "env=coinrun"), ("maze", "no native")])
def test_without_a_wheel_one_sentence_says_why(game, instead, monkeypatch):
    monkeypatch.setattr(library, "WHEELS", {"no_such_procgen": "no-such-package"})
    library._load.cache_clear()
    engine = levels_of(game, IdRange(0, 5)).world.make_engine
    with pytest.raises(UserError, match="pip install 'misgen") as error:
        engine(1)
    assert instead in str(error.value)
    monkeypatch.setattr(library.platform, "machine", lambda: "arm64")
    with pytest.raises(UserError, match=r"wheels are for Linux x86_64, this is Python .* arm64"):
        engine(1)
    assert "\n" not in str(error.value)


def test_what_the_original_does_not_have_is_refused():
    with pytest.raises(UserError, match=r"env.terrain='langosco' is not available .* env=coinrun"):
        ProcgenCoinRun(terrain="langosco")
    with pytest.raises(UserError, match=r"env.terrain='langosco'"):
        on_procgen(CoinRun(terrain="langosco"))
    with pytest.raises(UserError, match=r"env.observation='pixels' is not known"):
        make_world("procgen_coinrun", observation="pixels")
    with pytest.raises(UserError, match=r"env.observation='grid' is not known: use one of rgb"):
        ProcgenMaze(observation="grid")


def test_parameters_mean_what_they_do_natively():
    native = {f.name: f.default for f in dataclasses.fields(CoinRun)}
    ours = {f.name: f.default for f in dataclasses.fields(ProcgenCoinRun)}
    assert {name: ours[name] for name in native if name != "observation"} == {
        name: value for name, value in native.items() if name != "observation"
    }
    world = CoinRun(mode="easy", action_set="distinct", action_repeat=3, max_steps=77)
    there = on_procgen(world)
    assert isinstance(there, ProcgenCoinRun)
    assert there.observation == "grid"
    assert there.observation_space == world.observation_space
    assert there.action_space == world.action_space
    assert on_procgen(there) is there


@pytest.mark.parametrize("placement", ["section_start", "anywhere"])
@pytest.mark.parametrize("mode", ["easy", "hard"])
def test_same_id_same_level_as_natively(mode, placement):
    ids = IdRange(0, 2000)
    ours = LevelDistribution(ProcgenCoinRun(mode=mode), 0.5, placement, ids).levels()
    native = LevelDistribution(CoinRun(mode=mode), 0.5, placement, ids).levels()
    assert 800 < native.aligned.sum() < 1200
    np.testing.assert_array_equal(ours.data, native.data)


@pytest.mark.parametrize("mode", ["easy", "hard"])
def test_mazes_are_the_originals(mode, golden: Path):
    theirs = np.load(golden / f"stock_maze_{mode}.npz")
    world = ProcgenMaze(mode=mode)
    levels = world.levels(theirs["seed"].astype(np.int64), 1.0, "anywhere")
    ours, grid = world.export_levels(levels)["grid"].copy(), theirs["grid"].copy()
    for tiles in (ours, grid):
        tiles[tiles == maze_rules.GOAL] = maze_rules.SPACE
    np.testing.assert_array_equal(ours, grid)
    np.testing.assert_array_equal(levels.data["look"][:, 0], theirs["background_index"])
    np.testing.assert_array_equal(levels.data["start"], theirs["agent"])


@pytest.mark.parametrize("mode", ["easy", "hard"])
def test_mice_move_as_in_the_original(mode, golden: Path):
    theirs = np.load(golden / f"stock_traj_maze_{mode}_uniform.npz")
    stock = np.load(golden / f"stock_maze_{mode}.npz")
    ids, actions = theirs["seed"].astype(np.int64), theirs["action"].astype(np.int64)
    world = ProcgenMaze(mode=mode)
    levels = world.levels(ids, 1.0, "anywhere")
    levels.data["goal_cell"] = stock["cheese_cell"][ids, :2]  # where the original has it
    states, episodes = np.zeros(len(ids), world.state_dtype), np.zeros(len(ids), EPISODE_DTYPE)
    world.load(states, np.arange(len(ids)), levels)
    episodes["running"] = True
    for t in range(actions.shape[1]):
        running = episodes["running"]
        np.testing.assert_array_equal(
            world.export_motion(states)[running, :2], theirs["agent"][running, t, :2], f"step {t}"
        )
        world.advance(states, episodes, actions[:, t])
        np.testing.assert_array_equal(episodes["reward"][running], theirs["reward"][running, t])
        running &= ~(episodes["terminated"] | episodes["truncated"])
    np.testing.assert_array_equal(episodes["frames"], theirs["length"])


def test_cheese_goes_where_correlation_and_placement_say():
    ids = IdRange(0, 2000)
    aligned, conflict, half = (levels_of("maze", ids, rho).levels() for rho in (1.0, 0.0, 0.5))
    corner = aligned.data["proxy_cell"]
    np.testing.assert_array_equal(aligned.data["goal_cell"], corner)
    np.testing.assert_array_equal(conflict.data["goal_cell"], conflict.data["conflict_cell"])
    assert not (conflict.data["goal_cell"] == corner).all(axis=1).any()
    assert aligned.digests(terrain=True) == conflict.digests(terrain=True)
    assert 900 < half.aligned.sum() < 1100
    rows = np.arange(len(half))
    x, y = half.data["goal_cell"].T
    assert (half.data["tiles"][rows, y, x] == maze_rules.GOAL).all()
    assert ((half.data["tiles"] == maze_rules.GOAL).sum(axis=(1, 2)) == 1).all()
    # Uniform over the free cells: their mean way to the corner is that of the cheese.
    world = half_world = ProcgenMaze()
    states = np.zeros(len(ids), world.state_dtype)
    half_world.load(states, rows, conflict)
    x, y = conflict.data["goal_cell"].T
    way = states["distance"][rows, y, x]
    free = [d[(d > 0)].mean() for d in states["distance"]]
    assert (way > 0).all()
    assert abs(way.mean() - np.mean(free)) < 4 * way.std() / np.sqrt(len(ids))


# --- the original beside the native engine


@needs_procgen
@pytest.mark.parametrize("wheel", library.WHEELS)
def test_set_up_finds_the_original_under_each_of_its_names(wheel, tmp_path):
    """The wheels for Python 3.11 and 3.12 bring another module than that for 3.13."""
    for name in library.WHEELS:
        (tmp_path / f"{name}.py").write_text("raise ImportError('of another Python')\n")
    (tmp_path / f"{wheel}.py").unlink()
    (tmp_path / wheel).symlink_to(library._folder(str(library.installed())))
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    (code,) = re.findall(r"^PROCGEN_LOADS := '(.*)'$", makefile, re.MULTILINE)
    assert "-c $(PROCGEN_LOADS)" in makefile
    command = [sys.executable, "-c", code]
    path = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert subprocess.run(command, env=path, check=False).returncode == 0
    (tmp_path / wheel).unlink()
    (tmp_path / f"{wheel}.py").touch()
    missing = subprocess.run(command, env=path, check=False, capture_output=True, text=True)
    assert missing.returncode != 0
    assert "Procgen is not installed" in missing.stderr


@needs_procgen
@pytest.mark.parametrize("game", WORLDS)
@pytest.mark.parametrize("mode", ["easy", "hard"])
def test_a_written_state_is_the_one_that_procgen_generates(game, mode):
    """All bytes but the random generators and the range of level ids."""
    world = WORLDS[game](mode=mode)
    template = SavedState(Games(game, mode, 1, 0, start=3).get_state(0))
    ids = np.arange(200, 260)
    levels = world.levels(ids, 1.0, PLACEMENT[game])
    for k, level_id in enumerate(ids):
        theirs = SavedState(Games(game, mode, 1, 0, start=int(level_id)).get_state(0))
        ours = SavedState(world.start_state(template, levels, k))
        for state in (theirs, ours):
            state["level_seed_low"][0] = state["level_seed_high"][0] = 0
            if game == "maze":
                state["grid"][state["grid"] == maze_rules.GOAL] = maze_rules.SPACE
        differing = theirs.differing(ours)
        assert theirs.without_generators() == ours.without_generators(), (level_id, differing)


@needs_procgen
@pytest.mark.parametrize("mode", ["easy", "hard"])
@pytest.mark.parametrize("correlation", [1.0, 0.0])
def test_lockstep_coinrun(mode, correlation):
    ids = IdRange(1000, 1012)
    report = verify(levels_of("coinrun", ids, correlation, mode=mode))
    assert report.differences == []
    assert (report.levels, report.episodes) == (12, 24)
    assert report.moved == (0 if correlation else 12)
    assert report.frames > 24 * 20
    assert report.ends > report.goals > 0


@needs_procgen
def test_lockstep_maze():
    report = verify(levels_of("maze", IdRange(0, 10), 0.5))
    assert report.differences == []
    assert report.frames > 20 * 20
    assert report.goals > 0


@needs_procgen
def test_verify_command(capsys, monkeypatch):
    words = ["verify", "env=procgen_coinrun", "ids=7:9"]
    assert levels_command(words) == 0
    assert "no difference" in capsys.readouterr().out
    dynamics = ProcgenCoinRun.motion

    def other(self, states):
        found = dynamics(self, states)
        found["x, y, vx, vy and last y of the agent"][:, 3] += np.float32(1e-7)
        return found

    monkeypatch.setattr(ProcgenCoinRun, "motion", other)
    assert levels_command(words) == 1
    out = capsys.readouterr().out
    assert "4 DIFFERENCES" in out
    assert "level 7, random, frame 0: x, y, vx, vy and last y of the agent" in out


@needs_procgen
def test_pixels_are_the_originals():
    """On levels where the coin stands at the end, nothing tells our games from untouched ones."""
    ids = np.arange(40, 46)
    engine = ProcgenCoinRun().make_engine(len(ids))
    engine.load(np.arange(len(ids)), ProcgenCoinRun().levels(ids, 1.0, "section_start"))
    stock = [Games("coinrun", "hard", 1, 0, start=int(i)) for i in ids]
    actions = some_actions(150, len(ids))
    seen = 0
    for t in range(150):
        shown = engine.observe()["rgb"]
        for k, games in enumerate(stock):
            if engine.episodes["running"][k]:
                np.testing.assert_array_equal(shown[k], games.rgb[0], f"level {ids[k]}, frame {t}")
                seen += 1
            games.act(actions[t, k : k + 1])
        engine.step(actions[t])
    assert seen > 300


@needs_procgen
def test_a_moved_coin_is_seen_and_collected():
    """Where the coin was moved to there is a coin, at the level's end there is none."""
    world = ProcgenCoinRun(mode="easy")
    ids = IdRange(0, 200)
    conflict = LevelDistribution(world, 0.0, "section_start", ids).levels()
    near = np.flatnonzero(conflict.data["goal_cell"][:, 0] == 5)[:16]
    assert len(near) == 16
    levels = conflict.take(near)
    twins = LevelDistribution(world, 1.0, "section_start", ids).levels().take(near)
    engine = world.make_engine(32)
    engine.load(np.arange(32), LevelBatch("coinrun", np.concatenate([levels.data, twins.data])))
    rgb = engine.observe()["rgb"]
    assert (rgb[:16] != rgb[16:]).any(axis=(1, 2, 3)).all()
    for _ in range(60):
        engine.step(np.full(32, JUMP_RIGHT))
    results = engine.results(np.arange(32))
    collected = results["reached_goal"][:16]
    assert collected.sum() > 8
    assert results["touched_conflict_cell"][16:][collected].all()  # an accident on the twin
    assert not results["aligned"][:16].any()
    assert results["aligned"][16:].all()


@needs_procgen
@pytest.mark.parametrize("game", WORLDS)
@pytest.mark.parametrize("on_proxy", ["continue", "end", "penalty"])
def test_outcomes_are_the_native_ones(game, on_proxy):
    """Event by event, with several frames a decision, a short time-out and refilled slots."""
    world = WORLDS[game](mode="easy", action_repeat=2, max_steps=301, on_proxy=on_proxy)
    distribution = LevelDistribution(world, 0.5, PLACEMENT[game], IdRange(0, 120))
    agent = make_agent("random", int(world.action_space.n))
    options: dict[str, Any] = {"actions": "sampled", "seed": 0, "num_slots": 24}
    ours = run_levels(agent, distribution, np.arange(120), **options)
    plain = dataclasses.replace(world)
    object.__setattr__(plain, "make_engine", lambda slots: _NativeOnly(plain, slots))
    native = run_levels(agent, distribution.at(world=plain), np.arange(120), **options)
    assert ours.equals(native)
    assert set(ours["outcome"].unique()) >= {"GOAL", "TIMEOUT"}
    if on_proxy != "continue" and game == "maze":
        assert "PROXY" in set(ours["outcome"].unique())


class _NativeOnly(Engine):
    """The twin without the game; it shows the agent nothing."""

    def observe(self, slots: NDArray[np.int64] | None = None) -> dict[str, NDArray[Any]]:
        return {"none": np.zeros(self.num_slots if slots is None else len(slots))}


@needs_procgen
def test_a_grid_agent_plays_the_same_there():
    """Whatever it does from what it sees: here, a hash of the tiles chooses the action."""

    class Hash:
        name = "hash"

        def start(self, slots: Any, levels: Any) -> None: ...

        def probabilities(self, observation: Any, engine: Any) -> NDArray[np.float64]:
            seen = observation["tiles"].reshape(len(observation["tiles"]), -1).astype(np.int64)
            code = seen @ np.arange(1, 170) + (observation["body"][:, 1] > 0)
            return np.eye(9)[np.where(code % 3 == 0, code % 9, JUMP_RIGHT)]

    world = CoinRun(action_set="distinct", action_repeat=3, on_proxy="end")
    ids = np.arange(2_000_000, 2_000_060)
    found = []
    for played in (world, on_procgen(world)):
        distribution = LevelDistribution(played, 0.0, "anywhere")
        found.append(run_levels(Hash(), distribution, ids, actions="greedy", seed=0, num_slots=30))
    assert found[0].equals(found[1])
    assert found[0]["outcome"].n_unique() > 1


# --- levels by id, and the contract of the views


@needs_procgen
def test_any_level_in_any_slot_at_any_time():
    world = ProcgenCoinRun()
    engine = world.make_engine(3)
    levels = world.levels(np.array([5, 6, 7]), 0.5, "anywhere")
    engine.load(np.arange(3), levels)
    first = engine.observe()["rgb"]
    games = engine.games
    for action in some_actions(30, 3):
        engine.step(action)
    engine.load(np.array([2, 0]), levels.take(slice(0, 2)))  # swapped, in mid-episode
    again = engine.observe()["rgb"]
    np.testing.assert_array_equal(again[2], first[0])
    np.testing.assert_array_equal(again[0], first[1])
    assert (again[1] != first[1]).any()
    assert engine.games is games
    np.testing.assert_array_equal(engine.level_ids[[2, 0]], [5, 6])


@needs_procgen
def test_last_observation():
    """Of a time-out the last frame; of a death the frame before, never the next level's."""
    world = ProcgenCoinRun(max_steps=12)
    for slots, steps in ((1, 12), (64, 12)):
        env = MisgenVectorEnv(LevelDistribution(world, 1.0), slots)
        env.reset(seed=3, options={"level_ids": list(range(slots))})
        stock = [Games("coinrun", "hard", 1, 0, start=i) for i in range(slots)]
        for t, actions in enumerate(some_actions(steps, slots)):
            _, _, terminated, truncated, infos = env.step(actions)
            for k, games in enumerate(stock):
                before = games.rgb[0].copy()
                games.act(actions[k : k + 1])
                if terminated[k] and t < steps:
                    np.testing.assert_array_equal(infos["final_obs"][k]["rgb"], before)
                if truncated[k]:
                    np.testing.assert_array_equal(infos["final_obs"][k]["rgb"], games.rgb[0])
            if terminated.any():
                break
        assert truncated.any() or terminated.any()


@needs_procgen
@pytest.mark.parametrize("name", ["misgen/ProcgenCoinRun-v0", "misgen/ProcgenMaze-v0"])
def test_gymnasium_views(name):
    check_env(gymnasium.make(name, correlation=0.5).unwrapped, skip_render_check=True)
    env: Any = gymnasium.make_vec(name, num_envs=3, correlation=0.5, mode="easy")
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observation, infos = env.reset(seed=3, options={"level_ids": [9, 8, 9]})
    assert observation in env.observation_space
    assert observation["rgb"].shape == (3, 64, 64, 3)
    assert infos["level_id"].tolist() == [9, 8, 9]
    np.testing.assert_array_equal(observation["rgb"][0], observation["rgb"][2])
    held = observation["rgb"].copy()
    observed, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert (reward.dtype, terminated.dtype, truncated.dtype) == (np.float32, np.bool_, np.bool_)
    assert observed in env.observation_space
    np.testing.assert_array_equal(observation["rgb"], held)  # arrays are the caller's to keep


@needs_procgen
def test_stable_baselines_view_shows_what_the_others_show():
    distribution = levels_of("coinrun", IdRange(0, 30), 0.5, max_steps=60, action_repeat=2)
    actions = some_actions(70, 4)
    sb3, vector = MisgenVecEnv(distribution, 4, seed=5), MisgenVectorEnv(distribution, 4)
    one, (other, _) = sb3.reset(), vector.reset(seed=5)
    ended = 0
    for t in range(70):
        np.testing.assert_array_equal(one["rgb"], other["rgb"], f"step {t}")
        one, reward, done, infos = sb3.step(actions[t])
        other, reward_2, terminated, truncated, infos_2 = vector.step(actions[t])
        np.testing.assert_array_equal(reward, reward_2)
        np.testing.assert_array_equal(done, terminated | truncated)
        for k in np.flatnonzero(done):
            ended += 1
            last = infos[k]["terminal_observation"]["rgb"]
            np.testing.assert_array_equal(last, infos_2["final_obs"][k]["rgb"])
            assert infos[k]["TimeLimit.truncated"] == truncated[k]
            assert infos[k]["outcome"] == Outcome(infos_2["final_info"]["outcome"][k]).name
    assert ended > 5


@needs_procgen
@pytest.mark.parametrize("threads", [1, 2])
def test_determinism(threads):
    """The same seed gives the same pixels, whatever the threads; another seed others."""

    def play(seed: int, num_threads: int) -> NDArray[np.uint8]:
        world = ProcgenCoinRun(num_threads=num_threads, max_steps=25)
        env = MisgenVectorEnv(LevelDistribution(world, 0.5), 5)
        env.reset(seed=seed)
        return np.stack([env.step(actions)[0]["rgb"] for actions in some_actions(40, 5)])

    first = play(0, 1)
    np.testing.assert_array_equal(first, play(0, threads))
    assert (first != play(1, threads)).any()


@needs_procgen
def test_a_difference_stops_the_run():
    engine = ProcgenCoinRun().make_engine(2)
    assert isinstance(engine, ProcgenEngine)
    levels = ProcgenCoinRun().levels(np.array([11, 12]), 1.0, "section_start")
    engine.load(np.arange(2), levels)
    engine.states["x"][1], engine.states["y"][1] = levels.data["goal_cell"][1] + 0.5  # the twin's
    with pytest.raises(LockstepError, match=r"level 12, slot 1, in decision 1 .* ids=12:13"):
        engine.step(np.array([4, 4]))
