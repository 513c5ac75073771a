"""Worlds and levels.  Importing this package registers the worlds with gymnasium.

    gymnasium.make("misgen/CoinRun-v0", correlation=0.98)
    gymnasium.make_vec("misgen/CoinRun-v0", num_envs=64, correlation=0.98)

Keyword arguments: those of `misgen.envs.make.distribution`, and the world's own parameters.
"""

from gymnasium.envs.registration import register

from .core.registry import entries

for _name, (_, _entry) in entries().items():
    register(
        id=_entry.env_id,
        entry_point="misgen.envs.make:single",
        vector_entry_point="misgen.envs.make:vector",
        kwargs={"world": _name},
    )
