"""Agents that are known to be what they are, made for a world.

Public names: `known_agent`, `agent_named`, `names`, `KINDS`, `SEEKERS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from misgen.envs.core.errors import UserError, one_of

from .reference import HoldAction, Seeker, SeekerConfig
from .scripted import agent_names, make_agent

if TYPE_CHECKING:
    from misgen.envs.core.world import World

    from .base import Agent

RANDOM, IDLE, HELD, SEEKER = "random", "idle", "held", "seeker"
KINDS = (RANDOM, IDLE, HELD, SEEKER)
SEEKERS = {
    "goal_seeker": SeekerConfig(goal_share=1.0),
    "proxy_seeker": SeekerConfig(goal_share=0.0),
}
"""Seekers that are asked for by name."""


def known_agent(
    kind: str, world: World, config: SeekerConfig | None = None, name: str = ""
) -> Agent:
    """Make an agent that is known to be what it is.

    Args:
        kind: `random`, `idle`, `held` (the world's simplest action, held), or `seeker` (planned).
        world: where it acts.
        config: what a seeker seeks, and how well.
        name: what tables call a seeker; others have their own.

    Raises:
        UserError: if the kind is not known, or the world lacks what it needs.
    """
    one_of("agent", kind, KINDS)
    actions = int(world.action_space.n)
    if kind == SEEKER:
        return Seeker(world, config or SeekerConfig(), name or SEEKER)
    if kind == HELD:
        if world.held_action is None:
            raise UserError(
                f"agent={HELD}: {world.name} has no action that is held: use another agent, such "
                f"as {RANDOM}"
            )
        return HoldAction(actions, world.held_action)
    return make_agent(kind, actions, world.no_op)


def names() -> list[str]:
    """Return the names that `agent_named` knows."""
    return [*SEEKERS, *agent_names()]


def agent_named(name: str, world: World) -> Agent:
    """Make one of the agents that people ask for by name.

    Raises:
        UserError: if the name is not known, or the world has no planner for it.
    """
    if name in SEEKERS:
        return known_agent(SEEKER, world, SEEKERS[name], name)
    return known_agent(one_of("agent", name, names()), world)
