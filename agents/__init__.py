"""Agents: scripted references, networks, PPO on stable-baselines3, checkpoints.

Agents know worlds (`misgen.envs`) and nothing of experiments.  This package imports neither torch
nor stable-baselines3; the modules that need them are imported by whoever needs those:

- `misgen.agents.config`: `PPOConfig`, the settings of a training run;
- `misgen.agents.base`: `Agent`, what the evaluator asks of an agent;
- `misgen.agents.scripted`: `make_agent`, agents that need no training;
- `misgen.agents.ppo` (torch): `train_ppo`;
- `misgen.agents.checkpoint` (torch on use): `save_policy`, `load_agent`;
- `misgen.agents.threads`: `tune_process`, for processes that train.
"""

from .base import Agent, ValuedAgent
from .config import PPOConfig
from .scripted import make_agent

__all__ = ["Agent", "PPOConfig", "ValuedAgent", "make_agent"]
