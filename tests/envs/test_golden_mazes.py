"""Mazes, bit for bit, against what the original programs generated and recorded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.registry import make_world
from misgen.experiments.levels.arrays import run_actions
from tests.envs.test_golden_levels import differing, state_checksum
from tests.envs.test_golden_trajectories import assert_same

MODES = ("easy", "hard")
CORNER, COLOUR = "corner_maze", "shape_colour_maze"
SETS: dict[str, tuple[str, dict[str, Any], float]] = {  # file: world, parameters, correlation
    **{f"stock_maze_{mode}": (CORNER, {"mode": mode}, 0.0) for mode in MODES},
    **{
        f"aisc_maze_aisc_{mode}_rr{r}": (
            CORNER,
            {"mode": mode, "terrain": "langosco", "rand_region": r},
            1.0,
        )
        for mode in MODES
        for r in (0, 1, 5, 10)
    },
    **{f"aisc_maze_yellowline_{mode}": (COLOUR, {"mode": mode}, 1.0) for mode in MODES},
    **{f"aisc_maze_redline_yellowgem_{mode}": (COLOUR, {"mode": mode}, 0.0) for mode in MODES},
}
EXPORTED = ("seed", "grid", "agent", "ent_offset", "cheese_cell", "goal_cell", "variant_cell")


@pytest.fixture(params=SETS, scope="module")
def case(request, golden: Path):
    """Return a golden file's arrays, and the same levels and generator states of ours."""
    name, parameters, correlation = SETS[request.param]
    theirs = dict(np.load(golden / f"{request.param}.npz"))
    world: Any = make_world(name, **parameters)
    states = np.zeros((len(theirs["seed"]), 625), np.uint32)
    levels = world.draw_levels(theirs["seed"], correlation, "usual", states)
    return theirs, levels, world.export_levels(levels), states


def test_no_file_is_left_out(golden: Path):
    files = {path.stem for path in golden.glob("*maze*.npz") if "_traj_" not in path.stem}
    assert files == set(SETS)


def test_every_cell(case):
    theirs, levels, ours, _ = case
    assert len(theirs["seed"]) == 500
    for name in (name for name in EXPORTED if name in theirs):
        assert ours[name].dtype == theirs[name].dtype, name
        if name == "ent_offset":
            np.testing.assert_array_equal(ours[name], theirs[name])
        else:
            assert differing(ours[name], theirs[name], theirs["seed"]) == [], name
    np.testing.assert_array_equal(levels.data["look"][:, 0], theirs["background_index"])


def test_the_mouse(case):
    theirs, _, ours, _ = case
    assert ours["ent"].dtype == theirs["ent"].dtype
    for field in ours["ent"].dtype.names:
        np.testing.assert_array_equal(ours["ent"][field], theirs["ent"][field], err_msg=field)


def test_generator_drew_as_often(case):
    theirs, _, _, states = case
    np.testing.assert_array_equal(states[:, -1], theirs["rng_pos"])
    ours = np.array([state_checksum(state) for state in states], np.uint32)
    assert differing(ours, theirs["rng_crc32"], theirs["seed"]) == []


@pytest.mark.parametrize("r", [0, 1])
def test_conflict_levels_of_the_fork_are_procgens_mazes(golden: Path, r: int):
    theirs = dict(np.load(golden / "stock_maze_hard.npz"))
    world = make_world(CORNER, terrain="langosco", rand_region=r)
    levels = LevelDistribution(world, 0.0, "anywhere", IdRange(0, 500)).levels()
    assert differing(world.export_levels(levels)["grid"], theirs["grid"], theirs["seed"]) == []


@pytest.mark.parametrize("mode", MODES)
def test_replay_gives_what_was_recorded(golden: Path, mode: str):
    theirs = dict(np.load(golden / f"stock_traj_maze_{mode}_uniform.npz"))
    ids = theirs["seed"]
    assert len(ids) == 50
    distribution = LevelDistribution(make_world(CORNER, mode=mode), 0.0, ids=IdRange(0, 50))
    ours = run_actions(distribution, theirs["action"].astype(np.int64))
    np.testing.assert_array_equal(ours["seed"], ids)
    np.testing.assert_array_equal(ours["length"], theirs["length"])
    for name in ("agent", "reward", "done"):
        assert ours[name].dtype == theirs[name].dtype, name
        assert_same(ours[name], theirs[name], name, ids)
    complete = theirs["level_complete"].any(axis=1)
    np.testing.assert_array_equal(np.nansum(ours["reward"], axis=1), 10 * complete)
