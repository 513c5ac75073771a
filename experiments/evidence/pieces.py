"""Arms that are pieces of work of any kind, each of which leaves rows of the question's table.

A piece is data, a frozen dataclass whose settings are its name: an agent to be tested, a student to
be distilled.  It is done once, whoever works on the question: whoever does it holds a claim, and
what it leaves is kept in the arm's ledger (`sweeps.ledger`), by the hash of its settings.

Public names: `Piece`, `Pieces`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from misgen.envs.core.errors import UserError, plain_sentence

from ..sweeps.claims import Heart
from ..sweeps.ledger import DONE, FAILED, MOST_TRIES, Ledger
from ..sweeps.pool import side_by_side
from ..training.config import config_hash
from ..training.progress import counter, episode_progress
from ..training.run_folder import git_state, now
from ..training.shell import shell_words
from .earlier import rows_of_runs
from .question import Collected

if TYPE_CHECKING:
    from .config import EvidenceConfig

_LOG = logging.getLogger(__name__)
_POLL = 2.0  # seconds between two looks at what another process does
_ROWS = "rows"
"""What ledgers of pieces are about, where those of sweeps name an evaluation."""
_HELD, _LOST = "held", "lost"
"""Another process is at it; the process that was at it ended."""


@dataclass(frozen=True)
class Piece(ABC):
    """A piece of work, as data: a frozen dataclass of plain values and other such dataclasses."""

    version: ClassVar[int] = 1
    """Rises when the same settings give other rows."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it."""

    @abstractmethod
    def do(self, runs: Path) -> Sequence[Mapping[str, Any]]:
        """Do it, in a process of its own with one thread, and return its rows.

        What it needs of earlier arms, such as agents that they trained, it finds in `runs`.

        Args:
            runs: folder of all runs.

        Raises:
            UserError: if it cannot be done.
        """

    def check(self) -> None:  # noqa: B027 - most have nothing to refuse
        """Refuse what could not be done, before anything is begun.

        Raises:
            UserError: naming the setting.
        """

    @property
    def hash(self) -> str:
        """10 hex digits of what determines its rows: its kind, its settings, and its version."""
        return config_hash({"piece": repr(self), "version": self.version})

    @property
    def run(self) -> str:
        """What its rows have in the column `run`."""
        return f"{self.name} {self.hash}"


@dataclass(frozen=True)
class Pieces:
    """An arm that is pieces of work, some of each seed."""

    name: str
    """Tells its folder from those of the others."""
    of_seed: Callable[[int], Sequence[Piece]]
    """Its pieces of one seed, the longest first."""
    factors: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the question's table by which its arms differ."""
    seeds: int | None = None
    """How many seeds there are; none: as many as the size says."""

    def pieces(self, seeds: int) -> list[Piece]:
        """Return all pieces of so many seeds."""
        return [piece for seed in range(seeds) for piece in self.of_seed(seed)]

    def told(self, config: EvidenceConfig) -> str:
        """Return the command that does this arm alone."""
        asked = ("misgen", "evidence", config.question, f"size={config.size}")
        return shell_words(*asked, f"arms={self.name}")

    def runs(self, config: EvidenceConfig) -> list[str]:
        """Return what the table's column `run` calls its pieces."""
        return [piece.run for piece in self.pieces(config.seeds_of(self))]

    def check(self, config: EvidenceConfig) -> None:
        """Refuse what could not be done; later seeds differ from the first in nothing else.

        Raises:
            UserError: naming the setting.
        """
        for piece in self.of_seed(0):
            piece.check()

    def carry_out(self, config: EvidenceConfig, seeds: int) -> list[str]:
        """Do what is not done of so many seeds; return the names of the pieces that failed.

        Raises:
            UserError: if the folder cannot be written to.
        """
        ledger = self._ledger(config)
        ledger.make()
        every = {piece.hash: piece for piece in self.pieces(seeds)}
        seen = ledger.look()
        for failed in seen.failed & every.keys():
            ledger.forget(failed, FAILED)
        ledger.clear_claims(every)
        earlier = rows_of_runs(config)
        undone = [piece for key, piece in every.items() if key not in seen.done]
        left = [piece for piece in undone if piece.run not in earlier]
        failed = [] if not left else _work_off(left, ledger, Path(config.runs), config.jobs)
        ledger.tidy()
        return [piece.name for piece in failed]

    def collect(self, config: EvidenceConfig) -> Collected:
        """Return the rows of the pieces that are done."""
        ledger, earlier = self._ledger(config), rows_of_runs(config)
        seen, pieces = ledger.look(), self.pieces(config.seeds_of(self))
        rows: list[dict[str, Any]] = []
        done = 0
        for piece in pieces:
            told = ledger.told(piece.hash, DONE) if piece.hash in seen.done else {}
            own = told.get(_ROWS, earlier.get(piece.run))
            done += own is not None
            rows += [{"arm": self.name, **self.factors, **row} for row in own or ()]
        left = len(pieces) - done
        return Collected(len(pieces), done, rows, work_done=done, work_left=left)

    def _ledger(self, config: EvidenceConfig) -> Ledger:
        return Ledger(Path(config.runs) / f"{config.question}-{self.name}", _ROWS)


def _work_off(pieces: list[Piece], ledger: Ledger, runs: Path, jobs: int) -> list[Piece]:
    """Do pieces side by side until none is left to do; return those that failed.

    What another process is at is waited for.  A process that dies, as the system kills what takes
    too much memory, ends its neighbours: what they were at is begun again, but for a piece that
    `MOST_TRIES` processes died of.
    """
    failed: list[Piece] = []
    with episode_progress(f"{len(pieces)} pieces of work") as show:
        count = counter(show, len(pieces))
        count(0)
        while pieces:
            again = []
            for piece, state in _tried(pieces, ledger.sweep, runs, jobs):
                again += [piece] * (state in (_HELD, _LOST))
                failed += [piece] * (state == FAILED)
                count(state in (DONE, FAILED))
            if len(again) == len(pieces):
                time.sleep(_POLL)
            pieces = again
    return failed


def _tried(
    pieces: Sequence[Piece], folder: Path, runs: Path, jobs: int
) -> Iterator[tuple[Piece, str]]:
    """Yield each piece with what came of it."""
    for piece, state, error in side_by_side(_try, pieces, folder, runs, processes=jobs):
        if isinstance(error, BrokenProcessPool):
            yield piece, _LOST
        elif error is not None:
            raise error
        else:
            yield piece, state


def _try(piece: Piece, folder: Path, runs: Path) -> str:
    """Do a piece unless it is done or another process is at it; return what came of it."""
    ledger = Ledger(folder, _ROWS)
    seen, key = ledger.look(), piece.hash
    if key in seen.done:
        return DONE
    if key in seen.claims:
        if ledger.holder(key, seen).is_alive:
            return _HELD
        if seen.claims[key] >= MOST_TRIES:
            return _fail(piece, ledger, f"{MOST_TRIES} processes died of it")
    claim = ledger.claim(key, seen)
    if claim is None:
        return _HELD
    heart = Heart(lambda: None)
    try:
        with heart.keeping(claim):
            return _do(piece, ledger, runs)
    finally:
        heart.stop()


def _do(piece: Piece, ledger: Ledger, runs: Path) -> str:
    """Do a piece and keep its rows, the first of them with what it took."""
    started = time.process_time()
    try:
        found = [dict(row) for row in piece.do(runs)]
    except UserError as error:
        return _fail(piece, ledger, plain_sentence(error))
    except (Exception, MemoryError) as error:
        _LOG.exception("%s failed", piece.name)
        return _fail(piece, ledger, f"{type(error).__name__}: {error}")
    spent = time.process_time() - started
    commit = (git_state()["commit"] or "")[:10]
    tail = {"finished": now()[:10], "commit": commit, "run": piece.run}
    for number, row in enumerate(found):
        row |= {"cpu_seconds": 0.0 if number else spent, **tail}
    ledger.note(piece.hash, DONE, rows=found)
    return DONE


def _fail(piece: Piece, ledger: Ledger, error: str) -> str:
    """Note that a piece failed, and why."""
    _LOG.error("%s: %s", piece.name, error)
    with contextlib.suppress(UserError):
        ledger.note(piece.hash, FAILED, piece=piece.name, error=error)
    return FAILED
