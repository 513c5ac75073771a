"""Looking after a sweep: its state from anywhere, repeating, adding, clearing away."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands.cli import main
from misgen.experiments.commands.sweep_run import main as sweep_main
from misgen.experiments.evaluation.until import decide
from misgen.experiments.evaluation.verdict import VERDICTS
from misgen.experiments.reporting.results import read_results
from misgen.experiments.sweeps import ledger as known_as
from misgen.experiments.sweeps import looks, sweep
from misgen.experiments.sweeps.cluster import require_cluster
from misgen.experiments.sweeps.ledger import Cell
from misgen.experiments.sweeps.plan import Plan, read_plan, write_plan
from misgen.experiments.sweeps.states import STATES, count, states
from misgen.experiments.sweeps.sweep import check, run
from misgen.experiments.sweeps.upkeep import add, clean, retry
from misgen.experiments.training.run_folder import DONE

from .test_sweep import alone, config, is_whole, plan_of, results, words

__all__ = ["alone"]


def claimed(plan: Plan, number: int, **told: object) -> None:
    path = plan.ledger.claim_file(plan.cells[number].run, 1)
    path.write_text(json.dumps({"machine": "elsewhere", "host": "node7", "pid": 5, **told}))


@pytest.fixture
def mixed(tmp_path) -> Plan:
    """A sweep with a cell in each state but `queued`; nothing is trained."""
    plan = plan_of(tmp_path, "seeds=4")
    done, failed, running, lost, paused, *_ = plan.cells
    plan.run_folder(done).path.mkdir()
    plan.ledger.note(done.run, known_as.DONE, seconds=1.0)
    plan.ledger.note(failed.run, known_as.FAILED, error="it broke", command="misgen train x=1")
    claimed(plan, 2, job="12_3")
    claimed(plan, 3)
    os.utime(plan.ledger.claim_file(lost.run, 1), (0, 0))
    plan.ledger.note(paused.run, known_as.PAUSED)
    assert running
    sweep.note(plan)
    return plan


def test_every_state_is_told(mixed, capsys):
    assert count(states(mixed)) == {
        "running": 1, "lost": 1, "failed": 1, "paused": 1, "missing": 3, "done": 1,
    }  # fmt: skip
    assert set(count(states(mixed))) | {"queued"} == set(STATES)
    assert main(["sweep", "status", str(mixed.folder)]) == 0
    out = capsys.readouterr().out
    for told in ("8 cells: 1 running, 1 lost, 1 failed, 1 paused, 3 missing, 1 done",
                 "node7, process 5, job 12_3", "it broke", "misgen train x=1",
                 f"next: misgen sweep retry {mixed.folder}"):  # fmt: skip
        assert told in out


def test_cells_are_queued_while_somebody_is_at_work(mixed, capsys):
    mixed.ledger.open_session(jobs=2, launcher="local")
    assert count(states(mixed))["queued"] == 3
    assert main(["sweep", "status", str(mixed.folder), "all=true"]) == 0
    out = capsys.readouterr().out
    assert "at work:" in out
    assert all(cell.name in out for cell in mixed.cells)


def test_one_cell(mixed, capsys):
    assert main(["sweep", "status", str(mixed.folder), "cell=rho1-seed1"]) == 0
    out = capsys.readouterr().out
    assert "1 cells: 1 failed" in out
    assert main(["sweep", "status", str(mixed.folder), "cell=nonesuch"]) == 2
    assert "is no cell of the sweep" in capsys.readouterr().err


def test_retry_takes_what_failed_stopped_or_was_lost(mixed, capsys):
    cells = mixed.cells
    assert retry(mixed, "rho1-seed1") == [cells[1]]
    assert retry(mixed) == [cells[3], cells[4]]
    found = count(states(mixed))
    assert found == {"running": 1, "missing": 6, "done": 1}


def test_retry_leaves_the_work_where_somebody_is_at_it(mixed, capsys):
    mixed.ledger.open_session(jobs=2, launcher="local")
    assert main(["sweep", "retry", str(mixed.folder)]) == 0
    out = capsys.readouterr().out
    assert "to be done again: cheese_on_a_dish" in out
    assert "is at work on it, and takes that on" in out


def test_retry_goes_on_with_the_sweep(tmp_path, alone, capsys):
    """From the folder alone: no setting is given again; also where it was moved to."""
    sweep_ = config(tmp_path / "a", "seeds=1")
    plan = write_plan(sweep_, words(tmp_path / "a", "seeds=1"))
    sweep.note(plan)
    plan.ledger.note(plan.cells[0].run, known_as.FAILED, error="x", command="y")
    (tmp_path / "a").rename(tmp_path / "b")
    assert main(["sweep", "retry", str(tmp_path / "b" / "small"), "jobs=1"]) == 0
    moved = read_plan(tmp_path / "b" / "small")
    assert {one.state for one in states(moved)} == {"done"}
    for cell in moved.cells:
        assert results(moved.run_folder(cell)) == alone[cell.name]
    assert "report:" in capsys.readouterr().out


def test_what_was_on_a_machine_that_is_lost_is_done_by_retry(tmp_path, alone, capsys):
    """Its training was half done, and its state saved."""
    given = ("seeds=1", "correlations=[1.0]")
    assert run(config(tmp_path, *given, "stop_after=0"), words(tmp_path, *given, "stop_after=0"))
    plan = plan_of(tmp_path, *given)
    plan.ledger.forget(plan.cells[0].run, known_as.PAUSED)
    claimed(plan, 0)
    assert count(states(plan)) == {"running": 1}
    assert retry(plan) == []
    os.utime(plan.ledger.claim_file(plan.cells[0].run, 1), (0, 0))  # no sign of life since
    assert main(["sweep", "status", str(plan.folder)]) == 0
    out = capsys.readouterr().out
    assert "1 cells: 1 lost" in out
    assert "as where memory runs out or a machine is lost, node7, process 5" in out
    assert main(["sweep", "retry", str(plan.folder)]) == 0
    assert count(states(plan)) == {"done": 1}
    folder = plan.run_folder(plan.cells[0])
    assert results(folder) == alone[plan.cells[0].name]
    assert json.loads((folder.path / "manifest.json").read_text())["continued_at"]


def test_cells_are_added(tmp_path, alone, capsys):
    run(config(tmp_path, "seeds=1", "correlations=[1.0]"),
        words(tmp_path, "seeds=1", "correlations=[1.0]"))  # fmt: skip
    folder = str(tmp_path / "small")
    assert main(["sweep", "add", folder, "seeds=2", "correlations=[0.5]", "start=false"]) == 0
    assert "added: 3 cells; there are 4" in capsys.readouterr().out
    assert count(states(read_plan(tmp_path / "small"))) == {"missing": 3, "done": 1}
    for wrong, told in (
        (["seeds=1"], "seeds=1 is fewer than the 2"),
        (["seeds=2"], "has these cells already"),
        ([], "nothing is to be added"),
        (["seeds=x"], "must be a whole number"),
        (["correlations=[2]"], "correlation=2.0 is out of range"),
        (["nonsense=1"], "is no setting of misgen sweep add"),
    ):
        assert main(["sweep", "add", folder, *wrong]) == 2
        assert told in capsys.readouterr().err
    assert main(["sweep", "retry", folder]) == 0
    is_whole(config(tmp_path), alone)
    assert len(read_results(tmp_path / "small").runs) == 4


def test_who_works_on_a_sweep_takes_on_what_is_added(tmp_path, alone):
    plan = plan_of(tmp_path, "seeds=1", "correlations=[1.0]")
    other = plan_of(tmp_path, "seeds=1", "correlations=[0.5]")  # started beside it
    mine = read_plan(plan.folder, plan.file)
    assert mine.grown() is mine
    larger = add(other, 2, [], check)
    assert mine.grown() is mine
    assert read_plan(plan.folder, other.file).grown().cells == larger.cells
    assert len(larger.cells) == 2
    again = add(larger, 3, [], check)
    assert read_plan(plan.folder, other.file).grown().cells == again.cells


def test_clean_removes_what_nobody_needs_and_no_agent(tmp_path, alone, capsys):
    given = ("seeds=1",)
    run(config(tmp_path, *given), words(tmp_path, *given))
    plan = read_plan(tmp_path / "small")
    run(config(tmp_path, *given, "correlations=[1.0]"), words(tmp_path, *given))
    plan = plan_of(tmp_path, *given, "correlations=[1.0]")
    sweep.note(plan)
    other = next(path for path in plan.folder.glob("*rho0.5*"))
    (other / "state.safetensors").write_bytes(b"x")
    (plan.ledger.path / f".x.{2**22 - 7}.00000000.00000000.tmp").write_bytes(b"")
    claimed(plan, 0)
    with pytest.raises(UserError, match="is being worked on"):
        clean(plan)
    os.utime(plan.ledger.claim_file(plan.cells[0].run, 1), (0, 0))
    assert main(["sweep", "clean", str(plan.folder)]) == 0
    out = capsys.readouterr().out
    assert f"kept, though not in the grid (left_out=true removes them): {other.name}" in out
    assert not (other / "state.safetensors").exists()
    assert (other / DONE).exists()
    assert not plan.ledger.look().claims
    assert main(["sweep", "clean", str(plan.folder), "left_out=true"]) == 0
    assert not other.exists()
    assert {one.state for one in states(plan)} == {"done"}


def test_a_report_says_which_agents_it_shows(tmp_path, alone, capsys):
    """A grid that is changed under a name keeps the earlier agents."""
    run(config(tmp_path, "seeds=1"), words(tmp_path, "seeds=1"))
    less = ("seeds=1", "correlations=[1.0]")
    run(config(tmp_path, *less), words(tmp_path, *less))
    found = read_results(tmp_path / "small")
    assert len(found.runs) == 1
    (left,) = found.left_out
    assert "rho0.5" in left
    assert main(["report", str(tmp_path / "small")]) == 0
    assert f"not shown, as the sweep has other settings now: {left}" in capsys.readouterr().out
    assert left in (tmp_path / "small" / "report.html").read_text()


def test_a_sweep_of_an_earlier_version_has_a_status(tmp_path, alone, capsys):
    run(config(tmp_path, "seeds=1"), words(tmp_path, "seeds=1"))
    folder = tmp_path / "small"
    shutil.rmtree(folder / "ledger")
    shutil.rmtree(next(folder.glob("*rho0.5*")))
    assert main(["sweep", "status", str(folder)]) == 0
    assert "2 cells: 1 missing, 1 done" in capsys.readouterr().out
    assert main(["sweep", "add", str(folder), "seeds=2"]) == 2
    assert "is the sweep of an earlier version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["status", "nonesuch"], "nonesuch holds no sweep"),
        (["status", ".", "."], ". is a second folder"),
        (["status", "alll=true"], "did you mean 'all'?"),
        (["status", "all=maybe"], "all=maybe must be true or false"),
        (["retry", "jobs=0"], "jobs=0 must be a whole number from 1"),
        (["add", "correlations=1"], "must be a list of numbers"),
        (["clean"], "runs holds no sweep"),
    ],
)
def test_mistakes(given, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *given]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("action", ["status", "retry", "add", "clean"])
def test_help(action, capsys):
    assert main(["sweep", action, "--help"]) == 0
    assert "misgen sweep status [runs/<sweep>]" in capsys.readouterr().out


def test_ten_thousand_cells_take_under_a_second(tmp_path):
    """CPU time of the quickest of some tries: machines may be busy with other things."""
    plan = plan_of(tmp_path, "correlations=[1.0]", "seeds=1")
    cells = [[f"w-rho1-seed{k}-{k:010x}", 1.0, k] for k in range(10_000)]
    plain = json.loads((plan.ledger.path / "plan.json").read_text())
    (plan.ledger.path / "plan.json").write_text(json.dumps({**plain, "cells": cells}))
    for name, _, seed in cells[:8000]:
        run_ = name[-10:]
        (plan.folder / name).mkdir()
        (plan.ledger.path / f"{run_}.trained.json").write_text("{}")
        if seed < 7000:
            (plan.ledger.path / f"{run_}-{plan.evaluation}.done.json").write_text("{}")
        elif seed < 7100:
            told = {"machine": "x", "host": "node", "pid": seed, "beat": 10}
            (plan.ledger.path / f"{run_}.claim-1.json").write_text(json.dumps(told))
    taken = []
    for _ in range(3):
        began = time.process_time()
        found = count(states(read_plan(plan.folder)))
        taken.append(time.process_time() - began)
    assert found == {"running": 100, "missing": 2900, "done": 7000}
    assert min(taken) < 1.0
    command = [sys.executable, "-c", COUNTED, "sweep", "status", str(plan.folder)]
    told = [subprocess.run(command, capture_output=True, text=True).stdout for _ in range(3)]
    assert min(float(one.split()[-1]) for one in told) < 1.5  # with all that is imported


COUNTED = """
import sys, time
from misgen.experiments.commands.cli import main
main()
assert not {"numba", "torch", "polars"} & set(sys.modules)
print(time.process_time())
"""


# --- seeds=until


def test_seeds_are_added_until_each_verdict_stands(tmp_path, monkeypatch):
    given = ["seeds=until", "until.first=8", "until.step=4", "until.most=16"]
    swept = config(tmp_path, *given)
    grids = []
    monkeypatch.setattr(sweep, "_run_once", lambda plan, _: grids.append(plan) or [])

    def verdict(plan: Plan, cell: Cell) -> str:
        clear = cell.correlation == 1 or cell.seed > 0
        return "misgeneralizes" if clear else "mixed"

    monkeypatch.setattr(looks, "verdict_on", verdict)
    assert run(swept, words(tmp_path, *given)) == []
    shown = [[plan.config.seeds_of(rho) for rho in (1.0, 0.5)] for plan in grids]
    assert shown == [[8, 8], [8, 12]]  # 7 of 8 are too few, 11 of 12 enough
    last = grids[-1]
    assert last.extends == (grids[0].file,)
    found = looks.decisions(last, swept.until)
    assert [(one.seeds, one.verdict) for one in found.values()] == [
        (8, "misgeneralizes"), (12, "misgeneralizes"),
    ]  # fmt: skip
    assert read_plan(tmp_path / "small").config.more_seeds == {"0.5": 12}


def test_verdicts_are_those_of_the_evaluations(tmp_path, capsys):
    given = ["seeds=until", "until.first=5", "until.step=1", "until.most=6", "until.error=0.3",
             "correlations=[1.0]"]  # fmt: skip
    swept = config(tmp_path, *given)
    assert run(swept, words(tmp_path, *given)) == []
    plan = read_plan(swept.folder)
    (found,) = looks.decisions(plan, swept.until).values()
    names = [looks.verdict_on(plan, cell) for cell in plan.cells]
    assert set(names) <= set(VERDICTS)
    assert found == decide(names, swept.until)
    assert found.stands
    assert found.seeds == len(plan.cells)

    # what the ledger noted, and what lies in the folder alone, tell the same
    assert looks.noted_decisions(plan, swept.until) == {1.0: found}
    for cell in plan.cells:
        assert plan.ledger.told(cell.run, known_as.DONE)["verdict"] == names[cell.seed]
        plan.ledger.note(cell.run, known_as.DONE)
    assert looks.noted_decisions(plan, swept.until) == {1.0: found}

    # whoever asks is told: what was decided, after how many seeds, at what error
    rule = f"{swept.until}"
    assert rule.endswith("an error of 30% over all looks")
    for command in (["sweep", "status"], ["report"]):
        assert main([*command, str(plan.folder)]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert rule in out
        assert f"\u03c1 = 1: {found}" in out
    page = " ".join((plan.folder / "report.html").read_text().split())
    assert rule in page
    assert found.outcome in re.sub(r"<[^>]*>", "", page)
    plan.ledger.forget(plan.cells[0].run, known_as.DONE)
    (none,) = looks.noted_decisions(plan, swept.until).values()
    assert none.seeds == 0


# --- launchers


def test_a_launcher_that_is_not_there_is_told_before_any_work(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package submitit.*misgen\[slurm\]"):
        require_cluster("submitit_local")
    monkeypatch.undo()
    pytest.importorskip("submitit")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UserError, match="needs Slurm's command sbatch"):
        require_cluster("slurm")
    require_cluster("submitit_local")


def test_a_sweep_through_submitit_is_a_local_one(tmp_path, alone):
    pytest.importorskip("submitit")
    given = ("launcher=submitit_local", "cluster.minutes=30")
    assert run(config(tmp_path, *given), words(tmp_path, *given)) == []
    is_whole(config(tmp_path), alone)


def test_jobs_need_nobody_to_wait_for_them(tmp_path, alone):
    pytest.importorskip("submitit")
    given = ("launcher=submitit_local", "cluster.wait=false", "jobs=1", "seeds=1")
    command = [sys.executable, "-m", "misgen.experiments.commands.sweep"]
    done = subprocess.run(
        [*command, *words(tmp_path, *given)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert "2 agents are left to the jobs: misgen sweep status" in done.stdout
    plan = read_plan(tmp_path / "small")
    deadline = time.monotonic() + 300
    while count(states(plan)) != {"done": 2} and time.monotonic() < deadline:
        time.sleep(0.2)
    for cell in plan.cells:
        assert results(plan.run_folder(cell)) == alone[cell.name]


def test_words_that_have_no_effect_are_refused(tmp_path):
    for wrong, told in (
        (["cluster.minutes=3"], "it is for launcher=slurm"),
        (["until.most=30"], "it is for seeds=until"),
    ):
        with pytest.raises(UserError, match=told):
            sweep_main([*words(tmp_path), *wrong])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cells": [["../../x-0123456789", 1.0, 0]]}, "is no run's name"),
        ({"cells": [["x"]]}, "cells cannot be read"),
        ({"cells": 3}, "cells is 3, not a list"),
        ({"sweep": []}, "sweep is [], not an object"),
    ],
)
def test_a_plan_that_was_changed_is_refused(change, told, tmp_path, capsys):
    plan = plan_of(tmp_path)
    path = plan.ledger.path / "plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert main(["sweep", "status", str(plan.folder)]) == 2
    assert told in capsys.readouterr().err
