"""Differences between POSIX and Windows, behind one function each.

Public names: `is_alive`, `this_process`, `process_here`, `still_runs`, `group_options`,
`end_group`, `end_groups`, `ended_together`, `try_lock`, `lock_byte`, `replace`, `stop_signals`,
`stopping_cleanly`.

Each function reads `os.name` when it is called, so that a test can simulate either system.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_MAY_ASK, _MAY_WAIT = 0x1000, 0x100000  # PROCESS_QUERY_LIMITED_INFORMATION, SYNCHRONIZE
_ACCESS_DENIED, _STILL_RUNS = 5, 0x102  # ERROR_ACCESS_DENIED, WAIT_TIMEOUT
_PATIENCE = 10.0  # seconds that processes have to end by themselves
_TRIES, _PAUSE = 20, 0.05  # of a file that Windows will not replace yet, seconds


def on_windows() -> bool:
    """Return whether this is Windows."""
    return os.name == "nt"


def is_alive(pid: int) -> bool:
    """Return whether a process runs, whoever it belongs to; it is not disturbed.

    On Windows `os.kill(pid, 0)` would interrupt it (0 is CTRL_C_EVENT there).
    """
    if pid <= 0:
        return False
    if on_windows():
        return _is_alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def this_process() -> dict[str, Any]:
    """Return what tells this process from all others, on this machine and elsewhere."""
    return process_here(os.getpid())


def process_here(pid: int) -> dict[str, Any]:
    """Return what tells a process of this machine from all others, here and elsewhere."""
    return {"host": platform.node(), "machine": _machine(), "pid": pid, "born": _born(pid)}


def still_runs(process: Mapping[str, Any]) -> bool | None:
    """Return whether a process runs that `this_process` described; None where it cannot be seen.

    A process that has its number since is another one.
    """
    pid = process.get("pid")
    if process.get("machine") != _machine() or type(pid) is not int:
        return None
    return is_alive(pid) and _born(pid) == process.get("born") and not _is_zombie(pid)


def group_options() -> dict[str, Any]:
    """Return what to give `subprocess.Popen` for a process that `end_group` can end."""
    if on_windows():
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200)}
    return {"start_new_session": True}


def end_group(process: subprocess.Popen[Any], patience: float = _PATIENCE) -> None:
    """End a process and all that it started, asking first and insisting after `patience` seconds.

    Args:
        process: started with `group_options`.
        patience: seconds.
    """
    if on_windows():
        if process.poll() is None:
            command = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
            subprocess.run(command, capture_output=True, check=False)
            _wait_for_end(process)
        return
    _signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    _signal_group(process.pid, signal.SIGKILL)  # whoever did not listen, and orphans
    _wait_for_end(process)


def _wait_for_end(process: subprocess.Popen[Any]) -> None:
    """Wait for a process that was killed; on a busy machine even that takes a while."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)


def end_groups(processes: Sequence[subprocess.Popen[Any]], patience: float) -> None:
    """End processes as `end_group` does: all are asked at once, and share `patience` seconds."""
    if not on_windows():
        for one in processes:
            if one.poll() is None:
                _signal_group(one.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    for one in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.wait(max(0.0, deadline - time.monotonic()))
    for one in processes:
        if one.poll() is None:
            end_group(one, 0.1)


@contextlib.contextmanager
def ended_together(process: subprocess.Popen[Any]) -> Iterator[None]:
    """End a process, started with `group_options`, when this one is interrupted or told to end."""
    with stopping_cleanly():
        try:
            yield
        finally:
            if process.poll() is None:
                end_group(process)


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process until it is closed; return whether that worked.

    A killed process's lock is free again, on either system.
    """
    if on_windows():
        return _lock_on_windows(descriptor, 0)
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def lock_byte(descriptor: int, place: int, patience: float) -> bool:
    """Lock one byte of an open file, which need not be there, for this process until it is closed.

    Processes exclude one another; threads of one do not.

    Args:
        descriptor: of a file that may be written to.
        place: which byte.
        patience: seconds to wait until it is free.

    Returns:
        Whether it is locked.

    Raises:
        OSError: where the file system has no locks.
    """
    deadline = time.monotonic() + patience
    while not _try_lock_byte(descriptor, place):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _try_lock_byte(descriptor: int, place: int) -> bool:
    if on_windows():
        return _lock_on_windows(descriptor, place)
    import fcntl

    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: another process has it
        return False
    return True


def _lock_on_windows(descriptor: int, place: int) -> bool:
    import msvcrt

    windows: Any = msvcrt
    os.lseek(descriptor, place, os.SEEK_SET)
    try:
        windows.locking(descriptor, windows.LK_NBLCK, 1)
    except OSError:
        return False
    return True


def replace(source: str | Path, target: str | Path) -> None:
    """Move a file over another at once.

    Windows refuses that while somebody reads the old one, so it is tried for a second there.
    """
    for left in reversed(range(_TRIES)):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if not on_windows() or not left:
                raise
        time.sleep(_PAUSE)


def stop_signals() -> list[signal.Signals]:
    """Return the signals beside Ctrl-C by which a system tells a program to end.

    SIGTERM is what `kill` and schedulers send; SIGHUP comes when a terminal or an ssh connection
    closes; SIGBREAK is the nearest that Windows has.
    """
    names = ("SIGTERM", "SIGBREAK") if on_windows() else ("SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


@contextlib.contextmanager
def stopping_cleanly() -> Iterator[None]:
    """Turn each stop signal into `KeyboardInterrupt`, so that what is open is closed and saved.

    A signal that is ignored stays so (`nohup` ignores SIGHUP).  While an exit is on its way further
    signals change nothing.  Outside the main thread, where signals cannot be caught, nothing is
    done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = False

    def stop(number: int, _: object) -> None:
        nonlocal told
        if not told:
            told = True
            raise KeyboardInterrupt(signal.Signals(number).name)

    before = {}
    for one in stop_signals():
        if signal.getsignal(one) is signal.SIG_DFL:
            before[one] = signal.signal(one, stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@cache
def _machine() -> str:
    """Return hex digits for this machine, since it was started, and the processes it can see."""
    told = [platform.node()]
    for read in (
        lambda: os.readlink("/proc/self/ns/pid"),  # containers count their processes apart
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text(),
    ):
        with contextlib.suppress(OSError):
            told.append(read().strip())
    return hashlib.sha256(" ".join(told).encode()).hexdigest()[:16]


def _stat(pid: int) -> list[str]:
    """Return what Linux tells of a process, from its state on; nothing elsewhere."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _born(pid: int) -> int | None:
    """Return when a process was started, in the system's ticks, where that is told."""
    told = _stat(pid)
    return int(told[19]) if len(told) > 19 else None


def _is_zombie(pid: int) -> bool:
    return _stat(pid)[:1] in (["Z"], ["X"])


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _is_alive_on_windows(pid: int) -> bool:
    import ctypes

    kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009 (exists there alone)
    handle = kernel.OpenProcess(_MAY_ASK | _MAY_WAIT, False, pid)
    if not handle:
        return kernel.GetLastError() == _ACCESS_DENIED
    try:
        return kernel.WaitForSingleObject(handle, 0) == _STILL_RUNS
    finally:
        kernel.CloseHandle(handle)
