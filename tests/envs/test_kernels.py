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


@pytest.fixture
def forms(monkeypatch):
    """Compile nothing; yield which form of a kernel runs: whether it is split among threads."""
    ran: list[bool] = []

    def njit(parallel: bool = False, **_: Any) -> Any:
        return lambda kernel: lambda *args: (ran.append(parallel), kernel(*args))

    monkeypatch.setattr(numba, "njit", njit)
    return ran


@pytest.mark.parametrize(
    ("least", "rows", "split", "counts"),
    [
        (kernels.LIGHT, 0, False, []),
        (kernels.LIGHT, 1, False, []),
        (kernels.LIGHT, 2 * kernels.LIGHT - 1, False, []),
        (kernels.LIGHT, 2 * kernels.LIGHT, True, [2, 4]),
        (kernels.LIGHT, 4 * kernels.LIGHT, True, []),
        (kernels.HEAVY, 1, False, []),
        (kernels.HEAVY, 4, True, [2, 4]),
        (kernels.HEAVY, 8, True, []),
        (kernels.HEAVY, 1000, True, []),
    ],
)
def test_no_more_threads_than_rows_are_worth(thread_counts, forms, least, rows, split, counts):
    seen = []

    @kernels.parallel("rows", least)
    def kernel(other: int, rows: np.ndarray) -> None:
        """Say so."""
        seen.append((other, len(rows)))

    kernel(7, np.zeros(rows))
    assert seen == [(7, rows)]
    assert forms == [split]
    assert thread_counts == counts
    assert kernel.__doc__ == "Say so."


@pytest.mark.parametrize(("most", "allowed"), [(1, 1), (4, 1)])
def test_one_thread_splits_nothing(thread_counts, forms, monkeypatch, most, allowed):
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", most)
    monkeypatch.setattr(numba, "get_num_threads", lambda: allowed)
    kernels.parallel("rows", kernels.LIGHT)(lambda rows: None)(np.zeros(1000))
    assert forms == [False]
    assert not thread_counts


def test_the_number_of_threads_is_as_before_after_an_error(thread_counts, forms):
    def kernel(rows: np.ndarray) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        kernels.parallel("rows", kernels.LIGHT)(kernel)(np.zeros(2 * kernels.LIGHT))
    assert thread_counts == [2, 4]


FORMS = """
import numpy as np
from numba import prange
from misgen.envs.core.kernels import LIGHT, parallel

@parallel("rows", LIGHT)
def count(rows):
    for i in prange(len(rows)):
        rows[i] += 1

for length in (8, 256):
    count(np.zeros(length))
"""


def test_each_form_is_kept_on_disk_under_a_name_of_its_own(tmp_path):
    """Else one would be taken for the other, which computes the same but not as fast."""
    (tmp_path / "rules.py").write_text(FORMS)
    run("import rules", PYTHONPATH=str(tmp_path), NUMBA_CACHE_DIR="", NUMBA_NUM_THREADS="2")
    kept = [path.name for path in tmp_path.rglob("*.nbi")]
    for form in ("alone", "split"):
        assert sum(name.startswith(f"rules.count.{form}-") for name in kept) == 1


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
    """In every world and all that a single environment calls: none asks how many there are."""
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 2)
    monkeypatch.delattr(numba, "get_num_threads")
    env = single(name, render_mode="rgb_array", render_size=64)
    env.reset(seed=0)
    env.step(np.int64(0))
    env.render()


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
