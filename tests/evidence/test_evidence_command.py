"""`misgen evidence`: what it writes, that it goes on where it stopped, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands import evidence
from misgen.experiments.evidence import pieces, run, swept
from misgen.experiments.evidence.collected import collect
from misgen.experiments.evidence.columns import csv_of
from misgen.experiments.evidence.config import EvidenceConfig
from misgen.experiments.evidence.literature import CLAIMS
from misgen.experiments.evidence.pieces import Pieces
from misgen.experiments.evidence.question import QUESTIONS, SIZES, Size, question_of
from misgen.experiments.evidence.swept import Sweep
from misgen.experiments.evidence.told import made_of, read_rows


def answered(name, tmp_path, *words):
    swept_here = any(isinstance(arm, Sweep) for arm in question_of(name).sizes["smoke"].arms)
    jobs = f"jobs={1 + swept_here}"
    return evidence.main([name, "size=smoke", jobs, f"runs={tmp_path}/runs", *words])


@pytest.mark.parametrize("name", QUESTIONS)
def test_smoke(name, tmp_path, monkeypatch, capsys):
    """The whole way: trained, evaluated, told; and a second call finds everything done."""
    monkeypatch.chdir(tmp_path)
    assert answered(name, tmp_path) == 0
    into = tmp_path / "runs" / f"{name}-smoke"
    question = question_of(name)
    rows = read_rows(into, question)
    found = question.analyse(rows)
    _, done = collect(EvidenceConfig(name, "smoke", runs=f"{tmp_path}/runs"))
    assert rows["run"].n_unique() == done.planned == done.runs
    for table_name, table in found.tables.items():
        stored = (into / f"{table_name}.csv").read_text(encoding="utf-8")
        assert stored == csv_of(table), "tables follow from the rows of the seeds"
    page = (into / "README.md").read_text(encoding="utf-8")
    assert found.paragraph in page
    assert f"misgen evidence {name} size=smoke" in page
    assert (into / f"{name}.png").stat().st_size > 5000
    assert rows["cpu_seconds"].sum() > 0
    assert made_of(into)["runs"] == done.runs
    for claim in CLAIMS:
        if claim.question == name:
            assert claim.judge is not None
            claim.judge(dict(found.tables))  # whatever it comes to, it can be told from these
    told = capsys.readouterr()
    assert f"all {done.planned} {question.counts} are done" in told.out

    monkeypatch.setattr(swept.sweep, "run_workers", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(pieces, "_work_off", lambda *_: pytest.fail("done again"))
    assert answered(name, tmp_path) == 0
    assert read_rows(into, question).equals(rows)
    elsewhere = EvidenceConfig(name, "smoke", runs=f"{tmp_path}/elsewhere", earlier=str(into))
    assert list(run.carry_out(elsewhere)), "there is nothing to do"
    assert collect(elsewhere)[0].equals(rows), "an earlier table is as good as its runs"


def test_a_sweep_does_what_an_earlier_table_lacks(tmp_path):
    """The runs that the table has are left alone, and their rows taken over."""
    elsewhere, earlier = tmp_path / "elsewhere", tmp_path / "earlier"
    assert answered("maze_2", elsewhere) == 0
    into = elsewhere / "runs" / "maze_2-smoke"
    rows = read_rows(into, question_of("maze_2"))
    shutil.copytree(into, earlier)
    lacks = rows["run"][-1]
    (earlier / "seeds.csv").write_text(csv_of(rows.filter(pl.col("run") != lacks)))

    assert answered("maze_2", tmp_path, f"earlier={earlier}", f"out={earlier}") == 0
    trained = {path.parent.name for path in (tmp_path / "runs").glob("*/*/manifest.json")}
    assert trained == {lacks}
    both = read_rows(earlier, question_of("maze_2"))
    assert both.drop("cpu_seconds").equals(rows.drop("cpu_seconds"))


def test_an_earlier_table_is_not_written_over_by_less(tmp_path):
    committed = Path(__file__).parents[2] / "docs/evidence/keys_and_chests"
    earlier = tmp_path / "earlier"
    shutil.copytree(committed, earlier)
    words = ["keys_and_chests", f"earlier={earlier}", "train=false"]
    with pytest.raises(UserError, match=r"has rows of 110 training runs .* give another out="):
        evidence.main([*words, f"out={earlier}", "arms=ratio0.25-penalty0"])
    assert evidence.main([*words, f"runs={tmp_path}", f"out={earlier}"]) == 0
    for name in ("seeds.csv", "points.csv"):
        assert (earlier / name).read_text() == (committed / name).read_text()


def test_nothing_is_told_of_nothing(tmp_path, capsys):
    assert answered("langosco_figure_2", tmp_path, "train=false") == 1
    assert "nothing is done yet of 4 training runs" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "langosco_figure_2-smoke" / "README.md").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "question is missing: give one of langosco_figure_2"),
        (["figure"], "question='figure' is not"),
        (["langosco_figure_2", "size=huge"], "size='huge' is not"),
        (["langosco_figure_2", "seeds=0"], "seeds=0"),
        (["langosco_figure_2", "jobs=0"], "jobs=0"),
        (["langosco_figure_2", "arms=none"], "arms='none' is not"),
        (["langosco_figure_2", "seed=1"], "did you mean 'seeds'"),
        (["langosco_figure_2", "out="], "out= names no file or folder"),
        (["langosco_figure_2", "earlier=none"], "none/seeds.csv cannot be read"),
    ],
)
def test_mistakes_are_told_before_anything_begins(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=told.replace("(", r"\(")):
        evidence.main(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_every_arm_of_every_size_can_be_made(name, size):
    config = EvidenceConfig(name, size)
    run.check(config)
    names = [arm.name for arm in config.chosen.arms]
    assert len(set(names)) == len(names)
    hashes = [hash_ for arm in config.chosen.arms for hash_ in hashes_of(arm, config)]
    assert len(set(hashes)) == len(hashes), "nothing is done twice"


def hashes_of(arm, config):
    if isinstance(arm, Sweep):
        return [one.hash for one in arm.sweep_of(config).runs]
    assert isinstance(arm, Pieces)
    return [piece.hash for piece in arm.pieces(config.seeds_of(arm))]


def test_the_arms_of_a_stage_grow_together(monkeypatch):
    first, second, later = (Sweep(name, (), (1.0,)) for name in "abc")
    few = Sweep("d", (), (1.0,), seeds=1)
    size = Size(8, ((first, second, few), (later,)))
    monkeypatch.setattr(EvidenceConfig, "chosen", size)
    told = [(a.name, seeds) for a, seeds in run._order(EvidenceConfig("langosco_figure_2"))]
    assert told == [
        *[("a", 2), ("b", 2), ("d", 1), ("a", 6), ("b", 6), ("a", 8), ("b", 8)],
        *[("c", 2), ("c", 6), ("c", 8)],
    ]


def test_the_sweeps_are_printed(capsys):
    assert evidence.main(["langosco_figure_2", "size=smoke", "--cfg"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("# stage 1\nmisgen sweep preset=smoke")


def test_help_names_every_question():
    for name, asks in QUESTIONS.items():
        assert f"{name:<21}{asks}" in evidence.__doc__
