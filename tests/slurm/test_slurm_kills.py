"""Whatever is killed of a sweep on Slurm, at whatever moment, its results are those of a local one.

Slow; needs what `test_slurm` needs.  For more than a few kills, with a line about each sweep:

    MISGEN_SLURM_KILLS=100 .venv/bin/python -m pytest tests/slurm/test_slurm_kills.py -s

`MISGEN_KILLS_SEED` (0) chooses other moments.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from misgen.experiments.sweeps.plan import read_plan
from misgen.experiments.sweeps.states import states
from misgen.experiments.training.run_folder import find_runs

from ..sweeps.test_sweep import claims_of
from ..training.test_kills import SETTINGS, content, differences, files, kill
from .conftest import ask

KILLS = int(os.environ.get("MISGEN_SLURM_KILLS", "4"))
SEED = int(os.environ.get("MISGEN_KILLS_SEED", "0"))
KILLS_PER_SWEEP = 8
PATIENCE = 300.0  # seconds that may pass in which nothing happens
CELLS = [*SETTINGS, "agent.total_steps=8192", "seeds=2"]
SLURM = ["launcher=slurm", "cluster.memory=0.5", "save_every=0.02"]

VICTIMS = ("submitter", "worker", "job", "cancelled", "requeued", "preempted")
"""What happens: the command that submitted the jobs is killed; or the process that works on a cell;
or all of a job; a job is cancelled; queued again; told that it is preempted."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 200 * KILLS)]


class Sweep:
    """A sweep on Slurm, and who submitted its jobs."""

    def __init__(self, place: Path, slurm: dict[str, str]) -> None:
        place.mkdir()
        self.place = place
        self.folder = place / "runs" / "small"
        self._slurm = slurm
        self._submitter: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """Start the command."""
        own = {"MISGEN_CACHE": str(self.place / "cache"), "MISGEN_BEAT": "1"}
        command = [sys.executable, "-m", "misgen.experiments.commands.sweep"]
        with (self.place / "output").open("ab") as output:
            self._submitter = subprocess.Popen(
                [*command, *CELLS, f"runs={self.place / 'runs'}", *more],
                env={**self._slurm, **own},
                stdout=output,
                stderr=output,
            )
        return self._submitter

    def jobs(self) -> list[str]:
        """Return the numbers of the jobs that run, or wait to."""
        return ask(self._slurm, "squeue", "--noheader", "--array", "--format", "%i").split()

    def struck(self, rng: random.Random, changes: int) -> str | None:
        """Let something happen at a random moment; return what, None if all was over before."""
        if self._is_idle():
            self.start(*SLURM)
        if not self._wait_for_changes(rng.randint(0, changes)):
            return None
        time.sleep(rng.choice((0.0, rng.expovariate(20), rng.uniform(0, 1))))
        for victim in rng.sample(VICTIMS, len(VICTIMS)):
            if self._strike(victim, rng):
                return victim
        return None

    def _is_idle(self) -> bool:
        return (self._submitter is None or self._submitter.poll() is not None) and not self.jobs()

    def _wait_for_changes(self, count: int) -> bool:
        """Wait until so many files have changed; return False if all was over before."""
        seen, changed, last = files(self.place), 0, time.monotonic()
        while changed < count:
            assert time.monotonic() - last < PATIENCE, f"nothing happens any more: {self.told()}"
            time.sleep(0.05)
            now = files(self.place)
            new = sum(seen.get(path) != stat for path, stat in now.items())
            if new:
                seen, changed, last = now, changed + new, time.monotonic()
            elif time.monotonic() - last > 2 and self._is_idle():
                return False
        return True

    def _strike(self, victim: str, rng: random.Random) -> bool:
        """Strike a victim; return whether there was one."""
        if victim == "submitter":
            if self._submitter is None or self._submitter.poll() is not None:
                return False
            self._submitter.kill()
            self._submitter.wait()
            return True
        if victim == "worker":
            with contextlib.suppress(Exception):  # there may be no plan yet
                holders = [one for one in claims_of(read_plan(self.folder)).values() if one.told]
                kill(rng.choice(holders).told["pid"])
                return True
            return False
        if not (jobs := self.jobs()):
            return False
        command = {
            "job": ["scancel", "--full", "--signal=KILL"],
            "cancelled": ["scancel"],
            "requeued": ["scontrol", "requeue"],
            "preempted": ["scancel", "--signal=USR2"],
        }[victim]
        with contextlib.suppress(subprocess.TimeoutExpired):  # of a busy Slurm: it may have heard
            ask(self._slurm, *command, rng.choice(jobs))
        return True

    def finish(self) -> None:
        """Let it go on to its end; a cell of which several processes died is asked for again."""
        if self._submitter is not None:
            self._submitter.wait(PATIENCE)
        for _ in range(3):
            if self.start(*SLURM).wait(PATIENCE) == 0:
                break
        deadline = time.monotonic() + PATIENCE
        while self.jobs():
            assert time.monotonic() < deadline, f"jobs go on though nothing is left: {self.told()}"
            time.sleep(0.5)
        plan = read_plan(self.folder)
        assert {one.state for one in states(plan)} == {"done"}, self.told()
        assert not plan.ledger.look().claims

    def told(self) -> str:
        """Return what the command printed, and how it stands with the jobs."""
        output = (self.place / "output").read_text(errors="replace")
        return f"{output}\n{ask(self._slurm, 'squeue')}"


def contents(place: Path) -> dict[str, Any]:
    """Return what lies in the folders of runs, by file, but for times."""
    return {
        str(path.relative_to(place)): content(path, place)
        for run in find_runs(place / "runs" / "small")
        for path in sorted(run.path.rglob("*"))
        if path.is_file()
    }


def test_a_sweep_on_slurm_goes_on_to_the_same_results(slurm, tmp_path):
    alone = Sweep(tmp_path / "alone", slurm)
    before = files(alone.place)
    assert alone.start().wait(PATIENCE) == 0, alone.told()
    wanted = contents(alone.place)
    changes = sum(before.get(path) != stat for path, stat in files(alone.place).items())
    rng, count, number = random.Random(SEED), Counter[str](), 0
    while count.total() < KILLS:
        number += 1
        sweep, story = Sweep(tmp_path / str(number), slurm), []
        for _ in range(min(KILLS_PER_SWEEP, KILLS - count.total())):
            if (victim := sweep.struck(rng, changes)) is None:
                break
            story.append(victim)
            count[victim] += 1
        sweep.finish()
        print(f"sweep {number}: {story}", flush=True)
        assert differences(contents(sweep.place), wanted) == [], (number, story)
    print(f"{count.total()} kills of {number} sweeps: {dict(sorted(count.items()))}")
    assert count
