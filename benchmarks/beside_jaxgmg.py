"""Worlds that jaxgmg has too, beside jaxgmg itself.

    python -m benchmarks.beside_jaxgmg [key=value ...]

Both play the same world on boards of the same size with as many environments side by side, random
actions and observations of all cells as classes, on the same CPU cores, in turns; the median of the
turns counts.  What a step does differs: ours makes a new level when an episode ends, where
jaxgmg starts the same level again; jaxgmg runs its steps in one compiled loop, where ours returns
to Python after each; and ours shows the board in a window around the mouse, which takes four times
the cells of the board to show all of it.

jaxgmg (https://github.com/matomatical/jaxgmg) runs in a Python of its own, as JAX wants other
packages than we do:

    git clone https://github.com/matomatical/jaxgmg && python -m venv jax
    jax/bin/pip install "jax[cpu]" flax chex einops jaxtyping imageio
    jax/bin/pip install --no-deps ./jaxgmg
    python -m benchmarks.beside_jaxgmg python=jax/bin/python

Settings
  python=...              Python in which jaxgmg is installed; without it, this one
  size=13                 cells along a side of the board
  slots=32,256,1024       environments side by side
  cores=1                 CPU cores, and threads
  seconds=2 repeats=5     length and number of the turns
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

WORLDS = {"cheese_on_a_dish": "cheese_on_a_dish", "lava_land": "lava_land"}
"""Our worlds that can have jaxgmg's boards, and the module of jaxgmg's."""
SETTINGS = {
    "python": sys.executable,
    "size": 13,
    "slots": "32,256,1024",
    "cores": 1,
    "seconds": 2.0,
    "repeats": 5,
}
_THEIRS = "--theirs"
_ABSENT = 3  # exit code: jaxgmg cannot be imported
_STEPS = 128  # of jaxgmg's compiled loop, and of our turns between looks at the clock


def main(argv: list[str]) -> int:
    """Print a table of frames/s."""
    if {"-h", "--help"} & set(argv):
        print(__doc__)
        return 0
    settings: dict[str, Any] = dict(SETTINGS)
    for word in argv:
        key, _, value = word.partition("=")
        if key not in settings or not value:
            print(f"{word!r} is not a setting: use {', '.join(f'{k}=...' for k in settings)}")
            return 2
        settings[key] = type(SETTINGS[key])(value)
    use_cores(settings["cores"])
    counts = [int(count) for count in settings["slots"].split(",")]
    print(f"{settings['size']} x {settings['size']} cells, {settings['cores']} thread(s): frames/s")
    print(
        f"{'':17}{'environments':>13}{'ours':>12}{'a CPU second':>13}"
        f"{'jaxgmg':>12}{'a CPU second':>13}{'times [turns]':>20}"
    )
    for (name, module), slots in itertools.product(WORLDS.items(), counts):
        at = settings | {"slots": slots}
        turns = [_turn_of_each(name, module, at) for _ in range(settings["repeats"])]
        if turns[0][1] is None:
            print("jaxgmg is not installed here, so there is nothing to compare: see --help")
            return 0
        (wall, cpu), (their_wall, their_cpu) = (_medians([t[k] for t in turns]) for k in range(2))
        times = sorted(mine[1] / its[1] for mine, its in turns)
        spread = f"{median(times):.2f} [{times[0]:.2f}, {times[-1]:.2f}]"
        print(
            f"{name:17}{slots:13,}{wall:12,.0f}{cpu:13,.0f}"
            f"{their_wall:12,.0f}{their_cpu:13,.0f}{spread:>20}"
        )
    return 0


def use_cores(count: int) -> None:
    """Keep this process and its children to `count` CPU cores and as many threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if count > 1 else 'false'}"
    os.environ["JAX_PLATFORMS"] = "cpu"


def measure(step: Callable[[], int], seconds: float) -> tuple[float, float]:
    """Return frames/s, and frames a CPU second, of calling `step`, which returns its frames."""
    step()  # compiled, if it has to be
    frames, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        frames += step()
    return frames / (time.perf_counter() - wall), frames / (time.process_time() - cpu)


def ours(name: str, settings: dict[str, Any]) -> tuple[float, float]:
    """Return how fast our world is."""
    import numpy as np

    from misgen.envs.core.distribution import LevelDistribution
    from misgen.envs.core.registry import make_world
    from misgen.envs.core.views.vector_env import MisgenVectorEnv

    size, slots = settings["size"], settings["slots"]
    world = make_world(name, size=size, view=2 * size - 3)  # all within the border is seen
    env = MisgenVectorEnv(LevelDistribution(world, 0.5), slots)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, int(world.action_space.n), (_STEPS, slots))

    def step() -> int:
        for row in actions:
            env.step(row)
        return actions.size

    return measure(step, settings["seconds"])


def theirs(module: str, settings: dict[str, Any]) -> tuple[float, float]:
    """Return how fast jaxgmg's world is; runs where jaxgmg is installed."""
    import importlib

    import jax  # pyright: ignore[reportMissingImports]

    game = importlib.import_module(f"jaxgmg.environments.{module}")
    size, slots = settings["size"], settings["slots"]
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

    return measure(step, settings["seconds"])


def _turn_of_each(name: str, module: str, settings: dict[str, Any]) -> tuple[Any, Any]:
    """Return how fast both are; None in place of jaxgmg's if it is not installed."""
    command = [settings["python"], __file__, _THEIRS, module, json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == _ABSENT:
        return None, None
    if done.returncode:
        raise SystemExit(f"jaxgmg's {module} failed:\n{done.stderr}")
    return ours(name, settings), json.loads(done.stdout.splitlines()[-1])


def _medians(rates: list[Any]) -> tuple[float, float]:
    return median(rate[0] for rate in rates), median(rate[1] for rate in rates)


def _play_theirs(module: str, settings: str) -> int:
    sys.path.pop(0)  # this folder
    try:
        import jaxgmg  # pyright: ignore[reportMissingImports] # noqa: F401
    except ImportError:
        return _ABSENT
    print(json.dumps(theirs(module, json.loads(settings))))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == [_THEIRS]:
        sys.exit(_play_theirs(*sys.argv[2:]))
    sys.exit(main(sys.argv[1:]))
