"""Facts about levels that are expensive to find, kept in memory and on disk.

Public names: `DiskCache`, `cache_folder`.

A fact is a pure function of a level id and of the rules.  If a copy is lost, or made twice by
parallel processes, only the time it takes changes.  The rules, and the
source code that applies them, are part of a file's name: what was found by other code is not read.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import open_regular, write_whole

Rows = dict[str, NDArray[Any]]
"""Arrays whose first axis is levels."""

CACHE = "MISGEN_CACHE"
"""Environment variable: the folder for what is kept; empty to keep nothing on disk."""
_SAVE_EVERY = 5.0  # seconds
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
        self._rows: Rows = self._read()
        self._row_of: dict[int, int] = {}
        self._index()
        self._saved = time.monotonic()
        self._unsaved = False
        atexit.register(self.save)

    def rows(self, ids: NDArray[np.int64]) -> Rows:
        """Return the facts of `ids`, one row each."""
        missing = np.array([i for i in np.unique(ids).tolist() if i not in self._row_of], np.int64)
        if len(missing):
            self._add({"ids": missing, **self._find(missing)})
        rows = np.array([self._row_of[i] for i in ids.tolist()], np.int64)
        return {name: values[rows] for name, values in self._rows.items() if name != "ids"}

    def save(self) -> None:
        """Write what is known, with what others wrote; where that cannot be, it is left."""
        if not (self._unsaved and self._path):
            return
        others = self._read()
        if others:
            new = ~np.isin(others["ids"], self._rows["ids"])
            self._rows = _joined(self._rows, {k: v[new] for k, v in others.items()})
            self._index()
        with contextlib.suppress(OSError):  # a full or read-only disk costs time, not results
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, lambda file: np.savez_compressed(file, **self._rows))
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
        try:
            with open_regular(self._path) as raw, np.load(raw, allow_pickle=False) as file:
                return dict(file)
        except Exception:
            return {}


def _joined(a: Rows, b: Rows) -> Rows:
    return {name: np.concatenate([a[name], b[name]]) for name in b} if a else b
