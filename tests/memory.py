"""Running out of memory: a real kill by the kernel where that can be had, or one like it.

Public name: `run_out_of_memory`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_MOST = str(1 << 20)  # bytes that the process may take on from now


def run_out_of_memory(pid: int, patience: float = 30.0) -> bool:
    """Have a process killed as the system does where memory runs out.

    It is put into a control group of its own (which takes root) that has next to no memory, so that
    the kernel kills it at what it takes on next.  Where that cannot be, it is killed from here.

    Returns:
        Whether the kernel did it.
    """
    group = (_GROUPS / "memory" if (_GROUPS / "memory").is_dir() else _GROUPS) / f"misgen-{pid}"
    limit = "memory.limit_in_bytes" if (_GROUPS / "memory").is_dir() else "memory.max"
    try:
        group.mkdir()
    except OSError:
        os.kill(pid, signal.SIGKILL)
        return False
    try:
        (group / limit).write_text(_MOST)
        (group / "cgroup.procs").write_text(str(pid))
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and _is_in(group):
            time.sleep(0.05)
        if not _is_in(group):
            return True
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return False


def _is_in(group: Path) -> bool:
    return bool((group / "cgroup.procs").read_text().split())
