"""A sweep on a real Slurm of one node, which is started for it: killed, preempted, left alone.

Slow; needs slurm-wlm and munge, root, and submitit.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from misgen.experiments.sweeps.config import read_config
from misgen.experiments.sweeps.plan import Plan, read_plan
from misgen.experiments.sweeps.states import states
from misgen.experiments.training.settings import compose

from ..sweeps.test_sweep import TESTS, TINY, claims_of, results
from .conftest import ask

LONG = "agent.total_steps=24576"  # seconds
GRID = ["correlations=[1.0,0.5]", "seeds=4", "name=small"]
PATIENCE = 900  # seconds
pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * PATIENCE)]


def sweep(environment: dict[str, str], runs: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "misgen.experiments.commands.sweep"]
    return subprocess.Popen(
        [*command, *TINY, *TESTS, *GRID, LONG, f"runs={runs}", *words],
        env={**environment, "MISGEN_BEAT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(what, *, seconds: float = PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(f"in vain: {what}")


def training_of(plan: Plan, but: tuple[str, ...] = ()) -> tuple[str, dict] | None:
    """Return a cell whose training has begun, and who works on it."""
    for run, holder in claims_of(plan).items():
        begun = plan.run_folder(plan.by_run[run]).path / "learning.parquet"
        if run not in but and run not in plan.ledger.look().trained and begun.exists():
            return run, holder.told
    return None


def test_killed_preempted_and_left_alone_it_ends_as_a_local_one(slurm, tmp_path):
    submitter = sweep(slurm, tmp_path / "slurm", "launcher=slurm", "jobs=2",
                      "cluster.memory=0.5", "cluster.minutes=60")  # fmt: skip
    folder = tmp_path / "slurm" / "small"
    wait_for(lambda: (folder / "ledger" / "plan.json").exists())
    plan = read_plan(folder)
    assert len(plan.cells) == 8

    # One is preempted: Slurm tells it, it saves, and is queued again.
    run, told = wait_for(lambda: training_of(plan))
    ask(slurm, "scancel", "--signal=USR2", told["job"])
    assert "at work" in ask(slurm, sys.executable, "-m",
                            "misgen.experiments.commands.sweep", "status", str(folder))  # fmt: skip
    wait_for(lambda: run not in claims_of(plan) or claims_of(plan)[run].told != told)
    state = plan.run_folder(plan.by_run[run]).path
    assert (state / "state.safetensors").exists() or (state / "DONE").exists()

    # The command that submitted them ends.
    submitter.send_signal(signal.SIGTERM)
    output = submitter.communicate(timeout=PATIENCE)[0]
    assert submitter.returncode == 130, output
    assert "the jobs go on without this command" in output

    # One is killed, without a word.
    victim, told = wait_for(lambda: training_of(plan, (run,)))
    with contextlib.suppress(ProcessLookupError):
        os.kill(told["pid"], signal.SIGKILL)
    wait_for(lambda: not ask(slurm, "squeue", "--noheader").strip())
    found = {one.cell.run: one.state for one in states(plan)}
    assert set(found.values()) <= {"done", "lost", "missing"}
    assert sum(state == "done" for state in found.values()) >= 7 or found[victim] == "done"

    # What is left is done by whoever comes next; the report is the same.
    last = sweep(slurm, tmp_path / "slurm", "launcher=slurm", "jobs=1", "cluster.memory=0.5")
    output = last.communicate(timeout=PATIENCE)[0]
    assert last.returncode == 0, output
    assert {one.state for one in states(plan)} == {"done"}
    assert (folder / "report.html").exists()

    local = sweep(slurm, tmp_path / "local", "jobs=2")
    assert local.wait(PATIENCE) == 0
    for cell in plan.cells:
        alone = results(read_plan(tmp_path / "local" / "small").run_folder(cell))
        assert results(plan.run_folder(cell)) == alone, cell.name


def test_a_job_whose_time_is_up_goes_on_where_it_was(slurm, tmp_path):
    """Slurm's shortest limit is a minute; it tells the job `notice` seconds before."""
    more = "agent.total_steps=4194304"  # some minutes
    submitter = sweep(slurm, tmp_path, more, "launcher=slurm", "jobs=1", "correlations=[1.0]",
                      "seeds=1", "cluster.minutes=1", "cluster.notice=40",
                      "cluster.memory=0.5")  # fmt: skip
    folder = tmp_path / "small"
    wait_for(lambda: (folder / "ledger" / "plan.json").exists())
    plan = read_plan(folder)
    path = plan.run_folder(plan.cells[0]).path
    manifest, state = path / "manifest.json", path / "state.safetensors"

    def has_gone_on():
        told = json.loads(manifest.read_text()) if manifest.exists() else {}
        if told.get("status") == "running":
            return state.exists()
        return told.get("status") == "done" and told["continued_at"]

    wait_for(has_gone_on)
    ask(slurm, "scancel", "--user=root")
    submitter.kill()
    submitter.communicate()
    assert state.exists() or json.loads(manifest.read_text())["status"] == "done"


def test_settings_reach_slurm(slurm, tmp_path):
    given = [*TINY, *TESTS, *GRID, f"runs={tmp_path}", "launcher=slurm", "jobs=3",
             "cluster.minutes=77", "cluster.memory=0.25", "cluster.partition=tests",
             "cluster.options={comment: mine}", "agent.threads=2"]  # fmt: skip
    config = read_config(compose("sweep", given), given)
    assert config.cluster.options == {"comment": "mine"}
    submitter = sweep(slurm, tmp_path, *given[-7:], "cluster.wait=false")
    output = submitter.communicate(timeout=PATIENCE)[0]
    assert submitter.returncode == 0, output
    assert "8 agents are left to the jobs" in output
    (script,) = (tmp_path / "small" / "ledger" / "jobs").glob("*_submission.sh")
    text = script.read_text()
    for line in ("--array=0-2%3", "--time=77", "--mem=256MB", "--partition=tests", "--requeue",
                 "--cpus-per-task=2", "--signal=USR2@120", "--comment=mine",
                 "export NUMBA_NUM_THREADS=2"):  # fmt: skip
        assert line in text, text
    ask(slurm, "scancel", "--user=root")


def test_jobs_that_slurm_refuses_are_told(slurm, tmp_path):
    submitter = sweep(slurm, tmp_path, "launcher=slurm", "cluster.partition=nonesuch")
    output = submitter.communicate(timeout=PATIENCE)[0]
    assert submitter.returncode == 2, output
    assert "the jobs were refused" in output
    assert "nonesuch" in output or "partition" in output
