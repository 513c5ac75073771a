"""The agent of a record: at hand in this process, or made again where that is trusted.

Public names: `made`, `load_external`, `keep_alive`, `why_not_playable`.  Imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError

from .record import ExternalRecord, shown_source
from .source import is_trusted, make_from, trusting

if TYPE_CHECKING:
    from misgen.envs.core.world import World

    from ..base import Agent
    from .identity import Identity

_alive: dict[str, Agent] = {}  # by identity, agents that were given in this process


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
            f"{folder}: {why_not_playable(record)}; from Python, inside "
            "`with misgen.experiments.trusting(True):`"
        )
    from misgen.envs.core.registry import make_world

    env = dict(record.env)
    world = make_world(str(env.pop("name", "")), **env)
    agent, identity, _ = made(record.source, world, record.seed, record.name)
    if identity.sha256 != record.identity_sha256:
        raise UserError(
            f"{folder}: {shown_source(record.source)} makes another agent than the one that was "
            f"evaluated (its {record.identified_by} differ): evaluate it again, misgen evaluate "
            f"agent={record.source}"
        )
    keep_alive(record.identity_sha256, agent)
    return agent


def made(
    given: Any, world: World, seed: int, name: str, *, trust: bool = False
) -> tuple[Agent, Identity, bool]:
    """Return an agent that was tried, what tells it from others, and whether it repeats itself.

    Args:
        given: what `adapt.as_agent` takes, or `module:function`, which is called: who calls this
            with one has said that it may run.
        world: where it is tried, on levels that are the same whatever it was trained on: what it
            answers there may be what tells it from others.
        seed: training seed that a function may ask for.
        name: what tables call it; empty: its own name.
        trust: load a zip.

    Raises:
        UserError: if it is no agent.
    """
    from misgen.envs.core.distribution import LevelDistribution

    from .adapt import as_agent
    from .identity import identity_of
    from .trial import try_agent

    source = given if isinstance(given, str) and not given.endswith(".zip") else None
    with trusting(trust):
        what = make_from(source, world, seed) if source else given
        agent = as_agent(what, world, name, trust=is_trusted())
    trial = try_agent(agent, LevelDistribution(world))
    return agent, identity_of(agent, trial, str(source or "")), trial.repeatable
