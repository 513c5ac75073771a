"""Run folders: the files of a run, written so that a kill at any moment loses nothing.

`runs/<sweep>/<slug>-<hash>/` holds `manifest.json`, `policy.safetensors` + `policy.json`,
`learning.parquet`, `state.safetensors` until it is trained, and the marker `DONE`, which holds the
config's hash and is written last; later the results of other commands, each in a folder of its
own (`evaluation.result_folders`).  Every file is written to a temporary file and moved into
place.  Every file is checked when it is read: it must be a regular file, JSON of the right shape,
a config or a table with the recorded hash.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import (
    LARGEST_JSON,
    open_append,
    parse_json,
    read_bytes,
    remove_leftovers,
    write_whole,
)
from misgen.envs.core.processes import try_lock

from .json_shapes import require_stored
from .shell import command_line
from .trial_reading import note_written, require_readable

if TYPE_CHECKING:
    import polars as pl

SCHEMA_VERSION = 1
DONE, EVALUATED = "DONE", "EVALUATED"
MANIFEST, LEARNING, EPISODES = "manifest.json", "learning.parquet", "episodes.parquet"
SUMMARY, STATUS, SWEEP = "summary.json", "status.json", "sweep.json"
STATE = "state.safetensors"
SNAPSHOTS = "snapshots"
_PACKAGES = ("misgen", "numpy", "numba", "gymnasium", "stable-baselines3", "torch", "polars")


def snapshot_of(run: Path, decisions: int) -> Path:
    """Return where a run's folder has the policy as it was after so many decisions."""
    return run / SNAPSHOTS / f"{decisions:09d}"


class Busy(UserError):
    """Another process writes to a folder."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    def marked(self, marker: str, config_hash: str) -> bool:
        """Return whether `marker` was written for the config with this hash."""
        try:
            return read_bytes(self.path / marker, 1000).strip() == config_hash.encode()
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
            UserError: if there is none, it cannot be read, or its config has another hash.
        """
        path = self.path / MANIFEST
        manifest = read_json(path, "misgen train makes run folders")
        found = hash_of_stored(manifest["config"])
        if found != manifest["config_hash"]:
            raise UserError(
                f"{path}: config_hash is {manifest['config_hash'][:20]!r} and its config gives "
                f"{found!r}, so one of them was changed: restore the file, or train the agent again"
            )
        return manifest

    def tidy(self, finished: bool = False) -> None:
        """Remove what killed writers left: temporary files, and a finished run's training state."""
        remove_leftovers(self.path)
        if finished:
            with contextlib.suppress(OSError):
                (self.path / STATE).unlink(missing_ok=True)

    def status(self, **values: Any) -> None:
        """Say how far the run is, for whoever watches; best effort."""
        with contextlib.suppress(OSError, UserError):
            write_json(self.path / STATUS, {"time": time.time(), "pid": os.getpid(), **values})

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one writer; a killed writer's lock is free again.

        Raises:
            Busy: if another process holds it.
            UserError: if the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = open_append(self.path / "LOCK")
        except OSError as error:
            where = error.filename or self.path
            raise UserError(
                f"{where} cannot be written to ({error.strerror}): give another runs=... or "
                "name=..."
            ) from None
        with handle:
            if not try_lock(handle.fileno()):
                raise Busy(
                    f"{self.path} is being written to by another process: wait until that has "
                    "ended, and start this one again"
                )
            self.tidy()
            yield


def find_runs(sweep: Path) -> list[RunFolder]:
    """Return the run folders of a sweep, by name."""
    return [RunFolder(path.parent) for path in sorted(sweep.glob(f"*/{MANIFEST}"))]


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_with(path, lambda handle: handle.write(text.encode("utf-8", "replace")))


def write_json(path: Path, plain: Any) -> None:
    """Write plain data as JSON, whole or not at all; NaN becomes null."""
    text = json.dumps(without_nan(plain), indent=2, allow_nan=False)
    write_text(path, text + "\n")


def write_parquet(path: Path, table: pl.DataFrame) -> str:
    """Write a table, whole or not at all, and return the SHA-256 of the file."""
    buffer = io.BytesIO()  # as polars wraps the error of a full disk in one of its own
    table.write_parquet(buffer)
    data = buffer.getvalue()
    write_with(path, lambda file: file.write(data))
    digest = hashlib.sha256(data).hexdigest()
    note_written(digest)
    return digest


def write_with(path: Path, write: Callable[[Any], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there.

    Raises:
        UserError: if the disk is full or the place cannot be written to; the old file stays.
    """
    try:
        write_whole(path, write)
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror}); nothing that was there is lost: "
            f"{_WHAT_NOW.get(error.errno or 0, 'free some space')} and start again"
        ) from error


_WHAT_NOW = dict.fromkeys(
    (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.EISDIR),
    "see that its folder is there and can be written to",
)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex digits.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
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
        UserError: if it is missing, holds no JSON object, or a field is not what a file of this
            name has there.
    """
    try:
        plain = parse_json(read_bytes(path, LARGEST_JSON))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: {hint}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {hint}") from None
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}): {hint}") from None
    if not isinstance(plain, dict):
        raise UserError(f"{path} holds no JSON object: {hint}")
    require_stored(plain, path, hint)
    return plain


def read_parquet(
    path: Path,
    digest: str | None = None,
    columns: Mapping[str, Any] | None = None,
    hint: str = "make it again, or restore it",
) -> pl.DataFrame:
    """Return a table.

    What this process did not write is read by another one first (`trial_reading`): a digest that
    lies beside a file may be as false as the file.

    Args:
        path: the file.
        digest: SHA-256 that the file must have; None: whatever it has, as of runs that were made
            before digests were kept.
        columns: names and types of columns that it must have.
        hint: what to do where it is not as it should be.

    Raises:
        UserError: if it is missing, was changed, is no Parquet, or has other columns.
    """
    import polars as pl

    try:
        data = read_bytes(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {hint}") from None
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise UserError(f"{path} is not the file that was written (its SHA-256 differs): {hint}")
    try:
        require_readable(data)
        table = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError,
            OverflowError, MemoryError) as error:  # fmt: skip
        why = " ".join(str(error).split())[:120]
        raise UserError(f"{path} is truncated or damaged ({why}): {hint}") from None
    require_columns(table, columns or {}, path, hint)
    return table


def digest_beside(path: Path, voucher: str) -> str | None:
    """Return the SHA-256 that a table must have by the JSON file `voucher` in its folder.

    None where that file is not there, or notes none.
    """
    beside = path.parent / voucher
    if not beside.is_file():
        return None
    return read_json(beside, "make both again").get("episodes_sha256")


def curve_columns() -> dict[str, Any]:
    """Return the columns that a learning curve must have; an algorithm may add others."""
    import polars as pl

    return {"steps": pl.Int64, "success": pl.Float64}


def require_columns(table: pl.DataFrame, columns: Mapping[str, Any], path: Path, hint: str) -> None:
    """Refuse a table that lacks columns, or has others in their place.

    Raises:
        UserError: naming the file and the column.
    """
    for name, dtype in columns.items():
        found = table.schema.get(name)
        if found is None:
            raise UserError(f"{path}: column {name!r} is missing: {hint}")
        if not _alike(found, dtype):
            raise UserError(f"{path}: column {name!r} holds {found}, not {dtype}: {hint}")


def _alike(found: pl.DataType, wanted: Any) -> bool:
    """Return whether a column can stand for another: whole numbers of any size, and so on."""
    import polars as pl

    texts = (pl.String, pl.Enum, pl.Categorical)
    return any(
        (
            found == wanted,
            found.is_integer() and wanted.is_integer(),
            found.is_float() and wanted.is_float(),
            isinstance(found, texts) and wanted in texts,
        )
    )


def hash_of_stored(config: Mapping[str, Any]) -> str:
    """Return the hash of a run's config as its manifest holds it, wherever its policies lie."""
    from .config import config_hash, without_places

    return config_hash(without_places(config))


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
        "command": command_line(),
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
