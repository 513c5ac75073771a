"""The original CoinRun, through gym3."""

from __future__ import annotations

import numpy as np
from procgen import ProcgenGym3Env  # pyright: ignore[reportMissingImports]

from .worker import Turn, paced, serve

_ACTIONS = 512  # steps of random actions, drawn beforehand


def frames(slots: int, threads: int, mode: str, levels: int) -> Turn:
    """Return turns of random play, a step at a time."""
    env = ProcgenGym3Env(
        num=slots,
        env_name="coinrun",
        distribution_mode=mode,
        start_level=0,
        num_levels=levels,
        num_threads=threads,
        rand_seed=0,
    )
    actions = np.random.default_rng(0).integers(0, 15, (_ACTIONS, slots))
    at = 0

    def step() -> int:
        nonlocal at
        env.act(actions[at % _ACTIONS])
        env.observe()
        at += 1
        return slots

    for _ in range(300):  # until episodes end at different times
        step()
    return paced(step)


if __name__ == "__main__":
    serve(frames=frames)
