"""Motion, bit for bit, against what the original programs recorded, and against the live one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from misgen.envs.coinrun.constants import ENEMY
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.experiments.levels import run_actions

SETS = {  # file: mode, terrain, correlation
    "stock_traj_coinrun_easy_right": ("easy", "procgen", 1.0),
    "stock_traj_coinrun_hard_right": ("hard", "procgen", 1.0),
    "stock_traj_coinrun_hard_uniform": ("hard", "procgen", 1.0),
    "aisc_traj_coinrun_hard_rp0_right": ("hard", "langosco", 1.0),
    "aisc_traj_coinrun_hard_rp0_uniform": ("hard", "langosco", 1.0),
    "aisc_traj_coinrun_hard_rp100_right": ("hard", "langosco", 0.0),
}
LIVE_IDS = IdRange(1000, 1061)
LIVE_STEPS = 200
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


def random_actions(ids: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """Return actions of the original's code [n, steps], held for some frames, every other level's
    biased to the right, so that both its start and its end are visited."""
    out = np.empty((len(ids), steps), np.int64)
    for row, level_id in enumerate(ids):
        rng = np.random.default_rng([7, int(level_id)])
        drawn = rng.integers(0, 15, steps)
        if level_id % 2:
            drawn = np.where(rng.random(steps) < 0.7, rng.choice([7, 8], steps), drawn)
        out[row] = np.repeat(drawn, rng.integers(1, 5, steps))[:steps]
    return out


@pytest.mark.parametrize("mode", ["easy", "hard"])
def test_live_procgen(mode):
    """Levels and motion that no file holds, against the original run beside ours."""
    stock = pytest.importorskip(
        "procgen_state", reason="procgen is not installed", exc_type=ImportError
    )
    distribution = distribution_of((mode, "procgen", 1.0), LIVE_IDS)
    ids = LIVE_IDS.ids()
    actions = random_actions(ids, LIVE_STEPS)
    ours = record(distribution, actions)
    ends = run_actions(distribution, actions)
    exported = distribution.world.export_levels(distribution.levels())
    looks = distribution.levels().data["look"]
    frames = ended = 0
    for i, level_id in enumerate(ids):
        live = stock.StockLevel(int(level_id), mode)
        state = live.state()
        first, last = exported["ent_offset"][i : i + 2]
        assert state.level_seed == level_id
        np.testing.assert_array_equal(exported["grid"][i], state.grid, f"level {level_id}")
        for field in exported["ent"].dtype.names or ():
            np.testing.assert_array_equal(
                exported["ent"][first:last][field],
                state.entities[field],
                f"{field} of the entities of level {level_id}",
            )
        assert [looks[i, 1], looks[i, 2]] == [state.wall_theme, state.background_index]
        for t in range(LIVE_STEPS + 1):
            if t:
                reward, done = live.step(int(actions[i, t - 1]))
                assert reward == ends["reward"][i, t - 1], f"level {level_id}, step {t}"
                assert done == bool(ends["done"][i, t - 1]), f"level {level_id}, step {t}"
                if done:  # and the original has started the level again
                    ended += 1
                    break
                state = live.state()
            assert_live(ours, i, t, state, level_id)
            frames += 1
    print(f"{mode}: {len(ids)} levels, {frames} frames, {ended} ends")
    assert frames > 20 * len(ids)
    assert ended > 10


def assert_live(ours: dict[str, NDArray[Any]], i: int, t: int, state: Any, level_id: int) -> None:
    """Compare slot `i` before frame `t` with the original's state, in every float."""
    agent = state.entities[0]
    theirs = np.array([agent["x"], agent["y"], agent["vx"], agent["vy"], state.last_agent_y])
    mine = np.array([ours[name][i, t] for name in FIELDS[:5]])
    flags = [bool(ours["support"][i, t]), bool(ours["on_crate"][i, t])]
    what = f"level {level_id}, step {t}"
    assert state.cur_time == t, what
    assert mine.tobytes() == theirs.tobytes() or (mine == theirs).all(), f"{what}: {mine} {theirs}"
    assert flags == [state.has_support, state.is_on_crate], what
    others, count = state.entities[1:], ours["count"][i]
    assert len(others) == count, what
    for name, source in (("ex", "x"), ("ey", "y"), ("evx", "vx")):
        np.testing.assert_array_equal(
            ours[name][i, t, :count], others[source], f"{source} of entities, {what}"
        )
