"""Levels, by their ids or made by hand: misgen levels <what> [key=value ...].

  misgen levels list
      the worlds: names, goals, proxies, placements of the goal, capability parameters
  misgen levels show id=17 correlation=0
      prints one level as text: its map, where goal and proxy are, its entities
  misgen levels edit env=corner_maze id=3 correlation=0 out=level.txt
      writes a level as text, with the meaning of its symbols; opens it in $EDITOR (on a terminal,
      or with open=true), and checks the result; an existing file is opened as it is
  misgen levels check file=level.txt
      reads a level file and reports mistakes by line and column, with what to write instead; then
      whether the world's planner finds a way to the goal and to the proxy, whether the level is
      aligned or in conflict, and its hash.  Exit status 1 if it cannot be read or solved.  With a
      folder (file=my_folder) or a list (file=[a.txt,b.txt]), checks each file and names duplicates
  misgen levels play file=level.txt agent=goal_seeker
      plays a level, from a file or by env and id, and prints what happened; out=play.gif (or
      play.webp) also draws it, with overlay=true marking goal, proxy and path.  On a terminal you
      play yourself, and take over from an agent: the keys and what the signs mean are on the
      screen.  misgen play does so in a browser
  misgen levels play file=level.txt actions=RRUUL
      plays these actions: L left, R right, U up (CoinRun: jump), D down, . nothing; diagonals as
      on a keyboard: Q left up, E right up, Z left down, C right down; R*20 is 20 times R
  misgen levels export env=coinrun env.terrain=langosco correlation=0 ids=0:500 out=levels.npz
      writes levels as arrays: seed, grid[id, y, x], and whatever else the world's levels contain
  misgen levels replay correlation=1 ids=0:50 actions=actions.npz out=trajectories.npz
      runs action[id, t] (the original's 15-action code) and writes agent[id, t] = x, y, vx, vy
      (float32; t = 0 is the start, NaN after the end), reward, done, length
  misgen levels verify env=procgen_coinrun ids=0:1000
      runs the original Procgen and the native engine in step on each level, to the end, with random
      actions and with actions to the right, and compares the level and, in every frame, all floats,
      the reward and whether the episode ends; exit status 1 if anything differs

Settings
  env            the world (misgen levels list) and its parameters: env.mode=easy, ...; with file=,
                 the file names the world and the parameters that the level was made for
  correlation    0 to 1; only the goal's place depends on it, never the terrain
  placement      where the goal is placed on a conflict level (misgen levels list); quote a
                 distance in the shell: 'placement=off_path(3)'
  id, ids        one level id; a range start:stop
  file           a level file, as written by edit.  In an environment, run it by
                 reset(options={"levels": ["level.txt"]}); to test an agent on many of them, use
                 misgen evaluate run=... levels=my_folder
  agent          goal_seeker, proxy_seeker, random, idle, a run's folder, or zoo:<name>; with
                 seed, greedy=true; trust=true to recreate an agent that was trained elsewhere,
                 which runs its code
  out            file to write: .txt (edit), .gif or .webp (play; scale=384 pixels, overlay=true),
                 .npz (export, replay)
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from misgen.envs.core.errors import UserError, did_you_mean

from ..levels import arrays, files
from ..levels.catalogue import list_worlds
from ..levels.level_settings import LevelsCommand
from ..levels.sets import check_files, compared, configured, files_of
from ..training.overrides import keys_of, refuse_unused
from .level_terminal import edit, play

__all__ = ["LevelsCommand", "main"]

_MOST_SHOWN = 20
"""Differences that `verify` prints."""
_LEVELS = ("env", "correlation", "placement")
_USED = {
    "list": (),
    "show": (*_LEVELS, "id"),
    "edit": (*_LEVELS, "id", "out", "open"),
    "check": ("env", "file"),
    "play": (
        *_LEVELS,
        "id",
        "file",
        "agent",
        "actions",
        "seed",
        "greedy",
        "trust",
        "out",
        "scale",
        "overlay",
    ),
    "export": (*_LEVELS, "ids", "out"),
    "replay": (*_LEVELS, "ids", "actions", "out"),
    "verify": (*_LEVELS, "ids"),
}
"""The settings of each command."""


def main(argv: list[str]) -> int:
    """Run the command."""
    if not argv or argv[0] not in _COMMANDS:
        given = argv[0] if argv else ""
        raise UserError(
            f"say what to do: misgen levels {' | '.join(_COMMANDS)}, not {given!r}"
            f"{did_you_mean(given, _COMMANDS)}"
        )
    refuse_unused(f"levels {argv[0]}", argv[1:], _unused(argv[0], keys_of(argv[1:])))
    several = files_of(argv[1:]) if argv[0] == "check" else None
    if several is not None:
        return _check_set(several, argv[1:])
    return _COMMANDS[argv[0]](configured(argv[1:]))


def _list(config: LevelsCommand) -> int:
    """Print the worlds and what can be set of them."""
    from ..training.terminal import make_console

    console = make_console(markup=True)
    for part in list_worlds():
        console.print(part)
    return 0


def _show(config: LevelsCommand) -> int:
    """Print one level as text."""
    print(files.show(config))
    return 0


def _check(config: LevelsCommand) -> int:
    """Say what a level file holds; return 1 if it cannot be read, run or solved."""
    checked = files.check(config)
    print("\n".join(checked.lines))
    return int(checked.wrong)


def _check_set(several: Sequence[Path], argv: Sequence[str]) -> int:
    """Check each file; return 1 if one of them is at fault, or two hold the same."""
    found = []
    for checked in check_files(several, argv):
        print("\n".join(checked.lines))
        found.append(checked)
    lines, wrong = compared(found)
    print("\n".join(lines))
    return int(wrong)


def _export(config: LevelsCommand) -> int:
    """Write levels as arrays."""
    print(arrays.export(config))
    return 0


def _replay(config: LevelsCommand) -> int:
    """Run given actions on given levels and write what the agent did."""
    print(arrays.replay(config))
    return 0


def _verify(config: LevelsCommand) -> int:
    """Compare the native engine with the original Procgen; return 1 if they differ."""
    report = arrays.verify(config)
    for difference in report.differences[:_MOST_SHOWN]:
        print(difference)
    print(report)
    return int(bool(report.differences))


_COMMANDS: dict[str, Callable[[LevelsCommand], int]] = {
    "list": _list,
    "show": _show,
    "edit": edit,
    "check": _check,
    "play": play,
    "export": _export,
    "replay": _replay,
    "verify": _verify,
}


def _unused(what: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that a command leaves unused, and why."""
    used = _USED[what]
    known = {f.name for f in dataclasses.fields(LevelsCommand)} - {"player"} | {"agent"}
    why = dict.fromkeys(sorted(known - set(used)), f"it uses {', '.join(used) or 'no settings'}")
    if what == "play" and "file" in given:
        why |= dict.fromkeys(("id", "correlation", "placement"), "the level is the file's")
    if what == "play" and "agent" not in given:
        why |= dict.fromkeys(("seed", "greedy", "trust"), "it is for agent=...")
    if what == "play" and given.get("greedy") == "true":
        why["seed"] = "an agent with greedy=true draws nothing"
    if what == "play" and "out" not in given:
        why |= dict.fromkeys(("scale", "overlay"), "it is for out=FILE.gif or FILE.webp")
    return why


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("levels", main))
