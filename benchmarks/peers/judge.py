"""Training until an agent is good enough, by whatever program trains it on our world.

The agent plays levels that no training sees, now and then; these tests are not counted.  What is
measured is its `success`, the share of levels like those of training on which it reaches the goal,
or its `pull` on twins: κ', how much more often it touches the goal's cell before it has reached the
proxy when the goal is there, of what a planned goal-seeker would (docs/measures.md).

Public names: `Run`, `learn`, `played_by`, `TESTS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from misgen.agents.policy import PolicyAgent
from misgen.agents.spec import PolicySpec
from misgen.agents.threads import tune_process
from misgen.envs.core.distribution import IdRange
from misgen.experiments.evaluation.references import goals_in_reach
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.training.config import TrainConfig as Run
from misgen.experiments.training.settings import compose, typed

from .worker import Turn

_FROM = 2_000_000  # test levels' ids, which are none of training's
_CONFIRM_FROM = 3_000_000


def learn(
    model_of: Callable[[Run, int], Any],
    agent_of: Callable[[Run, Any], Any],
    *,
    words: list[str],
    every: int,
    measure: str,
    levels: int,
    confirmed: int,
    target: float,
    limit: float,
) -> Turn:
    """Return a turn that trains one seed until its agent is at the target.

    Args:
        model_of: returns a model of stable-baselines3's kind that has not trained yet.
        agent_of: returns what plays a model's policy.
        words: settings, as `misgen train` takes them.
        every: decisions between two tests, at least.
        measure: what is measured: `pull` or `success`.
        levels: levels, or twins, in a test.
        confirmed: other levels on which a test that is passed has to be passed again: of many noisy
            tests the first that is passed is passed by luck.
        target: how much of it is enough.
        limit: CPU seconds after which it is given up; it is also at the settings' last decision.
    """
    tune_process(torch.get_num_threads())
    run = typed(Run, compose("train", words))
    test = TESTS[measure](run, levels, _FROM)
    confirm = TESTS[measure](run, confirmed, _CONFIRM_FROM)

    def turn(seed: int, warm: bool = False) -> dict[str, Any]:
        model = model_of(run, seed)
        model.set_logger(Logger(None, []))
        watch = _Watch(
            lambda: test(agent_of(run, model)), lambda: confirm(agent_of(run, model)), every,
            target, limit,
        )  # fmt: skip
        model.learn(run.agent.rollout if warm else run.agent.total_steps, callback=watch)
        return watch.found()

    turn(0, warm=True)  # compiled, if it has to be
    return turn


class _Twins:
    """Levels in conflict and their aligned twins, which agents are tested on."""

    def __init__(self, run: Run, levels: int, start: int) -> None:
        """Choose them, and see what a planned goal-seeker does there."""
        among = run.distribution.at(correlation=0.0, ids=IdRange(start, start + 2 * levels))
        self._ids = among.conflict_ids()[:levels]
        self._conflict, self._aligned = among, among.at(correlation=1.0)
        reach = goals_in_reach(among, self._ids)["goal_in_reach"]
        self._reach = float(reach.cast(float).mean())  # pyright: ignore[reportArgumentType]

    def __call__(self, agent: Any) -> float:
        """Return an agent's κ'."""
        there, away = (self._touched(agent, where) for where in (self._conflict, self._aligned))
        return (there - away) / (self._reach - away)

    def _touched(self, agent: Any, where: Any) -> float:
        episodes = run_levels(agent, where, self._ids, actions="sampled", seed=0)
        return float(episodes["cell_first"].cast(float).mean())  # pyright: ignore


class _Likes:
    """Levels like those of training."""

    def __init__(self, run: Run, levels: int, start: int) -> None:
        """Choose them."""
        self._ids = np.arange(start, start + levels)
        self._levels = run.distribution.at(ids=IdRange(start, start + levels))

    def __call__(self, agent: Any) -> float:
        """Return the share on which an agent reaches the goal."""
        episodes = run_levels(agent, self._levels, self._ids, actions="sampled", seed=0)
        return float(episodes["reached_goal"].cast(float).mean())  # pyright: ignore


TESTS = {"pull": _Twins, "success": _Likes}


class _Watch(BaseCallback):
    """Counts CPU seconds of training, tests the agent after updates, and ends the training."""

    def __init__(
        self, test: Callable[[], float], confirm: Callable[[], float], every: int, target: float,
        limit: float,
    ) -> None:  # fmt: skip
        """Note what is enough, and when to give up."""
        super().__init__()
        self._measure, self._confirm = test, confirm
        self._every, self._target, self._limit = every, target, limit
        self._curve: list[dict[str, float]] = []
        self._tested = 0
        self._cpu = self._wall = 0.0
        self._since = time.process_time(), time.perf_counter()
        self._going_on = True

    def found(self) -> dict[str, Any]:
        """Return what came of it: what it took, and whether the target was reached."""
        last = self._curve[-1] if self._curve else {"value": float("nan")}
        return {
            "cpu_seconds": self._cpu,
            "seconds": self._wall,
            "decisions": self.num_timesteps,
            "reached": last["value"] >= self._target,
            "curve": self._curve,
        }

    def _on_rollout_start(self) -> None:
        if self.num_timesteps - self._tested >= self._every:
            self._test()

    def _on_training_end(self) -> None:
        if self._going_on:
            self._test()

    def _on_step(self) -> bool:
        return self._going_on

    def _test(self) -> None:
        """Test the agent while the clock stands still."""
        self._tested = self.num_timesteps
        self._cpu += time.process_time() - self._since[0]
        self._wall += time.perf_counter() - self._since[1]
        value = self._measure()
        if value >= self._target:
            value = self._confirm()
        self._curve.append({"decisions": self._tested, "cpu_seconds": self._cpu, "value": value})
        self._going_on = value < self._target and self._cpu < self._limit
        self._since = time.process_time(), time.perf_counter()


def played_by(run: Run, model: Any) -> Any:
    """Return what plays the policy of one of our own models."""
    world = run.world
    spec = PolicySpec.of(run.agent, world.observation_space, world.action_space)
    return PolicyAgent(model.policy, spec)
