"""Sweeps: each cell is done once, by whoever comes first, as if it were the only one."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands.cli import main
from misgen.experiments.evaluation.evaluate_run import evaluate_run, is_evaluated
from misgen.experiments.sweeps import worker
from misgen.experiments.sweeps.claims import Holder
from misgen.experiments.sweeps.config import SweepConfig, read_config
from misgen.experiments.sweeps.ledger import DONE as EVALUATED
from misgen.experiments.sweeps.ledger import FAILED
from misgen.experiments.sweeps.local import LOG
from misgen.experiments.sweeps.plan import Plan, read_plan, write_plan
from misgen.experiments.sweeps.sweep import run
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import DONE, STATUS, RunFolder, read_json
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import run_folder, train
from tests.signals import as_in_a_terminal

from ..memory import run_out_of_memory

TINY = [
    "preset=smoke",
    "env=cheese_on_a_dish",
    "agent.num_envs=8",
    "agent.num_steps=16",
    "agent.batch_size=64",
    "agent.hidden=[8]",
    "agent.epochs=1",
    "agent.total_steps=512",
    "levels.train=0:500",
]
TESTS = [
    "evaluate.levels=2000000:2000010",
    "evaluate.repeats=1",
    "evaluate.actions=[sampled]",
    "evaluate.references=false",
]
GRID = ["correlations=[1.0,0.5]", "seeds=2", "jobs=2", "name=small"]


def words(runs: Path, *more: str) -> list[str]:
    return [*TINY, *TESTS, *GRID, f"runs={runs}", *more]


def config(runs: Path, *more: str) -> SweepConfig:
    given = words(runs, *more)
    return read_config(compose("sweep", given), given)


def plan_of(runs: Path, *more: str) -> Plan:
    return write_plan(config(runs, *more), words(runs, *more))


def results(folder: RunFolder) -> tuple[bytes, bytes]:
    (episodes,) = folder.path.glob("evaluations/*/episodes.parquet")
    return (folder.path / "policy.safetensors").read_bytes(), episodes.read_bytes()


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, tuple[bytes, bytes]]:
    """The results of each cell, trained and evaluated by itself, by the run's name."""
    runs = tmp_path_factory.mktemp("alone")
    sweep, found = config(runs), {}
    for one in sweep.runs:
        folder = train(one)
        evaluate_run(folder, sweep.evaluate)
        found[folder.path.name] = results(folder)
    return found


def is_whole(sweep: SweepConfig, alone: dict[str, tuple[bytes, bytes]]) -> None:
    """See that all cells are done, with the results that they have alone, and nothing is left."""
    for one in sweep.runs:
        folder = run_folder(one)
        assert folder.marked(DONE, one.hash)
        assert is_evaluated(folder, sweep.evaluate)
        assert results(folder) == alone[folder.path.name]
        assert read_json(folder.path / STATUS, "")["phase"] == "done"
    known = read_plan(sweep.folder).ledger.look()
    assert known.done == known.trained == {one.hash for one in sweep.runs}
    assert not known.claims
    assert not known.failed
    assert not known.sessions


def test_one_worker_does_all_as_each_alone(tmp_path, alone):
    """Nothing of one agent is left when the next begins, though both are made in one process."""
    plan = plan_of(tmp_path)
    worker.work(plan, 1)
    is_whole(config(tmp_path), alone)


def test_a_sweep_is_done_and_not_done_again(tmp_path, alone):
    sweep = config(tmp_path)
    assert run(sweep, words(tmp_path)) == []
    is_whole(sweep, alone)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    one = run_folder(sweep.runs[0])  # as if it had been killed right after the evaluation
    one.status(phase="evaluating")
    read_plan(sweep.folder).ledger.forget(sweep.runs[0].hash, EVALUATED)
    assert run(sweep, words(tmp_path)) == []
    is_whole(sweep, alone)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}


def started(runs: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "misgen.experiments.commands.sweep", *words(runs, *more)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, preexec_fn=None if os.name == "nt" else as_in_a_terminal,
    )  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
@pytest.mark.timeout(60)
def test_a_log_that_is_no_file_is_refused_and_not_waited_for(tmp_path):
    sweep = config(tmp_path)
    sweep.folder.mkdir(parents=True)
    os.mkfifo(sweep.folder / LOG)
    with pytest.raises(UserError, match=r"sweep\.log cannot be written to .*named pipe"):
        run(sweep, words(tmp_path))


def test_two_sweeps_on_one_folder_share_the_cells(tmp_path, alone):
    """Also where one of them has a larger grid."""
    both = started(tmp_path, "jobs=1"), started(tmp_path, "jobs=1", "seeds=1")
    told = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    plan = plan_of(tmp_path)  # as of the larger one, whichever wrote last
    for cell in plan.cells:
        assert results(plan.run_folder(cell)) == alone[cell.name]
    log = (plan.folder / "sweep.log").read_text()
    assert "failed" not in log, log


def claims_of(plan: Plan) -> dict[str, Holder]:
    known = plan.ledger.look()
    return {run: plan.ledger.holder(run, known) for run in known.claims}


def wait_for_claims(plan: Plan, process: subprocess.Popen[str], count: int) -> dict[str, Holder]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        found = claims_of(plan)
        if len(found) >= count and all(one.told for one in found.values()):
            return found
        time.sleep(0.01)
    raise AssertionError(f"no claims: {process.communicate()}")


LONG = "agent.total_steps=65536"


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_worker_that_is_killed_fails_its_own_cell_and_is_replaced(tmp_path, capsys):
    """As where memory runs out; what is left of it is done by `retry`, as if nothing had been."""
    plan = plan_of(tmp_path, LONG)
    process = started(tmp_path, LONG)
    victim, holder = next(iter(wait_for_claims(plan, process, 2).items()))
    run_out_of_memory(holder.told["pid"])
    output = process.communicate(timeout=400)[0]
    assert process.returncode == 1, output
    assert f"not done: {plan.by_run[victim].name}" in output
    known = plan.ledger.look()
    assert known.failed == {victim}
    assert known.done == set(plan.by_run) - {victim}
    told = plan.ledger.told(victim, FAILED)
    assert "was ended by SIGKILL, as the system does where memory runs out" in told["error"]
    assert shlex.split(told["command"])[:2] == ["misgen", "train"]
    assert main(["sweep", "status", str(plan.folder)]) == 0
    told = capsys.readouterr().out
    assert "its process was ended by SIGKILL, as the system does where memory runs out" in told
    assert f"next: misgen sweep retry {plan.folder}" in told
    assert main(["sweep", "retry", str(plan.folder)]) == 0
    assert plan.ledger.look().done == set(plan.by_run)
    cell = plan.by_run[victim]
    given = (LONG, f"correlations=[{cell.correlation}]", f"seeds={cell.seed + 1}", "jobs=1")
    undisturbed = started(tmp_path / "undisturbed", *given)
    output = undisturbed.communicate(timeout=400)[0]
    assert undisturbed.returncode == 0, output
    beside = RunFolder(tmp_path / "undisturbed" / "small" / cell.name)
    assert results(plan.run_folder(cell)) == results(beside)


def test_the_command_of_a_failure_repeats_it(tmp_path):
    """It has the settings of the very run that failed."""
    plan = plan_of(tmp_path, "agent.gamma=0.9")
    cell = plan.cells[3]
    _, command, *given = shlex.split(plan.repeats(cell, "training"))
    assert command == "train"
    again = typed(TrainConfig, compose("train", given))
    assert run_folder(again).path == plan.run_folder(cell).path
    train(plan.run(cell))
    _, command, *given = shlex.split(plan.repeats(cell, "evaluation"))
    assert command == "evaluate"
    from misgen.experiments.commands.evaluate import main as evaluate

    assert evaluate(given) == 0
    assert is_evaluated(plan.run_folder(cell), plan.config.evaluate)


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_sweep_that_is_told_to_stop_saves_and_ends_its_workers(number, tmp_path):
    plan = plan_of(tmp_path, LONG)
    process = started(tmp_path, LONG)
    holders = wait_for_claims(plan, process, 2)
    deadline = time.monotonic() + 120
    curves = [plan.run_folder(plan.by_run[run]).path / "learning.parquet" for run in holders]
    while not all(path.exists() for path in curves) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)  # the curve is written before the first state is taken
    process.send_signal(number)
    output = process.communicate(timeout=200)[0]
    assert process.returncode == 130, output
    assert "saving what is being trained" in output
    assert not any(one.is_alive for one in holders.values())
    assert not claims_of(plan)
    assert not plan.ledger.look().sessions
    saved = [path.with_name("state.safetensors").exists() for path in curves]
    finished = [(path.parent / DONE).exists() for path in curves]
    assert all(a or b for a, b in zip(saved, finished, strict=True))


def test_a_cell_that_cannot_be_done_says_why_and_the_others_are_done(tmp_path, alone):
    sweep = config(tmp_path)
    bad = run_folder(sweep.runs[1])
    bad.path.mkdir(parents=True)
    (bad.path / "state.safetensors").write_bytes(b"no state")
    assert [folder.path for folder in run(sweep, words(tmp_path))] == [bad.path]
    plan = read_plan(sweep.folder)
    told = plan.ledger.told(sweep.runs[1].hash, FAILED)
    assert "cannot be resumed from" in told["error"]
    assert told["stage"] == "training"
    assert len(plan.ledger.look().done) == 3
    (bad.path / "state.safetensors").unlink()
    assert run(sweep, words(tmp_path)) == []
    is_whole(sweep, alone)


def test_a_cell_of_which_process_after_process_died_is_given_up(tmp_path):
    plan = plan_of(tmp_path, "seeds=1", "correlations=[1.0]")
    (cell,) = plan.cells
    path = plan.ledger.claim_file(cell.run, 3)
    path.write_text(json.dumps({"pid": 1, "machine": "elsewhere", "host": "node7"}))
    os.utime(path, (0, 0))
    worker.work(plan, 1)
    told = plan.ledger.told(cell.run, FAILED)
    assert "3 processes died of it" in told["error"]
    assert "node7" in told["error"]


def test_a_run_that_another_command_writes_to_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_BUSY", 0.5)
    plan = plan_of(tmp_path, "seeds=1", "correlations=[1.0]")
    (cell,) = plan.cells
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(plan.run_folder(cell).path)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    worker.work(plan, 1)
    assert plan.ledger.look().done == {cell.run}
    with contextlib.suppress(ProcessLookupError):
        child.wait(60)


HOLD = """
import sys, time
from pathlib import Path
from misgen.experiments.training.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(3)
"""


def test_stop_after_leaves_the_rest_to_the_next_start(tmp_path, alone):
    sweep = config(tmp_path, "seeds=1", "correlations=[1.0]", "stop_after=0")
    starts = 0
    while run(sweep, words(tmp_path)):
        starts += 1
        assert starts < 10
    assert starts == 3  # four rollouts, one a start
    folder = run_folder(sweep.runs[0])
    assert results(folder) == alone[folder.path.name]


def test_the_ledger_is_corrected_by_what_lies_in_the_folders(tmp_path, alone):
    sweep = config(tmp_path, "seeds=1")
    run(sweep, words(tmp_path, "seeds=1"))
    first, second = (run_folder(one) for one in sweep.runs)
    (first.path / DONE).unlink()
    (second.path / "evaluations").rename(second.path / "gone")
    ledger = read_plan(sweep.folder).ledger
    assert len(ledger.look().done) == 2
    assert run(sweep, words(tmp_path, "seeds=1")) == []
    for folder in (first, second):
        assert results(folder) == alone[folder.path.name]
    for path in ledger.path.glob(f"*.{EVALUATED}.json"):
        path.unlink()
    assert run(sweep, words(tmp_path, "seeds=1")) == []
    assert len(ledger.look().done) == 2
