"""From the lab's one source to notebooks: the student's, with blanks, and the one with solutions.

Public names: `Cell`, `cells`, `student_cells`, `plain_cells`, `as_notebook`, `SOURCE`, `answer_of`,
`check_of`.

The source is a script in jupytext's percent format, in which any editor shows its cells.  A cell
with the tag `answer-4.1` holds the solution of exercise 4.1 between `# BEGIN SOLUTION` and `# END
SOLUTION`; the student's notebook has `...` there, or what stands after `# BLANK`, without its `# `.
The solution is put, folded, after the cell with the tag `check-4.1`.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .exercises import exercise

SOURCE = Path(__file__).parent / "course_lab.py"
"""The lab with its solutions."""
_HEAD = re.compile(r"^# %%(?P<markdown> \[markdown\])?(?: tags=(?P<tags>\[.*\]))?$")
_REGION = re.compile(
    r"^(?P<indent> *)# BEGIN SOLUTION\n(?P<solution>.*?)"
    r"(?:^ *# BLANK\n(?P<blank>.*?))?^ *# END SOLUTION$",
    re.MULTILINE | re.DOTALL,
)
_ANSWER, _CHECK = "answer-", "check-"


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook."""

    text: str
    markdown: bool = False
    tags: tuple[str, ...] = ()

    def number(self, kind: str) -> str:
        """Return which exercise it is the answer to, or the check of; empty if it is none."""
        found = [tag.removeprefix(kind) for tag in self.tags if tag.startswith(kind)]
        return found[0] if found else ""


def answer_of(cell: Cell) -> str:
    """Return the exercise that a cell answers; empty if it answers none."""
    return cell.number(_ANSWER)


def check_of(cell: Cell) -> str:
    """Return the exercise that a cell tests; empty if it tests none."""
    return cell.number(_CHECK)


def cells(source: str) -> list[Cell]:
    """Return the cells of a script in percent format; what stands before the first is left out.

    Raises:
        ValueError: for a cell's head that cannot be read.
    """
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in source.splitlines():
        if line.startswith("# %%"):
            head = _HEAD.match(line)
            if head is None:
                raise ValueError(f"{line!r} is no head of a cell")
            found.append((head, []))
        elif found:
            found[-1][1].append(line)
    return [_cell(head, lines) for head, lines in found]


def _cell(head: re.Match[str], lines: Sequence[str]) -> Cell:
    tags = tuple(json.loads(head["tags"])) if head["tags"] else ()
    if head["markdown"]:
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines if line.startswith("#")]
    return Cell("\n".join(lines).strip("\n"), bool(head["markdown"]), tags)


def student_cells(source: str) -> list[Cell]:
    """Return the cells of the student's notebook: blanks, and the solutions folded."""
    return list(_for_students(cells(source)))


def _for_students(full: Sequence[Cell]) -> Iterator[Cell]:
    for cell in full:
        yield replace(cell, text=_REGION.sub(_blank, cell.text)) if answer_of(cell) else cell
        if number := check_of(cell):
            yield _folded(number, [one for one in full if answer_of(one) == number])


def plain_cells(source: str) -> list[Cell]:
    """Return the cells of the notebook with solutions, without the marks around them."""
    return [
        replace(cell, text=_REGION.sub(_solution, cell.text)) if answer_of(cell) else cell
        for cell in cells(source)
    ]


def _blank(region: re.Match[str]) -> str:
    if region["blank"] is None:
        return f"{region['indent']}..."
    lines = textwrap.dedent(region["blank"]).splitlines()
    bare = [line.removeprefix("#").removeprefix(" ") for line in lines]
    return textwrap.indent("\n".join(bare), region["indent"])


def _solution(region: re.Match[str]) -> str:
    return region["solution"].removesuffix("\n")


def _folded(number: str, answers: Sequence[Cell]) -> Cell:
    """Return a cell that holds a solution, which shows when it is clicked on."""
    code = "\n\n".join(_REGION.sub(_solution, cell.text) for cell in answers)
    title = f"Solution of {number}, {exercise(number).title}"
    return Cell(
        f"<details><summary>{title}</summary>\n\n```python\n{code}\n```\n\n</details>",
        markdown=True,
        tags=(f"solution-{number}",),
    )


def as_notebook(of: Sequence[Cell]) -> dict[str, Any]:
    """Return a notebook, ready for JSON: version 4.5 of the format."""
    return {
        "cells": [_as_json(cell, number) for number, cell in enumerate(of)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _as_json(cell: Cell, number: int) -> dict[str, Any]:
    label = next(iter(cell.tags), "cell").replace(".", "-")
    common = {
        "id": f"{label}-{number}",
        "metadata": {"tags": list(cell.tags)} if cell.tags else {},
        "source": cell.text.splitlines(keepends=True),
    }
    if cell.markdown:
        return {"cell_type": "markdown", **common}
    return {"cell_type": "code", "execution_count": None, "outputs": [], **common}
