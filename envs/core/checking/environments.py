"""Checks of a world's environments: the interfaces of gymnasium and stable-baselines3."""

from __future__ import annotations

import dataclasses
import warnings
from functools import lru_cache
from typing import Any

import gymnasium
import numba
import numpy as np

from ..distribution import LevelDistribution
from ..id_range import IdRange
from ..modality import GRID, RGB
from ..views.vector_env import MisgenVectorEnv
from .subject import Subject, WorldError, require

_SLOTS, _STEPS, _MOST_SLOTS = 6, 40, 50
_TIME_OUT = 7


def check_gymnasium(subject: Subject) -> None:
    """Gymnasium's own check passes, without a warning."""
    from gymnasium.utils.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(subject.env_id, correlation=0.5).unwrapped, skip_render_check=True)


def check_stable_baselines(subject: Subject) -> None:
    """Stable-baselines3's own check passes, without a warning."""
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # It would have windows of tiles flattened; the encoders here read them as they are.
        warnings.filterwarnings("ignore", "Your observation tiles has an unconventional shape")
        env = gymnasium.make(subject.env_id, correlation=0.5).unwrapped
        check_env(env, skip_render_check=True)


def check_vector_view(subject: Subject) -> None:
    """Many slots side by side: types, spaces, time-outs in the frame they are due, last sights."""
    observed = "observation" in {f.name for f in dataclasses.fields(subject.world)}
    for option in (GRID.option, RGB.option) if observed else ("",):
        own = {"observation": option} if option else {}
        _play_idle(subject, own)


def _play_idle(subject: Subject, own: dict[str, Any]) -> None:
    env: Any = gymnasium.make_vec(
        subject.env_id, num_envs=3, correlation=0.5, max_steps=_TIME_OUT, **own
    )
    seen, infos = env.reset(seed=0)
    require(seen in env.observation_space, f"{own}: the first observation is not of its space")
    require(infos["level_id"].shape == (3,), "infos have no level_id of each slot")
    idle = np.full(3, env.unwrapped.distribution.world.no_op)
    frames, ends = np.zeros(3, int), 0
    for _ in range(20):
        seen, reward, terminated, truncated, infos = env.step(idle)
        frames += 1
        require(seen in env.observation_space, f"{own}: an observation is not of its space")
        types = (reward.dtype, terminated.dtype, truncated.dtype)
        require(types == (np.float32, np.bool_, np.bool_), f"rewards and ends are of types {types}")
        require(
            not (terminated & truncated).any(), "an episode is terminated and truncated at once"
        )
        done = terminated | truncated
        due = (done == (frames == _TIME_OUT))[~terminated].all()
        require(due, f"a time-out at another frame than the {_TIME_OUT}th of max_steps={_TIME_OUT}")
        if done.any():
            ends += int(done.sum())
            steps = infos["final_info"]["steps"]
            require(
                (steps[done] == frames[done]).all(), f"steps={steps[done]} after {frames[done]}"
            )
            last = all(one in env.single_observation_space for one in infos["final_obs"][done])
            require(last, "the last observation of an episode is not of its space")
        frames[done] = 0
    require(ends >= 6, "idle episodes do not end at max_steps")


def check_same_seed(subject: Subject) -> None:
    """The same seed gives the same episodes, another one others."""
    first = _recorded(subject.name)
    _require_same_record(first, _record(subject, seed=0), "the same seed gives something else")
    other = _record(subject, seed=1)
    require((first["level"] != other["level"]).any(), "another seed gives the same levels")
    differs = any((first[key] != other[key]).any() for key in subject.world.observation_space)
    require(differs, "another seed gives the same observations")


def check_batches(subject: Subject) -> None:
    """Neither the number of slots nor of threads changes a trajectory."""
    first = _recorded(subject.name)
    _require_same_record(first, _record(subject, 0, slots=3), "fewer slots change a trajectory", 3)
    more = _record(subject, 0, slots=_MOST_SLOTS)
    _require_same_record(first, more, "more slots change a trajectory")
    if numba.config.NUMBA_NUM_THREADS > 1:  # pyright: ignore
        threads = _record(subject, 0, threads=2)
        _require_same_record(first, threads, "the number of threads changes a trajectory")


@lru_cache(maxsize=1)
def _recorded(name: str) -> dict[str, Any]:
    return _record(Subject(name), seed=0)


def _record(subject: Subject, seed: int, slots: int = _SLOTS, threads: int = 1) -> dict[str, Any]:
    """Return all that a run shows, [steps, slots, ...] each; actions depend on step and slot."""
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        world = dataclasses.replace(subject.world, max_steps=25)
        env = MisgenVectorEnv(LevelDistribution(world, 0.5, ids=IdRange(0, 1000)), slots)
        return _played(env, seed, int(world.action_space.n), slots)
    finally:
        numba.set_num_threads(before)


def _played(env: MisgenVectorEnv, seed: int, actions: int, slots: int) -> dict[str, Any]:
    chosen = np.random.default_rng(0).integers(0, actions, (_STEPS, _MOST_SLOTS))
    seen, _ = env.reset(seed=seed)
    found: dict[str, list[Any]] = {key: [values] for key, values in seen.items()}
    for t in range(_STEPS):
        seen, reward, terminated, truncated, _ = env.step(chosen[t, :slots])
        shown = {"reward": reward, "terminated": terminated, "truncated": truncated}
        shown["level"] = env.engine.level_ids.copy()
        for key, values in {**seen, **shown}.items():
            found.setdefault(key, []).append(values)
    return {key: np.stack(values) for key, values in found.items()}


def _require_same_record(
    one: dict[str, Any], other: dict[str, Any], broken: str, slots: int = _SLOTS
) -> None:
    for key, values in one.items():
        same = (values[:, :slots] == other[key][:, :slots]).reshape(len(values), slots, -1).all(-1)
        if not same.all():
            raise WorldError(
                f"{broken}: {key} differs first at step, slot {np.argwhere(~same)[0].tolist()}"
            )
