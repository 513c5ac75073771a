"""`misgen levels`: show, export and replay, against what the original programs recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.level import NO_CELL
from misgen.envs.core.level_text.text import level_from_text
from misgen.experiments.commands import cli

STOCK = ["env=coinrun", "env.terrain=procgen", "env.mode=hard", "correlation=1"]
EXPORTS = {  # golden file: overrides
    "stock_coinrun_hard": STOCK,
    "stock_coinrun_easy": [*STOCK, "env.mode=easy"],
    "aisc_coinrun_hard_rp0": [*STOCK, "env.terrain=langosco"],
    "aisc_coinrun_hard_rp100": [*STOCK, "env.terrain=langosco", "correlation=0"],
    "aisc_coinrun_aisc_easy": ["env.terrain=langosco_aisc", "env.mode=easy", "correlation=0"],
}
REPLAYS = {
    "stock_traj_coinrun_hard_uniform": STOCK,
    "stock_traj_coinrun_easy_right": [*STOCK, "env.mode=easy"],
    "aisc_traj_coinrun_hard_rp100_right": [*STOCK, "env.terrain=langosco", "correlation=0"],
}


def levels(*argv: str) -> int:
    return cli.main(["levels", *argv])


def load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture
def actions(tmp_path) -> Path:
    path = tmp_path / "actions.npz"
    np.savez(path, action=np.full((3, 20), 7, np.int8))
    return path


# --- show


def test_show(capsys):
    assert levels("show", "id=17", "correlation=0") == 0
    text = capsys.readouterr().out
    (level,) = LevelDistribution(CoinRun(), 0.0).levels(np.array([17]))
    assert level_from_text(text, CoinRun()) == level  # as it was printed, summary and all
    assert text.splitlines()[-1] == (
        f"# in conflict: goal at {level.goal_cell}, proxy at {level.proxy_cell}, "
        f"content {level.content_hash}"
    )


def test_show_tells_the_twins_apart(capsys):
    assert levels("show", "id=17", "env.mode=easy", "placement=anywhere") == 0
    aligned = capsys.readouterr().out
    assert levels("show", "id=17", "env.mode=easy", "placement=anywhere", "correlation=0") == 0
    conflict = capsys.readouterr().out
    one, other = (level_from_text(text, CoinRun()) for text in (aligned, conflict))
    assert one.aligned
    assert not other.aligned
    assert one.conflict_cell == other.goal_cell != NO_CELL
    assert one.terrain_hash == other.terrain_hash
    assert "# aligned:" in aligned


def test_show_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "misgen.experiments.commands.levels", "show", "id=3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("misgen level 1\nworld: coinrun\nid: 3\n")


# --- export


@pytest.mark.parametrize("name", EXPORTS)
def test_export_is_what_the_original_made(name, golden, tmp_path, capsys):
    out = tmp_path / "levels.npz"
    assert levels("export", *EXPORTS[name], "ids=0:500", f"out={out}") == 0
    assert capsys.readouterr().out.startswith(f"{out}: 500 levels")
    ours, theirs = load(out), load(golden / f"{name}.npz")
    assert set(ours) >= {"seed", "grid", "ent", "ent_offset", "coin_cell", "proxy_cell"}
    for key in set(ours) & set(theirs):
        assert ours[key].dtype == theirs[key].dtype, key
        assert ours[key].shape == theirs[key].shape, key
        assert ours[key].tobytes() == theirs[key].tobytes(), key
    assert len(set(ours) & set(theirs)) == 5 + name.startswith("aisc")


def test_export_takes_any_range(golden, tmp_path):
    out = tmp_path / "levels.npz"
    assert levels("export", *STOCK, "ids=123:125", f"out={out}") == 0
    ours, theirs = load(out), load(golden / "stock_coinrun_hard.npz")
    assert ours["seed"].tolist() == [123, 124]
    np.testing.assert_array_equal(ours["grid"], theirs["grid"][123:125])
    first, middle, last = theirs["ent_offset"][123:126]
    assert ours["ent_offset"].tolist() == [0, middle - first, last - first]
    np.testing.assert_array_equal(ours["ent"], theirs["ent"][first:last])


# --- replay


@pytest.mark.parametrize("name", REPLAYS)
def test_replay_is_what_the_original_did(name, golden, tmp_path, capsys):
    theirs = load(golden / f"{name}.npz")
    out, given = tmp_path / "trajectories.npz", tmp_path / "actions.npz"
    np.savez(given, action=theirs["action"])
    assert levels("replay", *REPLAYS[name], "ids=0:50", f"actions={given}", f"out={out}") == 0
    ended = int(theirs["done"].any(axis=1).sum())
    assert capsys.readouterr().out == f"{out}: 50 levels, {ended} of them to the end\n"
    ours = load(out)
    assert set(ours) == {"seed", "agent", "reward", "done", "length"}
    for key, values in ours.items():
        assert values.dtype == theirs[key].dtype, key
        np.testing.assert_array_equal(values, theirs[key], key)


def test_replay_stops_with_the_actions(actions, tmp_path):
    out = tmp_path / "t.npz"
    assert levels("replay", "ids=0:3", f"actions={actions}", f"out={out}") == 0
    ours = load(out)
    assert ours["agent"].shape == (3, 21, 4)
    assert ours["length"].tolist() == [20, 20, 20]
    assert not ours["done"].any()
    assert np.isfinite(ours["agent"]).all()


def test_replay_of_no_actions(tmp_path):
    given, out = tmp_path / "none.npz", tmp_path / "t.npz"
    np.savez(given, action=np.zeros((2, 0), np.int64))
    assert levels("replay", "ids=0:2", f"actions={given}", f"out={out}") == 0
    start = np.array([1.5, np.float32(1) + np.float32(0.5787), 0, 0], np.float32)
    np.testing.assert_array_equal(load(out)["agent"], np.broadcast_to(start, (2, 1, 4)))


def test_replay_with_other_rules(actions, tmp_path):
    """Time-out, action repeat and the action set are settings as anywhere."""
    out = tmp_path / "t.npz"
    settings = ["env.max_steps=10", "env.action_repeat=3", "env.action_set=distinct"]
    assert levels("replay", *settings, "ids=0:3", f"actions={actions}", f"out={out}") == 0
    ours = load(out)
    assert ours["length"].tolist() == [4, 4, 4]
    assert ours["done"][:, 3].all()
    assert np.isnan(ours["agent"][:, 4:]).all()


# --- mistakes


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["export"], "out is missing: give out=FILE.npz"),
        (["export", "out=levels.npy"], "out='levels.npy' cannot be written: give a .npz"),
        (["export", "out=nowhere/levels.npz"], "cannot be written: give a .npz in a folder"),
        (["export", "out=o.npz", "ids=9:3"], "ids=9:3 is not a range of level ids"),
        (
            ["export", "out=o.npz", "ids=0:50001"],
            "ids=0:50001 are 50001 levels: a file takes 50000",
        ),
        (["export", "out=o.npz", "ids=some"], "ids='some' is not a range"),
        (["export", "out=o.npz", "ids=all"], "a file takes 50000 at most"),
        (["replay", "actions=a.npz"], "out is missing"),
        (["replay", "out=o.npz"], "actions is missing: give actions=FILE.npz"),
        (["replay", "out=o.npz", "actions=b.npz"], "actions='b.npz' cannot be read"),
        (["replay", "out=o.npz", "actions=text.npz"], "actions='text.npz' cannot be read"),
        (["replay", "out=o.npz", "actions=pickle.npz"], "actions='pickle.npz' cannot be read"),
        (["replay", "out=o.npz", "actions=other.npz"], "actions='other.npz' cannot be read"),
        *(
            (["replay", "out=o.npz", f"actions={name}"], f"actions={name!r} cannot be read ({why}")
            for name, why in (
                ("array.npy", ""),
                ("empty.npz", "No data left"),
                ("short.npz", "File is not a zip"),
                ("flipped.npz", "Bad CRC-32"),
                ("huge.npz", "Unable to allocate"),
                ("dir.npz", "it is a folder"),
                ("locked.npz", "File 'action.npy' is encrypted"),
                ("pipe.npz", "it is a named pipe"),
            )
        ),
        (["replay", "out=o.npz", "actions=plain.npz"], "holds |S5 []"),
        (["replay", "out=o.npz", "actions=floats.npz", "ids=0:2"], "holds float64 [2, 5]"),
        (["replay", "out=o.npz", "actions=flat.npz", "ids=0:2"], "holds int64 [10]"),
        (
            ["replay", "out=o.npz", "actions=a.npz", "ids=0:3"],
            "give integers [3, t], a row for each",
        ),
        (
            ["replay", "out=o.npz", "actions=high.npz", "ids=0:2"],
            "actions='high.npz' go from 0 to 15: this action set has 0 to 14",
        ),
        (["replay", "out=o.npz", "actions=low.npz", "ids=0:2"], "go from -1 to 0"),
        (
            ["replay", "out=o.npz", "actions=a.npz", "ids=0:2", "env.action_set=distinct"],
            "go from 14 to 14: this action set has 0 to 8",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(argv, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("array.npy", np.zeros((2, 5), int))
    write_damaged_archives()
    np.savez("a.npz", action=np.full((2, 5), 14))
    np.savez("other.npz", moves=np.zeros((2, 5), int))
    np.savez("floats.npz", action=np.zeros((2, 5)))
    np.savez("flat.npz", action=np.zeros(10, int))
    np.savez("high.npz", action=np.arange(10).reshape(2, 5) // 9 * 15)
    np.savez("low.npz", action=-np.eye(2, 5, dtype=int))
    np.savez("pickle.npz", action=np.array([[object()]]), allow_pickle=True)
    Path("text.npz").write_text("no archive")
    before = sorted(tmp_path.iterdir())
    assert levels(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def write_damaged_archives():
    """Write archives of arrays that cannot be read, each for another reason."""
    np.savez("short.npz", action=np.zeros((2, 5), int))
    whole = Path("short.npz").read_bytes()
    Path("flipped.npz").write_bytes(whole[:60] + b"\xff\xff" + whole[62:])
    Path("short.npz").write_bytes(whole[:100])
    Path("empty.npz").write_bytes(b"")
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (2, 1000000000000), }"
    magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    for name, inside, data in (
        ("huge", "action.npy", magic + header),
        ("plain", "action", b"plain"),
        ("locked", "action.npy", b"x"),
    ):
        with zipfile.ZipFile(f"{name}.npz", "w") as file:
            file.writestr(inside, data)
    locked = bytearray(Path("locked.npz").read_bytes())
    for flags in (6, locked.index(b"PK\x01\x02") + 8):
        locked[flags] |= 1
    Path("locked.npz").write_bytes(locked)
    Path("dir.npz").mkdir()
    os.mkfifo("pipe.npz")


def test_a_failed_export_keeps_the_old_file(tmp_path):
    """Here files of more than 2 kB cannot be written, as on a full disk."""
    out = tmp_path / "levels.npz"
    code = (
        "import resource, sys\nfrom misgen.experiments.commands.cli import main\n"
        "def export(ids): return main(['levels', 'export', f'ids={ids}', f'out={sys.argv[1]}'])\n"
        "export('0:2')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))\n"
        "sys.exit(export('0:99'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"{out} could not be written (File too large)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert load(out)["seed"].tolist() == [0, 1]
    assert list(tmp_path.iterdir()) == [out]
