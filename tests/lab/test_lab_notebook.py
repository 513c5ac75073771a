"""The lab's notebooks come from one source: blanks, folded solutions, and tests for every task."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments import lab
from misgen.experiments.commands import cli
from misgen.experiments.lab.execution import _with_own_tests, execute
from misgen.experiments.lab.exercises import EXERCISES
from misgen.experiments.lab.notebook import (
    SOURCE,
    Cell,
    answer_of,
    as_notebook,
    cells,
    check_of,
    plain_cells,
    student_cells,
)

TEXT = SOURCE.read_text(encoding="utf-8")
NUMBERS = [one.number for one in EXERCISES]
MARKS = re.compile(r"(BEGIN|END) SOLUTION|# BLANK")

needs_kernel = pytest.mark.skipif(
    not all(map(find_spec, ("nbclient", "nbformat", "ipykernel"))), reason="misgen[lab]"
)


def test_every_exercise_has_an_answer_a_test_and_its_line():
    found = cells(TEXT)
    assert [answer_of(cell) for cell in found if answer_of(cell)] == NUMBERS
    assert [check_of(cell) for cell in found if check_of(cell)] == NUMBERS
    headings = [line for cell in found if cell.markdown for line in cell.text.splitlines()]
    for one in EXERCISES:
        assert headings[headings.index(f"### {one.number} {one.title}") + 1] == one.line


def test_every_test_is_called_once_and_every_exercise_has_hints():
    called = re.findall(r"lab\.(check_\w+)\(", TEXT)
    assert sorted(called) == sorted(name for name in lab.__all__ if name.startswith("check_"))
    tasks = re.split(r"^# ### ", TEXT, flags=re.MULTILINE)[1:]
    assert all("<summary>Hint" in task for task in tasks), [t[:3] for t in tasks]
    assert TEXT.count("<details>") == TEXT.count("</details>")


def test_the_minutes_of_the_parts_are_those_of_their_exercises():
    told = dict(re.findall(r"^# \| (\d) \| .* \| (\d+) \|$", TEXT, re.MULTILINE))
    for part, minutes in told.items():
        assert sum(one.minutes for one in EXERCISES if one.number[0] == part) == int(minutes)
    assert len(told) == 8


def test_blanks_hold_no_solution_and_solutions_are_folded_behind_the_tests():
    student = student_cells(TEXT)
    for number in NUMBERS:
        answer = next(cell for cell in student if answer_of(cell) == number)
        check = next(k for k, cell in enumerate(student) if check_of(cell) == number)
        full = next(cell for cell in plain_cells(TEXT) if answer_of(cell) == number)
        assert answer.text != full.text
        assert not MARKS.search(answer.text + full.text)
        compile(answer.text, number, "exec")
        compile(full.text, number, "exec")
        folded = student[check + 1]
        assert folded.markdown
        assert full.text in folded.text
        assert folded.text.startswith("<details><summary>Solution of")
    code = "\n".join(cell.text for cell in student if not cell.markdown)
    assert "alternative=" not in code
    assert "decisions[protocol, agent] =" not in code
    assert [c for c in student if not answer_of(c) and "solution-" not in "".join(c.tags)] == [
        cell for cell in cells(TEXT) if not answer_of(cell)
    ]


def test_the_notebook_is_the_one_that_jupytext_makes():
    jupytext = pytest.importorskip("jupytext", reason="misgen[lab]")
    theirs = jupytext.reads(TEXT, fmt="py:percent")
    ours = as_notebook(cells(TEXT))["cells"]
    assert [cell["cell_type"] for cell in ours] == [cell.cell_type for cell in theirs.cells]
    assert ["".join(cell["source"]) for cell in ours] == [cell.source for cell in theirs.cells]
    assert [cell["metadata"].get("tags", []) for cell in ours] == [
        cell.metadata.get("tags", []) for cell in theirs.cells
    ]


def test_notebooks_are_valid():
    nbformat = pytest.importorskip("nbformat", reason="misgen[lab]")
    for of in (student_cells(TEXT), plain_cells(TEXT)):
        nbformat.validate(nbformat.reads(json.dumps(as_notebook(of)), as_version=4))


def test_the_command_writes_a_notebook_and_overwrites_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lab"]) == 0
    written = (tmp_path / "lab.ipynb").read_text(encoding="utf-8")
    assert json.loads(written) == as_notebook(student_cells(TEXT))
    (tmp_path / "lab.ipynb").write_text("mine", encoding="utf-8")
    assert cli.main(["lab"]) == 0
    assert "left as it is" in capsys.readouterr().out
    assert (tmp_path / "lab.ipynb").read_text(encoding="utf-8") == "mine"
    assert cli.main(["lab", "out=with.ipynb", "solutions=true"]) == 0
    assert "binomtest(k, seeds" in (tmp_path / "with.ipynb").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lab", "write", "outt=x.ipynb"], "outt"),
        (["lab", "rn"], "run"),
        (["lab", "out=x.txt"], ".ipynb"),
        (["lab", "out=no/such/x.ipynb"], "folder that exists"),
        (["lab", "solutions=yes"], "true, false"),
        (["lab", "grade"], "file is missing"),
        (
            ["lab", "grade", "file=none.ipynb"],
            "none.ipynb cannot be read (No such file or directory)",
        ),
        (["lab", "grade", "file=bad.ipynb"], "bad.ipynb is no notebook"),
        (["lab", "run", "file=x.ipynb"], "'file' is not a setting"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.ipynb").write_text('{"cells": [3]}')
    assert cli.main(words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_a_students_tests_are_put_back():
    tests = [cell.text for cell in cells(TEXT) if check_of(cell)]
    mine = ["x = 1", "lab.check_pull = print", "lab.check_pull(0) or True", tests[0], tests[0]]
    found = _with_own_tests(mine, Path("mine.ipynb"))
    pull = next(text for text in tests if "check_pull" in text)
    assert [cell.text for cell in found[:4]] == ["x = 1", "lab.check_pull = print", pull, tests[0]]
    assert {check_of(cell) for cell in found if check_of(cell)} == set(NUMBERS)
    with pytest.raises(UserError, match="no test of the lab"):
        _with_own_tests(["x = 1"], Path("mine.ipynb"))


@needs_kernel
@pytest.mark.slow
def test_the_blanks_stop_at_the_first_exercise_and_nowhere_else(capsys):
    assert cli.main(["lab", "run", "solutions=false"]) == 0
    assert "stopped at check-1.1, as it should" in capsys.readouterr().out


@needs_kernel
@pytest.mark.slow
def test_what_runs_notebooks_says_what_failed(tmp_path):
    found = execute(
        [
            Cell("## 1 First\n\ntext", markdown=True),
            Cell("from misgen.experiments import lab\nfewest = 6"),
            Cell("1 / 0"),
            Cell("## 2 Second", markdown=True),
            Cell("lab.check_fewest_seeds(fewest)", tags=("check-6.2",)),
            Cell("lab.check_fewest_seeds(5)", tags=("check-6.1",)),
        ],
        tmp_path,
        go_on=True,
    )
    assert found.passed == ("6.2",)
    assert [name for name, _ in found.failed] == ["cell 3", "check-6.1"]
    assert found.failed[1][1].startswith("NotYet: five that agree")
    assert [part.title for part in found.parts] == ["before part 1", "1 First", "2 Second"]
