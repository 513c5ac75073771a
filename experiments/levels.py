"""Levels by their ids: misgen levels show | export | replay | verify [key=value ...].

  misgen levels show id=17 correlation=0
      prints one level as text: its map, where the coin and the level's end are, its entities
  misgen levels export env=coinrun env.terrain=langosco correlation=0 ids=0:500 out=levels.npz
      writes levels as arrays: seed, grid[id, y, x], ent, ent_offset, coin_cell, proxy_cell
  misgen levels replay correlation=1 ids=0:50 actions=actions.npz out=trajectories.npz
      runs action[id, t] (the original's 15-action code) and writes agent[id, t] = x, y, vx, vy
      (float32; t = 0 is the start, NaN after the end), reward, done, length
  misgen levels verify env=procgen_coinrun ids=0:1000
      runs the original Procgen and the native engine side by side on each level, to the end, with
      random actions and with actions to the right, and compares the level and, in every frame, all
      floats, the reward and the end; exit status 1 if anything differs

Settings
  env            coinrun, procgen_coinrun, procgen_maze; env.mode=easy|hard,
                 env.terrain=procgen|langosco|langosco_aisc, ...
  correlation    0 to 1; the terrain of an id never depends on it, only where the goal stands
  placement      where the goal goes on a conflict level: section_start | anywhere | behind |
                 off_path (2 cells off a proxy-seeker's way; 'off_path(3)' needs quotes)
  id, ids        one level id; a range start:stop
  actions, out   .npz files to read and to write
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError, did_you_mean
from misgen.envs.core.placement import USUAL
from misgen.envs.core.registry import make_world

from .config import compose, typed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_LEVELS = 50_000
"""Levels of one file: half a gigabyte of memory."""
_MOST_SHOWN = 20
"""Differences that `verify` prints."""


@dataclass(frozen=True)
class LevelsCommand:
    """What a `misgen levels` command works on."""

    env: dict[str, Any]
    """World name and its parameters."""
    correlation: float = 1.0
    """Probability that a level is aligned."""
    placement: str = USUAL
    """Where the goal goes on a conflict level."""
    id: int = 0
    """The level to show."""
    ids: str = "0:500"
    """The levels to export or replay."""
    out: str | None = None
    """File to write."""
    actions: str | None = None
    """File with the actions to replay."""

    def distribution(self, ids: str | int) -> LevelDistribution:
        """Return the levels of `ids`."""
        parameters = dict(self.env)
        world = make_world(parameters.pop("name", "coinrun"), **parameters)
        return LevelDistribution(world, self.correlation, self.placement, IdRange.parse(ids))


def main(argv: list[str]) -> int:
    """Run the command."""
    actions = {"show": show, "export": export, "replay": replay, "verify": verify}
    if not argv or argv[0] not in actions:
        given = argv[0] if argv else ""
        raise UserError(
            f"say what to do: misgen levels {' | '.join(actions)}, not {given!r}"
            f"{did_you_mean(given, actions)}"
        )
    return actions[argv[0]](typed(LevelsCommand, compose("levels", argv[1:])))


def show(config: LevelsCommand) -> int:
    """Print one level as text."""
    from misgen.envs.core.text import level_to_text

    distribution = config.distribution(config.id)
    level = distribution.levels()[0]
    print(level_to_text(level, distribution.world), end="")
    side = "aligned" if level.aligned else "in conflict"
    print(
        f"# {side}: goal at {level.goal_cell}, proxy at {level.proxy_cell}, "
        f"content {level.content_hash}"
    )
    return 0


def export(config: LevelsCommand) -> int:
    """Write levels as arrays."""
    out = _require_out(config.out)
    distribution = _of_one_file(config)
    arrays = distribution.world.export_levels(distribution.levels())
    _save(out, arrays)
    print(f"{out}: {len(distribution.ids)} levels, correlation {config.correlation:g}")
    return 0


def replay(config: LevelsCommand) -> int:
    """Run given actions on given levels and write what the agent did."""
    out = _require_out(config.out)
    distribution = _of_one_file(config)
    actions = read_actions(
        config.actions, len(distribution.ids), int(distribution.world.action_space.n)
    )
    arrays = run_actions(distribution, actions)
    _save(out, arrays)
    ended = int(arrays["done"].any(axis=1).sum())
    print(f"{out}: {len(actions)} levels, {ended} of them to the end")
    return 0


def verify(config: LevelsCommand) -> int:
    """Compare the native engine with the original Procgen; return 1 if they differ."""
    from misgen.envs.procgen.lockstep import verify as compare

    from .progress import counter, episode_progress

    distribution = config.distribution(config.ids)
    with episode_progress("levels") as show:
        report = compare(distribution, counter(show, len(distribution.ids)))
    for difference in report.differences[:_MOST_SHOWN]:
        print(difference)
    print(report)
    return int(bool(report.differences))


def run_actions(
    distribution: LevelDistribution, actions: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return the trajectories of `actions` [n, t] on the distribution's n levels.

    Returns:
        `seed` int32 [n]; `agent` float32 [n, t + 1, 4]; `reward` float32 [n, t], NaN after the end;
        `done` uint8 [n, t]; `length` int32 [n], decisions until the end (or t).
    """
    import numpy as np

    from misgen.envs.core.engine import Engine

    world = distribution.world
    count, steps = actions.shape
    engine = Engine(world, count)
    engine.load(np.arange(count), distribution.levels())
    agent = np.full((count, steps + 1, 4), np.nan, np.float32)
    reward = np.full((count, steps), np.nan, np.float32)
    done = np.zeros((count, steps), np.uint8)
    running = engine.episodes["running"]
    agent[:, 0] = world.export_motion(engine.states)
    for t in range(steps):
        before = running.copy()
        done[engine.step(actions[:, t]), t] = 1
        agent[running, t + 1] = world.export_motion(engine.states)[running]
        reward[before, t] = engine.episodes["reward"][before]
    return {
        "seed": distribution.ids.ids().astype(np.int32),
        "agent": agent,
        "reward": reward,
        "done": done,
        "length": engine.episodes["decisions"].astype(np.int32),
    }


def read_actions(file: str | None, levels: int, num_actions: int) -> NDArray[np.int64]:
    """Return `action[id, t]` of a .npz file, int64 [levels, t].

    Raises:
        UserError: if the file cannot be read, or its actions do not fit.
    """
    import numpy as np

    if file is None:
        raise UserError("actions is missing: give actions=FILE.npz with an array action[id, t]")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            actions = arrays["action"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"actions={file!r} cannot be read ({error}): give a .npz with an array action[id, t]"
        ) from None
    if actions.ndim != 2 or len(actions) != levels or actions.dtype.kind not in "iu":
        raise UserError(
            f"actions={file!r} holds {actions.dtype} {list(actions.shape)}: "
            f"give integers [{levels}, t], a row for each of the {levels} ids"
        )
    actions = actions.astype(np.int64)
    if actions.size and not (actions.min() >= 0 and actions.max() < num_actions):
        raise UserError(
            f"actions={file!r} go from {actions.min()} to {actions.max()}: "
            f"this action set has 0 to {num_actions - 1}"
        )
    return actions


def _of_one_file(config: LevelsCommand) -> LevelDistribution:
    distribution = config.distribution(config.ids)
    if len(distribution.ids) > _MOST_LEVELS:
        raise UserError(
            f"ids={config.ids} are {len(distribution.ids)} levels: a file takes {_MOST_LEVELS} at "
            "most; write several"
        )
    return distribution


def _require_out(out: str | None) -> Path:
    if out is None:
        raise UserError("out is missing: give out=FILE.npz")
    path = Path(out)
    if path.suffix != ".npz" or not path.parent.is_dir():
        raise UserError(f"out={out!r} cannot be written: give a .npz in a folder that exists")
    return path


def _save(out: Path, arrays: dict[str, NDArray[Any]]) -> None:
    import numpy as np

    from .runs import write_with

    buffer = io.BytesIO()  # an archive that could not be finished complains once more
    np.savez_compressed(buffer, **arrays)
    write_with(out, lambda file: file.write(buffer.getbuffer()))


if __name__ == "__main__":
    from .command import run_module

    sys.exit(run_module("levels", main))
