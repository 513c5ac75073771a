"""Agents: scripted references, networks, algorithms that train them, checkpoints.

Agents know worlds (`misgen.envs`) and nothing about experiments.  This package imports neither
torch nor stable-baselines3; the modules that need these are imported where they are used:

- `misgen.agents.algorithms`: the register of algorithms, to which other packages add theirs;
- `misgen.agents.config`: `PPOConfig` and its like, the settings of a training run;
- `misgen.agents.base`: `Agent`, what the evaluator asks of an agent;
- `misgen.agents.scripted`: `make_agent`, agents that need no training;
- `misgen.agents.learner` (torch): `Learner`, what an algorithm must provide;
- `misgen.agents.ppo`, `recurrent_ppo`, `a2c`, `dqn` (torch): the algorithms;
- `misgen.agents.checkpoint` (torch): `save_policy`, `load_agent`;
- `misgen.agents.threads`: `tune_process`, for processes that train.
"""

from .base import Agent, ValuedAgent
from .config import PPOConfig
from .scripted import make_agent

__all__ = ["Agent", "PPOConfig", "ValuedAgent", "make_agent"]
