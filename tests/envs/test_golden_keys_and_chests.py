"""Keys and Chests, bit for bit, against what the paper's fork generated and recorded."""

from pathlib import Path

import numpy as np
import pytest

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.keys_and_chests.constants import CHEST, KEY
from misgen.envs.keys_and_chests.world import KeysAndChests
from misgen.experiments.levels.arrays import run_actions
from tests.envs.test_golden_levels import differing, state_checksum
from tests.envs.test_golden_trajectories import assert_same

SETS = {
    f"aisc_heist_aisc_{ratio}_{mode}": (mode, ratio)
    for mode in ("easy", "hard")
    for ratio in ("many_chests", "many_keys")
}
TRAJECTORIES = {f"aisc_traj_{ratio}_hard_uniform": ratio for ratio in ("many_chests", "many_keys")}
EXPORTED = ("seed", "grid", "agent", "num_keys", "background_index")


@pytest.fixture(params=SETS, scope="module")
def case(request, golden: Path):
    """Return a golden file's arrays, and the same levels and generator states of ours."""
    mode, ratio = SETS[request.param]
    theirs = dict(np.load(golden / f"{request.param}.npz"))
    world = KeysAndChests(mode=mode, ratio=ratio)
    states = np.zeros((len(theirs["seed"]), 625), np.uint32)
    levels = world.draw_levels(theirs["seed"], 1.0, "usual", states)
    return theirs, world, world.export_levels(levels), states


def test_no_file_is_left_out(golden: Path):
    files = {path.stem for path in golden.glob("aisc*many_*.npz")}
    assert files == {*SETS, *TRAJECTORIES}


def test_every_cell(case):
    theirs, _, ours, _ = case
    assert len(theirs["seed"]) == 500
    for name in EXPORTED:
        assert ours[name].dtype == theirs[name].dtype, name
        assert differing(ours[name], theirs[name], theirs["seed"]) == [], name


def test_every_field_of_every_entity(case):
    theirs, _, ours, _ = case
    np.testing.assert_array_equal(ours["ent_offset"], theirs["ent_offset"])
    assert ours["ent"].dtype == theirs["ent"].dtype
    for field in ours["ent"].dtype.names or ():
        np.testing.assert_array_equal(ours["ent"][field], theirs["ent"][field], err_msg=field)
    assert ours["ent"].tobytes() == theirs["ent"].tobytes()


def test_generator_drew_as_often(case):
    theirs, _, _, states = case
    ours = np.array([state_checksum(state) for state in states])
    assert differing(ours, theirs["rng_crc32"], theirs["seed"]) == []


@pytest.mark.parametrize("mode", ["easy", "hard"])
def test_conflict_levels_are_the_forks_too(mode, golden: Path):
    theirs = np.load(golden / f"aisc_heist_aisc_many_keys_{mode}.npz")
    world = KeysAndChests(mode=mode)
    ours = world.export_levels(world.levels(theirs["seed"], 0.0, "many_keys"))
    assert ours["ent"].tobytes() == theirs["ent"].tobytes()
    assert differing(ours["grid"], theirs["grid"], theirs["seed"]) == []


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_every_float_reward_and_end(name, golden: Path):
    theirs = dict(np.load(golden / f"{name}.npz"))
    ids = theirs["seed"]
    world = KeysAndChests(ratio=TRAJECTORIES[name])
    distribution = LevelDistribution(world, ids=IdRange(int(ids[0]), int(ids[-1]) + 1))
    ours = run_actions(distribution, theirs["action"].astype(np.int64))
    for field in ("agent", "reward"):
        assert_same(ours[field], theirs[field], field, ids)
    np.testing.assert_array_equal(ours["done"], theirs["done"])
    np.testing.assert_array_equal(ours["length"], theirs["length"])


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_keys_and_chests_go_in_the_same_frames(name, golden: Path):
    from misgen.envs.core.engine import Engine

    theirs = dict(np.load(golden / f"{name}.npz"))
    world, ids = KeysAndChests(ratio=TRAJECTORIES[name]), theirs["seed"].astype(np.int64)
    engine = Engine(world, len(ids))
    engine.load(np.arange(len(ids)), world.levels(ids, 1.0, "usual"))
    order = np.arange(engine.states["kind"].shape[1], dtype=np.uint32)
    for t in range(theirs["action"].shape[1]):
        running, states = engine.episodes["running"], engine.states
        there = (states["taken"][:, None] >> order) & 1 == 0
        there &= order < states["count"][:, None]
        for kind, field in ((KEY, "n_key"), (CHEST, "n_door_or_chest")):
            count = ((states["kind"] == kind) & there).sum(axis=1)
            np.testing.assert_array_equal(count[running], theirs[field][running, t], f"{t}")
        engine.step(theirs["action"][:, t])
