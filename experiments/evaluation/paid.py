"""Trained agents whose goal is known from what they were paid for.

Public names: `PaidAgent`, `train_paid`, `CORRELATION`.

They learn on levels of which half are in conflict, by the lab preset, under a rule by which the
proxy ends an episode, and are paid for the goal alone or for the proxy alone (`env.pays`).  As
aligned levels are among them, those that are paid for the goal do not learn to shun the proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from misgen.agents.base import Agent
from misgen.agents.checkpoint import load_agent
from misgen.envs.core.distribution import LevelDistribution

from ..training.config import TrainConfig
from ..training.settings import compose, typed
from ..training.train import train

CORRELATION = 0.5
GOAL, PROXY = PAID = ("goal", "proxy")
"""What they are paid for."""


@dataclass(frozen=True)
class PaidAgent:
    """A trained agent, and what it was trained on."""

    agent: Agent
    levels: LevelDistribution
    folder: Path


def paid_config(world: str, pays: str, seed: int, runs: str) -> TrainConfig:
    """Return the settings of an agent that is paid for `goal` or `proxy`."""
    words = [f"env={world}", f"env.pays={pays}", "env.on_proxy=end", f"correlation={CORRELATION}"]
    plain = compose("train", [*words, f"seed={seed}"])
    return typed(TrainConfig, {**plain, "runs": runs, "name": f"paid-{world}"})


def train_paid(world: str, pays: str, seed: int, runs: str) -> PaidAgent:
    """Train an agent that is paid for `goal` or `proxy`, unless it was done before.

    Args:
        world: its name.
        pays: what for.
        seed: training seed.
        runs: folder of all runs.
    """
    config = paid_config(world, pays, seed, runs)
    folder = train(config)
    spaces = config.world.observation_space, config.world.action_space
    return PaidAgent(load_agent(folder.path, *spaces), config.distribution, folder.path)
