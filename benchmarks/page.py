"""docs/benchmarks.md, from the figures of the last run of each part.

Public names: `PAGE`, `write`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .peers.registry import PEERS, ROOT, Peer, there, versions
from .tables import Table

PAGE = ROOT / "docs" / "benchmarks.md"
_HEAD = """# How fast it is, beside others

Written by `python -m benchmarks page` from what the commands below measured. Each program runs in
a Python of its own (`python -m benchmarks.peers install`); within a part they take turns on the
same CPU cores. CPU seconds are those of the process that works, so other programs change them
less than seconds on the wall; compare figures within a table only.
"""


def write(found: dict[str, dict[str, Any]], page: Path = PAGE) -> None:
    """Write the page.

    Args:
        found: by part, what its file holds.
        page: where to.
    """
    parts = [_HEAD.strip()]
    for part, told in found.items():
        tables = [Table(**table).markdown() for table in told["tables"]]
        parts += [f"## {part.replace('-', ', ').capitalize()}", _where(told), *tables]
    parts += ["## Programs", "\n".join(f"- {_program(peer)}" for peer in PEERS.values())]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def read(folder: Path, parts: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return what the last runs of some parts found, by the files' names without their endings.

    A file of an earlier run that was given a longer name, as `training-peers.json`, is told too.
    """
    files = [file for part in parts for file in sorted(folder.glob(f"{part}*.json"))]
    return {file.stem: json.loads(file.read_text()) for file in files}


def _program(peer: Peer) -> str:
    """Return what a peer is, and which packages it was installed with."""
    given = f" ({', '.join(versions(peer))})" if peer.packages and there(peer.name) else ""
    return f"{peer.name}: {peer.what}{given}"


def _where(told: dict[str, Any]) -> str:
    """Return command, date and machine of a part."""
    day = told["started"][:10]
    versions = ", ".join(
        f"{name} {version}" for name, version in told["packages"].items() if version
    )
    return (
        f"`{told['command']}`, {day}, {told['processor']}, {told['cpus']} CPUs, Python "
        f"{told['python']} ({versions}); load {told['load_before']} before and "
        f"{told['load_after']} after."
    )
