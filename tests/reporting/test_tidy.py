"""One tidy table over any number of sweeps, wherever they were copied."""

import io
import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from misgen.experiments.commands.cli import main
from misgen.experiments.evaluation.conditions import EPISODES
from misgen.experiments.reporting.report import write_report
from misgen.experiments.reporting.tidy import METRICS, scan_episodes, scan_metrics
from misgen.experiments.sweeps.sweep import run

from ..sweeps.test_sweep import config, words

COLUMNS = Path(__file__).parents[2] / "docs" / "columns.md"


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory) -> list[Path]:
    """Two sweeps, one of which was given a smaller grid afterwards."""
    runs = tmp_path_factory.mktemp("tidy")
    for given in (["seeds=1"], ["seeds=1", "correlations=[1.0]"], ["seeds=1", "name=other"]):
        assert run(config(runs, *given), words(runs, *given)) == []
    return [runs / "small", runs / "other"]


def test_every_metric_of_every_agent(sweeps):
    table = scan_metrics(sweeps).collect()
    assert table.schema == METRICS
    assert table["sweep"].unique().sort().to_list() == ["other", "small"]
    assert table.group_by("sweep", "in_grid").len().height == 3
    found = json.loads(next(sweeps[0].glob("*rho1-*/evaluations/*/summary.json")).read_text())
    own = table.filter(sweep="small", in_grid=True)
    assert own.height == len(found["metrics"])
    for row, stored in zip(own.iter_rows(named=True), found["metrics"], strict=True):
        assert (row["metric"], row["estimate"]) == (stored["metric"], stored["estimate"])
    assert own["verdict"].unique().to_list() == [found["verdicts"][0]["name"]]
    assert own["is_sweeps"].all()
    assert own["decisions"].unique().to_list() == [512]
    assert (own["training_flops"] > 0).all()
    assert (own["cpu_seconds"] > 0).all()


def test_it_is_lazy_over_parquet(sweeps):
    lazy = scan_metrics(sweeps)
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.filter(pl.col("metric") == "pursuit").select("estimate").collect().width == 1
    scanned = scan_episodes(sweeps)
    assert "PARQUET" in scanned.explain().upper()
    table = scanned.collect()
    assert set(EPISODES) < set(table.columns)
    assert table["sweep"].n_unique() == 2


def test_the_columns_are_documented():
    page = COLUMNS.read_text().partition("`misgen results` writes")[2]
    documented = []
    for names, kind in re.findall(r"^\| (`[^|]+) \| (\w+) \|", page, re.MULTILINE):
        documented += [(name, kind) for name in re.findall(r"`(\w+)`", names)]
    assert documented == [(name, str(kind)) for name, kind in METRICS.items()]


def test_the_command_writes_csv_and_parquet(sweeps, tmp_path, capsys):
    given = [str(sweep) for sweep in sweeps]
    assert main(["results", *given]) == 0
    printed = pl.read_csv(io.StringIO(capsys.readouterr().out), infer_schema_length=None)
    assert printed.columns == METRICS.names()
    for out in (tmp_path / "a.csv", tmp_path / "a.parquet"):
        assert main(["results", *given, f"out={out}"]) == 0
    rows = pl.read_parquet(tmp_path / "a.parquet")
    assert rows.equals(scan_metrics(sweeps).collect(), null_equal=True)
    assert pl.read_csv(tmp_path / "a.csv", infer_schema_length=None).height == rows.height
    assert main(["results", *given, "table=episodes", f"out={tmp_path / 'e.parquet'}"]) == 0
    assert pl.read_parquet(tmp_path / "e.parquet").height == scan_episodes(sweeps).collect().height


def test_a_copied_sweep_gives_the_same(sweeps, tmp_path):
    copy = tmp_path / "elsewhere" / sweeps[0].name
    shutil.copytree(sweeps[0], copy)
    for scan in (scan_metrics, scan_episodes):
        assert scan([copy]).collect().equals(scan([sweeps[0]]).collect(), null_equal=True)
    pages = [write_report(one).read_bytes() for one in (sweeps[0], copy)]
    stripped = [page.replace(bytes(one.parent), b"") for page, one in
                zip(pages, (sweeps[0], copy), strict=True)]  # fmt: skip
    assert stripped[0] == stripped[1]


@pytest.mark.parametrize(("name", "table"), [("schema_version", "metrics"),
                                             ("episodes_version", "episodes")])  # fmt: skip
def test_other_versions_are_refused_in_a_sentence(name, table, sweeps, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(sweeps[1], copy)
    path = next(copy.glob("*/evaluations/*/summary.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), name: 1}))
    assert main(["results", str(copy), f"table={table}"]) == 2
    assert f"has {name} 1, and this version of misgen reads" in capsys.readouterr().err


def test_episodes_that_were_changed_are_refused(sweeps, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(sweeps[1], copy)
    path = next(copy.glob("*/evaluations/*/episodes.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["results", str(copy), "table=episodes"]) == 2
    assert "is not the file that was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["nonesuch"], "nonesuch holds no run"),
        (["out=x.json"], "out=x.json is neither .csv nor .parquet"),
        (["table=metric"], "did you mean 'metrics'?"),
        (["oout=x.csv"], "did you mean 'out'?"),
        ([], "there is no folder runs here"),
    ],
)
def test_mistakes(given, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["results", *given]) == 2
    assert told in capsys.readouterr().err
