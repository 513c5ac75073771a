"""jaxgmg's worlds: many steps in one compiled loop, or a step at a time."""

from __future__ import annotations

import importlib
from typing import Any

import jax  # pyright: ignore[reportMissingImports]
import numpy as np

from .worker import Turn, paced, serve

_ACTIONS = 512  # steps of random actions, drawn beforehand
_LOOP = 128  # steps of the compiled loop


def frames(slots: int, threads: int, world: str, size: int, loop: bool = True) -> Turn:
    """Return turns of random play; the environment has told JAX how many `threads`.

    Args:
        slots: environments side by side.
        threads: of JAX.
        world: which.
        size: cells along a side of the board.
        loop: make many steps in one compiled loop, whose observations, rewards and ends stay where
            JAX has them; else hand those of each step to Python, as NumPy's arrays.
    """
    game = importlib.import_module(f"jaxgmg.environments.{world}")
    env, key = game.Env(), jax.random.PRNGKey(0)
    levels = game.LevelGenerator(height=size, width=size).vsample(key, num_levels=slots)
    actions = np.random.default_rng(0).integers(0, env.num_actions, (_ACTIONS, slots))

    def one(states: Any, chosen: Any) -> tuple[Any, Any]:
        seen, states, rewards, done, _ = env.vstep(key, states, chosen)
        return states, (seen, rewards, done)

    @jax.jit
    def many(states: Any, chosen: Any) -> tuple[Any, Any]:
        return jax.lax.scan(one, states, chosen)

    run = many if loop else jax.jit(one)
    parts = actions.reshape(-1, _LOOP, slots) if loop else actions
    state = env.vreset_to_level(levels)[1]

    def step() -> int:
        nonlocal state
        for part in parts:
            state, found = run(state, part)
            jax.block_until_ready(found) if loop else jax.tree.map(np.asarray, found)
        return actions.size

    return paced(step)


if __name__ == "__main__":
    serve(frames=frames)
