"""Sets of level files: misgen levels check file=<folder or list>.

Public names: `configured`, `files_of`, `check_set`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from misgen.envs.core.errors import UserError
from misgen.envs.core.level import Level
from misgen.envs.core.level_text.level_set import duplicates, level_files

from ..training.settings import compose, typed
from .files import check_one, overrides_of
from .settings import LevelsCommand

_FILE = "file="


def configured(argv: Sequence[str]) -> LevelsCommand:
    """Return the settings that a command line gives, with those that its file or run implies."""
    # hydra would look for agent=... in its group of that name
    own = [re.sub("^agent=", "player=", word) for word in argv]
    return typed(LevelsCommand, compose("levels", overrides_of(list(argv)) + own))


def files_of(argv: Sequence[str]) -> list[Path] | None:
    """Return the files of a folder or list that `file=...` names; None where it names one file.

    Raises:
        UserError: if there is none in it.
    """
    given = [word.removeprefix(_FILE) for word in argv if word.startswith(_FILE)]
    if not given:
        return None
    named = given[-1]
    if named.startswith("[") and named.endswith("]") and not Path(named).exists():
        names = [name.strip().strip("'\"") for name in named[1:-1].split(",")]
        return level_files([name for name in names if name], "file")
    return level_files(named, "file") if Path(named).is_dir() else None


def check_set(files: Sequence[Path], argv: Sequence[str]) -> int:
    """Check each file as `misgen levels check` does; return 1 if one of them is at fault."""
    rest = [word for word in argv if not word.startswith(_FILE)]
    read: list[tuple[str, Level]] = []
    code = 0
    for file in files:
        wrong, level = _check_file(file, rest)
        code |= wrong
        if level is not None:
            read.append((str(file), level))
    same = duplicates(read)
    for sentence in same:
        print(sentence)
    twice = f"; {len(same)} hold a level that another has" if same else ""
    print(f"{len(read)} of {len(files)} files hold a level that can be run{twice}")
    return int(code or bool(same))


def _check_file(file: Path, rest: Sequence[str]) -> tuple[int, Level | None]:
    try:
        implied = overrides_of([*rest, f"{_FILE}{file}"])
        config = typed(LevelsCommand, compose("levels", [*implied, *rest]))
        return check_one(dataclasses.replace(config, file=str(file)))
    except UserError as error:
        print(str(error) if str(error).startswith(str(file)) else f"{file}: {error}")
        return 1, None
