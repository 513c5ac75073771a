"""Levels, bit for bit, against what the original programs generated."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from misgen.envs.coinrun.generator import generate_with_rng
from misgen.envs.coinrun.world import CoinRun

SETS = {  # file: mode, terrain, correlation
    "stock_coinrun_easy": ("easy", "procgen", 1.0),
    "stock_coinrun_hard": ("hard", "procgen", 1.0),
    "aisc_coinrun_easy_rp0": ("easy", "langosco", 1.0),
    "aisc_coinrun_hard_rp0": ("hard", "langosco", 1.0),
    "aisc_coinrun_easy_rp100": ("easy", "langosco", 0.0),
    "aisc_coinrun_hard_rp100": ("hard", "langosco", 0.0),
    "aisc_coinrun_aisc_easy": ("easy", "langosco_aisc", 0.0),
    "aisc_coinrun_aisc_hard": ("hard", "langosco_aisc", 0.0),
}


def differing(ours: np.ndarray, theirs: np.ndarray, ids: np.ndarray) -> list[int]:
    """Return the ids of the rows in which two arrays differ."""
    assert ours.shape == theirs.shape
    rows = (ours != theirs).reshape(len(ids), -1).any(axis=1)
    return ids[rows].tolist()


def state_checksum(state: np.ndarray) -> int:
    """Return the CRC of a generator's state as the golden files have it: decimal words."""
    return zlib.crc32(" ".join(map(str, state.tolist())).encode())


@pytest.fixture(params=SETS, scope="module")
def case(request, golden: Path):
    """Return a golden file's arrays, and the same levels and generator states of ours."""
    mode, terrain, correlation = SETS[request.param]
    theirs = dict(np.load(golden / f"{request.param}.npz"))
    world = CoinRun(mode=mode, terrain=terrain)
    levels, states = generate_with_rng(
        theirs["seed"], mode=mode, terrain=terrain, correlation=correlation
    )
    return theirs, levels, world.export_levels(levels), states


def test_no_file_is_left_out(golden: Path):
    files = {path.stem for path in golden.glob("*coinrun*.npz") if "_traj_" not in path.stem}
    assert files == set(SETS)


def test_every_cell(case):
    theirs, _, ours, _ = case
    assert len(theirs["seed"]) == 500
    np.testing.assert_array_equal(ours["seed"], theirs["seed"])
    assert differing(ours["grid"], theirs["grid"], theirs["seed"]) == []
    assert ours["grid"].dtype == theirs["grid"].dtype


def test_every_field_of_every_entity(case):
    theirs, _, ours, _ = case
    np.testing.assert_array_equal(ours["ent_offset"], theirs["ent_offset"])
    assert ours["ent"].dtype == theirs["ent"].dtype
    for field in ours["ent"].dtype.names or ():
        np.testing.assert_array_equal(ours["ent"][field], theirs["ent"][field], err_msg=field)
    assert ours["ent"].tobytes() == theirs["ent"].tobytes()  # negative zeros too


def test_coins(case):
    theirs, levels, ours, _ = case
    np.testing.assert_array_equal(ours["coin_cell"], theirs["coin_cell"])
    assert ("inv_cell" in ours) == ("inv_cell" in theirs)
    if "inv_cell" in theirs:
        np.testing.assert_array_equal(ours["inv_cell"], theirs["inv_cell"])
        end = np.where(
            levels.aligned[:, None], theirs["coin_cell"][:, :2], theirs["inv_cell"][:, :2]
        )
    else:
        end = theirs["coin_cell"][:, :2]
    np.testing.assert_array_equal(ours["proxy_cell"][:, :2], end)


def test_looks(case):
    theirs, levels, _, _ = case
    agent_theme = theirs["ent"]["image_theme"][theirs["ent_offset"][:-1]]
    expected = np.stack([agent_theme, theirs["wall_theme"], theirs["background_index"]], axis=1)
    np.testing.assert_array_equal(levels.data["look"], expected)
    assert len(np.unique(expected, axis=0)) > 1 or ("mode", "easy") in levels.variant


def test_generator_drew_as_often(case):
    theirs, _, _, states = case
    np.testing.assert_array_equal(states[:, -1], theirs["rng_pos"])
    ours = np.array([state_checksum(state) for state in states], np.uint32)
    assert differing(ours, theirs["rng_crc32"], theirs["seed"]) == []
