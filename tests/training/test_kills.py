"""A sweep that is killed at any moment goes on to what it would have been, to the last float.

Slow; `make test-all` kills 10 times.  For 100, with a line about each:

    MISGEN_KILLS=100 .venv/bin/python -m pytest tests/training/test_kills.py -s

`MISGEN_KILLS_SEED` (0) chooses other moments.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import safetensors

from misgen.experiments.training.run_folder import DONE, LEARNING, MANIFEST, file_sha256

KILLS = int(os.environ.get("MISGEN_KILLS", "10"))
SEED = int(os.environ.get("MISGEN_KILLS_SEED", "0"))
KILLS_PER_SWEEP = 4
PATIENCE = 120  # seconds that may pass in which nothing happens

VICTIMS = ("sweep", "worker", "all", "asked")
"""Who is killed: the command; one that works on a cell; or everything at once, as when the power
fails.  Or the command is asked to end, and has all saved first."""

SETTINGS = [
    "preset=smoke",
    "env=corner_maze",
    "agent.num_envs=8",
    "agent.num_steps=16",
    "agent.batch_size=64",
    "agent.hidden=[16]",
    "agent.epochs=1",
    "agent.total_steps=1024",
    "agent.normalize_reward=true",
    "snapshots=[256,512]",
    "levels.train=0:500",
    "levels.test=2000000:2000010",
    "correlations=[1.0,0.5]",
    "seeds=1",
    "jobs=2",
    "evaluate.repeats=1",
    "name=small",
]
TIMES = {
    *(
        "started",
        "finished",
        "time",
        "seconds",
        "wall_seconds",
        "cpu_seconds",
        "steps_per_second",
        "pid",
    ),
    *("command", "git", "hardware"),
    *("starts", "cpu_seconds", "peak_memory_bytes", "energy_joules", "continued_at"),
    "learning_sha256",  # of a table that holds times; `contents` compares it with the file
}
"""Names of what may differ: when something was done, how long it took, and by which process."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc"),
]


# --- starting and killing


@dataclasses.dataclass
class Sweep:
    """A sweep in a folder of its own, with its own memory of planned facts."""

    place: Path

    @property
    def folder(self) -> Path:
        return self.place / "runs" / "small"

    @contextlib.contextmanager
    def started(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the command; whatever of it still runs is killed at the end."""
        self.place.mkdir(exist_ok=True)
        environment = {**os.environ, "MISGEN_CACHE": str(self.place / "cache")}
        command = [sys.executable, "-m", "misgen.experiments.commands.sweep", *SETTINGS]
        with (self.place / "output").open("wb") as output:
            process = subprocess.Popen(
                [*command, f"runs={self.place / 'runs'}"],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            for pid in (*descendants(process.pid), process.pid):
                kill(pid)
            process.wait()

    def output(self) -> str:
        return (self.place / "output").read_text(errors="replace")

    def finish(self) -> None:
        """Let the sweep go on to its end, which must be a good one."""
        with self.started() as process:
            process.wait(5 * PATIENCE)
        assert process.returncode == 0, self.output() + self.log()
        assert "Traceback" not in self.output()

    def log(self) -> str:
        return "".join(p.read_text(errors="replace") for p in self.place.rglob("sweep.log"))

    def phase(self) -> str:
        """Say what was being done, by what lies there."""
        found = {json.loads(p.read_text()).get("phase") for p in self.folder.rglob("status.json")}
        for phase in ("training", "evaluating"):
            if phase in found:
                return phase
        if len(list(self.folder.rglob(DONE))) < 2:
            return "starting" if not found else "between"
        return "reporting" if found <= {"done"} else "between"


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def processes() -> dict[int, tuple[int, str]]:
    """Return parent and state of each process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            found[int(path.parent.name)] = (int(parent), state)
    return found


def descendants(pid: int) -> list[int]:
    """Return the children of a process, their children and so on, nearest first."""
    parents = {child: parent for child, (parent, _) in processes().items()}
    found, last = [], [pid]
    while last:
        last = [child for child, parent in parents.items() if parent in last]
        found += last
    return found


def files(place: Path) -> dict[str, tuple[int, int]]:
    """Return when each file below a folder was changed, and its size."""
    found = {}
    for path in place.rglob("*"):
        with contextlib.suppress(OSError):
            stat = path.stat()
            found[str(path)] = (stat.st_mtime_ns, stat.st_size)
    return found


def wait_for_changes(sweep: Sweep, process: subprocess.Popen[bytes], count: int) -> bool:
    """Wait until so many files have changed; return False if the sweep ended before."""
    seen, changed, last = files(sweep.place), 0, time.monotonic()
    while changed < count:
        if process.poll() is not None:
            return False
        assert time.monotonic() - last < PATIENCE, f"nothing happens any more: {sweep.output()}"
        time.sleep(0.005)
        now = files(sweep.place)
        new = sum(seen.get(path) != stat for path, stat in now.items())
        if new:
            seen, changed, last = now, changed + new, time.monotonic()
    return True


def strike(victim: str, process: subprocess.Popen[bytes]) -> bool:
    """Kill the victim; return whether there was one."""
    below = descendants(process.pid)
    if victim == "asked":
        process.send_signal(signal.SIGTERM)
        return True
    targets = {
        "sweep": [process.pid],
        "worker": below[-1:],
        "all": [process.pid, *below],
    }[victim]
    for pid in targets:
        kill(pid)
    return bool(targets)


def wait_until_gone(pids: list[int]) -> None:
    """Wait until none of the processes runs, as none may outlive its sweep."""
    deadline = time.monotonic() + PATIENCE
    while left := [pid for pid in pids if processes().get(pid, (0, "Z"))[1] not in "ZX"]:
        assert time.monotonic() < deadline, f"processes {left} outlive the sweep"
        time.sleep(0.05)


def killed(sweep: Sweep, rng: random.Random, changes: int) -> tuple[str, str] | None:
    """Start or continue a sweep and kill it; return whom and in which phase, None if it ended."""
    victim, moment = rng.choice(VICTIMS), rng.randint(0, changes)
    delay = rng.choice((0.0, rng.expovariate(20), rng.uniform(0, 1)))
    with sweep.started() as process:
        if not wait_for_changes(sweep, process, moment):
            assert process.returncode == 0, sweep.output() + sweep.log()
            return None
        time.sleep(delay)
        pids = descendants(process.pid)
        phase = sweep.phase()
        if process.poll() is not None or not strike(victim, process):
            return None if process.wait(5 * PATIENCE) == 0 else ("nobody", phase)
        if victim in ("worker", "asked"):
            status = process.wait(5 * PATIENCE)
            early = () if pids else (-signal.SIGTERM,)  # Python itself was still starting
            assert status in ((0, 1) if victim == "worker" else (0, 130, *early)), sweep.output()
            assert "Traceback" not in sweep.output()
        process.wait()
        wait_until_gone(pids)
    return victim, phase


# --- comparing


def contents(sweep: Sweep) -> dict[str, Any]:
    """Return what lies in the folder of runs, by file, but for times."""
    for path in (sweep.place / "runs").rglob(MANIFEST):
        noted = json.loads(path.read_text())["learning_sha256"]
        assert noted == file_sha256(path.with_name(LEARNING)), f"{path}: another learning curve"
    return {
        str(path.relative_to(sweep.place)): content(path, sweep.place)
        for path in sorted((sweep.place / "runs").rglob("*"))
        if path.is_file() and path.name not in ("sweep.log", "multirun.yaml")
    }


def content(path: Path, place: Path) -> Any:
    if path.suffix == ".parquet":
        table = pl.read_parquet(path)
        return table.drop(*(name for name in table.columns if name in TIMES)).to_dict(
            as_series=False
        )
    if path.suffix == ".safetensors":
        with safetensors.safe_open(path, framework="numpy") as file:  # pyright: ignore
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return file.metadata(), {k: (v.shape, v.tobytes()) for k, v in tensors.items()}
    data = path.read_bytes().replace(os.fsencode(place), b"PLACE")
    if path.suffix == ".json":
        return without_times(json.loads(data))
    if path.suffix == ".html":  # when it was made and how long it took stand in the text
        return re.sub(rb"\d+(\.\d+)?", b"0", re.sub(rb"<dt>time</dt><dd>[^<]*", b"", data))
    return data


def without_times(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: without_times(value) for key, value in plain.items() if key not in TIMES}
    if isinstance(plain, list):
        return [without_times(value) for value in plain]
    return plain


def same(one: Any, other: Any) -> bool:
    """Return whether two contents are equal, NaN being equal to itself."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return what is lost, what is there beside, and what differs."""
    return [
        *(f"lost: {name}" for name in sorted(wanted.keys() - found.keys())),
        *(f"left behind: {name}" for name in sorted(found.keys() - wanted.keys())),
        *(
            f"differs: {name}: {found[name]!s:.200} instead of {wanted[name]!s:.200}"
            for name in sorted(wanted.keys() & found.keys())
            if not same(found[name], wanted[name])
        ),
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[dict[str, Any], int]:
    """Return what a sweep leaves that nobody kills, and how many changes of files it makes."""
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed") / "sweep")
    with sweep.started() as process:
        before, changes = files(sweep.place), 0
        while process.poll() is None:
            now = files(sweep.place)
            changes += sum(before.get(path) != stat for path, stat in now.items())
            before = now
            time.sleep(0.005)
    assert process.returncode == 0, sweep.output() + sweep.log()
    return contents(sweep), changes


def test_two_undisturbed_sweeps_are_equal(undisturbed, tmp_path):
    sweep = Sweep(tmp_path / "sweep")
    sweep.finish()
    assert differences(contents(sweep), undisturbed[0]) == []


@pytest.mark.timeout(300 + 200 * KILLS)
def test_a_killed_sweep_goes_on_to_the_same_results(undisturbed, tmp_path):
    wanted, changes = undisturbed
    rng = random.Random(SEED)
    count: Counter[tuple[str, str]] = Counter()
    number = 0
    while count.total() < KILLS:
        number += 1
        sweep = Sweep(tmp_path / str(number))
        story = []
        for _ in range(min(KILLS_PER_SWEEP, KILLS - count.total())):
            who = killed(sweep, rng, changes // (1 + len(story)))  # as less is left to do
            if who is None:
                break
            story.append(who)
            count[who] += 1
        sweep.finish()
        print(f"sweep {number}: {story}")
        assert differences(contents(sweep), wanted) == [], (number, story)
    print(f"{count.total()} kills of {number} sweeps: {dict(sorted(count.items()))}")
    assert count
