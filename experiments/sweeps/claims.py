"""Who works on what, in a folder that several machines may share.

A claim is a file that is made by exactly one process, exclusively, and that lives as long as its
maker: a thread touches it every few seconds.  On the same machine the process itself is looked for;
elsewhere a claim that was not touched for twelve beats is a dead one.  Times are the file system's,
so that clocks may differ.

A dead claim is not removed by who takes its place, as two could do so at once: the next one has the
next number, and is made exclusively like the first.

Public names: `Claim`, `Holder`, `Heart`, `create`, `beat_seconds`, `BEAT`.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError, in_range
from misgen.envs.core.files import temporary
from misgen.envs.core.processes import still_runs

from ..training.run_folder import read_json

BEAT = "MISGEN_BEAT"
"""Environment variable: seconds between two signs of life of a process that works on a sweep."""
_BEAT = 10.0
_PATIENCE = 12
"""Beats after which a process that cannot be looked for is taken for dead."""


def beat_seconds() -> float:
    """Return how often this process shows that it is alive.

    Raises:
        UserError: if the environment says something else than a number of seconds.
    """
    text = os.environ.get(BEAT, "")
    try:
        return in_range(BEAT, float(text), 0.05, 3600.0) if text else _BEAT
    except ValueError:
        raise UserError(f"{BEAT}={text!r} is not a number of seconds: give one, or none") from None


@dataclass(frozen=True)
class Holder:
    """Who made a claim, and whether they are alive."""

    told: dict[str, Any]
    """What they told of themselves; empty if it cannot be read."""
    age: float
    """Seconds since the last sign of life."""

    @classmethod
    def read(cls, path: Path) -> Holder:
        """Return who made a claim; of one that is gone, one who is dead."""
        try:
            touched = path.stat().st_mtime
        except OSError:
            return cls({}, float("inf"))
        try:
            told = read_json(path, "")
        except UserError:
            told = {}
        return cls(told, max(0.0, _now(path.parent) - touched))

    @property
    def is_alive(self) -> bool:
        """Whether they may still be at work."""
        seen = still_runs(self.told)
        if seen is not None:
            return seen
        beat = self.told.get("beat") or _BEAT
        return self.age <= _PATIENCE * (beat if beat > 0 else _BEAT)

    @property
    def words(self) -> str:
        """Who they are, for people."""
        job = self.told.get("job")
        who = f"{self.told.get('host') or 'unknown host'}, process {self.told.get('pid') or '?'}"
        return f"{who}, job {job}" if job else who


class Claim:
    """A claim that this process made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def beat(self) -> bool:
        """Show that this process is alive; return False if the claim is lost."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            return False
        except OSError:  # the server does not answer: whether it is dead is for others to say
            pass
        return True

    def release(self) -> None:
        """Give it up."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


class Heart:
    """Beats for claims of this process, in a thread of its own."""

    def __init__(self, lost: Callable[[], object]) -> None:
        """Begin to beat.

        Args:
            lost: called, in the thread, when a claim was taken over by another process.
        """
        self._claims: list[Claim] = []
        self._lost = lost
        self._end = threading.Event()
        self._beat = beat_seconds()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def keeping(self, claim: Claim) -> Iterator[Claim]:
        """Beat for a claim, and release it at the end."""
        self._claims.append(claim)
        try:
            yield claim
        finally:
            self._claims.remove(claim)
            claim.release()

    def stop(self) -> None:
        """Beat no more."""
        self._end.set()

    def _run(self) -> None:
        while not self._end.wait(self._beat):
            for claim in list(self._claims):
                if not claim.beat() and claim in self._claims:
                    self._lost()


def create(path: Path, told: dict[str, Any]) -> bool:
    """Make a file, complete, unless there is one; return whether this process made it."""
    data = json.dumps(told).encode()
    with temporary(path) as beside:
        beside.write_bytes(data)
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            return _create_in_place(path, data)
    return True


def _create_in_place(path: Path, data: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True


def _now(folder: Path) -> float:
    """Return the time by the clock of the folder's file system, or by this machine's."""
    asked, ahead = _AHEAD.get(folder, (-_ASK_EVERY, 0.0))
    if time.monotonic() - asked >= _ASK_EVERY:
        with contextlib.suppress(OSError), temporary(folder / "clock") as probe:
            probe.touch(exist_ok=False)
            ahead = probe.stat().st_mtime - time.time()
        _AHEAD[folder] = time.monotonic(), ahead
    return time.time() + ahead


_ASK_EVERY = 60.0
_AHEAD: dict[Path, tuple[float, float]] = {}
"""By folder: when its clock was asked, and how many seconds it was ahead of this machine's."""
