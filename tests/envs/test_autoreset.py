"""Autoreset in the next step and by the caller; single environments that run side by side."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers
from numpy.typing import NDArray

import misgen.envs  # noqa: F401 (registers the worlds)
from misgen.envs.core.errors import UserError
from misgen.envs.core.views.vector_env import MisgenVectorEnv
from misgen.envs.make import distribution

ID = "misgen/CornerMaze-v0"
SHORT: dict[str, Any] = {"action_set": "distinct", "max_steps": 12, "correlation": 0.5}
MAZE = distribution("corner_maze", **SHORT)
SLOTS = 4
COUNTS_ARIGHT = tuple(map(int, gymnasium.__version__.split(".")[:2])) >= (1, 4)
"""Whether gymnasium's own statistics are right in all modes; before, they were in NEXT_STEP."""


def made(mode: Any, slots: int = SLOTS) -> MisgenVectorEnv:
    return MisgenVectorEnv(MAZE, slots, mode)


def action_of(level_id: int, t: int) -> int:
    """Return what is done in decision `t` of a level: the same wherever it is played."""
    return (level_id * 31 + t * 17 + t * t) % 5


class Player:
    """Chooses by level and decision, and writes down each slot's episodes: level, rewards, end."""

    def __init__(self, env: Any, mode: AutoresetMode) -> None:
        self.env, self.mode = env, mode
        self.engine = env.unwrapped.engine
        self.episodes: list[list[Any]] = [[] for _ in range(SLOTS)]
        self.current: list[Any] = [(int(i), []) for i in self.engine.level_ids]
        self.waits = np.zeros(SLOTS, np.bool_)

    def step(self) -> tuple[Any, ...]:
        actions = [action_of(level, len(paid)) for level, paid in self.current]
        given = np.where(self.waits, 10**6, actions)  # ignored where the next level begins
        found = self.env.step(given)
        _, reward, terminated, truncated, _ = found
        for slot in range(SLOTS):
            if self.waits[slot]:
                assert reward[slot] == terminated[slot] == truncated[slot] == 0
                self._begin(slot)
                continue
            self.current[slot][1].append(float(reward[slot]))
            if terminated[slot] or truncated[slot]:
                self.episodes[slot].append((*self.current[slot], bool(terminated[slot])))
                if self.mode is AutoresetMode.SAME_STEP:
                    self._begin(slot)
        over = terminated | truncated
        self.waits = over if self.mode is AutoresetMode.NEXT_STEP else np.zeros(SLOTS, np.bool_)
        return found

    def reset(self, over: NDArray[np.bool_]) -> Any:
        found = self.env.reset(options={"reset_mask": over})
        for slot in np.flatnonzero(over):
            self._begin(slot)
        return found

    def _begin(self, slot: int) -> None:
        self.current[slot] = (int(self.engine.level_ids[slot]), [])


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(values, other[key]) for key, values in one.items())


# --- the three modes


def test_the_modes_play_the_same():
    """Levels, rewards and ends of each slot, over many episodes; and gymnasium's own counts."""
    played = {}
    for mode in AutoresetMode:
        env = wrappers.RecordEpisodeStatistics(made(mode))
        env.reset(seed=5)
        player = Player(env, mode)
        recorded = []
        for _ in range(150):
            _, _, terminated, truncated, infos = player.step()
            over = terminated | truncated
            for slot in np.flatnonzero(over):
                level, rewards, _ = player.episodes[slot][-1]
                counted = infos["episode"]
                recorded.append((int(counted["l"][slot]), float(counted["r"][slot])))
                if COUNTS_ARIGHT or mode is AutoresetMode.NEXT_STEP:
                    assert recorded[-1] == (len(rewards), sum(rewards)), (mode, level)
            if mode is AutoresetMode.DISABLED and over.any():
                player.reset(over)
        assert len(recorded) > 40
        played[mode] = player.episodes
    least = [min(len(episodes[slot]) for episodes in played.values()) for slot in range(SLOTS)]
    assert min(least) > 8
    for episodes in played.values():
        for slot, count in enumerate(least):
            assert episodes[slot][:count] == played[AutoresetMode.SAME_STEP][slot][:count]
    assert any(terminated for slot in played[AutoresetMode.NEXT_STEP] for *_, terminated in slot)


def test_next_step_is_as_gymnasium_does_it():
    """Against `SyncVectorEnv` over the single environments, in observations, ends and infos."""
    ours = made("NEXT_STEP")
    theirs = SyncVectorEnv([lambda: gymnasium.make(ID, **SHORT)] * SLOTS)
    assert theirs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    ids = [3, 1, 4, 15]
    a, info_a = ours.reset(seed=2, options={"level_ids": ids})
    b, info_b = theirs.reset(options={"level_ids": ids})
    assert info_a["level_id"].tolist() == info_b["level_id"].tolist() == ids
    running = np.ones(SLOTS, np.bool_)
    for t in range(20):
        assert same(a, b)
        actions = np.array([action_of(level, t) for level in ids])
        a, *rest_a, info_a = ours.step(actions)
        b, *rest_b, info_b = theirs.step(actions)
        for one, other in zip(rest_a, rest_b, strict=True):
            assert np.array_equal(one[running], other[running])
        over = np.logical_or(rest_a[1], rest_a[2])
        if over.any():
            for name in set(info_b) - {"outcome", "_outcome"}:
                assert np.array_equal(info_a[name][over], info_b[name][over]), name
            assert info_a["_outcome"].tolist() == over.tolist()
            break
    else:
        pytest.fail("no episode ended")


def test_next_step_says_what_begins():
    env = made(AutoresetMode.NEXT_STEP)
    env.reset(seed=0)
    while not (ended := env.step(np.zeros(SLOTS, np.int64))[3]).all():
        assert not ended.any()
    before = env.engine.level_ids.copy()
    first, reward, terminated, truncated, infos = env.step(np.full(SLOTS, -7))
    assert not any(values.any() for values in (reward, terminated, truncated))
    assert infos["_level_id"].all()
    assert infos["level_id"].tolist() == env.engine.level_ids.tolist() != before.tolist()
    assert set(infos) == {"level_id", "_level_id"}
    again, _ = made("SAME_STEP").reset(options={"level_ids": env.engine.level_ids})
    assert same(first, again)
    env.step(np.zeros(SLOTS, np.int64))
    with pytest.raises(UserError, match="is not an action"):
        env.step(np.full(SLOTS, -7))


def test_a_refused_action_changes_nothing_in_the_next_step_either():
    env, other = made("NEXT_STEP"), made("NEXT_STEP")
    for one in (env, other):
        one.reset(seed=0)
        for _ in range(SHORT["max_steps"]):
            one.step(np.zeros(SLOTS, np.int64))
    with pytest.raises(UserError):
        env.step(np.zeros(SLOTS + 1, np.int64))
    found, wanted = (one.step(np.zeros(SLOTS, np.int64)) for one in (env, other))
    assert same(found[0], wanted[0])
    assert np.array_equal(found[4]["level_id"], wanted[4]["level_id"])


def test_without_autoreset():
    env = made("DISABLED")
    env.reset(seed=0)
    while not env.step(np.zeros(SLOTS, np.int64))[3].any():
        pass
    with pytest.raises(UserError, match=r"slots \[0, 1, 2, 3\]: reset them first"):
        env.step(np.zeros(SLOTS, np.int64))
    before = env.engine.states[1:].tobytes()
    mask = np.array([True, False, False, False])
    options = {"reset_mask": mask, "level_ids": [77]}
    _, infos = env.reset(options=options)
    assert set(options) == {"reset_mask", "level_ids"}  # the caller's own, left as it was
    assert (infos["level_id"][0], infos["_level_id"].tolist()) == (77, mask.tolist())
    assert env.engine.states[1:].tobytes() == before
    with pytest.raises(UserError, match=r"slots \[1, 2, 3\]"):
        env.step(np.zeros(SLOTS, np.int64))
    env.reset()
    env.step(np.zeros(SLOTS, np.int64))


@pytest.mark.parametrize(
    "mask",
    [None, [0, 1, 0, 1], [True], [True] * 5, [False] * 4, np.ones((4, 1), bool), "all", 1.0],
)
def test_masks_that_are_refused(mask):
    env = made("DISABLED")
    env.reset(seed=0)
    before = env.engine.states.tobytes()
    with pytest.raises(UserError, match=r"names no slots: give truth values of shape \(4,\)"):
        env.reset(options={"reset_mask": mask})
    assert env.engine.states.tobytes() == before


def test_a_mask_before_anything_ran():
    with pytest.raises(UserError, match="before any level ran"):
        made("DISABLED").reset(options={"reset_mask": [True, False, False, False]})


@pytest.mark.parametrize("mode", [*AutoresetMode, *AutoresetMode.__members__, "NextStep"])
def test_the_mode_is_published(mode):
    env = gymnasium.make_vec(ID, num_envs=2, autoreset_mode=mode, **SHORT)
    wanted = {m.name: m for m in AutoresetMode} | {m.value: m for m in AutoresetMode}
    assert env.metadata["autoreset_mode"] is wanted.get(mode, mode)
    assert MisgenVectorEnv.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


@pytest.mark.parametrize("mode", ["next", None, 1, True, []])
def test_modes_that_there_are_not(mode):
    with pytest.raises(UserError, match="use one of NEXT_STEP, SAME_STEP, DISABLED"):
        made(mode)


def test_wrappers_that_want_the_next_step():
    """They refuse any other mode; this one refused ours before."""
    env = wrappers.NormalizeObservation(
        wrappers.TransformObservation(
            made("NEXT_STEP"),
            lambda observation: observation["body"],
            single_observation_space=MAZE.world.observation_space["body"],
        )
    )
    env.reset(seed=0)
    for _ in range(30):
        observation, *_ = env.step(np.zeros(SLOTS, np.int64))
        assert np.isfinite(observation).all()


# --- several single environments


def test_options_of_a_synchronous_vector():
    """Each environment takes its own entry; one entry is for all."""
    ids = [17, 3, 99]
    env = gymnasium.make_vec(ID, num_envs=3, vectorization_mode="sync", **SHORT)
    for given in (ids, tuple(ids), np.array(ids), [[i] for i in ids]):
        observation, infos = env.reset(options={"level_ids": given})
        assert infos["level_id"].tolist() == ids
    ours, _ = MisgenVectorEnv(MAZE, 3).reset(options={"level_ids": ids})
    assert same(observation, ours)
    levels = list(distribution("corner_maze", **SHORT).levels(np.array(ids)))
    observation, _ = env.reset(options={"levels": levels})
    assert same(observation, ours)
    assert env.reset(options={"level_ids": [5]})[1]["level_id"].tolist() == [5, 5, 5]
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    assert wrapped.reset(options={"level_ids": ids})[1]["level_id"].tolist() == ids
    for wrong in ([1, 2], [1, 2, 3, 4]):
        with pytest.raises(UserError, match=rf"has {len(wrong)} ids for 1 slots"):
            env.reset(options={"level_ids": wrong})


def test_several_ids_for_one_environment():
    """Also where another vector's `reset` is on the way: it is not its own."""
    env = gymnasium.make(ID, **SHORT)
    with pytest.raises(UserError, match=re.escape("has 3 ids for 1 slots: give 1")):
        env.reset(options={"level_ids": [1, 2, 3]})


SPAWNED = """
import gymnasium, numpy as np
from gymnasium.vector import AsyncVectorEnv

ID = "misgen.envs:misgen/CornerMaze-v0"

def make():
    return gymnasium.make(ID, action_set="distinct")

if __name__ == "__main__":
    from stable_baselines3.common.vec_env import SubprocVecEnv

    env = AsyncVectorEnv([make], context="spawn")
    env.reset(seed=3)
    print("async", env.step(np.array([4]))[1].shape)
    env.close()
    env = SubprocVecEnv([make], start_method="spawn")
    env.reset()
    print("subproc", env.step(np.array([4]))[1].shape)
    env.close()
"""


def test_workers_that_start_anew(tmp_path):
    """They know no worlds but by the id's prefix."""
    script = tmp_path / "spawned.py"
    script.write_text(SPAWNED)
    done = subprocess.run(
        [sys.executable, "-W", "error", script], env={**os.environ, "NUMBA_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == ["async (1,)", "subproc (1,)"]
    assert "Traceback" not in done.stderr
