"""What a run's folder keeps of an agent that was trained elsewhere, in place of a policy.

Public names: `ExternalRecord`, `read_record`, `write_record`, `why_not_playable`, `load_external`,
`keep_alive`.  Imports no torch.

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
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import open_regular, parse_json, write_whole

from .source import is_trusted, make_from, trusting

if TYPE_CHECKING:
    from misgen.envs.core.distribution import LevelDistribution

    from ..base import Agent
    from .identity import Identity

FORMAT, VERSION = "misgen-external-agent", 1
_FILE = "policy.json"
_LARGEST = 1 << 20  # bytes
_alive: dict[str, Agent] = {}  # by identity, agents that were given in this process


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


def keep_alive(identity: str, agent: Agent) -> None:
    """Note an agent that was given in this process, so that it need not be made again."""
    _alive[identity] = agent


def why_not_playable(record: ExternalRecord) -> str:
    """Return why an agent cannot be asked here, in a sentence without its end; empty: it can."""
    if record.identity_sha256 not in _alive:
        if record.source is None:
            return (
                "the agent was given as an object in Python, and nothing says how to make it again"
            )
        if not is_trusted():
            return (
                f"the agent is made by {shown_source(record.source)}, and making it runs code that "
                "misgen does not know: with trust=true it is made"
            )
    if not record.repeatable:
        return "the agent answers differently each time it is asked the same"
    return ""


def shown_source(source: str) -> str:
    """Return a source for people: of a path the name alone."""
    return Path(source).name if source.endswith(".zip") else source


def load_external(record: ExternalRecord, folder: str | Path) -> Agent:
    """Return the agent of a record.

    Raises:
        UserError: if it cannot be made here, or what is made is another agent.
    """
    found = _alive.get(record.identity_sha256)
    if found is not None:
        return found
    if record.source is None:
        raise UserError(
            f"{folder}: {why_not_playable(record)}: evaluate it again from Python, in the process "
            "that has it"
        )
    if not is_trusted():
        raise UserError(
            f"{folder}: {why_not_playable(record)} by misgen evaluate and misgen card; from "
            "Python, inside `with misgen.experiments.trusting(True):`"
        )
    from misgen.envs.core.distribution import LevelDistribution
    from misgen.envs.core.registry import make_world

    env = dict(record.env)
    levels = LevelDistribution(make_world(str(env.pop("name", "")), **env))
    agent, identity, _ = made(record.source, levels, record.seed, record.name)
    if identity.sha256 != record.identity_sha256:
        raise UserError(
            f"{folder}: {shown_source(record.source)} makes another agent than the one that was "
            f"evaluated (its {record.identified_by} differ): evaluate it again, misgen evaluate "
            f"agent={record.source}"
        )
    keep_alive(record.identity_sha256, agent)
    return agent


def made(
    given: Any, levels: LevelDistribution, seed: int, name: str, *, trust: bool = False
) -> tuple[Agent, Identity, bool]:
    """Return an agent that was tried, what tells it from others, and whether it repeats itself.

    Args:
        given: what `adapt.as_agent` takes, or `module:function`, which is called: who calls this
            with one has said that it may run.
        levels: where it is tried.
        seed: training seed that a function may ask for.
        name: what tables call it; empty: its own name.
        trust: load a zip.

    Raises:
        UserError: if it is no agent.
    """
    from .adapt import as_agent
    from .identity import identity_of
    from .trial import try_agent

    source = given if isinstance(given, str) and not given.endswith(".zip") else None
    with trusting(trust):
        what = make_from(source, levels.world, seed) if source else given
        agent = as_agent(what, levels.world, name, trust=is_trusted())
    trial = try_agent(agent, levels)
    return agent, identity_of(agent, trial, str(source or "")), trial.repeatable
