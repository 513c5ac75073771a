"""Threads of kernels, the word on compiling, and what importing and training leave behind."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import misgen.agents
from misgen.agents.config import PPOConfig
from misgen.envs.core import kernels
from misgen.envs.core.engine import Engine
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import entries
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.envs.make import distribution, single, vector
from misgen.envs.procgen.library import installed

ROOT = Path(misgen.agents.__path__[0]).parent
needs_procgen = pytest.mark.skipif(installed() is None, reason="Procgen is not installed")


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "NUMBA_NUM_THREADS": "1", **environment},
        capture_output=True, text=True, timeout=500, check=True,
    )  # fmt: skip


# --- threads


@pytest.fixture
def thread_counts(monkeypatch):
    """Pretend that four threads may be used; yield what kernels set."""
    counts: list[int] = []
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 4)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 4)
    monkeypatch.setattr(numba, "set_num_threads", counts.append)
    return counts


@pytest.mark.parametrize(
    ("least", "rows", "counts"),
    [
        (kernels.LIGHT, 1, [1, 4]),
        (kernels.LIGHT, 0, [1, 4]),
        (kernels.LIGHT, 2 * kernels.LIGHT, [2, 4]),
        (kernels.LIGHT, 4 * kernels.LIGHT, []),
        (kernels.HEAVY, 1, [1, 4]),
        (kernels.HEAVY, 8, []),
        (kernels.HEAVY, 1000, []),
    ],
)
def test_no_more_threads_than_rows_are_worth(thread_counts, monkeypatch, least, rows, counts):
    monkeypatch.setattr(numba, "njit", lambda **_: lambda kernel: kernel)
    seen = []

    @kernels.parallel("rows", least)
    def kernel(other: int, rows: np.ndarray) -> None:
        """Say so."""
        seen.append((other, len(rows)))

    kernel(7, np.zeros(rows))
    assert seen == [(7, rows)]
    assert thread_counts == counts
    assert kernel.__doc__ == "Say so."


def test_the_number_of_threads_is_as_before_after_an_error():
    if numba.config.NUMBA_NUM_THREADS < 2:  # pyright: ignore
        pytest.skip("Numba was started with one thread")
    numba.set_num_threads(2)
    engine = distribution("corner_maze").world.make_engine(1)
    advance: Any = engine.world.advance
    with pytest.raises(Exception):  # noqa: B017, PT011 (Numba's own)
        advance("no states", engine.episodes, np.zeros(1, np.int64))
    assert numba.get_num_threads() == 2


def test_every_parallel_kernel_counts_its_rows():
    """None goes past `kernels.parallel`."""
    found = [
        path.relative_to(ROOT)
        for folder in ("envs", "agents", "experiments")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "parallel=True" in path.read_text() and path.name != "kernels.py"
    ]
    assert not found


@pytest.mark.parametrize("name", [n for n in entries() if not n.startswith("procgen")])
def test_one_slot_uses_one_thread(name, monkeypatch):
    """In every world and all that a single environment calls."""
    counts = []
    set_threads = numba.set_num_threads
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 2)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    monkeypatch.setattr(numba, "set_num_threads", lambda n: counts.append(n) or set_threads(1))
    env = single(name, render_mode="rgb_array", render_size=64)
    for what in (env.reset, lambda: env.step(np.int64(0)), env.render):
        counts.clear()
        what()
        assert set(counts[::2]) <= {1}
        assert set(counts[1::2]) <= {2}
        assert counts or what is env.reset  # where levels come from another kernel


# --- the word on compiling


DRAW = """
import numpy as np
from misgen.envs.core import kernels
from misgen.envs.core.rng import hash_picks, hash_uniforms
for t in range(2):
    hash_uniforms(0, 0, np.arange(3), np.arange(3))
    hash_picks(7, 0, 0, np.arange(3), np.arange(3))
"""


def test_compiling_is_said_once_and_only_where_it_happens(tmp_path):
    """On a cache that is empty, and on the same cache once more."""
    first = run(DRAW, NUMBA_CACHE_DIR=str(tmp_path))
    assert first.stderr.count("compiling") == 1
    assert first.stderr.startswith("compiling misgen.envs.core (")
    assert "kept on disk for next time" in first.stderr
    assert first.stdout == ""
    assert run(DRAW, NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""


def test_others_kernels_are_their_own_affair(capsys):
    @numba.njit
    def strangers(x):
        return x + 1

    assert strangers(1) == 2
    assert "compiling" not in capsys.readouterr().err


# --- what is left behind


@needs_procgen
def test_nothing_is_said_of_the_old_gym():
    code = """
import gymnasium, misgen.envs, misgen.envs.core.views.sb3
import misgen.agents.ppo, misgen.envs.procgen.lockstep
env = gymnasium.make("misgen/ProcgenCoinRun-v0", correlation=0.5)
env.reset(seed=0); env.step(7); env.close()
"""
    assert "gym" not in run(code).stderr.lower()


def test_training_leaves_no_folder(tmp_path, monkeypatch):
    from misgen.agents.ppo import train_ppo

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = PPOConfig(num_envs=4, num_steps=8, batch_size=32, epochs=1, total_steps=64)
    records = []
    model = train_ppo(
        MisgenVecEnv(distribution("corner_maze"), 4), config, 0, callback=records.append
    )
    assert model.num_timesteps == 64
    assert "train/loss" in records[-1]  # what the logger is there for
    assert not list(tmp_path.glob("SB3*"))


# --- Procgen's environments


@needs_procgen
@pytest.mark.parametrize("name", ["procgen_coinrun", "procgen_maze"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_of_procgen_go_on_as_the_original(name, copied):
    """Pixel for pixel, through ends of episodes; and a copy leaves the original alone."""
    env: Any = vector(3, name, correlation=0.5, max_steps=60)
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    draw = [rng.choice([7, 7, 8, 8, 1, 4, 5, 3, 0], 3) for _ in range(150)]
    for actions in draw[:30]:
        env.step(actions)
    twin, idle = copied(env), copied(env)
    before = [games.get_state(0) for games in (env.engine.games, idle.engine.games)]
    assert before[0] == before[1]
    ends = 0
    for actions in draw[30:]:
        one, other = env.step(actions), twin.step(actions)
        assert np.array_equal(one[0]["rgb"], other[0]["rgb"])
        for values, others in zip(one[1:4], other[1:4], strict=True):
            assert np.array_equal(values, others)
        ends += int((one[2] | one[3]).sum())
    assert ends > 3
    assert idle.engine.games.get_state(0) == before[1]


@needs_procgen
def test_the_games_can_be_closed_twice(capsys):
    env = vector(2, "procgen_maze")
    engine: Any = env.engine
    env.close()
    engine.games.close()
    engine.games.close()
    with pytest.raises(UserError, match="were closed: copy or pickle them before"):
        copy.deepcopy(engine.games)
    del env, engine
    gc.collect()
    assert capsys.readouterr().err == ""


@needs_procgen
def test_nothing_is_said_at_the_end_of_a_process():
    code = """
import copy
from misgen.envs.make import single, vector
env = single("procgen_coinrun"); env.reset(seed=0)
other = copy.copy(env); twin = copy.deepcopy(env)
try:
    from misgen.envs.procgen.library import Games
    Games("coinrun", "no mode", 1, 0)
except KeyError:
    pass
"""
    assert run(code).stderr == ""


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_of_native_environments(copied):
    env = vector(3, "coinrun", correlation=0.5, max_steps=60)
    env.reset(seed=3)
    twin = copied(env)
    assert isinstance(twin.engine, Engine)
    for t in range(150):
        actions = np.full(3, (7, 8, 4)[t % 3])
        one, other = env.step(actions), twin.step(actions)
        assert np.array_equal(one[0]["tiles"], other[0]["tiles"])
        assert np.array_equal(one[1], other[1])
