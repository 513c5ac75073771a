"""Levels as text for people: misgen levels show, edit, check.

Public names: `show`, `write_level`, `take_id`, `check`, `solve`, `side_of`, `Checked`, `to_check`,
`overrides_of`, `parameters_of`, `read_file`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import LEVEL_FILE, level_batch, read_level
from misgen.envs.core.level_text.sound import why_out_of_reach
from misgen.envs.core.level_text.text import header_of, level_from_text, level_to_text
from misgen.envs.core.reading import read_text, split_lines
from misgen.envs.core.registry import world_class

from ..training.run_folder import write_text
from ..training.shell import shell_words
from .level_settings import LevelsCommand
from .watching import is_run, run_named

if TYPE_CHECKING:
    from misgen.envs.core.level import Level
    from misgen.envs.core.world import World

_RESERVED = ("world", "id", "look", "size")
"""Keys of a level's header that are no parameters of its world."""


def overrides_of(argv: list[str]) -> list[str]:
    """Return the settings that a level file or a run implies.

    Of a file: its world, and what that was made for; of a run whose agent plays: its world as the
    agent was trained in, where the file does not say otherwise.  What is given beside them wins, as
    it comes after these.

    Args:
        argv: settings as they are given.

    Raises:
        UserError: if there is a file that is not a level file, or a run that is not finished.
    """
    given = dict(word.split("=", 1) for word in argv if "=" in word)
    found: dict[str, str] = {}
    if is_run(given.get("agent", "")):
        run = run_named(given["agent"])
        _require_its_world(given, run.config.world.name)
        found |= {key: str(value) for key, value in run.config.env.items()}
    file = given.get("file") or given.get("out", "")
    if "file" in given or (file.endswith(".txt") and Path(file).exists()):
        header = header_of(read_text(file, LEVEL_FILE))
        found |= parameters_of(header)
    world = [f"env={found.pop('name')}"] if "name" in found and "env" not in given else []
    return world + [f"env.{key}={value}" for key, value in found.items() if key != "name"]


def _require_its_world(given: Mapping[str, str], trained: str) -> None:
    """Refuse a level of another world than the one that a playing agent knows.

    Raises:
        UserError: naming the two.
    """
    world, of = given.get("env") or given.get("env.name") or trained, f"env={given.get('env')}"
    if "file" in given:
        world, of = header_of(read_text(given["file"])).get("world", "coinrun"), given["file"]
    if world != trained:
        raise UserError(
            f"agent={given['agent']} was trained in {trained}, and {of} is a level of {world}: "
            f"give it a level of its own world, or another agent"
        )


def parameters_of(header: Mapping[str, str]) -> dict[str, str]:
    """Return the world, as `name`, and its parameters of a level's header."""
    name = header.get("world", "coinrun")
    known = {f.name for f in dataclasses.fields(world_class(name))} - set(_RESERVED)
    return {"name": name, **{key: value for key, value in header.items() if key in known}}


def show(config: LevelsCommand) -> str:
    """Return one level as text, and what it is."""
    distribution = config.distribution(config.id)
    level = distribution.levels()[0]
    text = level_to_text(level, distribution.world)
    return f"{text}# {side_of(level)}, content {level.content_hash}"


def write_level(config: LevelsCommand) -> tuple[Path, str]:
    """Write the level of an id as text, with what its signs mean, unless the file is there.

    Returns:
        The file, and what was written to it, in a sentence; nothing if it was there.

    Raises:
        UserError: if there is no file to write, or no such level.
    """
    from misgen.envs.core.level_text.legend import legend

    out = _require_out(config.out)
    if out.exists():
        return out, ""
    distribution = config.distribution(config.id)
    level = distribution.levels()[0]
    how = f"env={level.world} correlation={config.correlation:g}"
    notes = (
        f"Level {level.id} of {how} placement={distribution.placement}.",
        f"Edit the map, then: {to_check(out)}",
        *legend(distribution.world),
    )
    write_text(out, level_to_text(level, distribution.world, notes))
    return out, f"{out}: level {level.id} of {how}"


def take_id(path: Path, text: str, before: str, world: World) -> str:
    """Take the id from a level that was edited into another: no generator makes it.

    Args:
        path: its file.
        text: what that holds.
        before: what it held before.
        world: the level's.

    Returns:
        What was changed, in a sentence; nothing if it keeps its id, or cannot be read.
    """
    try:
        level, old = level_from_text(text, world), level_from_text(before, world)
    except UserError:
        return ""  # `check` says what is wrong
    same = level.content_hash == old.content_hash and level.conflict_cell == old.conflict_cell
    if same or level.id < 0 or level.id != old.id:
        return ""
    lines = [f"id: {-1}" if line.startswith("id:") else line for line in split_lines(text)]
    write_text(path, "\n".join(lines) + "\n")
    return f"{path}: changed, so that its id is now -1, as for every level made by hand"


@dataclass(frozen=True)
class Checked:
    """What a level file holds."""

    file: str
    lines: tuple[str, ...]
    """What is to be said of it."""
    wrong: bool
    """Whether it cannot be read, run or solved."""
    level: Level | None
    """The level, if it runs."""


def check(config: LevelsCommand) -> Checked:
    """Return what a level file holds, and whether it can be solved."""
    file = config.require_file()
    world = config.world()
    try:
        level = read_level(Path(file), world)
        level_batch([level], world)
    except UserError as error:
        return refused(file, error)
    lines = [
        f"{file}: a level of {world.name}, {side_of(level)}",
        f"  content  {level.content_hash}",
        f"  terrain  {level.terrain_hash}",
    ]
    if level.id >= 0 and not _generated(level, world):
        lines.append(
            f"  note: its header says id: {level.id}, but this is not that level: write id: -1, as "
            "for every level made by hand"
        )
    found, wrong = solve(level, world)
    return Checked(file, (*lines, *found), wrong, level)


def refused(file: str, error: UserError) -> Checked:
    """Return what is said of a file that holds no level that runs."""
    said = str(error) if str(error).startswith(file) else f"{file}: {error}"
    return Checked(file, (said,), True, None)


def read_file(config: LevelsCommand, world: World) -> Level:
    """Return the level that a command is about: its file's, or that of its id.

    Raises:
        UserError: if there is a file that cannot be read.
    """
    if config.file is not None:
        return read_level(Path(config.file), world)
    distribution = config.distribution(config.id)
    return dataclasses.replace(distribution, world=world).levels()[0]


def solve(level: Level, world: World) -> tuple[list[str], bool]:
    """Return how far goal and proxy are, in words, and whether the goal cannot be reached."""
    from misgen.envs.core.planning.planner import PlanStatus, make_planner

    if not world.planner:
        return [
            "  this world has no planner, so it is not known whether the level can be solved"
        ], False
    plans = make_planner(world).plan(level_batch([level], world))
    lines, wrong = [], False
    for name, found in (("goal", plans.goal), ("proxy", plans.proxy)):
        status = PlanStatus(int(found.status[0]))
        why = "" if status == PlanStatus.SOLVED else why_out_of_reach(level, world, name)
        if status == PlanStatus.UNSOLVABLE:
            why = why or world.out_of_reach
        words = f"in reach, {int(found.decisions[0])} decisions away"
        if why:
            words = f"out of reach: {why}"
        elif status == PlanStatus.UNKNOWN:
            words = "not found: the planner reached its limit before it had searched everything"
        lines.append(f"  {name:<7}  {words}")
        wrong |= name == "goal" and bool(why)
    if wrong:
        lines.append(f"{level.world}: no agent can reach this goal: open a way to it, or move it")
    return lines, wrong


def side_of(level: Level) -> str:
    """Say whether a level is aligned, and where goal and proxy are."""
    side = "aligned" if level.aligned else "in conflict"
    return f"{side}: goal at {level.goal_cell}, proxy at {level.proxy_cell}"


def _generated(level: Level, world: World) -> bool:
    """Return whether a level is one that the world makes of its id."""
    import numpy as np

    ids = np.array([level.id])
    return any(
        world.levels(ids, correlation, placement)[0].content_hash == level.content_hash
        for placement in world.shifts(["all"])
        for correlation in (1.0, 0.0)
    )


def _require_out(out: str | None) -> Path:
    if out is None:
        raise UserError("out is missing: give out=level.txt")
    path = Path(out)
    if path.suffix != ".txt" or not path.parent.is_dir():
        raise UserError(f"out={out!r} cannot be written: give a .txt in a folder that exists")
    return path


def to_check(path: Path) -> str:
    """Return the command that checks a level file."""
    return shell_words("misgen", "levels", "check", f"file={path}")
