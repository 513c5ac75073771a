"""Levels as text for people: misgen levels show, edit, check.

Public names: `show`, `edit`, `check`, `overrides_of`, `read_file`.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import LEVEL_FILE, level_batch, read_level
from misgen.envs.core.level_text.sound import why_out_of_reach
from misgen.envs.core.level_text.text import header_of, level_from_text, level_to_text
from misgen.envs.core.reading import read_text, split_lines
from misgen.envs.core.registry import world_class

from ..training.shell import shell_words
from ..training.trained_run import TrainedRun, one_run
from .settings import LevelsCommand

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
        UserError: if there is a file that is no level file, or a run that is not finished.
    """
    given = dict(word.split("=", 1) for word in argv if "=" in word)
    found: dict[str, str] = {}
    if Path(given.get("agent", "")).is_dir() and given.get("agent"):
        run = TrainedRun.read(one_run(given["agent"]))
        _require_its_world(given, run.config.world.name)
        found |= {key: str(value) for key, value in run.config.env.items()}
    file = given.get("file") or given.get("out", "")
    if "file" in given or (file.endswith(".txt") and Path(file).exists()):
        header = header_of(read_text(file, LEVEL_FILE))
        found |= _parameters(header)
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


def _parameters(header: Mapping[str, str]) -> dict[str, str]:
    """Return the world, as `name`, and its parameters of a level's header."""
    name = header.get("world", "coinrun")
    known = {f.name for f in dataclasses.fields(world_class(name))} - set(_RESERVED)
    return {"name": name, **{key: value for key, value in header.items() if key in known}}


def show(config: LevelsCommand) -> int:
    """Print one level as text."""
    distribution = config.distribution(config.id)
    level = distribution.levels()[0]
    print(level_to_text(level, distribution.world), end="")
    print(f"# {_side(level)}, content {level.content_hash}")
    return 0


def edit(config: LevelsCommand) -> int:
    """Write a level as text, have it edited, and check it."""
    from misgen.envs.core.level_text.legend import legend

    out = _require_out(config.out)
    if not out.exists():
        distribution = config.distribution(config.id)
        level = distribution.levels()[0]
        how = f"env={level.world} correlation={config.correlation:g}"
        notes = (
            f"Level {level.id} of {how} placement={distribution.placement}.",
            f"Edit the map, then: {_to_check(out)}",
            *legend(distribution.world),
        )
        out.write_text(level_to_text(level, distribution.world, notes), encoding="utf-8")
        print(f"{out}: level {level.id} of {how}")
    before = read_text(out, LEVEL_FILE)
    if config.open or (config.open is None and sys.stdin.isatty() and sys.stdout.isatty()):
        _open_editor(out)
    text = read_text(out, LEVEL_FILE)
    if text != before:
        _unname(out, text, before, config.world())
    return check(dataclasses.replace(config, file=str(out)))


def check(config: LevelsCommand) -> int:
    """Say what a level file holds; return 1 if it cannot be read, run or solved."""
    return check_one(config)[0]


def check_one(config: LevelsCommand) -> tuple[int, Level | None]:
    """Say what a level file holds; return 1 if something is wrong, and the level if it runs."""
    file = config.require_file()
    world = config.world()
    try:
        level = read_level(Path(file), world)
        level_batch([level], world)
    except UserError as error:
        print(str(error) if str(error).startswith(file) else f"{file}: {error}")
        return 1, None
    print(f"{file}: a level of {world.name}, {_side(level)}")
    print(f"  content  {level.content_hash}")
    print(f"  terrain  {level.terrain_hash}")
    if level.id >= 0 and not _generated(level, world):
        print(
            f"  note: its header says id: {level.id}, but this is not that level: write id: -1, as "
            "for every level made by hand"
        )
    return _solve(level, world), level


def read_file(config: LevelsCommand, world: World) -> Level:
    """Return the level that a command is about: its file's, or that of its id.

    Raises:
        UserError: if there is a file that cannot be read.
    """
    if config.file is not None:
        return read_level(Path(config.file), world)
    distribution = config.distribution(config.id)
    return dataclasses.replace(distribution, world=world).levels()[0]


def _solve(level: Level, world: World) -> int:
    """Print how far goal and proxy are; return 1 if the goal cannot be reached."""
    from misgen.envs.core.planning.planner import PlanStatus, make_planner

    if not world.planner:
        print("  nothing plans in this world: whether it can be solved is not known")
        return 0
    plans = make_planner(world).plan(level_batch([level], world))
    code = 0
    for name, found in (("goal", plans.goal), ("proxy", plans.proxy)):
        status = PlanStatus(int(found.status[0]))
        why = "" if status == PlanStatus.SOLVED else why_out_of_reach(level, world, name)
        if status == PlanStatus.UNSOLVABLE:
            why = why or world.out_of_reach
        words = f"in reach, {int(found.decisions[0])} decisions away"
        if why:
            words = f"out of reach: {why}"
        elif status == PlanStatus.UNKNOWN:
            words = "not found: the planner gave up before it had searched everything"
        print(f"  {name:<7}  {words}")
        code |= int(name == "goal" and bool(why))
    if code:
        print(f"{level.world}: no agent can reach this goal: open a way to it, or move it")
    return code


def _side(level: Level) -> str:
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


def _to_check(path: Path) -> str:
    return shell_words("misgen", "levels", "check", f"file={path}")


def _open_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UserError(
            f"EDITOR is not set, so that {path} cannot be opened: export EDITOR=nano, or edit the "
            f"file yourself and run {_to_check(path)}"
        )
    try:
        subprocess.run([*shlex.split(editor), str(path)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"EDITOR={editor!r} could not edit {path} ({error})") from None


def _unname(path: Path, text: str, before: str, world: World) -> None:
    """Take the id from a level that was edited into another: no generator makes it."""
    try:
        level, old = level_from_text(text, world), level_from_text(before, world)
    except UserError:
        return  # `check` says what is wrong
    same = level.content_hash == old.content_hash and level.conflict_cell == old.conflict_cell
    if same or level.id < 0 or level.id != old.id:
        return
    lines = [f"id: {-1}" if line.startswith("id:") else line for line in split_lines(text)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path}: changed, so that its id is now -1, as for every level made by hand")
