"""Folders that are written whole or not at all, and never in place of somebody else's.

Public names: `whole_folder`, `require_free`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from misgen.envs.core.errors import UserError

MARKER = ".misgen-export"
"""File that says that a folder is an export, and may be written again."""


def require_free(to: Path) -> None:
    """Refuse a place where something lies that is no export.

    Raises:
        UserError: naming it.
    """
    if not to.exists() or (to / MARKER).is_file():
        return
    if not to.is_dir() or any(to.iterdir()):
        raise UserError(
            f"to={to} holds something that misgen export did not write: give another folder, or "
            "remove what is there"
        )


@contextlib.contextmanager
def whole_folder(to: Path) -> Iterator[Path]:
    """Give a new folder to write into, and put it in the place of `to` once it is complete.

    Raises:
        UserError: if something lies there that is no export, or it cannot be written to.
    """
    require_free(to)
    made = [path for path in to.absolute().parents if not path.exists()]
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{to.name[:40]}-", dir=to.parent))
        try:
            new = work / "new"
            new.mkdir()
            yield new
            (new / MARKER).write_text("", encoding="utf-8")
            _put(new, to, work / "old")
        finally:
            shutil.rmtree(work, ignore_errors=True)
            with contextlib.suppress(OSError):  # they are not empty once the export is there
                for path in made:
                    path.rmdir()
    except OSError as error:
        raise UserError(
            f"to={to} cannot be written to ({error.strerror or error}): free some space or give "
            "another folder"
        ) from error


def _put(new: Path, to: Path, old: Path) -> None:
    """Put a folder in the place of another, which is kept if that fails."""
    if not to.exists():
        new.rename(to)
        return
    to.rename(old)
    try:
        new.rename(to)
    except OSError:
        old.rename(to)
        raise
