"""Worlds and levels.  Importing this package registers the worlds with gymnasium.

    gymnasium.make("misgen/CoinRun-v0", correlation=0.98)
    gymnasium.make_vec("misgen/CoinRun-v0", num_envs=64, correlation=0.98)

Keyword arguments: those of `misgen.envs.make.distribution`, and the world's own parameters;
`make_vec` also takes `autoreset_mode` ("SAME_STEP", "NEXT_STEP" or "DISABLED", as gymnasium).

A process that was started anew (a worker of `AsyncVectorEnv` or stable-baselines3's `SubprocVecEnv`
with `spawn`, joblib, Ray) has not imported this package and knows no worlds.  There, give the id
with the package's name before it, and gymnasium imports it:

    gymnasium.make("misgen.envs:misgen/CoinRun-v0")
    gymnasium.make_vec("misgen.envs:misgen/CoinRun-v0", num_envs=4, vectorization_mode="async")
"""

import contextlib

from gymnasium.envs.registration import register

from .core.registry import entries

for _name, (_, _entry) in entries().items():
    register(
        id=_entry.env_id,
        entry_point="misgen.envs.make:single",
        vector_entry_point="misgen.envs.make:vector",
        kwargs={"world": _name},
    )

with contextlib.suppress(ImportError):
    # stable-baselines3 imports the old gym where Procgen brought it: silence its notice.
    from gym_notices import notices

    notices.notices.clear()
