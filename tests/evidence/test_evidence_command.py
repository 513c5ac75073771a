"""`misgen evidence`: what it writes, that it goes on where it stopped, and what it refuses."""

from __future__ import annotations

import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands import evidence
from misgen.experiments.evidence import run
from misgen.experiments.evidence.config import EvidenceConfig
from misgen.experiments.evidence.question import QUESTIONS, SIZES, Arm, Size, question_of
from misgen.experiments.evidence.told import csv_of, made_of, read_seeds

SMOKE = ["size=smoke", "jobs=2"]


def answered(name, tmp_path, *words):
    return evidence.main([name, *SMOKE, f"runs={tmp_path}/runs", *words])


@pytest.mark.parametrize("name", QUESTIONS)
def test_smoke(name, tmp_path, monkeypatch, capsys):
    """The whole way: trained, evaluated, told; and a second call finds everything done."""
    monkeypatch.chdir(tmp_path)
    assert answered(name, tmp_path) == 0
    into = tmp_path / "runs" / f"{name}-smoke"
    seeds, question = read_seeds(into), question_of(name)
    found = question.analyse(seeds)
    planned = sum(len(a.correlations) * (a.seeds or 2) for a in question.sizes["smoke"].arms)
    assert seeds["run"].n_unique() == planned
    for table_name, table in found.tables.items():
        stored = (into / f"{table_name}.csv").read_text(encoding="utf-8")
        assert stored == csv_of(table), "tables follow from the rows of the seeds"
    page = (into / "README.md").read_text(encoding="utf-8")
    assert found.paragraph in page
    assert f"misgen evidence {name} size=smoke" in page
    assert (into / f"{name}.png").stat().st_size > 5000
    assert made_of(into)["cpu_hours"] > 0
    told = capsys.readouterr()
    assert f"all {planned} training runs are done" in told.out

    monkeypatch.setattr(run.sweep, "run_workers", lambda *_: pytest.fail("trained again"))
    assert answered(name, tmp_path) == 0
    assert read_seeds(into).equals(seeds)


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
        (["langosco_figure_2", "out="], "out= names no folder"),
    ],
)
def test_mistakes_are_told_before_anything_begins(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=told.replace("(", r"\(")):
        evidence.main(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_every_sweep_of_every_size_can_be_made(name, size):
    config = EvidenceConfig(name, size)
    run.check(config)
    names = [arm.name for arm in config.chosen.arms]
    assert len(set(names)) == len(names)
    hashes = [one.hash for arm in config.chosen.arms for one in run.sweep_of(config, arm).runs]
    assert len(set(hashes)) == len(hashes), "no run is trained twice"


def test_the_arms_of_a_stage_grow_together(monkeypatch):
    first, second, later = (Arm(name, (), (1.0,)) for name in "abc")
    few = Arm("d", (), (1.0,), seeds=1)
    size = Size(5, ((first, second, few), (later,)))
    monkeypatch.setattr(EvidenceConfig, "chosen", size)
    told = [(a.name, seeds) for a, seeds in run._order(EvidenceConfig("langosco_figure_2"))]
    assert told == [
        *[("a", 2), ("b", 2), ("d", 1), ("a", 4), ("b", 4), ("a", 5), ("b", 5)],
        *[("c", 2), ("c", 4), ("c", 5)],
    ]


def test_the_sweeps_are_printed(capsys):
    assert evidence.main(["langosco_figure_2", "size=smoke", "--cfg"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("# stage 1\nmisgen sweep preset=smoke")


def test_help_names_every_question():
    for name, asks in QUESTIONS.items():
        assert f"{name:<21}{asks}" in evidence.__doc__
