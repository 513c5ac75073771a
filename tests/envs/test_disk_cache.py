"""Facts about levels that are kept: never wrong, whatever happens to the files."""

import os
import subprocess
import sys

import numpy as np
import pytest

from misgen.envs.core.planning.disk_cache import _PART, CACHE, DiskCache, cache_folder


class Squares:
    """Finds the square of each id, and counts how often it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, ids):
        self.asked.append(ids.tolist())
        return {"square": ids**2, "pair": np.stack([ids, ids], axis=1)}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def rows(cache, *ids):
    return cache.rows(np.array(ids, np.int64))["square"].tolist()


def test_nothing_is_found_twice(folder):
    find = Squares()
    memo = DiskCache("squares", "key", find)
    assert rows(memo, 3, 5, 3) == [9, 25, 9]
    assert rows(memo, 5, 4) == [25, 16]
    assert find.asked == [[3, 5], [4]]
    assert memo.rows(np.array([4, 3]))["pair"].tolist() == [[4, 4], [3, 3]]


def test_another_process_reads_what_was_found(folder):
    first, second, other = Squares(), Squares(), Squares()
    memo = DiskCache("squares", "key", first)
    rows(memo, 3, 5)
    memo.save()
    assert rows(DiskCache("squares", "key", second), 5, 6) == [25, 36]
    assert second.asked == [[6]]
    assert rows(DiskCache("squares", "another key", other), 5) == [25]
    assert other.asked == [[5]]


def test_two_writers_keep_what_both_found(folder):
    one, two = DiskCache("squares", "key", Squares()), DiskCache("squares", "key", Squares())
    rows(one, 1), rows(two, 2)
    one.save(), two.save()
    third = Squares()
    assert rows(DiskCache("squares", "key", third), 1, 2) == [1, 4]
    assert third.asked == []


def test_a_damaged_file_is_as_good_as_none(folder):
    memo = DiskCache("squares", "key", Squares())
    rows(memo, 1)
    memo.save()
    (file,) = folder.glob("*.npz")
    file.write_bytes(b"PK\x03\x04 not a zip")
    assert rows(DiskCache("squares", "key", Squares()), 1) == [1]


def test_a_folder_that_cannot_be_written_costs_time_alone(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(CACHE, str(tmp_path / "file" / "cache"))
    memo = DiskCache("squares", "key", Squares())
    assert rows(memo, 1) == [1]
    memo.save()


def test_nothing_is_written_where_nothing_is_wanted(monkeypatch):
    monkeypatch.setenv(CACHE, "")
    assert cache_folder() is None
    memo = DiskCache("squares", "key", Squares())
    assert rows(memo, 2) == [4]
    memo.save()


def test_what_a_killed_writer_left_is_removed(folder):
    memo = DiskCache("squares", "key", Squares())
    rows(memo, 3)
    memo.save()
    (path,) = folder.glob("*.npz")
    abandoned, fresh = (path.with_suffix(f".{pid}.part") for pid in (1, 2))
    for part in (abandoned, fresh):
        part.write_bytes(b"PK")
    os.utime(abandoned, (0, 0))
    (other := folder / "cubes-0.1.part").touch()
    os.utime(other, (0, 0))
    assert rows(DiskCache("squares", "key", Squares()), 3) == [9]
    assert {p for p in folder.iterdir() if p.suffix != ".lock"} == {path, fresh, other}


SHARE = """
import os, sys, time
import numpy as np
from misgen.envs.core.planning import disk_cache

def find(ids):
    with open(sys.argv[1], "a") as file:
        file.write("".join(f"{i}\\n" for i in ids))
    time.sleep(0.3)
    return {"square": ids**2}

memo = disk_cache.DiskCache("squares", "key", find)
ids = np.arange(5 * disk_cache._PART)
assert (memo.rows(ids)["square"] == ids**2).all()
"""


def test_processes_share_the_work(folder, tmp_path):
    """Nothing is found twice by processes side by side, and both find some."""
    logs = [tmp_path / name for name in "ab"]
    began = [subprocess.Popen([sys.executable, "-c", SHARE, log]) for log in logs]
    assert [one.wait(120) for one in began] == [0, 0]
    found = [set(log.read_text().split()) if log.exists() else set() for log in logs]
    assert not found[0] & found[1]
    assert len(found[0] | found[1]) == 5 * _PART


def test_progress_counts_every_level(folder):
    counts = []
    memo = DiskCache("squares", "key", Squares())
    memo.rows(np.arange(300), counts.append)
    memo.rows(np.arange(300), counts.append)
    assert sum(counts) == 600
