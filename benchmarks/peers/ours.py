"""misgen itself: its worlds, its training and its evaluation.

Public names: `frames`, `evaluated`, `one_by_one`, `learning`.  Each imports what it alone needs, as
it runs in a process of its own.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.registry import make_world
from misgen.envs.core.views.single_env import MisgenEnv
from misgen.envs.core.views.vector_env import MisgenVectorEnv

from .worker import Turn, paced, serve

_ACTIONS = 512  # steps of random actions, drawn beforehand
_EVALUATED_FROM = 2_000_000


def frames(slots: int, threads: int, world: str, levels: int = 100_000, **parameters: Any) -> Turn:
    """Return turns of random play through the vector view; a step returns to Python.

    Args:
        slots: environments side by side.
        threads: of CoinRun's original, where that runs; our kernels are told by the environment.
        world: which; half of its levels are in conflict.
        levels: how many there are.
        parameters: the world's.
    """
    if world.startswith("procgen_"):
        parameters["num_threads"] = threads
    made = make_world(world, **parameters)
    env = MisgenVectorEnv(LevelDistribution(made, 0.5, ids=IdRange(0, levels)), slots)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, int(made.action_space.n), (_ACTIONS, slots))
    at = 0

    def step() -> int:
        nonlocal at
        for _ in range(8):
            env.step(actions[at % _ACTIONS])
            at += 1
        return 8 * slots

    for _ in range(40):  # until episodes end at different times
        step()
    return paced(step)


def evaluated(run: str, levels: int) -> Turn:
    """Return turns of the evaluator: all levels side by side, the most probable action each time.

    Args:
        run: folder of the agent.
        levels: how many are played.
    """
    from misgen.experiments.evaluation.rollout import run_levels

    agent, distribution = _trained(run)
    ids = np.arange(_EVALUATED_FROM, _EVALUATED_FROM + levels)

    def turn() -> dict[str, Any]:
        wall, cpu = time.perf_counter(), time.process_time()
        episodes = run_levels(agent, distribution, ids, actions="greedy", seed=0)
        return {
            "done": levels,
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
            "outcomes": episodes["outcome"].cast(str).to_list(),
            "steps": episodes["steps"].to_list(),
        }

    turn()
    return turn


def one_by_one(run: str, levels: int) -> Turn:
    """Return turns of a loop over levels as in the paper's code: an environment for each level.

    The network is asked about one observation at a time, through stable-baselines3's `predict`.
    """
    agent, distribution = _trained(run)
    ids = range(_EVALUATED_FROM, _EVALUATED_FROM + levels)

    def turn() -> dict[str, Any]:
        wall, cpu = time.perf_counter(), time.process_time()
        infos = [_played(agent.network, distribution, level) for level in ids]
        return {
            "done": levels,
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
            "outcomes": [info["outcome"] for info in infos],
            "steps": [int(info["steps"]) for info in infos],
        }

    _played(agent.network, distribution, _EVALUATED_FROM)
    return turn


def _played(network: Any, distribution: LevelDistribution, level: int) -> dict[str, Any]:
    """Play a level; return how it went."""
    env = MisgenEnv(distribution)
    seen, info = env.reset(options={"level_ids": [level]})
    over = False
    while not over:
        action, _ = network.predict(seen, deterministic=True)
        seen, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    return info


def _trained(run: str) -> tuple[Any, LevelDistribution]:
    """Return a trained agent, and levels like those of its training, all in conflict."""
    import torch

    from misgen.agents.checkpoint import load_agent
    from misgen.agents.threads import tune_process
    from misgen.experiments.training.trained_run import TrainedRun, one_run

    tune_process(torch.get_num_threads())
    trained = TrainedRun.read(one_run(run))
    world = trained.config.world
    agent = load_agent(trained.folder.path, world.observation_space, world.action_space)
    return agent, trained.config.distribution.at(correlation=0.0)


def learning(**settings: Any) -> Turn:
    """Return turns that train until the agent is good enough; see `judge.learn`."""
    from .judge import learn, played_by

    return learn(_model, played_by, **settings)


def _model(run: Any, seed: int) -> Any:
    from misgen.agents.ppo import PPOLearner
    from misgen.agents.rewards import ScaledReward
    from misgen.envs.core.views.sb3 import MisgenVecEnv

    agent: Any = run.agent
    env = MisgenVecEnv(run.distribution, agent.num_envs, seed)
    return PPOLearner().make(ScaledReward(env, agent.reward_scale), agent, seed)


if __name__ == "__main__":
    serve(frames=frames, evaluated=evaluated, one_by_one=one_by_one, learning=learning)
