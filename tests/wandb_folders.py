"""W&B's folders, read back: by `wandb sync`, which sends them to a server on this machine.

Public names: `Server`, `Sent`, `serving`, `sync`, `KEY`, `nobodys_settings`.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Sent:
    """What a server was sent of one run."""

    about: dict[str, Any]
    """Its name, group, job type and so on, as W&B's own program calls them."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """What was logged, a step each."""
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.about["jobType"]

    def logged(self, name: str) -> dict[int, Any]:
        """Return the values that were logged under a name, by step."""
        return {row["_step"]: row[name] for row in self.history if name in row}


class Server:
    """As much of W&B's server as it takes to receive runs."""

    def __init__(self, status: int = 200) -> None:
        """Begin to answer.

        Args:
            status: of every answer.
        """
        self.runs: dict[str, Sent] = {}
        self._status = status
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    data = gzip.decompress(data)
                told = json.dumps(server.answer(self.path, data)).encode()
                self.send_response(server._status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            do_GET = do_POST = do_PUT = _answer

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str, data: bytes) -> dict[str, Any]:
        """Take a request, and return what is answered."""
        try:
            plain = json.loads(data)
        except ValueError:
            return {}
        if path.endswith("file_stream"):
            self._take(path.split("/")[-2], plain)
            return {}
        given = plain.get("variables") or {}
        if plain.get("operationName") == "UpsertBucket":
            return {"data": {"upsertBucket": self._open(given)}}
        return {"data": {
            "createRunFiles": {"runID": "x", "uploadHeaders": [], "files": [
                {"name": name, "uploadUrl": f"{self.address}/up"} for name in given.get("files", ())
            ]},
            "createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": {
                "id": "s", "name": "tables", "latestArtifact": None,
            }}},
            "serverInfo": {"features": []},
            "viewer": {"id": "v", "entity": "us", "username": "us", "flags": "{}",
                       "teams": {"edges": []}},
        }}  # fmt: skip

    def _open(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.setdefault(given["name"], Sent({}))
        run.about |= {key: value for key, value in given.items() if value is not None}
        config = json.loads(given.get("config") or "{}")
        run.config |= {k: v["value"] for k, v in config.items() if k != "_wandb"}
        project = {"id": "p", "name": given["project"], "entity": {"id": "e", "name": "us"}}
        bucket = {"id": "x", "name": given["name"], "displayName": given.get("displayName") or "",
                  "description": "", "config": "{}", "sweepName": "", "historyLineCount": 0,
                  "project": project}  # fmt: skip
        return {"bucket": bucket, "inserted": True}

    def _take(self, name: str, plain: dict[str, Any]) -> None:
        lines = plain.get("files", {}).get("wandb-history.jsonl", {}).get("content", ())
        self.runs.setdefault(name, Sent({})).history += [json.loads(line) for line in lines]


@contextlib.contextmanager
def serving(status: int = 200) -> Iterator[Server]:
    """Serve for a while."""
    server = Server(status)
    try:
        yield server
    finally:
        server.close()


KEY = "0123456789abcdef" * 2 + "01234567"


def sync(folders: Sequence[Path]) -> list[Sent]:
    """Return what `wandb sync` reads in folders of runs, in the order of the folders."""
    with serving() as server:
        others = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
        own = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.address}
        command = [
            sys.executable,
            "-m",
            "wandb",
            "sync",
            "--yes",
            "--include-online",
            *map(str, folders),
        ]
        done = subprocess.run(
            command, env={**others, **own}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return [server.runs[run_id(folder)] for folder in folders]


def run_id(folder: Path) -> str:
    """Return a run's id: folders are run-<time>-<id>, with offline- before, and -1 after the second
    of one second."""
    found = re.fullmatch(r"(?:offline-)?run-\w+-(\w+)(?:-\d+)?", folder.name)
    assert found, folder.name
    return found[1]


@pytest.fixture
def nobodys_settings(monkeypatch, tmp_path, tmp_path_factory):
    """Leave W&B without a key, settings and proxy, and with its own folder for what it keeps."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("NETRC", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "home" / "config"))
    (tmp_path / "home").mkdir()
    kept = tmp_path_factory.mktemp("kept")  # until this process ends
    monkeypatch.setattr(tempfile, "tempdir", str(kept))
    monkeypatch.setenv("TMPDIR", str(kept))
