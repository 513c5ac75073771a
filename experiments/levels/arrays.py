"""Levels and trajectories as arrays in .npz files: export, replay, verify.

Public names: `export`, `replay`, `verify`, `run_actions`, `read_actions`.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.files import open_regular

from .level_settings import LevelsCommand

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from misgen.envs.procgen.lockstep import Report

_MOST_LEVELS = 50_000
"""Levels of one file: half a gigabyte of memory."""


def export(config: LevelsCommand) -> str:
    """Write levels as arrays; return what was written."""
    out = _require_out(config.out)
    distribution = _of_one_file(config)
    arrays = distribution.world.export_levels(distribution.levels())
    _save(out, arrays)
    return f"{out}: {len(distribution.ids)} levels, correlation {config.correlation:g}"


def replay(config: LevelsCommand) -> str:
    """Run given actions on given levels, write what the agent did; return what was written."""
    out = _require_out(config.out)
    distribution = _of_one_file(config)
    actions = read_actions(
        config.actions, len(distribution.ids), int(distribution.world.action_space.n)
    )
    arrays = run_actions(distribution, actions)
    _save(out, arrays)
    ended = int(arrays["done"].any(axis=1).sum())
    return f"{out}: {len(actions)} levels, {ended} of them to the end"


def verify(config: LevelsCommand) -> Report:
    """Compare the native engine with the original Procgen."""
    from misgen.envs.procgen.lockstep import verify as compare

    from ..training.progress import counter, episode_progress

    distribution = config.distribution(config.ids)
    with episode_progress("levels") as show:
        return compare(distribution, counter(show, len(distribution.ids)))


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
        with open_regular(file) as raw, np.load(raw, allow_pickle=False) as arrays:
            actions = np.asarray(arrays["action"])
    except Exception as error:  # of a damaged file: of its own kinds, of zip's and zlib's, and more
        why = " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
        raise UserError(
            f"actions={file!r} cannot be read ({why}): give a .npz with an array action[id, t]"
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

    from ..training.run_folder import write_with

    buffer = io.BytesIO()  # an archive that could not be finished complains once more
    np.savez_compressed(buffer, **arrays)
    write_with(out, lambda file: file.write(buffer.getbuffer()))
