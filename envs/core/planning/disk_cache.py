"""Facts about levels that are expensive to find, kept in memory and on disk.

Public names: `DiskCache`, `cache_folder`.

A fact is a pure function of a level id and of the rules.  If a copy is lost, or made twice, only
the time it takes changes.  The rules, and the source code that applies them, are part of a file's
name: what was found by other code is not read.

Processes side by side share the work: facts are found for some levels at a time, under a lock of
their own, and who finds them locked does others first.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import open_regular, range_lock, write_whole

Rows = dict[str, NDArray[Any]]
"""Arrays whose first axis is levels."""

CACHE = "MISGEN_CACHE"
"""Environment variable: the folder for what is kept; empty to keep nothing on disk."""
_SAVE_EVERY = 5.0  # seconds
_PART = 128
"""Levels whose facts are found at a time."""
_LONGEST_WAIT = 120.0  # seconds for another process, which may have been stopped
_WORTH_SAVING = 0.2  # seconds that facts took to find, which others need not spend again
_ABANDONED = 600.0  # seconds after which nobody writes a file any more: it takes under one


def cache_folder() -> Path | None:
    """Return where facts are kept between processes, or None for nowhere."""
    if CACHE in os.environ:
        return Path(os.environ[CACHE]) if os.environ[CACHE] else None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "misgen" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "misgen"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "misgen"


class DiskCache:
    """Rows of facts by level id, found when they are first asked for."""

    def __init__(self, name: str, key: str, find: Callable[[NDArray[np.int64]], Rows]) -> None:
        """Keep the facts called `name`.

        Args:
            name: for the file's name.
            key: everything, beside the id, that the facts depend on.
            find: what finds the rows of some ids, int64 [n], all different.
        """
        digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        folder = cache_folder()
        self._path = folder / f"{name}-{digest}.npz" if folder else None
        self._find = find
        self._remove_abandoned()
        self._seen: tuple[int, int] | None = None
        self._rows: Rows = self._read()
        self._row_of: dict[int, int] = {}
        self._index()
        self._saved = time.monotonic()
        self._unsaved = False
        atexit.register(self.save)

    def rows(self, ids: NDArray[np.int64], progress: Callable[[int], object] | None = None) -> Rows:
        """Return the facts of `ids`, one row each.

        Args:
            ids: of the levels.
            progress: called with the number of ids whose facts are there, whenever some are.
        """
        unique = np.unique(ids)
        parts = [unique[first : first + _PART] for first in range(0, len(unique), _PART)]
        for patience in (0.0, _LONGEST_WAIT):
            parts = [part for part in parts if not self._have(part, patience, progress)]
        rows = np.array([self._row_of[i] for i in ids.tolist()], np.int64)
        return {name: values[rows] for name, values in self._rows.items() if name != "ids"}

    def _have(
        self, part: NDArray[np.int64], patience: float, progress: Callable[[int], object] | None
    ) -> bool:
        """See that the facts of some levels are known; return False if another process is at it."""
        if len(self._missing(part)):
            with self._locked(part, patience) as alone:
                if not (alone or patience):
                    return False
                self._take_over()
                missing = self._missing(part)
                if len(missing):
                    began = time.monotonic()
                    self._add({"ids": missing, **self._find(missing)})
                    if time.monotonic() - began > _WORTH_SAVING:
                        self.save()
        if progress:
            progress(len(part))
        return True

    def _missing(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([i for i in ids.tolist() if i not in self._row_of], np.int64)

    def _locked(self, part: NDArray[np.int64], patience: float) -> AbstractContextManager[bool]:
        """Hold the lock of some levels' facts."""
        if self._path is None:
            return contextlib.nullcontext(True)
        return range_lock(self._path.with_suffix(".lock"), _place(part), patience)

    def _take_over(self) -> None:
        """Take what other processes have found since the file was last read."""
        if self._stamp() == self._seen:
            return
        others = self._read()
        if others:
            known = self._rows["ids"] if self._rows else np.empty(0, np.int64)
            new = ~np.isin(others["ids"], known)
            self._rows = _joined(self._rows, {k: v[new] for k, v in others.items()})
            self._index()

    def _stamp(self) -> tuple[int, int] | None:
        """Return what tells whether the file was changed."""
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino) if found else None

    def save(self) -> None:
        """Write what is known, with what others wrote; where that cannot be, it is left."""
        if not (self._unsaved and self._path):
            return
        with range_lock(self._path.with_suffix(".lock"), 0, _LONGEST_WAIT):
            self._take_over()
            with contextlib.suppress(OSError):  # a full or read-only disk costs time, not results
                write_whole(self._path, lambda file: np.savez_compressed(file, **self._rows))
            self._seen = self._stamp()
        self._saved, self._unsaved = time.monotonic(), False

    def _remove_abandoned(self) -> None:
        """Remove what processes that were killed while they wrote have left."""
        if self._path:
            for part in self._path.parent.glob(f"{self._path.stem}.*.part"):
                with contextlib.suppress(OSError):
                    if time.time() - part.stat().st_mtime > _ABANDONED:
                        part.unlink()

    def _add(self, found: Rows) -> None:
        first = len(self._row_of)
        self._rows = _joined(self._rows, found)
        self._row_of.update((level, first + k) for k, level in enumerate(found["ids"].tolist()))
        self._unsaved = True
        if time.monotonic() - self._saved > _SAVE_EVERY:
            self.save()

    def _index(self) -> None:
        ids = self._rows["ids"].tolist() if self._rows else []
        self._row_of = {level: row for row, level in enumerate(ids)}

    def _read(self) -> Rows:
        if not (self._path and self._path.exists()):
            return {}
        self._seen = self._stamp()
        try:
            with open_regular(self._path) as raw, np.load(raw, allow_pickle=False) as file:
                return dict(file)
        except Exception:
            return {}


def _joined(a: Rows, b: Rows) -> Rows:
    return {name: np.concatenate([a[name], b[name]]) for name in b} if a else b


def _place(part: NDArray[np.int64]) -> int:
    """Return which byte of the lock file stands for some levels; 0 stands for the file."""
    return 1 + zlib.crc32(part.tobytes()) % (2**31 - 2)
