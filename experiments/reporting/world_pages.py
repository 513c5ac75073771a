"""A page of the documentation for each world, written from the world itself.

The specification is the docstring of the world's package, the parameters are its settings file's,
and what the two do not say is asked of the class: so no page can say what is not so.

Public names: `Page`, `pages`, `index`, `world_of`, `ALIKE`.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

from misgen.agents import zoo
from misgen.envs.core.registry import Entry, own_entries, world_class
from misgen.envs.core.world import World

from ..levels.catalogue import facts
from ..training.config import TrainConfig
from ..training.settings import compose, typed

COMMAND = "python -m misgen.experiments.commands.world_pages"
_WRITTEN = f"<!-- Written by {COMMAND}: change the world's docstring or settings instead. -->"
_FIRST = ("Intended goal", "Proxy goals (and when they coincide)")
"""Sections of a specification that come before everything else."""
_PICTURES = {"coinrun": "../first_screen.png", "procgen": "../coinrun_pixels.png"}
"""Pictures of worlds that show an agent only what is near it."""
ALIKE = {"follow_me": "the leader's order, which shows once it moves"}
"""What is different where the two pictures of a world look the same."""
_SETTING = re.compile(r"(\w+): (\S+)\s*(?:# (.*))?")


@dataclass(frozen=True)
class Page:
    """One page: a world, or several that share a specification."""

    name: str
    """Of the file, and of the package in envs/."""
    title: str
    summary: str
    """What there is to do, in a sentence."""
    worlds: tuple[tuple[str, Entry], ...]
    sections: dict[str, str]
    """The specification, by heading."""

    @property
    def picture(self) -> str:
        """The picture's address, from the page's folder."""
        return _PICTURES.get(self.name, f"{self.name}.png")

    @property
    def is_drawn(self) -> bool:
        """Whether its picture is drawn with the page."""
        return self.name not in _PICTURES

    def markdown(self) -> str:
        """Return the page."""
        parts = [_WRITTEN, f"# {self.title}", self.summary, self._shown()]
        parts += [_about(name, entry) for name, entry in self.worlds]
        parts += [f"## {heading}\n\n{self.sections[heading]}" for heading in _FIRST]
        parts += ["## Try it", _tries([name for name, _ in self.worlds])]
        parts += [_parameters(name, len(self.worlds) > 1) for name, _ in self.worlds]
        parts.append("## Specification")
        rest = {key: text for key, text in self.sections.items() if key not in _FIRST}
        parts += [f"### {heading}\n\n{text}" for heading, text in rest.items()]
        return "\n\n".join(parts) + "\n"

    def _shown(self) -> str:
        if not self.is_drawn:
            return f"![{self.title}]({self.picture})"
        alike = f" What differs is {ALIKE[self.name]}." if self.name in ALIKE else ""
        return (
            f"![{self.title}: a level with goal and proxy together, and with the two apart]"
            f"({self.picture})\n\nLeft: goal and proxy coincide. Right: the same level, the two "
            f"apart.{alike}"
        )


def pages() -> list[Page]:
    """Return the pages of misgen's own worlds, those on Procgen last."""
    by_package: dict[str, list[tuple[str, Entry]]] = {}
    for name, (package, entry) in own_entries().items():
        by_package.setdefault(package, []).append((name, entry))
    found = [_page(package, tuple(worlds)) for package, worlds in by_package.items()]
    return sorted(found, key=lambda page: (page.name != "coinrun", len(page.worlds), page.name))


def index(found: list[Page]) -> str:
    """Return the page that lists the others."""
    rows = [
        f"| [{page.title}]({page.name}.md) | {cls.goal_description} | {cls.proxy_description} |"
        for page in found
        for cls in [world_class(page.worlds[0][0])]
    ]
    table = "\n".join(["| world | intended goal | proxy |", "|---|---|---|", *rows])
    return "\n\n".join([_WRITTEN, *_INDEX[:-1], table, _INDEX[-1]]) + "\n"


_INDEX = (
    "# Worlds",
    "Each world has an **intended goal** and a **proxy**: something that coincides with the goal "
    "in training, always or with a probability that you set, the *correlation* "
    "(`correlation=0.98`). Whatever pursues one or the other earns the same reward while they "
    "coincide; a test takes them apart.",
    "![Eight worlds: a level as training shows it, and the same level with goal and proxy apart]"
    "(../worlds.png)",
    "Above, goal and proxy coincide; below, the same level with the two apart "
    "(`python -m misgen.experiments.commands.gallery`).",
    "CoinRun, the two mazes, and Keys and Chests are those of "
    "[Langosco et al. (2022)](https://arxiv.org/abs/2105.14111), level for level. Cheese on a dish "
    "and lava land are after [jaxgmg](https://github.com/matomatical/jaxgmg); follow me, monster "
    "world and the tree gridworld after [Shah et al. (2022)](https://arxiv.org/abs/2210.01790) and "
    "jaxgmg. `misgen levels list` prints what can be set of each; "
    "[add a world](../add_a_world.md) of your own.",
)


def _page(package: str, worlds: tuple[tuple[str, Entry], ...]) -> Page:
    told = importlib.import_module(package).__doc__ or ""
    head, *sections = re.split(r"^## ", told, flags=re.MULTILINE)
    title, _, summary = head.split("`misgen/")[0].strip().partition(": ")
    by_heading = {
        heading.strip(): text.strip()
        for heading, _, text in (section.partition("\n") for section in sections)
    }
    if not summary:  # a package of several worlds says more before its first section
        title, summary = "The original Procgen", " ".join(head.split())
    summary = summary[:1].upper() + summary[1:]
    return Page(package.rpartition(".")[2], title, summary, worlds, by_heading)


def _about(name: str, entry: Entry) -> str:
    """Return what the class says of the world, as a table."""
    own = [f"`zoo:{agent}`" for agent in zoo.names() if agent.startswith(f"{name}-")]
    rows = [("settings", f"`env={name}`"), ("in Gymnasium", f"`{entry.env_id}`")]
    rows += facts(world_class(name), code="`")
    rows += [("reaching the proxy first", _rule(name))]
    rows += [("trained agents that come along", ", ".join(own))] if own else []
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_cell(text)} |" for key, text in rows)])


def _rule(name: str) -> str:
    usual, lab = (_settings(name, preset)["on_proxy"] for preset in ("none", "lab"))
    words = {
        "continue": "the episode continues",
        "end": "the episode ends",
        "penalty": "the episode ends with a penalty",
    }
    if usual == lab:
        return f"{words[usual]} (`env.on_proxy={usual}`)"
    return f"{words[usual]} (`env.on_proxy={usual}`); with `preset=lab` {words[lab]}"


def _tries(names: list[str]) -> str:
    """Return commands that show the worlds."""
    lines = []
    for name in names:
        cls = world_class(name)
        lines.append(f"misgen levels show env={name} id=3 correlation=0")
        if cls.planner:
            lines.append(f"misgen play env={name} agent=proxy_seeker")
        if f"{name}-rho1-seed0" in zoo.names():
            lines.append(f"misgen replay zoo:{name}-rho1-seed0")
        if not name.startswith("procgen"):
            lines.append(f"misgen sweep env={name}")
    return "\n".join(["```sh", *lines, "```"])


def _parameters(name: str, several: bool) -> str:
    """Return the settings of a world with their defaults, and what `preset=lab` makes of them."""
    lab = _settings(name, "lab")
    rows = []
    file = resources.files("misgen.configs") / "env" / f"{name}.yaml"
    for line in file.read_text("utf-8").splitlines():
        found = _SETTING.match(line)
        if found is None or found[1] == "name":
            continue
        key, value, meaning = found.groups()
        changed = "" if _plain(lab[key]) == value else f"`{_plain(lab[key])}`"
        rows.append(f"| `env.{key}` | `{value}` | {changed} | {_cell(meaning or '')} |")
    of = f" of {name}" if several else ""
    head = [f"## Parameters{of}", "", "| | default | `preset=lab` | |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _settings(name: str, preset: str) -> dict[str, Any]:
    return compose("train", [f"env={name}", f"preset={preset}"])["env"]


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    """Return text for a cell of a table."""
    return text.replace("|", "\\|").replace("*", "\\*")


def world_of(page: Page) -> World:
    """Return the world of a page's picture, as the lab preset has it."""
    plain = compose("train", [f"env={page.worlds[0][0]}", "preset=lab"])
    return typed(TrainConfig, plain).world
