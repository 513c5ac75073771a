"""MiniGrid's worlds, through gymnasium's vector view."""

from __future__ import annotations

import gymnasium
import minigrid  # pyright: ignore[reportMissingImports] # noqa: F401
import numpy as np

from .worker import Turn, paced, serve

_ACTIONS = 512  # steps of random actions, drawn beforehand


def frames(slots: int, threads: int, env: str) -> Turn:
    """Return turns of random play, one environment after another: `threads` are of no use."""
    made = gymnasium.make_vec(env, num_envs=slots, vectorization_mode="sync")
    made.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, made.single_action_space.n, (_ACTIONS, slots))  # pyright: ignore
    at = 0

    def step() -> int:
        nonlocal at
        made.step(actions[at % _ACTIONS])
        at += 1
        return slots

    return paced(step)


if __name__ == "__main__":
    serve(frames=frames)
