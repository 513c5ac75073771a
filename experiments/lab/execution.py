"""Notebooks of the lab carried out, part by part, and a student's graded.

Public names: `execute`, `Executed`, `Part`, `grade`, `Grade`.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import parse_json
from misgen.envs.core.reading import read_text

from .exercises import EXERCISES, Exercise
from .notebook import SOURCE, Cell, as_notebook, cells, check_of

LONGEST = 1800
"""Seconds that one cell may take."""
_PART = re.compile(r"^## (?P<title>\d+ .+)$", re.MULTILINE)
_TEST = re.compile(r"\blab\.(check_\w+)\(")
_BEFORE = "before part 1"
_NOTEBOOK = "the notebook of a student, made of one that misgen lab wrote"
_LARGEST_NOTEBOOK = 200_000_000  # bytes: it holds the pictures that were drawn
_NEEDED = ("nbclient", "nbformat", "ipykernel")


@dataclass(frozen=True)
class Part:
    """A part of the lab that was carried out."""

    title: str
    seconds: float
    """What its cells took, the kernel's start left out."""


@dataclass(frozen=True)
class Executed:
    """A notebook that was carried out."""

    parts: tuple[Part, ...]
    passed: tuple[str, ...]
    """Exercises whose test an answer passed."""
    failed: tuple[tuple[str, str], ...]
    """Of each cell that stopped with an error: its tag, or place, and what it said."""
    notebook: dict[str, Any]
    """With what the cells put out."""


def execute(of: Sequence[Cell], folder: Path, *, go_on: bool = False) -> Executed:
    """Carry out a notebook in a folder, up to the first error.

    Args:
        of: its cells.
        folder: where it runs, and leaves what it writes.
        go_on: go on after an error.

    Raises:
        UserError: if what runs notebooks is not installed.
    """
    _require_installed()
    import nbformat  # pyright: ignore[reportMissingImports]
    from nbclient import NotebookClient  # pyright: ignore[reportMissingImports]
    from nbclient.exceptions import CellExecutionError  # pyright: ignore[reportMissingImports]

    node = nbformat.reads(json.dumps(as_notebook(of)), as_version=4)
    client = NotebookClient(
        node,
        timeout=LONGEST,
        kernel_name="python3",
        allow_errors=go_on,
        record_timing=True,
        startup_timeout=300,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    with contextlib.suppress(CellExecutionError):  # told by the cell's own output
        client.execute()
    done = [json.loads(json.dumps(cell)) for cell in node["cells"]]
    errors = [(_name(cell, k), _error(cell)) for k, cell in enumerate(done)]
    failed = tuple((name, error) for name, error in errors if error)
    wrong = {name for name, _ in failed}
    ran = [cell for cell in done if cell.get("execution_count")]
    checks = [(check_of(_tagged(cell)), _name(cell, 0)) for cell in ran]
    passed = tuple(number for number, name in checks if number and name not in wrong)
    return Executed(_parts(done), passed, failed, json.loads(json.dumps(node)))


@dataclass(frozen=True)
class Grade:
    """What came of one exercise of a student's notebook."""

    exercise: Exercise
    passed: bool
    said: str
    """What the test said of a wrong answer."""

    @property
    def points(self) -> int:
        """What it is worth."""
        return self.exercise.points if self.passed else 0


def grade(path: Path, folder: Path) -> list[Grade]:
    """Run a student's notebook with the lab's own tests in it; this runs the student's code.

    A test that was changed is as it was, one that was deleted comes at the end.  It is known by the
    function that it calls, as not every program keeps the tags of cells.

    Args:
        path: the student's notebook.
        folder: where it runs.

    Raises:
        UserError: if it is no notebook of the lab.
    """
    found = execute(_with_own_tests(_code_of(path), path), folder, go_on=True)
    said = dict(found.failed)
    return [
        Grade(one, one.number in found.passed, said.get(f"check-{one.number}", ""))
        for one in EXERCISES
    ]


def _code_of(path: Path) -> list[str]:
    """Return what the code cells of a notebook hold.

    Raises:
        UserError: if it is none.
    """
    text = read_text(path, _NOTEBOOK, most=_LARGEST_NOTEBOOK)
    try:
        cells = parse_json(text)["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"file={path} is no notebook ({type(error).__name__}): give {_NOTEBOOK}"
        ) from None


def _with_own_tests(code: Sequence[str], path: Path) -> list[Cell]:
    """Return a student's cells with each test as the lab has it, once.

    Raises:
        UserError: if there is no test among them.
    """
    source = cells(SOURCE.read_text(encoding="utf-8"))
    tests = {_tested(cell.text): cell for cell in source if check_of(cell)}
    left, found = dict(tests), []
    for text in code:
        name = _tested(text)
        if name not in tests:
            found.append(Cell(text))
        elif name in left:
            found.append(left.pop(name))
    if len(left) == len(tests):
        raise UserError(f"file={path} has no test of the lab in it: give one that misgen lab wrote")
    return [*found, *left.values()]


def _tested(text: str) -> str:
    """Return the name of the test that a cell calls; empty if it calls none."""
    found = _TEST.search(text)
    return found[1] if found else ""


def _require_installed() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(
            f"{', '.join(missing)} is not installed, and runs notebooks: pip install 'misgen[lab]'"
        )


def _tagged(cell: dict[str, Any]) -> Cell:
    return Cell("", tags=tuple(cell.get("metadata", {}).get("tags", ())))


def _name(cell: dict[str, Any], place: int) -> str:
    tags = cell.get("metadata", {}).get("tags", ())
    return tags[0] if tags else f"cell {place + 1}"


def _error(cell: dict[str, Any]) -> str:
    """Return what a cell stopped with; empty if it did not."""
    for output in cell.get("outputs", ()):
        if output["output_type"] == "error":
            return f"{output['ename']}: {output['evalue']}"
    return ""


def _parts(done: Sequence[dict[str, Any]]) -> tuple[Part, ...]:
    """Return the parts, with how long their cells took."""
    seconds: dict[str, float] = {_BEFORE: 0.0}
    title = _BEFORE
    for cell in done:
        if cell["cell_type"] == "markdown":
            titles = _PART.findall("".join(cell["source"]))
            title = titles[-1] if titles else title
            seconds.setdefault(title, 0.0)
        else:
            seconds[title] += _took(cell.get("metadata", {}).get("execution", {}))
    return tuple(Part(title, took) for title, took in seconds.items())


def _took(times: dict[str, str]) -> float:
    ends = [times.get("iopub.execute_input"), times.get("shell.execute_reply")]
    if not all(ends):
        return 0.0
    started, ended = (datetime.fromisoformat(str(one)) for one in ends)
    return (ended - started).total_seconds()
