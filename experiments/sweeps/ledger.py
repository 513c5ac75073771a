"""The ledger of a sweep: which cells there are, and what is known of each, as files in one folder.

A cell is a training run and its evaluation.  `<sweep>/ledger/` holds `plan.json`, which lists the
cells (and the same under another name for each grid that there was, for those who still work on
it), and small files whose names say it all, so that one listing of the folder tells the state of
thousands of cells:

    <run>.trained.json               it is trained; how long that took
    <run>-<evaluation>.done.json     it is trained and evaluated
    <run>-<evaluation>.failed.json   why it failed, and the command that repeats it
    <run>.paused.json                `stop_after` stopped it
    <run>.claim-<n>.json             the n-th process that works on it (`claims`)
    <name>.session.json              somebody sees to the whole sweep

where `<run>` and `<evaluation>` are the hashes of their settings.  What lies in the run's own
folder decides; the ledger repeats it, and `sweep.run` corrects it.

Public names: `Ledger`, `Known`, `Cell`, `LEDGER`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import remove_leftovers
from misgen.envs.core.processes import this_process

from ..training.run_folder import read_json, write_json
from .claims import Claim, Holder, beat_seconds, create
from .launchers import SLURM, is_queued, job_here

TRAINED, DONE, FAILED, PAUSED = "trained", "done", "failed", "paused"
LEDGER, PLAN = "ledger", "plan.json"
_CLAIM, _SESSION = "claim-", "session"
MOST_TRIES = 3
"""Processes that may die of one cell before it is given up."""


@dataclass(frozen=True)
class Cell:
    """A training run and its evaluation."""

    name: str
    """Of the run's folder."""
    correlation: float
    seed: int

    @property
    def run(self) -> str:
        """The hash of its training's settings."""
        return self.name.rpartition("-")[2]


@dataclass
class Known:
    """What one listing of the ledger's folder told."""

    trained: set[str] = field(default_factory=set)
    """Runs, by hash."""
    done: set[str] = field(default_factory=set)
    """Runs that have this ledger's evaluation."""
    failed: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    claims: dict[str, int] = field(default_factory=dict)
    """Of each run that somebody works on, or did: the number of the last claim."""
    sessions: list[str] = field(default_factory=list)
    """Names of files."""

    def closed(self, run: str) -> list[bool]:
        """Return which stages of a run have come to an end, and how."""
        return [run in told for told in (self.trained, self.done, self.failed, self.paused)]


class Ledger:
    """The ledger of a sweep, for one set of evaluation settings."""

    def __init__(self, sweep: Path, evaluation: str) -> None:
        """Look after the cells of a sweep; nothing is read or made yet.

        Args:
            sweep: its folder.
            evaluation: the hash of the settings of its evaluations.
        """
        self.sweep = sweep
        self.path = sweep / LEDGER
        self.evaluation = evaluation

    def make(self) -> None:
        """Make its folder.

        Raises:
            UserError: if it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            where = error.filename or self.path
            raise UserError(
                f"{where} cannot be written to ({error.strerror}): give another runs=... or "
                "name=..."
            ) from None

    def look(self) -> Known:
        """Return what is known of all cells, from one listing of the folder."""
        seen = Known()
        own = f"-{self.evaluation}"
        sets = {DONE: seen.done, FAILED: seen.failed}
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return seen
        for name in names:
            key, _, rest = name.partition(".")
            kind = rest.removesuffix(".json")
            if kind in sets and key.endswith(own):
                sets[kind].add(key.removesuffix(own))
            elif kind == TRAINED:
                seen.trained.add(key)
            elif kind == PAUSED:
                seen.paused.add(key)
            elif kind == _SESSION:
                seen.sessions.append(name)
            elif kind.startswith(_CLAIM) and kind[len(_CLAIM) :].isdecimal():
                seen.claims[key] = max(seen.claims.get(key, 0), int(kind[len(_CLAIM) :]))
        return seen

    # --- what is known of a cell

    def note(self, run: str, kind: str, **told: Any) -> None:
        """Note that a cell is trained, done, failed or paused; best effort, but for a full disk."""
        write_json(self._file(run, kind), told)

    def forget(self, run: str, *kinds: str) -> None:
        """Take back what was noted of a cell."""
        for kind in kinds:
            with contextlib.suppress(OSError):
                self._file(run, kind).unlink(missing_ok=True)

    def told(self, run: str, kind: str) -> dict[str, Any]:
        """Return what was noted of a cell; empty if it cannot be read."""
        try:
            return read_json(self._file(run, kind), "")
        except UserError:
            return {}

    def _file(self, run: str, kind: str) -> Path:
        key = f"{run}-{self.evaluation}" if kind in (DONE, FAILED) else run
        return self.path / f"{key}.{kind}.json"

    # --- who works on a cell

    def claim(self, run: str, seen: Known) -> Claim | None:
        """Claim a run for this process; None if somebody else was first, or has done it since.

        Args:
            run: its hash.
            seen: what was seen; a claim that it holds must be a dead one (`holder`).
        """
        number = seen.claims.get(run, 0) + 1
        path = self.claim_file(run, number)
        if not create(
            path,
            {**this_process(), "job": job_here(), "beat": beat_seconds(), "since": time.time()},
        ):
            return None
        claim = Claim(path)
        now = self.look()  # between the look and the claim others may have come, and gone
        later = now.claims.get(run, 0) > number or now.closed(run) != seen.closed(run)
        if later or self._others(run, number):
            claim.release()
            return None
        for old in range(1, number):
            self.claim_file(run, old).unlink(missing_ok=True)
        return claim

    def _others(self, run: str, number: int) -> bool:
        """Return whether an earlier claim is alive after all."""
        olds = (self.claim_file(run, old) for old in range(1, number))
        return any(Holder.read(old).is_alive for old in olds if old.exists())

    def claim_file(self, run: str, number: int) -> Path:
        """Return the file of a run's n-th claim."""
        return self.path / f"{run}.{_CLAIM}{number}.json"

    def holder(self, run: str, seen: Known) -> Holder:
        """Return who works on a run that is claimed."""
        return Holder.read(self.claim_file(run, seen.claims[run]))

    def clear_claims(self, runs: Iterable[str]) -> None:
        """Remove the claims of processes that are gone, so that their tries are not counted."""
        seen = self.look()
        for run in set(runs) & set(seen.claims):
            if not self.holder(run, seen).is_alive:
                claim = self.claim(run, seen)
                if claim:
                    claim.release()

    # --- who sees to the sweep

    def open_session(self, **told: Any) -> Claim:
        """Note that this process sees to the sweep, and return the note, to be kept alive."""
        this = this_process()
        path = self.path / f"{this['machine'][:8]}-{this['pid']}.{_SESSION}.json"
        write_json(path, {**this, "beat": beat_seconds(), "since": time.time(), **told})
        return Claim(path)

    def open_job_session(self, name: str, **told: Any) -> Claim:
        """Note that jobs of a cluster see to the sweep, whether or not their submitter waits."""
        path = self.path / f"{name}.{_SESSION}.json"
        write_json(path, {"since": time.time(), **told})
        return Claim(path)

    def sessions(self, seen: Known) -> list[Holder]:
        """Return those who see to the sweep; notes of those that are gone are removed."""
        found = [(self.path / name, Holder.read(self.path / name)) for name in seen.sessions]
        alive = {path: holder for path, holder in found if _is_at_work(holder)}
        for path, _ in found:
            if path not in alive:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        return list(alive.values())

    def touch_sessions(self) -> None:
        """Show for the jobs of a cluster that they are at work."""
        for path in self.path.glob(f"{SLURM}-*.{_SESSION}.json"):
            with contextlib.suppress(OSError):
                os.utime(path)

    def tidy(self) -> None:
        """Remove what processes left that are gone."""
        remove_leftovers(self.path)
        self.sessions(self.look())


def _is_at_work(session: Holder) -> bool:
    """Return whether a session is alive; that of Slurm's jobs is, while they run or wait to."""
    if session.told.get("launcher") == SLURM:
        queued = is_queued(str(session.told.get("job")))
        if queued is not None:
            return queued
    return session.is_alive
