"""The peers, how they are installed, and the end of the pipe in our Python.

Public names: `Peer`, `PEERS`, `Worker`, `at_work`, `install`, `there`,
`versions`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-peers"
"""Has a folder for each peer's Python."""


@dataclass(frozen=True)
class Peer:
    """A program that is measured."""

    name: str
    """That of its module in this folder."""
    what: str
    """For people: what it is, and where it is from."""
    packages: tuple[str, ...] = ()
    """What its Python needs, as pip is told; nothing: it runs in ours."""
    source: str = ""
    """A package more, installed without what it says it needs."""

    @property
    def python(self) -> Path:
        """The Python that runs it."""
        if not self.packages:
            return Path(sys.executable)
        folder, suffix = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
        return HOME / self.name / folder / f"python{suffix}"

    @property
    def marker(self) -> Path:
        """A file that is there once it is installed."""
        return HOME / self.name / "installed"


_ALL = (
    Peer("ours", "misgen"),
    Peer("sb3", "stable-baselines3, which misgen needs itself"),
    Peer("procgen", "the original Procgen, through gym3", ("procgen-mirror==0.10.7",)),
    Peer(
        "jaxgmg",
        "https://github.com/matomatical/jaxgmg",
        ("jax[cpu]", "flax", "chex", "einops", "jaxtyping", "imageio"),
        "git+https://github.com/matomatical/jaxgmg@ea3ac870811d940525ad0db3ece95c84ca5f8232",
    ),
    Peer("minigrid", "https://minigrid.farama.org", ("minigrid==3.2.0",)),
    Peer("sbx", "https://github.com/araffin/sbx: PPO in JAX", ("sbx-rl==0.28.0", "-e", str(ROOT))),
)
PEERS = {peer.name: peer for peer in _ALL}
"""All of them, by name."""


def there(name: str) -> bool:
    """Return whether a peer is installed."""
    peer = PEERS[name]
    return not peer.packages or peer.marker.exists()


def versions(peer: Peer) -> list[str]:
    """Return the packages of an installed peer's Python that it was given, with their versions."""
    folders = [str(folder) for folder in (HOME / peer.name).rglob("site-packages")]
    names = {re.split(r"[\[=]", word)[0] for word in peer.packages if word[:1] not in "-/"}
    found = (metadata.distributions(name=name, path=folders) for name in sorted(names))
    return [f"{one.name} {one.version}" for each in found for one in each]


def install(peer: Peer, source: str = "", pip: tuple[str, ...] = ()) -> None:
    """Make a peer's Python, with its packages.

    Args:
        peer: which.
        source: a folder or an address in place of `peer.source`.
        pip: further arguments of pip.

    Raises:
        UserError: if pip fails.
    """
    peer.marker.unlink(missing_ok=True)
    venv.create(HOME / peer.name, with_pip=True, clear=True)
    wanted = [list(peer.packages)]
    if source or peer.source:
        wanted.append(["--no-deps", source or peer.source])
    for words in wanted:
        command = [str(peer.python), "-m", "pip", "install", "--quiet", *pip, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise UserError(f"{peer.name} could not be installed ({last}): {' '.join(command)}")
    peer.marker.touch()


class Worker:
    """A peer at work: a process that takes turns when it is asked."""

    def __init__(self, name: str, threads: int = 1) -> None:
        """Start it, on as many CPU cores as it has threads.

        Args:
            name: the peer's.
            threads: of each of its libraries.
        """
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `close`)
        self._process = subprocess.Popen(
            [str(PEERS[name].python), "-m", f"benchmarks.peers.{name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=os.environ | _limits(threads),
        )
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))[:threads]
            os.sched_setaffinity(self._process.pid, cores)
        self._ready = True

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Have it prepare what it does in its turns, while we do other things.

        Args:
            settings: `work`, and what that work needs to know.
        """
        self._send(settings)
        self._ready = False

    def turn(self, **asked: Any) -> dict[str, Any]:
        """Have it take a turn, and return what it found.

        Raises:
            UserError: if it failed.
        """
        self.wait()
        self._send(asked)
        return self._answer()

    def wait(self) -> None:
        """Wait until it is prepared.

        Raises:
            UserError: if it failed.
        """
        if not self._ready:
            self._answer()
            self._ready = True

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
        self._errors.close()

    def _send(self, plain: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(plain) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and the answer says why

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
        if "error" in found:
            raise UserError(f"{self.name} failed: {found['error'].strip()}")
        return found

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read() or "it ended and said nothing"


@contextmanager
def at_work(peers: Mapping[str, str], threads: int = 1) -> Iterator[dict[str, Worker]]:
    """Start workers, by names of their own, of those peers that are installed; end them after."""
    workers: dict[str, Worker] = {}
    try:
        for name, peer in peers.items():
            if there(peer):
                workers[name] = Worker(peer, threads)
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def _limits(threads: int) -> dict[str, str]:
    """Return environment variables that keep a process to as many threads."""
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    many = "true" if threads > 1 else "false"
    return dict.fromkeys(names, str(threads)) | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={many}",
    }
