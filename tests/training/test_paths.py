"""Paths with any letters: every command takes them as they are, and shows them to be pasted."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import misgen.experiments
from misgen.experiments.commands import cli
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.shell import shell_words
from misgen.experiments.training.train import train

NAME = "a (b),c=[d]{e}'f\"#~\\$;& é${oc.env:HOME}"
SMALL = (
    *("preset=smoke", "agent.hidden=[8]", "agent.total_steps=64", "agent.num_envs=8"),
    *("agent.num_steps=8", "agent.batch_size=64", "agent.epochs=1", "levels.test=2000000:2000006"),
)


@pytest.fixture(scope="module")
def a_run(tmp_path_factory) -> Path:
    """Return the folder of a trained run in a folder whose name holds all sorts of letters."""
    runs = tmp_path_factory.mktemp("runs") / NAME
    return train(typed(TrainConfig, compose("train", [*SMALL, f"runs={runs}"]))).path


def say(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must not fail, and return what it printed."""
    status = cli.main(argv)
    out, err = capsys.readouterr()
    assert status == 0, err
    return out


def test_the_run_lies_where_it_was_asked_for(a_run, tmp_path, monkeypatch):
    assert a_run.parent.parent.name == NAME
    assert (a_run / "DONE").is_file()


def test_evaluate_report_card_and_power(a_run, capsys):
    say(["evaluate", f"run={a_run}", "repeats=1", "references=false"], capsys)
    assert f"{a_run.parent}/report.html" in say(["report", str(a_run.parent)], capsys)
    assert str(a_run) in say(["card", f"run={a_run}"], capsys)
    assert cli.main(["evaluate", "power", f"sweep={a_run.parent}"]) == 2  # of one seed: no spread
    assert "too few to estimate the spread" in capsys.readouterr().err


def test_what_is_printed_can_be_pasted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["misgen", "train", f"runs={tmp_path / NAME}"])
    out = say(["train", *SMALL, f"runs={tmp_path / NAME}"], capsys)
    folder, following = out.splitlines()
    assert shlex.split(following.removeprefix("next: ")) == ["misgen", "evaluate", f"run={folder}"]
    stored = json.loads((Path(folder) / "manifest.json").read_text())["command"]
    assert shlex.split(stored) == ["misgen", "train", f"runs={tmp_path / NAME}"]


def test_a_sweep_trains_and_reports_there(tmp_path, capsys, monkeypatch):
    """Its jobs are processes of their own, which are given the settings once more."""
    monkeypatch.setattr("sys.argv", ["misgen", "sweep", f"runs={tmp_path / NAME}"])
    words = ["sweep", *SMALL, f"runs={tmp_path / NAME}", "correlations=[1.0]", "seeds=1", "jobs=1"]
    out = say([*words, "evaluate.repeats=1", "evaluate.references=false"], capsys)
    sweep = tmp_path / NAME / "coinrun-smoke"
    assert f"report: {sweep / 'report.html'}" in out
    (manifest,) = sweep.glob("*/manifest.json")
    assert shlex.split(json.loads(manifest.read_text())["command"])[1:] == [
        "sweep",
        f"runs={tmp_path / NAME}",
    ]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("what", ["check", "play"])
def test_level_files(what, tmp_path, capsys):
    file = tmp_path / f"{NAME}.txt"
    say(["levels", "edit", "env=corner_maze", f"out={file}", "open=false"], capsys)
    assert file.is_file()
    say(["levels", what, f"file={file}", *(["actions=R"] if what == "play" else [])], capsys)
    hint = next(line for line in file.read_text().splitlines() if "misgen levels check" in line)
    words = shlex.split(hint.partition("then: ")[2])
    assert words == ["misgen", "levels", "check", f"file={file}"]


def test_a_protocol_file(a_run, tmp_path, capsys):
    file = tmp_path / f"{NAME}.yaml"
    source = Path(misgen.experiments.__path__[0]).parent / "configs" / "protocol" / "iid.yaml"
    file.write_text(source.read_text().replace("name: iid", "name: mine"))
    out = say(["evaluate", f"protocol={file}", f"run={a_run}", "budgets=[4]"], capsys)
    assert str(a_run) in out


@pytest.mark.parametrize("name", ["a=b", "name=x", "[x]", "{x}", "-"])
def test_report_of_any_folder(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert cli.main(["report", f"./{name}" if name == "-" else name]) == 2
    assert "holds no run: give a sweep's folder" in capsys.readouterr().err


def test_words_for_a_shell():
    assert shlex.split(shell_words("misgen", f"run={NAME}")) == ["misgen", f"run={NAME}"]
    assert shell_words("misgen", "evaluate", "run=runs/a/b") == "misgen evaluate run=runs/a/b"


def test_no_table_is_read_by_a_pattern():
    """Polars takes [ ] * ? in the name of a file for a pattern, unless it is told not to."""
    found = []
    for file in Path(misgen.experiments.__path__[0]).rglob("*.py"):
        text = file.read_text()
        for call in re.finditer(r"pl\.(read_parquet|read_csv|scan_parquet|scan_csv)\(", text):
            given = text[call.end() : call.end() + 160]
            if "glob=False" not in given and "BytesIO(" not in given:
                found.append(f"{file.name}: {call[0]}{given.partition(chr(10))[0]}")
    assert not found
