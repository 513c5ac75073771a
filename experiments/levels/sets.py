"""Sets of level files: misgen levels check file=<folder or list>.

Public names: `configured`, `files_of`, `check_files`, `compared`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.level_set import duplicates, level_files

from ..training.overrides import listed
from ..training.settings import compose, typed
from .files import Checked, check, overrides_of, refused
from .level_settings import LevelsCommand

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
    if not given or not given[-1]:
        return None
    named = given[-1]
    if (names := listed(named)) is not None:
        return level_files([name for name in names if name], "file")
    return level_files(named, "file") if Path(named).is_dir() else None


def check_files(files: Iterable[Path], argv: Sequence[str]) -> Iterator[Checked]:
    """Check each file as `misgen levels check` does a single one.

    Args:
        files: which.
        argv: settings as they are given; `file=...` is ignored.
    """
    rest = [word for word in argv if not word.startswith(_FILE)]
    for file in files:
        try:
            implied = overrides_of([*rest, f"{_FILE}{file}"])
            config = typed(LevelsCommand, compose("levels", [*implied, *rest]))
            yield check(dataclasses.replace(config, file=str(file)))
        except UserError as error:
            yield refused(str(file), error)


def compared(checked: Sequence[Checked]) -> tuple[list[str], bool]:
    """Return which of the files hold the same level, in words, and whether anything is wrong."""
    read = [(one.file, one.level) for one in checked if one.level is not None]
    same = duplicates(read)
    twice = f"; {len(same)} duplicate a level of another" if same else ""
    last = f"{len(read)} of {len(checked)} files hold a level that can be run{twice}"
    return [*same, last], bool(same) or any(one.wrong for one in checked)
