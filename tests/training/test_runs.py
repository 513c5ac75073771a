"""Run folders: whole files or none, one writer, markers that mean what they say."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.training import run_folder
from misgen.experiments.training.run_folder import (
    DONE,
    EVALUATED,
    MANIFEST,
    STATUS,
    RunFolder,
    find_runs,
    provenance,
    read_json,
    write_json,
    write_parquet,
    write_text,
    write_with,
)

HOLD = """
import sys, time
from pathlib import Path
from misgen.experiments.training.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- files


def test_files_are_written_whole(tmp_path):
    write_text(tmp_path / "a.txt", "one\n")
    write_text(tmp_path / "a.txt", "två\n")
    assert (tmp_path / "a.txt").read_bytes() == "två\n".encode()
    table = pl.DataFrame({"x": [1, 2], "y": ["a", None]})
    write_parquet(tmp_path / "t.parquet", table)
    assert pl.read_parquet(tmp_path / "t.parquet").equals(table)
    assert leftovers(tmp_path) == ["a.txt", "t.parquet"]
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("when", ["writing", "replacing"])
def test_a_full_disk_keeps_the_old_file(when, tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def half(handle) -> None:
        handle.write(b"half of the n")
        handle.flush()
        no_space()

    if when == "replacing":
        monkeypatch.setattr(run_folder.os, "replace", no_space)
    with pytest.raises(UserError, match=r"a\.txt could not be written \(No space left on device\)"):
        write_with(path, half if when == "writing" else lambda handle: handle.write(b"new"))
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == ["a.txt"]


def test_a_full_disk_is_named_for_tables_too(tmp_path):
    code = (
        "import sys, resource, polars as pl\nfrom pathlib import Path\n"
        "from misgen.experiments.training.run_folder import write_parquet\n"
        "from misgen.envs.core.errors import UserError\n"
        "path, table = Path(sys.argv[1]), pl.DataFrame({'x': pl.arange(0, 100_000, eager=True)})\n"
        "write_parquet(path, table.head(1))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n    write_parquet(path, table)\nexcept UserError as error:\n    print(error)\n"
        "print(pl.read_parquet(path).height)"
    )
    path = tmp_path / "t.parquet"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(f"{path} could not be written (File too large)"), done.stderr
    assert done.stdout.endswith("\n1\n")
    assert leftovers(tmp_path) == ["t.parquet"]


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def interrupted(handle) -> None:
        handle.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_with(path, interrupted)
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == ["a.txt"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    """A process killed while it writes leaves the old file in its place."""
    path = tmp_path / "a.txt"
    write_text(path, "old")
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from misgen.experiments.training.run_folder import write_with\n"
        "def slow(handle):\n"
        "    handle.write(b'half'); handle.flush(); print('now', flush=True); time.sleep(60)\n"
        "write_with(Path(sys.argv[1]), slow)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "now\n"
        assert path.read_text() == "old"
        writer.kill()
    assert path.read_text() == "old"


def test_json_has_no_nan(tmp_path):
    path = tmp_path / "a.json"
    nan, infinite = float("nan"), float("inf")
    write_json(path, {"a": nan, "b": [1.5, -infinite, {"c": (nan, "x")}], "d": True, "e": None})
    assert "NaN" not in path.read_text()
    assert read_json(path, "") == {
        "a": None,
        "b": [1.5, None, {"c": [None, "x"]}],
        "d": True,
        "e": None,
    }


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "\x00\xff", '{"a": 1'])
def test_a_corrupt_manifest_is_named(text, tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json") as error:
        folder.manifest()
    assert "\n" not in str(error.value)
    assert "misgen train makes run folders" in str(error.value)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.json does not exist: misgen train makes"):
        RunFolder(tmp_path / "nowhere").manifest()


def test_a_manifest_that_is_no_text(tmp_path):
    (tmp_path / MANIFEST).write_bytes(b"\xff\xfe\x00bin")
    with pytest.raises(UserError, match="cannot be read"):
        RunFolder(tmp_path).manifest()
    (tmp_path / MANIFEST).unlink()
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        RunFolder(tmp_path).manifest()


# --- markers


def test_markers_are_of_one_config(tmp_path):
    folder = RunFolder(tmp_path)
    assert not folder.marked(DONE, "abc")
    folder.mark(DONE, "abc")
    assert folder.marked(DONE, "abc")
    assert not folder.marked(DONE, "abd")
    assert not folder.marked(DONE, "")
    assert not folder.marked(EVALUATED, "abc")
    folder.mark(EVALUATED, "xyz")
    folder.unmark(DONE, EVALUATED)
    assert not folder.marked(DONE, "abc")
    assert not folder.marked(EVALUATED, "xyz")
    folder.unmark(DONE)  # twice is as good


def test_an_empty_marker_marks_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / DONE).touch()
    assert not folder.marked(DONE, "abc")
    (tmp_path / DONE).unlink()
    (tmp_path / DONE).mkdir()
    assert not folder.marked(DONE, "abc")


def test_runs_are_found_by_their_manifests(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
    write_json(tmp_path / "b" / MANIFEST, {})
    write_json(tmp_path / "a" / MANIFEST, {})
    (tmp_path / "file").touch()
    assert [folder.path.name for folder in find_runs(tmp_path)] == ["a", "b"]
    assert find_runs(tmp_path / "nowhere") == []


def test_status_says_when_and_who(tmp_path):
    before = time.time()
    RunFolder(tmp_path).status(phase="training", steps=3)
    status = read_json(tmp_path / STATUS, "")
    assert before <= status["time"] <= time.time()
    assert status["pid"] == os.getpid()
    assert (status["phase"], status["steps"]) == ("training", 3)


def test_status_never_stops_a_run(tmp_path):
    RunFolder(tmp_path / "nowhere").status(phase="training")


# --- one writer


def test_a_second_writer_is_refused(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="is being written to by another process"):
            folder.lock().__enter__()
        other = RunFolder(tmp_path / "other")
        with other.lock():
            assert other.path.is_dir()
        holder.send_signal(signal.SIGKILL)  # a killed writer's lock is free again
        holder.wait()
    with folder.lock():
        pass


def test_a_lock_is_free_after_an_error(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(RuntimeError), folder.lock():
        raise RuntimeError
    with folder.lock(), pytest.raises(UserError, match="another process"), folder.lock():
        pass  # the same process, too, holds it once


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written to \(Not a directory\)"):
        RunFolder(tmp_path / "file" / "run").lock().__enter__()


# --- what a run was made with


def test_provenance():
    made_with = provenance()
    assert json.loads(json.dumps(made_with)) == made_with
    assert made_with["schema_version"] == run_folder.SCHEMA_VERSION
    assert made_with["command"].startswith("misgen")
    assert {"misgen", "numpy", "torch"} <= set(made_with["packages"])
    assert all(version for version in made_with["packages"].values())
    assert made_with["hardware"]["cpus"] == os.cpu_count()
    assert set(made_with["git"]) == {"commit", "dirty"}


def test_provenance_outside_a_git_tree(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    run_folder.git_state.cache_clear()
    try:
        assert run_folder.git_state() == {"commit": None, "dirty": None}
        monkeypatch.setenv("PATH", "")
        run_folder.git_state.cache_clear()
        assert run_folder.git_state() == {"commit": None, "dirty": None}
    finally:
        run_folder.git_state.cache_clear()
