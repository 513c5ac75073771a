"""Settings, scripted agents, and what importing them costs."""

import dataclasses
import inspect
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import misgen.agents.config
from misgen.agents import Agent, PPOConfig, make_agent
from misgen.agents.scripted import agent_names
from misgen.agents.threads import tune_process
from misgen.envs.core.errors import UserError


def test_importing_agents_imports_nothing_heavy():
    code = (
        "import sys, misgen.agents, misgen.agents.spec, misgen.agents.threads; "
        "print([m for m in ('torch', 'stable_baselines3', 'numba', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_field_is_documented():
    source = Path(misgen.agents.config.__file__).read_text()
    for _, cls in inspect.getmembers(misgen.agents.config, dataclasses.is_dataclass):
        if cls.__module__ != misgen.agents.config.__name__:
            continue
        body = source[source.index(f"class {cls.__name__}") :].partition("\n@dataclass")[0]
        for name in cls.__annotations__:
            line = body.index(f"\n    {name}: ")
            if "ClassVar" not in body[line : body.index("\n", line + 1)]:
                following = body[body.index("\n", line + 1) :].lstrip()
                assert following.startswith('"""'), (cls, name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total_steps", 0),
        ("total_steps", 1.5),
        ("num_envs", True),
        ("epochs", -1),
        ("threads", "2"),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", "fast"),
        ("gamma", 1.1),
        ("gae_lambda", -0.1),
        ("entropy", math.inf),
        ("reward_scale", 0),
        ("anneal", "yes"),
        ("encoder", "mpl"),
        ("activation", "gelu"),
        ("hidden", [0]),
        ("hidden", [10**9]),
        ("hidden", ["128"]),
        ("hidden", "128"),
        ("hidden", 128),
        ("channels", [16] * 9),
        ("device", "gpu"),
        ("threads", 0),
        ("threads", 100_000),
        ("device", "cuda:x"),
        ("batch_size", 3000),
        ("batch_size", 1),
    ],
)
def test_an_impossible_value_is_refused_with_its_name(field, value):
    with pytest.raises(UserError, match=field):
        PPOConfig(**{field: value})


def test_a_misspelt_encoder_gets_a_suggestion():
    with pytest.raises(UserError, match="did you mean 'mlp'"):
        PPOConfig(encoder="mpl")


def test_batch_size_message_gives_a_value_that_works():
    with pytest.raises(UserError, match="for example 3000"):
        PPOConfig(num_envs=30, num_steps=100, batch_size=4096)


def test_config_goes_through_omegaconf():
    schema = OmegaConf.structured(PPOConfig)
    merged = OmegaConf.merge(schema, {"hidden": [64], "gamma": 0.9, "encoder": "cnn"})
    config: Any = OmegaConf.to_object(merged)
    assert config == PPOConfig(hidden=[64], gamma=0.9, encoder="cnn")
    assert type(config.hidden) is list


def test_no_more_threads_are_used_than_there_are_cores():
    before = torch.get_num_threads()
    try:
        tune_process(1024)
        assert torch.get_num_threads() == os.cpu_count()
    finally:
        tune_process(before)


def test_random_is_uniform_and_idle_presses_nothing():
    observation = {"tiles": np.zeros((7, 13, 13), np.uint8)}
    uniform = make_agent("random", 15).probabilities(observation, None)
    assert uniform.shape == (7, 15)
    assert np.allclose(uniform, 1 / 15)
    idle = make_agent("idle", 9).probabilities(observation, None)
    assert np.array_equal(idle, np.eye(9)[[4] * 7])
    assert idle.dtype == uniform.dtype == np.float64


@pytest.mark.parametrize("name", agent_names())
def test_scripted_agents_keep_the_protocol(name):
    agent = make_agent(name, 9)
    assert isinstance(agent, Agent)
    assert agent.name == name


def test_unknown_agents_and_actions_are_refused():
    with pytest.raises(UserError, match=r"agent='rnadom'.*did you mean 'random'"):
        make_agent("rnadom", 9)
    with pytest.raises(UserError, match="no_op=9"):
        make_agent("idle", 9, no_op=9)
