"""Making environments from plain keyword arguments, as gymnasium's registry does."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from .core.distribution import IdRange, LevelDistribution
from .core.errors import UserError
from .core.placement import USUAL
from .core.registry import make_world
from .core.views.single_env import MisgenEnv
from .core.views.vector_env import MisgenVectorEnv


def distribution(
    world: str,
    correlation: float = 1.0,
    placement: str = USUAL,
    start_level: int = 0,
    num_levels: int = 100_000,
    **parameters: Any,
) -> LevelDistribution:
    """Return a level distribution.

    Args:
        world: name of the world, for example `coinrun`.
        correlation: probability, in [0, 1], that a level is aligned.
        placement: where the goal goes on a conflict level.
        start_level: first level id.
        num_levels: how many ids from there on; 0: all ids there are, whatever `start_level`, as
            in Procgen.
        parameters: the world's own parameters, for example `mode="easy"`.

    Raises:
        UserError: for an unknown name or an impossible value.
    """
    ids = id_range(start_level, num_levels)
    return LevelDistribution(make_world(world, **parameters), correlation, placement, ids)


def id_range(start_level: int, num_levels: int) -> IdRange:
    """Return the ids that Procgen's two arguments mean.

    Raises:
        UserError: if they are no whole numbers, or no level has such ids.
    """
    for name, value in (("start_level", start_level), ("num_levels", num_levels)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise UserError(f"{name}={value!r} is not allowed: give a whole number")
    start, count = int(start_level), int(num_levels)
    chosen = IdRange(start, start + (count or 1))
    return chosen if count else IdRange.everything()


def single(
    world: str, render_mode: str | None = None, render_size: int = 512, **arguments: Any
) -> MisgenEnv:
    """Return the single-environment view; arguments as for `MisgenEnv` and `distribution`."""
    return MisgenEnv(distribution(world, **arguments), render_mode, render_size)


def vector(
    num_envs: int,
    world: str,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    **arguments: Any,
) -> MisgenVectorEnv:
    """Return the vector view with `num_envs` slots; arguments as for it and `distribution`."""
    return MisgenVectorEnv(distribution(world, **arguments), num_envs, autoreset_mode)
