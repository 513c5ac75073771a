"""What a run's folder keeps of an agent that was trained elsewhere, in place of a policy.

Public names: `ExternalRecord`, `read_record`, `write_record`, `shown_source`.  Imports no torch.

`policy.json` then says what the agent is, how to make it again, and what tells it from others.  It
holds no weights: those stay where they are.  Making the agent runs the code that it names, and is
done only where somebody trusts it (`source.trusting`); an agent that was given as an object in this
process is at hand, and needs no making.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import open_regular, parse_json, write_whole

FORMAT, VERSION = "misgen-external-agent", 1
_FILE = "policy.json"
_LARGEST = 1 << 20  # bytes


@dataclass(frozen=True)
class ExternalRecord:
    """An agent that was trained elsewhere."""

    name: str
    """What tables call it."""
    kind: str
    """What it was given as."""
    source: str | None
    """What makes it: `module:function`, or the path of a zip; None: it was given as an object."""
    source_sha256: str | None
    """Of the file that makes it."""
    identity_sha256: str
    """What tells it from others."""
    identified_by: str
    """Of what that is: `weights`, `answers` or `name`."""
    weights_sha256: str | None
    """Of its weights, where it has some."""
    parameters: int | None
    """How many numbers these are."""
    repeatable: bool
    """Whether it answers the same when it is asked the same again."""
    env: dict[str, Any]
    """World and parameters that it was made for."""
    seed: int
    """Training seed that it is labelled with, and made with."""

    def to_json(self) -> str:
        """Return the text of `policy.json`."""
        plain = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(self)}
        return json.dumps(plain, indent=2) + "\n"


def read_record(folder: str | Path) -> ExternalRecord | None:
    """Return what a folder keeps of an agent trained elsewhere; None if it keeps none.

    Raises:
        UserError: if it is damaged.
    """
    path = Path(folder) / _FILE
    try:
        with open_regular(path) as file:
            plain = parse_json(file.read(_LARGEST))
    except (OSError, ValueError):
        return None  # whoever reads a policy says what is wrong with it
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        return None
    fields = {field.name: field for field in dataclasses.fields(ExternalRecord)}
    values = {name: plain.get(name) for name in fields}
    for name, value in values.items():
        if not isinstance(value, _TYPES[name]):
            raise UserError(
                f"{path}: {name}={repr(value)[:60]} is not what it can be: evaluate the agent again"
            )
    if plain.get("version") != VERSION:
        raise UserError(
            f"{path}: version={repr(plain.get('version'))[:60]} is not known, this misgen reads "
            f"{VERSION}: use the misgen that wrote it, or evaluate the agent again"
        )
    return ExternalRecord(**values)  # pyright: ignore[reportArgumentType]


_OPTIONAL_TEXT = (str, type(None))
_TYPES: dict[str, Any] = {
    "name": str,
    "kind": str,
    "source": _OPTIONAL_TEXT,
    "source_sha256": _OPTIONAL_TEXT,
    "identity_sha256": str,
    "identified_by": str,
    "weights_sha256": _OPTIONAL_TEXT,
    "parameters": (int, type(None)),
    "repeatable": bool,
    "env": dict,
    "seed": int,
}


def write_record(folder: Path, record: ExternalRecord) -> None:
    """Write `policy.json`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / _FILE, lambda file: file.write(record.to_json().encode()))


def shown_source(source: str) -> str:
    """Return a source for people: of a path the name alone."""
    return Path(source).name if source.endswith(".zip") else source
