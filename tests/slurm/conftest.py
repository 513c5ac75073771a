"""A Slurm of one node, started for these tests; needs slurm-wlm and munge, root, and submitit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

NEEDED = ("sbatch", "slurmctld", "slurmd", "munged")
SCRIPT = Path(__file__).with_name("cluster.sh")


def _why_not() -> str:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (slurm-wlm, munge)"
    if os.geteuid():
        return "a Slurm of one node is started as root"
    try:
        import submitit  # noqa: F401
    except ModuleNotFoundError:
        return "submitit is not installed"
    return ""


@pytest.fixture(scope="session")
def slurm(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Start a Slurm, and yield the environment in which its commands work."""
    if sys.platform != "linux":
        pytest.skip("Slurm runs on Linux")
    if why := _why_not():
        pytest.skip(why)
    place = tmp_path_factory.mktemp("slurm")
    for folder in (place, *place.parents[:2]):  # munge wants to reach its socket
        os.chmod(folder, 0o755)
    subprocess.run([str(SCRIPT), "start", str(place)], check=True, timeout=120)
    try:
        yield {**os.environ, "SLURM_CONF": str(place / "slurm.conf")}
    finally:
        subprocess.run([str(SCRIPT), "stop", str(place)], check=False, timeout=60)


def ask(environment: dict[str, str], *command: str) -> str:
    """Return what a command of Slurm's prints."""
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr
