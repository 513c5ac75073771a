"""A course lab on goal misgeneralization, with tests: misgen lab [what] [key=value ...].

  misgen lab
      writes the notebook lab.ipynb: eight parts, 90 minutes to three hours, on a CPU.  A file that
      is there already is left as it is
  misgen lab open
      the same, and opens it in JupyterLab (pip install "misgen[lab]")
  misgen lab run
      carries the lab out with its solutions, and prints how long each part took, and how many
      exercises passed; exit status 1 if one did not
  misgen lab grade file=my_lab.ipynb
      runs a student's answers under the lab's own tests, and prints their points.  It runs the
      student's code: do that where it can do no harm

Settings
  out        file to write (default: lab.ipynb; of run: none)
  solutions  true: with the solutions in place, for whoever teaches; of run, false: with the blanks,
             up to the first exercise, which has to be what stops it
  file       grade: the student's notebook

Instructors find what to expect of each part, and common mistakes, in docs/course_lab.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError, one_of

from ..lab.execution import Executed, execute, grade
from ..lab.exercises import EXERCISES
from ..lab.notebook import SOURCE, as_notebook, plain_cells, student_cells
from ..training.run_folder import write_text
from .plain_settings import plain_settings

_USED = {
    "write": ("out", "solutions"),
    "open": ("out", "solutions"),
    "run": ("out", "solutions"),
    "grade": ("file",),
}
_OUT = "lab.ipynb"


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    what, *words = argv if argv and "=" not in argv[0] else ("write", *argv)
    one_of("misgen lab's first word", what, _USED)
    settings = plain_settings(words, _USED[what])
    return {"write": _write, "open": _open, "run": _run, "grade": _grade}[what](settings)


def _write(settings: dict[str, str]) -> int:
    path = _written(settings)
    print("open it in JupyterLab (misgen lab open), in VS Code, or upload it to Colab")
    return int(not path.exists())


def _open(settings: dict[str, str]) -> int:
    """Write the notebook, and open it."""
    path = _written(settings)
    if find_spec("jupyterlab") is None:
        raise UserError(
            f'JupyterLab, which opens {path}, is not installed: pip install "misgen[lab]", open it '
            "in VS Code, or upload it to Colab"
        )
    return subprocess.call([sys.executable, "-m", "jupyterlab", str(path)])


def _written(settings: dict[str, str]) -> Path:
    """Write the notebook, unless one is there, and return its path."""
    path = _out(settings.get("out", _OUT))
    if path.exists():
        print(f"{path} is there already, and is left as it is")
    else:
        _save(path, as_notebook(_cells(_with_solutions(settings, "false"))))
        print(f"written: {path}")
    return path


def _run(settings: dict[str, str]) -> int:
    """Carry the lab out."""
    solutions = _with_solutions(settings, "true")
    out = _out(settings["out"]) if "out" in settings else None
    with tempfile.TemporaryDirectory() as folder:
        found = execute(_cells(solutions), Path(folder))
    if out is not None:
        _save(out, found.notebook)
    for part in found.parts:
        print(f"{part.seconds:7.1f} s  {part.title}")
    print(f"{sum(part.seconds for part in found.parts):7.1f} s  in all")
    return _told(found, solutions)


def _told(found: Executed, solutions: bool) -> int:
    """Say what came of the exercises, and return the exit status."""
    for name, error in found.failed:
        print(f"{name}: {error}")
    if not solutions:
        first = f"check-{EXERCISES[0].number}"
        good = [name for name, _ in found.failed] == [first] and not found.passed
        print(f"stopped at {first}, as it should" if good else f"did not stop at {first} alone")
        return int(not good)
    print(f"{len(found.passed)} of {len(EXERCISES)} exercises passed")
    return int(bool(found.failed) or len(found.passed) != len(EXERCISES))


def _grade(settings: dict[str, str]) -> int:
    """Grade a student's notebook."""
    if "file" not in settings:
        raise UserError("file is missing: give file=my_lab.ipynb, the student's notebook")
    with tempfile.TemporaryDirectory() as folder:
        grades = grade(Path(settings["file"]), Path(folder))
    for one in grades:
        said = "" if one.passed else f"  {one.said}".rstrip()
        mark = "passed" if one.passed else "not yet"
        print(f"{one.exercise.number}  {mark:8} {one.points} of {one.exercise.points}{said}")
    print(f"{sum(one.points for one in grades)} of {sum(one.points for one in EXERCISES)} points")
    return 0


def _cells(solutions: bool) -> Any:
    source = SOURCE.read_text(encoding="utf-8")
    return plain_cells(source) if solutions else student_cells(source)


def _with_solutions(settings: dict[str, str], usual: str) -> bool:
    return one_of("solutions", settings.get("solutions", usual), ("true", "false")) == "true"


def _out(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".ipynb" or not path.parent.is_dir():
        raise UserError(f"out={text!r} cannot be written: give a .ipynb in a folder that exists")
    return path


def _save(path: Path, notebook: dict[str, Any]) -> None:
    write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("lab", main))
