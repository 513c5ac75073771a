"""Reading and writing files: regular files of limited size, and writes that are all or nothing.

Public names: `open_regular`, `open_append`, `range_lock`, `read_bytes`, `parse_json`, `temporary`,
`write_whole`, `remove_leftovers`.

A file in a folder may be anything: a named pipe, which would block forever, a device, a circular
link, or a file made by someone else.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any

from .processes import is_alive, lock_byte, replace

LARGEST = 1 << 31  # bytes of any file that is read whole
LARGEST_JSON = 1 << 26
DEEPEST = 64
"""Levels of lists and objects in one another that data may have; ours has under ten."""
_OLD = 24 * 3600.0  # seconds after which nobody writes a temporary file any more
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def open_regular(path: str | Path) -> IO[bytes]:
    """Open a regular file to read its bytes; whatever else is there is not waited for.

    Raises:
        OSError: if there is none, or it is something else; `strerror` says what.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return _checked(path, flags, "rb")


def open_append(path: str | Path) -> IO[bytes]:
    """Open a file to append to it, or to lock it, made if missing; links are not followed.

    Raises:
        OSError: if it cannot be made, or is no regular file.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    return _checked(path, flags, "ab")


@contextlib.contextmanager
def range_lock(path: Path, place: int, patience: float) -> Iterator[bool]:
    """Hold a lock, one of many that a file stands for, against other processes.

    Yields whether it is held.
    Where a file cannot be locked, everybody goes on as if alone.

    Args:
        path: the file; made, with its folder, if missing.
        place: which lock of the file.
        patience: seconds to wait until it is free.
    """
    with contextlib.ExitStack() as stack:
        held = True
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open_append(path))
            held = lock_byte(file.fileno(), place, patience)
        yield held


def read_bytes(path: str | Path, limit: int = LARGEST) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        OSError: if there is none, or it is something else, or larger than `limit` bytes.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        why = f"it has more than the {limit:,} bytes that it can need"
        raise OSError(errno.EFBIG, why, str(path))
    return data


def parse_json(data: bytes | str) -> Any:
    """Return what JSON text holds.

    Raises:
        ValueError: if it is no JSON, nests deeper than `DEEPEST`, has a key twice in one object, or
            a number that is none (NaN, Infinity).
    """
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    try:
        plain = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    require_shallow(plain)
    return plain


def require_shallow(plain: Any) -> None:
    """Refuse lists and mappings that nest deeper than `DEEPEST`.

    Raises:
        ValueError: if they do.
    """
    layer, depth = [plain], 0
    while layer:
        if depth > DEEPEST:
            raise ValueError(_too_deep())
        layer = [
            inner
            for one in layer
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        depth += 1


@contextlib.contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file beside `path`, and see that nothing is left there.

    What killed writers left in the folder is removed first.
    """
    remove_leftovers(path.parent)
    name = f".{path.name[:150]}.{os.getpid()}.{_machine()}.{secrets.token_hex(4)}.tmp"
    beside = path.parent / name
    try:
        yield beside
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there.

    Raises:
        OSError: if the disk is full or the place cannot be written to; the old file stays.
    """
    with temporary(path) as beside:
        with beside.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        replace(beside, path)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers left in a folder.

    Only files that are named as `temporary` names them, whose writer, on this machine, is gone; of
    other machines that share the folder (and of a writer whose number another process has now), a
    day later.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if found and entry.is_file(follow_symlinks=False) and _is_left(entry, found):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


_TEMPORARY = re.compile(r"\..+\.(?P<pid>\d{1,10})\.(?P<machine>[0-9a-f]{8})\.[0-9a-f]{8}\.tmp")


def _is_left(entry: os.DirEntry[str], found: re.Match[str]) -> bool:
    """Return whether nobody writes a temporary file any more."""
    if found["machine"] == _machine() and not is_alive(int(found["pid"])):
        return True
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _OLD
    except OSError:
        return False


@cache
def _machine() -> str:
    """Return eight hex digits for this machine, and the set of processes that it can see."""
    space = ""
    with contextlib.suppress(OSError):  # containers of one name count their processes apart
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _checked(path: str | Path, flags: int, mode: str) -> IO[bytes]:
    try:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o666)
    except ValueError as error:  # a path with a null byte
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            what = next((name for is_one, name in _KINDS if is_one(kind)), "something else")
            raise OSError(errno.EINVAL, f"it is {what}, not a file", str(path))
        return os.fdopen(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"{twice[:60]!r} is there twice in one object")
    return plain


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _too_deep() -> str:
    return f"it nests deeper than {DEEPEST} levels"
