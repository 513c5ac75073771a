"""No level that somebody draws and no array that somebody gives as actions ends in a traceback.

A quick look in every run, a long one (`slow`) for `make test-all`.  For still more:

    MISGEN_FUZZ=20 .venv/bin/python -m pytest tests/envs/test_fuzz_levels.py -s

tries 20 times as many in the slow tests, and prints the counts.  `MISGEN_FUZZ_SEED` (0) chooses
other inputs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from misgen.envs.core.registry import entries, world_class
from misgen.envs.procgen import library

TIMES = int(os.environ.get("MISGEN_FUZZ", "1"))
SEED = int(os.environ.get("MISGEN_FUZZ_SEED", "0"))
WORKER = Path(__file__).with_name("fuzz_levels_worker.py")
DRAWN = [name for name in entries() if world_class(name).runs_any_level]
"""Worlds that run levels made by hand."""
PLAYED = [name for name in entries() if name in DRAWN or library.installed()]


def attempt(what: str, names: list[str], count: int, folder: Path, **environment: str) -> None:
    """Try inputs in a process of its own; neither may it crash or hang, nor one of them fail."""
    words = [what, ",".join(names), str(SEED), str(count), str(folder)]
    done = subprocess.run(
        [sys.executable, str(WORKER), *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    last = (folder / "input").read_text(encoding="utf-8") if (folder / "input").exists() else ""
    assert done.returncode == 0, f"ended with {done.returncode} at {last}\n{done.stderr[-3000:]}"
    report = json.loads(done.stdout.splitlines()[-1])
    failures = report["failures"]
    print(f"{what} {','.join(names)}: {report['tried']} tried, {report['taken']} taken", end="")
    print(f", {len(failures)} failures")
    assert not failures, f"{len(failures)} of {report['tried']}: " + "\n\n".join(
        f"{failure['input']}\n{failure['error']}" for failure in failures[:3]
    )
    assert report["tried"] == count * len(names)
    assert 0 < report["taken"] < report["tried"], "the inputs must be good and bad"


def test_levels(tmp_path):
    attempt("levels", DRAWN, 10, tmp_path)


def test_levels_check(tmp_path):
    attempt("check", DRAWN, 2, tmp_path)


def test_actions(tmp_path):
    attempt("actions", PLAYED, 45, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300 + 300 * TIMES)
@pytest.mark.parametrize("name", DRAWN)
def test_many_levels(name, tmp_path):
    attempt("levels", [name], 2000 * TIMES, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300 + 300 * TIMES)
@pytest.mark.parametrize("name", DRAWN)
def test_many_levels_check(name, tmp_path):
    attempt("check", [name], 50 * TIMES, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300 + 300 * TIMES)
@pytest.mark.parametrize("name", PLAYED)
def test_many_actions(name, tmp_path):
    attempt("actions", [name], 2000 * TIMES, tmp_path)
