"""Where figures were measured: what they depend on besides the code.

Public names: `machine`, `describe_machine`, `load_now`.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from misgen.envs.procgen.library import WHEELS
from misgen.experiments.training.run_folder import git_state


def machine() -> dict[str, Any]:
    """Return what a figure depends on besides the code."""
    names = ("numpy", "numba", "torch", "stable-baselines3", *WHEELS.values())
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_state(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in names},
        "load_before": load_now(),
    }


def describe_machine(found: dict[str, Any]) -> str:
    """Return the machine in a line, with a warning where it has other work."""
    text = f"{found['processor']}, {found['cpus']} CPUs, Python {found['python']}"
    load = found["load_before"]
    if load is not None and load > 0.5:
        text += f"\n[yellow]load {load}: other programs are at work, the figures will be low[/]"
    return text


def load_now() -> float | None:
    """Return how many processes wanted a CPU in the last minute, None where that is not known."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
