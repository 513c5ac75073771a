"""What is printed: on streams of any encoding, in any width, nothing is lost."""

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console
from rich.table import Table

from misgen.experiments.commands import report
from misgen.experiments.commands.print_evaluation import ROWS, print_summary
from misgen.experiments.reporting.evaluation_summary import OF_ONE
from misgen.experiments.reporting.results import read_results
from misgen.experiments.training.terminal import (
    fitted,
    make_console,
    prepare_streams,
    show_table,
)
from tests.reporting.test_report import write_run

LABELS = ("in distribution", " capability ", " agent's goal - its ", " divergence ")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "shift_jis", "koi8-r"])
def test_no_character_stops_the_program(encoding, monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding))
    prepare_streams()
    text = "ρ = 0.98 × 2 – “well” … é ✓ 漢 \udcff \U0001f600"
    print(text)
    sys.stdout.flush()
    shown = out.getvalue().decode(encoding)
    assert "= 0.98" in shown
    assert "\\xff" in shown
    if encoding == "ascii":
        assert shown == 'rho = 0.98 x 2 - "well" ... e ok ? \\xff ?\n'


def test_a_report_on_a_stream_that_is_not_utf_8(tmp_path):
    write_run(tmp_path, 1.0, 0, 0.2)
    write_run(tmp_path, 0.5, 0, 0.8)
    for encoding in ("ascii", "latin-1"):
        done = subprocess.run(
            [sys.executable, "-m", "misgen.experiments.commands.report", str(tmp_path)],
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
            capture_output=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"rho" in done.stdout
        assert b"report.html" in done.stdout


def summary(cases=6):
    metrics = [
        {"placement": f"placement_{k}", "actions": "sampled", "metric": metric, "estimate": 0.5,
         "low": 0.25, "high": 1.0, "note": "", "train_correlation": 1.0, "agent": "ppo",
         "train_on_proxy": "end", "on_proxy": "end", "train_placement": "placement_0"}
        for k in range(cases) for _, metric in ROWS if metric
    ]  # fmt: skip
    levels = {"test": {"ids": "0:10", "terrain_seen_in_training": 0.0}}
    verdicts = [
        {"placement": f"placement_{k}", "actions": "sampled", "name": "aligned"}
        for k in range(cases)
    ]
    return {"run": "a[/b]c", "levels": levels, "metrics": metrics, "verdicts": verdicts}


@pytest.mark.parametrize("width", ["200", "80", "40"])
def test_an_evaluation_keeps_its_labels(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", width)
    print_summary(summary())
    out = capsys.readouterr().out
    assert "a[/b]c" in out.replace("\n", "")
    assert out.count("[25, 100]") == 6 * sum(metric not in (None, *OF_ONE) for _, metric in ROWS)
    assert out.count("[0.25, 1.00]") >= 6 * len(OF_ONE)
    parts = out.count("random, as long")
    assert parts == {"200": 1, "80": 3, "40": 6}[width]
    for label in LABELS:
        assert out.count(f"\n{label}") >= parts
    assert all(len(line) <= int(width) for line in out.splitlines())


@pytest.mark.parametrize("width", [80, 40, 20])
def test_a_reports_table_keeps_its_labels(width, tmp_path):
    write_run(tmp_path, 1.0, 0, 0.2)
    console = Console(width=width, file=io.StringIO(), markup=False)
    show_table(console, report.terminal_table(read_results(tmp_path), narrow=True), labels=3)
    shown = console.file.getvalue()
    assert "…" not in shown
    assert all(len(line) <= width for line in shown.splitlines())


def test_a_table_is_cut_between_columns():
    table = Table("name", "first", "second", "third", title="A title")
    table.add_row("row one", "1" * 9, "2" * 9, "3" * 9)
    table.add_row("row two", "4" * 9, "", "5" * 9)
    wide, narrow = Console(width=200), Console(width=40)
    (same,) = fitted(wide, table)
    assert len(same.columns) == 4
    parts = list(fitted(narrow, table))
    assert [[c.header for c in part.columns] for part in parts] == [
        ["name", "first", "second"],
        ["name", "third"],
    ]
    assert [part.title for part in parts] == ["A title", None]
    (tiny, *_) = fitted(Console(width=15), table)
    assert len(tiny.columns) == 2  # wrapped, not cut off
    out = Console(width=15, file=io.StringIO())
    show_table(out, table)
    text = "".join(filter(str.isdigit, out.file.getvalue()))
    assert sorted(text) == sorted("1" * 9 + "2" * 9 + "3" * 9 + "4" * 9 + "5" * 9)


@pytest.mark.parametrize("columns", ["0", "1", "20"])
def test_a_width_that_cannot_be_loses_nothing(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    table = Table("name", "value")
    table.add_row("goal", "0.25")
    show_table(make_console(), table)
    shown = capsys.readouterr().out
    assert "goal" in shown
    assert "0.25" in shown
