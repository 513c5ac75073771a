"""Motion, bit for bit, against what the original programs recorded.

`test_procgen_backend.py` compares with the original itself.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from misgen.envs.coinrun.constants import ENEMY
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.experiments.levels.arrays import run_actions

SETS = {  # file: mode, terrain, correlation
    "stock_traj_coinrun_easy_right": ("easy", "procgen", 1.0),
    "stock_traj_coinrun_hard_right": ("hard", "procgen", 1.0),
    "stock_traj_coinrun_hard_uniform": ("hard", "procgen", 1.0),
    "aisc_traj_coinrun_hard_rp0_right": ("hard", "langosco", 1.0),
    "aisc_traj_coinrun_hard_rp0_uniform": ("hard", "langosco", 1.0),
    "aisc_traj_coinrun_hard_rp100_right": ("hard", "langosco", 0.0),
}
FIELDS = ("x", "y", "vx", "vy", "last_y", "support", "on_crate")
"""What is recorded of the agent in each frame."""


def record(distribution: LevelDistribution, actions: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return every field of every slot before each frame, [n, t + 1, ...], and `running` [n, t+1].

    After its episode ended a slot keeps its last values, with `running` false.
    """
    n, steps = actions.shape
    engine = Engine(distribution.world, n)
    engine.load(np.arange(n), distribution.levels())
    states = engine.states
    names = (*FIELDS, "ex", "ey", "evx")
    out = {name: np.empty((n, steps + 1, *states[name].shape[1:]), states[name].dtype)
           for name in names}  # fmt: skip
    out["running"] = np.empty((n, steps + 1), np.bool_)
    out["kind"], out["count"] = states["kind"].copy(), states["count"].copy()
    for t in range(steps + 1):
        for name in names:
            out[name][:, t] = states[name]
        out["running"][:, t] = engine.episodes["running"]
        if t < steps:
            engine.step(actions[:, t])
    return out


def assert_same(ours: NDArray[Any], theirs: NDArray[Any], what: str, ids: NDArray[Any]) -> None:
    """Compare [n, t, ...] arrays in every bit, NaN with NaN; name the first level and step."""
    same = (ours == theirs) | ((ours != ours) & (theirs != theirs))
    if not same.all():
        level, step, *rest = np.argwhere(~same)[0]
        where = (level, step, *rest)
        pytest.fail(
            f"{what} differs first on level {ids[level]} at step {step} {tuple(rest)}: "
            f"{ours[where]!r}, not {theirs[where]!r}; {len(np.unique(np.argwhere(~same)[:, 0]))} "
            f"of {len(ids)} levels differ"
        )


def distribution_of(case: tuple[str, str, float], ids: IdRange) -> LevelDistribution:
    mode, terrain, correlation = case
    return LevelDistribution(CoinRun(mode=mode, terrain=terrain), correlation, ids=ids)


@pytest.fixture(params=SETS, scope="module")
def case(request, golden: Path):
    """Return a golden file's arrays and the distribution of its levels."""
    theirs = dict(np.load(golden / f"{request.param}.npz"))
    ids = theirs["seed"]
    assert len(ids) == 50
    np.testing.assert_array_equal(ids, np.arange(ids[0], ids[-1] + 1))
    return theirs, distribution_of(SETS[request.param], IdRange(int(ids[0]), int(ids[-1]) + 1))


def test_no_file_is_left_out(golden: Path):
    assert {path.stem for path in golden.glob("*traj*coinrun*.npz")} == set(SETS)


def test_replay_gives_what_was_recorded(case):
    theirs, distribution = case
    ours = run_actions(distribution, theirs["action"].astype(np.int64))
    ids = theirs["seed"]
    np.testing.assert_array_equal(ours["seed"], ids)
    np.testing.assert_array_equal(ours["length"], theirs["length"])
    for name in ("agent", "reward", "done"):
        assert ours[name].dtype == theirs[name].dtype, name
        assert_same(ours[name], theirs[name], name, ids)
    complete = theirs["level_complete"].any(axis=1)
    np.testing.assert_array_equal(np.nansum(ours["reward"], axis=1), 10 * complete)


def test_what_moves_out_of_sight_is_the_same(case):
    """Support, the crate flag, the last height, and every enemy in every frame."""
    theirs, distribution = case
    ours = record(distribution, theirs["action"].astype(np.int64))
    ids, length = theirs["seed"], theirs["length"]
    known = np.arange(ours["running"].shape[1]) < length[:, None]
    at_end = known | (np.arange(known.shape[1]) == length[:, None])
    assert (ours["running"] == known)[at_end].all()
    for name, source in (
        ("support", "has_support"),
        ("on_crate", "is_on_crate"),
        ("last_y", "last_agent_y"),
    ):
        known_value = np.where(known, theirs[source], 0)
        assert_same(np.where(known, ours[name], 0), known_value, source, ids)

    is_enemy = (ours["kind"] == ENEMY) & (np.arange(ours["kind"].shape[1]) < ours["count"][:, None])
    per_level = is_enemy.sum(axis=1)
    np.testing.assert_array_equal(np.where(known, per_level[:, None], 0), theirs["n_enemy"])
    level, step, _ = np.nonzero(known[:, :, None] & is_enemy[:, None, :])
    rows = np.stack([ours[name] for name in ("ex", "evx", "ey")], axis=-1)
    rows = rows[known[:, :, None] & is_enemy[:, None, :]]
    assert rows.shape == theirs["enemy"].shape
    wrong = np.flatnonzero((rows != theirs["enemy"]).any(axis=1))
    assert not len(wrong), (
        f"an enemy on level {ids[level[wrong[0]]]} at step {step[wrong[0]]} is at "
        f"{rows[wrong[0]]}, not {theirs['enemy'][wrong[0]]}"
    )
