"""What trackers are shown of a sweep: each training, each evaluation, and the report."""

import json

import polars as pl
import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands.cli import main
from misgen.experiments.commands.sweep_run import main as sweep_main
from misgen.experiments.reporting.results import read_results
from misgen.experiments.reporting.tracked_report import track_report
from misgen.experiments.sweeps import sweep, worker
from misgen.experiments.training.run_folder import read_parquet

from ..wandb_folders import nobodys_settings, sync
from .test_sweep import config, plan_of, results, words

__all__ = ["nobodys_settings"]
ONE = ("seeds=1", "correlations=[0.5]")
BOTH = {"wandb": True, "tensorboard": True}


@pytest.mark.usefixtures("nobodys_settings")
def test_a_sweep_in_trackers_says_what_its_files_say(tmp_path, capsys):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    plan = plan_of(tmp_path, *ONE, "logger=wandb", "+logger.tensorboard=true")
    worker.work(plan, 1)
    sweep.note(plan)
    assert main(["report", str(plan.folder), "logger=wandb"]) == 0
    assert "it writes offline" in capsys.readouterr().err
    track_report(plan.folder, {"tensorboard": True})
    run = plan.run_folder(plan.cells[0])
    (into,) = run.path.glob("evaluations/*")
    places = {"train": run.path, "evaluate": into, "report": plan.folder}

    folders = [next((place / "wandb").glob("offline-run-*")) for place in places.values()]
    sent = dict(zip(places, sync(folders), strict=True))
    assert {kind: one.kind for kind, one in sent.items()} == {kind: kind for kind in places}
    assert {one.about["groupName"] for one in sent.values()} == {"small"}
    summary = json.loads((into / "summary.json").read_text())
    assert sent["train"].config["agent"]["total_steps"] == 512
    assert sent["evaluate"].config["evaluate"] == json.loads(json.dumps(summary["config"]))
    assert sent["report"].config["correlations"] == [0.5]

    curve = read_parquet(run.path / "learning.parquet")
    whole = dict(zip(curve["steps"], curve["success"], strict=True))
    assert sent["train"].logged("success") == pytest.approx(whole)
    scalars = {}
    for kind, place in places.items():
        scalars[kind] = reader.EventAccumulator(str(place / "tensorboard"))
        scalars[kind].Reload()
    told = [(one.step, one.value) for one in scalars["train"].Scalars("success")]
    assert dict(told) == pytest.approx(whole)

    known = [row for row in summary["metrics"] if row["estimate"] is not None]
    assert len(known) > 10
    for row in known:
        name = f"evaluation/{row['metric']}/{row['placement']}/{row['actions']}"
        assert sent["evaluate"].logged(name) == {512: pytest.approx(row["estimate"])}
        (one,) = scalars["evaluate"].Scalars(name)
        assert (one.step, one.value) == (512, pytest.approx(row["estimate"]))
        name = name.replace("evaluation/", "report/") + "/rho0.5"
        assert sent["report"].logged(name)[0] == pytest.approx(row["estimate"])
        assert scalars["report"].Scalars(name)[0].value == pytest.approx(row["estimate"])

    (table,) = (folders[2] / "files").rglob("by_seed*.table.json")
    by_seed = read_results(plan.folder).by_seed
    read = json.loads(table.read_text())
    assert pl.DataFrame(read["data"], by_seed.schema, orient="row").equals(by_seed)
    for name in ("by_recipe", "verdicts"):
        assert list((folders[2] / "files").rglob(f"{name}*.table.json"))
    assert list((folders[2] / "files").rglob("*.png"))
    tags = scalars["report"].Tags()
    assert tags["images"] == ["report/goal_and_capability"]
    assert "report/by_seed/text_summary" in tags["tensors"]

    # and all that was found is what it would have been without
    plain = plan_of(tmp_path / "plain", *ONE)
    worker.work(plain, 1)
    assert results(plain.run_folder(plain.cells[0])) == results(run)
    assert config(tmp_path, *ONE, "logger=wandb").runs[0].hash == plain.cells[0].run


def test_where_an_evaluation_of_a_sweep_goes_is_said_once(tmp_path):
    with pytest.raises(UserError, match="evaluations go where its trainings go: give logger=wandb"):
        sweep_main(words(tmp_path, "evaluate.logger.wandb=true"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["report", "logger=wandbb"], "did you mean 'wandb'?"),
        (["report", "a", "b", "logger=wandb"], "only the report of one sweep goes to a tracker"),
        (["evaluate", "run=x", "logger=wandbb"], "did you mean 'wandb'?"),
        (["evaluate", "run=x", "shift=surface", "logger=wandb"], "a surface goes to no tracker"),
    ],
)
def test_trackers_that_cannot_be_are_refused(given, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert main(given) == 2
    assert told in capsys.readouterr().err
