"""Checks of what is written about a world, and of its declarations."""

from __future__ import annotations

import dataclasses
import importlib

from ..placement import Placement
from .subject import Subject, require

HEADINGS = (
    "Description",
    "Intended goal",
    "Proxy goals (and when they coincide)",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Info",
    "Version History",
)
"""Of a world's specification, the docstring of the module that holds its `WORLDS`."""


def check_specification(subject: Subject) -> None:
    """The docstring of its package has all headings, its gymnasium id and every parameter."""
    package = subject.package
    text = importlib.import_module(package).__doc__ or ""
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    places = []
    for wanted in HEADINGS:
        found = [k for k, heading in enumerate(headings) if heading.startswith(wanted)]
        require(found, f"the docstring of {package} has no heading {wanted!r}")
        places.append(found[0])
    require(places == sorted(places), f"headings of {package} are in another order: {headings}")
    first = text.splitlines()[0]
    require(subject.env_id in first, f"the first line of {package} does not name {subject.env_id}")
    missing = [f.name for f in dataclasses.fields(subject.world) if f"`{f.name}`" not in text]
    require(not missing, f"the docstring of {package} does not name the parameters {missing}")


def check_names(subject: Subject) -> None:
    """What the class declares fits together: names, parameters, placements, values."""
    world = subject.world
    fields = {f.name for f in dataclasses.fields(world)}
    require(world.name == subject.name, f"it is registered as {subject.name!r}, not {world.name!r}")
    require(world.goal_description, "goal_description is empty")
    require(world.proxy_description, "proxy_description is empty")
    require(0 < len(world.proxies) <= 8, f"there are {len(world.proxies)} proxies: 1 to 8 fit")
    require(0 <= world.no_op < world.action_space.n, f"no_op={world.no_op} is no action")
    for name in ("capability", "harder", "search_space"):
        unknown = set(getattr(world, name)) - fields
        require(not unknown, f"{name} names {sorted(unknown)}, which are no parameters")
    unknown = set(world.capability_values) - set(world.capability)
    require(not unknown, f"capability_values names {sorted(unknown)}, which capability does not")
    known = {name.partition("(")[0] for name in subject.placements}
    require(known <= set(world.placements), f"usual_shifts are not all in placements: {known}")
    for name in world.search_shifts:
        Placement.parse(name, world.placements)


def check_values(subject: Subject) -> None:
    """Every value that it offers to surfaces and searches makes a world."""
    world = subject.world
    dataclasses.replace(world, **world.harder)
    for name, values in world.capability_values.items():
        for value in values:
            dataclasses.replace(world, **{name: type(getattr(world, name))(value)})
    for name, (low, high) in world.search_space.items():
        require(low < high, f"search_space[{name!r}]={(low, high)} is no range")
        for value in (low, high):
            dataclasses.replace(world, **{name: type(getattr(world, name))(value)})
