"""misgen's own trackers: Weights & Biases, and TensorBoard.

W&B writes to `<folder>/wandb/`, and sends it where there is a key and a server that answers.
Otherwise it only writes, and `wandb sync` sends that later; TensorBoard's files lie in
`<folder>/tensorboard/`.

Public names: `OWN`, `why_offline`.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import logging
import netrc
import os
import secrets
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from misgen.envs.core.files import read_bytes, write_whole

if TYPE_CHECKING:
    import polars as pl

    from .trackers import TrackedRun, Tracker

PROJECT = "misgen"
"""W&B's project, unless WANDB_PROJECT names another."""
_HOST = "https://api.wandb.ai"
_OFFLINE = ("offline", "dryrun", "disabled")
"""Values of WANDB_MODE with which nothing is sent; who sets one is not told of it again."""
_ANSWER_IN, _START_IN, _SEND_IN = 3.0, 30.0, 60.0  # seconds
_LOG = logging.getLogger(__name__)


def why_offline() -> str:
    """Return why W&B would not send what it writes; empty if it would, or is told not to."""
    if os.environ.get("WANDB_MODE") in _OFFLINE:
        return ""
    host = _host()
    if not _has_key(host):
        return "there is no WANDB_API_KEY"
    return "" if _answers(host) else f"{host} does not answer"


def _host() -> str:
    """Return the server's address, as W&B's settings have it."""
    if given := os.environ.get("WANDB_BASE_URL"):
        return given.rstrip("/")
    folder = os.environ.get("WANDB_CONFIG_DIR") or Path.home() / ".config" / "wandb"
    read = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
        read.read(Path(folder) / "settings")
    return read.get("default", "base_url", fallback=_HOST).rstrip("/")


def _has_key(host: str) -> bool:
    """Return whether W&B knows who sends: by its environment, or after `wandb login`."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    given = os.environ.get("NETRC")
    for path in [Path(given)] if given else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        with contextlib.suppress(OSError, netrc.NetrcParseError, ValueError):
            return netrc.netrc(path).authenticators(urlsplit(host).hostname or "") is not None
    return False


def _answers(host: str) -> bool:
    """Return whether somebody listens at an address; behind a proxy that cannot be seen."""
    try:
        parts = urlsplit(host)
        name = parts.hostname or ""
        if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(name):
            return True
        port = parts.port or (80 if parts.scheme == "http" else 443)
        socket.create_connection((name, port), _ANSWER_IN).close()
    except (OSError, ValueError):
        return False
    return True


# --- Weights & Biases


@contextlib.contextmanager
def _wandb(run: TrackedRun) -> Iterator[_Wandb]:
    with contextlib.ExitStack() as stack:
        remote = _sending(run, stack) or _writing(run, stack)
        failed = 1
        try:
            yield _Wandb(remote)
            failed = 0
        finally:
            remote.finish(exit_code=failed)


def _sending(run: TrackedRun, stack: contextlib.ExitStack) -> Any:
    """Return a run of W&B's that sends; None where none is to, or can.

    What it cannot send in time stays where it was written.
    """
    import wandb

    if os.environ.get("WANDB_MODE") in _OFFLINE or why_offline():
        return None
    settings = wandb.Settings(
        console="off",
        quiet=True,
        init_timeout=_START_IN,
        finish_timeout=_SEND_IN,
        finish_timeout_raises=True,
    )
    with contextlib.ExitStack() as own:
        own.enter_context(_service())
        try:
            remote = wandb.init(**_told(run), resume="allow", settings=settings)
        except Exception as error:  # of its own kinds, pydantic's, and others
            why = " ".join(str(error).split())[:200]
            _LOG.warning("W&B: %s, so it writes offline; `wandb sync` sends it later", why)
            return None
        stack.push(own.pop_all())
    return remote


def _writing(run: TrackedRun, stack: contextlib.ExitStack) -> Any:
    """Return a run of W&B's that only writes; one that does nothing, if WANDB_MODE says so."""
    import wandb

    stack.enter_context(_service())
    mode = "disabled" if os.environ.get("WANDB_MODE") == "disabled" else "offline"
    return wandb.init(**_told(run), mode=mode, settings=wandb.Settings(console="off", silent=True))


@contextlib.contextmanager
def _service() -> Iterator[None]:
    """End W&B's own process with the run, so that no run needs one that has died meanwhile.

    One that is there already is somebody else's, and stays.
    """
    import wandb

    if os.environ.get("WANDB_SERVICE"):
        yield
        return
    try:
        yield
    finally:
        wandb.teardown()


def _told(run: TrackedRun) -> dict[str, Any]:
    """Return what W&B is told of a run."""
    return {
        "project": os.environ.get("WANDB_PROJECT") or PROJECT,
        "dir": str(run.folder),
        "id": _number(run),
        "name": run.name,
        "group": run.group,
        "job_type": run.kind,
        "config": run.settings,
    }


def _number(run: TrackedRun) -> str:
    """Return W&B's number of a run: the same when the run goes on after a stop."""
    path = run.folder / "wandb" / f"{run.kind}.id"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if (found := read_bytes(path, 100).decode("ascii")).isalnum():
            return found
    number = secrets.token_hex(4)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: file.write(number.encode()))
    return number


class _Wandb:
    """Where the numbers of a run go: a run of W&B's."""

    def __init__(self, remote: Any) -> None:
        self._remote = remote

    def __call__(self, numbers: Mapping[str, float], step: int) -> None:
        self._remote.log(dict(numbers), step=step)

    def table(self, name: str, table: pl.DataFrame) -> None:
        """Show a table."""
        import wandb

        rows = [[_cell(value) for value in row] for row in table.rows()]
        shown = wandb.Table(columns=[*table.columns], data=rows, allow_mixed_types=True)
        self._remote.log({name: shown})

    def figure(self, name: str, path: Path) -> None:
        """Show a picture."""
        import wandb

        self._remote.log({name: wandb.Image(str(path))})


def _cell(value: Any) -> Any:
    return value if isinstance(value, int | float | str) or value is None else str(value)


# --- TensorBoard


@contextlib.contextmanager
def _tensorboard(run: TrackedRun) -> Iterator[_TensorBoard]:
    log = _TensorBoard(run)
    try:
        yield log
    finally:
        log.close()


class _TensorBoard:
    """Where the numbers of a run go: TensorBoard's files."""

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._folder = run.folder / "tensorboard"
        self._writer: Any = None

    def _open(self, step: int) -> Any:
        """Return the writer; of an earlier start, what came at or after `step` counts no more."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            goes_on = any(self._folder.glob("events.*"))
            self._writer = SummaryWriter(str(self._folder), purge_step=step if goes_on else None)
            about = {"run": self._run.name, "group": self._run.group, "kind": self._run.kind}
            text = json.dumps({**about, "settings": self._run.settings}, indent=2, default=str)
            self._writer.add_text(
                "settings", "\n".join(f"    {x}" for x in text.splitlines()), step
            )
        return self._writer

    def __call__(self, numbers: Mapping[str, float], step: int) -> None:
        for key, value in numbers.items():
            self._open(step).add_scalar(key, value, step)

    def table(self, name: str, table: pl.DataFrame) -> None:
        """Show a table, as Markdown."""
        lines = [table.columns, ["---"] * table.width, *table.rows()]
        text = "\n".join(f"| {' | '.join(map(_markdown, line))} |" for line in lines)
        self._open(0).add_text(name, text)

    def figure(self, name: str, path: Path) -> None:
        """Show a picture."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        self._open(0).add_image(name, pixels, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


def _markdown(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")


OWN: dict[str, Tracker] = {"wandb": _wandb, "tensorboard": _tensorboard}
"""misgen's own trackers, by name; each needs the package of its name."""
