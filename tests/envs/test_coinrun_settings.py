"""CoinRun's levels are sound, and its motion finite, over the ends of every setting's range."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.views.vector_env import MisgenVectorEnv

ENDS: dict[str, tuple[Any, ...]] = {
    "mode": ("easy", "hard"),
    "terrain": ("procgen", "langosco", "langosco_aisc"),
    "gravity": (0.3, 2.0),
    "speed": (0.3, 2.0),
    "hazards": (0.0, 5.0),
    "difficulty": (0, 1, 5),
    "sections": (0, 1, 8),
}
ALL = [dict(zip(ENDS, values, strict=True)) for values in itertools.product(*ENDS.values())]
CHOSEN = np.random.default_rng(0).choice(len(ALL), 24, replace=False)
SLOTS = 8


@pytest.mark.parametrize("number", CHOSEN)
def test_levels_are_sound_and_motion_is_finite(number: int):
    world = CoinRun(max_steps=60, **ALL[number])
    for placement, count in (("section_start", 50), ("behind", 50), ("off_path(2)", 4)):
        levels = LevelDistribution(world, 0.3, placement=placement)
        batch = levels.levels(np.arange(count))
        assert (batch.data == levels.levels(np.arange(count)).data).all()
        for level in batch.take(slice(4)):
            world.require_sound(level)
    env = MisgenVectorEnv(levels.at(placement="anywhere"), SLOTS)
    env.reset(seed=1)
    rng = np.random.default_rng(int(number))
    for _ in range(70):  # past the longest episode
        observation, *_ = env.step(rng.integers(0, world.action_space.n, SLOTS))
        assert env.observation_space["body"].contains(observation["body"])
