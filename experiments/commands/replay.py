"""Watch agents: write a page of replays, misgen replay [folder] [key=value ...].

Plays typical episodes of a sweep's agents again, each on a conflict level beside the same level
aligned, and writes a page that needs no other and no network: play, pause, scrub, step, filter by
correlation, seed, placement, outcome and level; the agent's way, what its critic values, and how
probable it held each action.  The report of a sweep has the same player.

Episodes are picked by rule, never for how they look: of every agent, placement and outcome the one
in which that happened after the median number of decisions, then those at the quarters.  They come
out as the evaluation stored them, as an episode hangs on its seed, level and repeat alone.

The folder is that of a sweep or of one run, or zoo:<name> for an agent that comes with misgen
(misgen zoo), whose page is written to runs/zoo/<name>; without one, it is the sweep in runs/ that
was written to last.

Settings
  run         the folder, as other commands name it
  out         file to write (default: replays.html in the folder)
  replays     how many episodes, at most (default: 200)
  levels      ids of test levels to show instead of typical ones, such as 2000017,2000018
  evaluation  beginning of the hash of the evaluation whose episodes to play (default: the sweep's)
  trust       true: make agents that were trained elsewhere again, which runs their code

Examples:
  misgen replay zoo:coinrun-rho1-seed0
  misgen replay
  misgen replay runs/coinrun-lab replays=40
  misgen replay runs/coinrun-lab/<run> levels=2000017
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from misgen.envs.core.errors import UserError, one_of

from ..reporting.replays.recorded import MOST, Replays, of_one_run, record
from ..reporting.report import render_replays
from ..reporting.results import Results, newest_sweep, read_results, read_run
from ..training.checks import require_room
from ..training.run_folder import MANIFEST, SWEEP, write_text
from ..training.trained_run import folder_of
from .plain_settings import plain_settings

_SETTINGS = ("run", "out", "replays", "levels", "evaluation", "trust")
_PAGE = "replays.html"
_MOST_REPLAYS = 2000


def main(argv: Sequence[str]) -> int:
    """Write the page that the settings ask for."""
    folders = [word for word in argv if word.partition("=")[0] not in _SETTINGS]
    folders = [word for word in folders if Path(word).exists() or "=" not in word]
    settings = plain_settings([word for word in argv if word not in folders], _SETTINGS)
    most = replay_count(settings.get("replays", str(MOST)))
    levels = level_ids(settings.get("levels", ""))
    trust = one_of("trust", settings.get("trust", "false"), ("true", "false")) == "true"
    folder = _folder([*folders, *([settings["run"]] if settings.get("run") else [])])
    out = Path(settings.get("out") or folder / _PAGE)
    one_of("out's ending", out.suffix, (".html",))
    require_room(out.parent, "out", out)
    results = _results(folder, settings.get("evaluation"))
    replays = record(results, most, levels=levels, trust=trust)
    if not replays.data:
        raise UserError(_nothing(replays, levels))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, render_replays(results, replays))
    for why in replays.missing:
        print(f"not shown: {why}")
    print(f"{replays.count} replays: {out}")
    return 0


def replay_count(text: str) -> int:
    """Return how many replays a setting asks for.

    Raises:
        UserError: if it is no number, or too large a one.
    """
    short = len(text) <= len(str(_MOST_REPLAYS))
    if not (short and text.isascii() and text.isdigit() and int(text) <= _MOST_REPLAYS):
        raise UserError(
            f"replays={text[:40]} is not allowed: give a number from 0 to {_MOST_REPLAYS}"
        )
    return int(text)


def level_ids(text: str) -> tuple[int, ...]:
    """Return the level ids that a setting names.

    Raises:
        UserError: if they are no numbers.
    """
    words = [word for word in text.strip("[]").split(",") if word]
    for word in words:
        if not word.strip().isascii() or not word.strip().isdigit() or len(word) > 18:
            raise UserError(
                f"levels={text[:40]}: {word[:40]!r} is no level id: give ids, as in levels=17,18"
            )
    return tuple(int(word) for word in words)


def _folder(named: Sequence[str]) -> Path:
    """Return the one folder that is named, or that of the newest sweep.

    Raises:
        UserError: if several are named, or there is no sweep.
    """
    if len(named) > 1:
        raise UserError(f"{len(named)} folders are given: give one sweep, or one run of it")
    return folder_of(named[0]) if named else newest_sweep(Path("runs"))


def _results(folder: Path, evaluation: str | None) -> Results:
    """Read a sweep, a run of one as the sweep's report counts it, or a run by itself."""
    if not (folder / MANIFEST).is_file():
        return read_results(folder, evaluation)
    sweep = folder.resolve().parent
    if (sweep / SWEEP).is_file():
        return of_one_run(read_results(sweep, evaluation), folder.resolve().name)
    return read_run(folder, evaluation)


def _nothing(replays: Replays, levels: Sequence[int]) -> str:
    """Return why there is nothing to watch, and what to do."""
    if replays.missing:
        return f"nothing can be watched: {'; '.join(replays.missing)}"
    if levels:
        named = ",".join(map(str, levels))
        return f"levels={named}: no agent was tested on these in conflict: give ids of test levels"
    return "there is nothing to watch: give replays=1 or more"


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("replay", main))
