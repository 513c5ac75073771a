"""Reading Parquet in another process first: a damaged file can end the process that reads it.

Public names: `require_readable`, `note_written`.

A few changed bytes make the reader ask for 2^61 bytes of memory, which aborts the process; no
exception is raised that could be caught.  So what this process did not write itself is first read
by a child with limited memory and time.  The child takes one file after the other, and ends when it
is not needed.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import signal
import struct
import subprocess
import sys
import threading

_PATIENCE = 120.0  # seconds that a file may take, on however busy a machine
_IDLE = 20.0  # seconds after which a child that nobody asks ends
_MEMORY = (16 << 30, 32)  # bytes of address space that a child has, and more for each of the file's
_BY_OTHERS = {-getattr(signal, f"SIG{name}", 0) for name in ("KILL", "TERM", "HUP", "INT")} - {0}
"""Exit codes of a child that somebody else ended, or the system for want of memory."""
_TIMES = 3  # that a child may be ended by others over one file
_READS = """
import io, os, struct, sys, threading
import polars as pl
ask, answer = sys.stdin.buffer, sys.stdout.buffer
while True:
    idle = threading.Timer(float(sys.argv[1]), os._exit, (0,))
    idle.daemon = True
    idle.start()
    head = ask.read(8)
    idle.cancel()
    if len(head) < 8:
        os._exit(0)
    data = ask.read(struct.unpack("<q", head)[0])
    try:
        import resource
        room = int(sys.argv[2]) + int(sys.argv[3]) * len(data)
        resource.setrlimit(resource.RLIMIT_AS, (room, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (ImportError, ValueError, OSError):
        pass
    try:
        pl.read_parquet(io.BytesIO(data))
        why = ""
    except BaseException as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
    answer.write(why.encode("utf-8", "replace") + b"\\n")
    answer.flush()
"""

_LOCK = threading.Lock()
_sound: set[str] = set()
_child: tuple[int, subprocess.Popen[bytes]] | None = None


def require_readable(data: bytes) -> None:
    """See that a Parquet file can be read without harm to the process that reads it.

    Args:
        data: the whole file.

    Raises:
        ValueError: if it cannot; the message says why.
    """
    digest = hashlib.sha256(data).hexdigest()
    with _LOCK:
        if digest in _sound:
            return
        why = _try(data)
    if why:
        raise ValueError(why)
    _sound.add(digest)


def note_written(digest: str) -> None:
    """Note that this process wrote a file with this SHA-256, which need not be tried."""
    _sound.add(digest)


def _try(data: bytes) -> str:
    """Return why a child cannot read a file; empty: it can."""
    killed = 0
    while True:
        try:
            child = _running()
        except OSError:  # no process can be started here: it is read without trial
            return ""
        late = threading.Event()
        timer = threading.Timer(_PATIENCE, _end, (child, late))
        timer.daemon = True
        timer.start()
        answer = _ask(child, data)
        timer.cancel()
        if answer.endswith(b"\n"):
            return answer.decode("utf-8", "replace").strip()
        if late.is_set():
            return f"it could not be read in {_PATIENCE:g} seconds"
        code = child.wait()
        if code in _BY_OTHERS:
            killed += 1
            if killed == _TIMES:
                return "what reads it was killed each time, as by a system without memory left"
        elif code != 0:
            return "reading it ends the process that reads it"
        # It had nothing to do and ended just when it was asked, or was killed: ask another.


def _ask(child: subprocess.Popen[bytes], data: bytes) -> bytes:
    """Return a child's answer; without a line's end if it ended before it gave one."""
    assert child.stdin
    assert child.stdout
    with contextlib.suppress(OSError):  # a child that has ended reads nothing
        child.stdin.write(struct.pack("<q", len(data)) + data)
        child.stdin.flush()
    return child.stdout.readline()


def _running() -> subprocess.Popen[bytes]:
    """Return the child of this process, started if there is none."""
    global _child
    if _child is not None and _child[0] == os.getpid() and _child[1].poll() is None:
        return _child[1]
    limits = [str(_IDLE), *map(str, _MEMORY)]
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", _READS, *limits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
    )
    _child = os.getpid(), child
    return child


def _end(child: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    child.kill()


@atexit.register
def _close() -> None:
    """End the child, unless it is of the process that this one was forked from."""
    if _child is not None and _child[0] == os.getpid():
        _child[1].kill()
        _child[1].communicate()
