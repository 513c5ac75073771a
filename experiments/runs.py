"""Run folders: what a run leaves on disk, written so that a kill at any moment loses nothing.

`runs/<sweep>/<slug>-<hash>/` holds `manifest.json`, `policy.safetensors` + `policy.json`,
`learning.parquet`, `state.safetensors` until it is trained, and the marker `DONE`, which holds the
config's hash and is written last; later what other commands found out, each in a folder of its own
(`kept`).  Every file is written beside its place and moved there.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError

if TYPE_CHECKING:
    import polars as pl

SCHEMA_VERSION = 1
DONE, EVALUATED = "DONE", "EVALUATED"
MANIFEST, LEARNING, EPISODES = "manifest.json", "learning.parquet", "episodes.parquet"
SUMMARY, STATUS, SWEEP = "summary.json", "status.json", "sweep.json"
STATE = "state.safetensors"
SNAPSHOTS = "snapshots"
_PACKAGES = ("misgen", "numpy", "numba", "gymnasium", "stable-baselines3", "torch", "polars")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    def marked(self, marker: str, config_hash: str) -> bool:
        """Return whether `marker` was written for the config with this hash."""
        try:
            return (self.path / marker).read_text().strip() == config_hash
        except OSError:
            return False

    def mark(self, marker: str, config_hash: str) -> None:
        """Write `marker`; do so last."""
        write_text(self.path / marker, config_hash + "\n")

    def unmark(self, *markers: str) -> None:
        """Remove markers, before anything they vouch for is written anew."""
        for marker in markers:
            (self.path / marker).unlink(missing_ok=True)

    def manifest(self) -> dict[str, Any]:
        """Return the manifest.

        Raises:
            UserError: if there is none, or it cannot be read.
        """
        return read_json(self.path / MANIFEST, "misgen train makes run folders")

    def status(self, **values: Any) -> None:
        """Say how far the run is, for whoever watches; best effort."""
        with contextlib.suppress(OSError):
            write_json(self.path / STATUS, {"time": time.time(), "pid": os.getpid(), **values})

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one writer; a killed writer's lock is free again.

        Raises:
            UserError: if another process holds it, or the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = (self.path / "LOCK").open("a")
        except OSError as error:
            raise UserError(f"{self.path} cannot be written to: {error.strerror}") from None
        with handle:
            if not _try_lock(handle.fileno()):
                raise UserError(
                    f"{self.path} is being written to by another process: wait for it, or give "
                    "this one another name=..."
                )
            yield


def find_runs(sweep: Path) -> list[RunFolder]:
    """Return the run folders of a sweep, by name."""
    return [RunFolder(path.parent) for path in sorted(sweep.glob(f"*/{MANIFEST}"))]


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_with(path, lambda handle: handle.write(text.encode()))


def write_json(path: Path, plain: Any) -> None:
    """Write plain data as JSON, whole or not at all; NaN becomes null."""
    text = json.dumps(without_nan(plain), indent=2, allow_nan=False)
    write_text(path, text + "\n")


def write_parquet(path: Path, table: pl.DataFrame) -> None:
    """Write a table, whole or not at all."""
    buffer = io.BytesIO()  # as polars wraps the error of a full disk in one of its own
    table.write_parquet(buffer)
    write_with(path, lambda file: file.write(buffer.getbuffer()))


def write_with(path: Path, write: Callable[[Any], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there.

    Raises:
        UserError: if the disk is full or the place cannot be written to; the old file stays.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror}); nothing that was there is lost: "
            "free some space and start again"
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex digits.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): make it again with its command"
        ) from None


def read_json(path: Path, hint: str) -> dict[str, Any]:
    """Return a JSON object.

    Args:
        path: the file.
        hint: what to do where it is missing.

    Raises:
        UserError: if it is missing or holds no JSON object.
    """
    try:
        plain = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: {hint}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): {hint}") from None
    if not isinstance(plain, dict):
        raise UserError(f"{path} holds no JSON object: {hint}")
    return plain


def without_nan(plain: Any) -> Any:
    """Return plain data with null for what is no finite number, as JSON has it."""
    if isinstance(plain, dict):
        return {key: without_nan(value) for key, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [without_nan(value) for value in plain]
    if isinstance(plain, float) and plain - plain != 0:
        return None
    return plain


def provenance() -> dict[str, Any]:
    """Return what the run was made with: command, commit, packages, machine, time."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": " ".join(["misgen", *sys.argv[1:]]),
        "git": git_state(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "hardware": {
            "machine": platform.machine(),
            "system": platform.platform(),
            "cpus": os.cpu_count(),
        },
        "started": now(),
    }


def now() -> str:
    """Return the time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def git_state() -> dict[str, Any]:
    """Return the commit of the source tree and whether it was changed, or nulls outside one."""
    here = Path(__file__).resolve().parent

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    changes = ask("status", "--porcelain", "--untracked-files=no")
    return {"commit": ask("rev-parse", "HEAD"), "dirty": None if changes is None else bool(changes)}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _try_lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows has no advisory locks of this kind
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
