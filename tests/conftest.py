"""What tests share: few threads, reproducible examples, where the originals' records are."""

import os
import tempfile
from pathlib import Path

# Before anything that reads them is imported.  Two Numba threads, so that a test can ask for both.
os.environ.setdefault("NUMBA_NUM_THREADS", "2")
for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ["MISGEN_CACHE"] = ""  # tests find everything anew

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"
"""Levels and trajectories recorded from the original programs; not part of the repository."""

# The same examples in every run; none fails for being slow, as the first one compiles the kernels.
settings.register_profile("misgen", deadline=None, derandomize=True)
settings.load_profile("misgen")


@pytest.fixture(autouse=True)
def _one_thread():
    """Let kernels use one thread, whatever a test before this one set."""
    import numba

    numba.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _temporary_files(tmp_path_factory):
    """Give all temporary files a folder of their own, and see that nothing is left in it.

    Where a process is killed, what it had there stays; pytest removes it with its own folders.
    """
    folder = tmp_path_factory.mktemp("left")
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    yield
    tempfile.tempdir = before[1]
    if before[0] is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before[0]
    left = [path.name for path in folder.iterdir() if not path.name.startswith(_CACHES)]
    assert not left, f"tests, or what they ran, left in the folder for temporary files: {left}"


_CACHES = ("torchinductor_", "pymp-", "matplotlib-", "SB3-")
"""What libraries keep there; `SB3-`: of a test that uses stable-baselines3 as it is (trainings of
ours leave none, see `test_training_leaves_no_folder`)."""


@pytest.fixture(scope="session")
def golden() -> Path:
    """Return the folder with the originals' levels and trajectories, or skip."""
    if not GOLDEN.is_dir():
        pytest.skip(f"the originals' records are not here ({GOLDEN})")
    return GOLDEN
