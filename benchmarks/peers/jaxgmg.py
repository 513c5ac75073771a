"""jaxgmg's worlds: steps in one compiled loop, as its users run them."""

from __future__ import annotations

import importlib
from typing import Any

import jax  # pyright: ignore[reportMissingImports]

from .worker import Turn, paced, serve

_STEPS = 128  # of the compiled loop


def frames(slots: int, threads: int, world: str, size: int) -> Turn:
    """Return turns of random play; the environment has told JAX how many `threads`."""
    game = importlib.import_module(f"jaxgmg.environments.{world}")
    env, key = game.Env(), jax.random.PRNGKey(0)
    levels = game.LevelGenerator(height=size, width=size).vsample(key, num_levels=slots)

    @jax.jit
    def loop(states: Any, key: Any) -> Any:
        def one(states: Any, key: Any) -> Any:
            actions = jax.random.randint(key, (slots,), 0, env.num_actions)
            seen, states, rewards, done, _ = env.vstep(key, states, actions)
            return states, (seen.sum(), rewards.sum(), done.sum())  # so that none is left out

        return jax.lax.scan(one, states, jax.random.split(key, _STEPS))

    state = env.vreset_to_level(levels)[1]

    def step() -> int:
        nonlocal state, key
        key, now = jax.random.split(key)
        state, sums = loop(state, now)
        jax.block_until_ready(sums)
        return _STEPS * slots

    return paced(step)


if __name__ == "__main__":
    serve(frames=frames)
