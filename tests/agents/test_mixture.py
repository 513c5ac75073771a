"""Mixtures of experts: what they compute, that they learn, are kept, and are counted."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from misgen.agents import PPOConfig
from misgen.agents.checkpoint import build_policy, load_agent, load_policy, save_policy
from misgen.agents.mixture import Mixture
from misgen.agents.policy import PolicyAgent
from misgen.agents.spec import PolicySpec
from misgen.agents.warm_start import initial_weights
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import make_world
from misgen.experiments.training.checks import unused_of
from misgen.experiments.training.compute import network_cost
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import train
from tests.agents.test_agents_networks import make_spec, random_batch, tensors
from tests.agents.test_agents_ppo import ACTIONS, SMALL, Bandit
from tests.agents.test_learners import learn

MOE: dict[str, Any] = {"encoder": "moe", "hidden": [32, 16], "experts": 4, "active_experts": 2}


def layer(experts: int, active: int, balance: float = 0.0) -> Mixture:
    torch.manual_seed(experts)
    return Mixture(12, 5, experts, active, balance, nn.Tanh)


def by_hand(mixture: Mixture, x: torch.Tensor) -> torch.Tensor:
    """The definition, row by row."""
    rows = []
    for row in x:
        p = mixture.router(row).softmax(0)
        best = sorted(range(len(p)), key=lambda i: -p[i].item())[: mixture.active]
        rows.append(sum(p[i] * torch.tanh(mixture.experts[i](row)) for i in best))
    return torch.stack(rows)  # pyright: ignore


@pytest.mark.parametrize(("experts", "active"), [(1, 1), (4, 1), (4, 2), (7, 7)])
def test_a_layer_is_what_its_definition_says(experts, active):
    mixture, x = layer(experts, active), torch.randn(40, 12)
    found, wanted = mixture(x), by_hand(mixture, x)
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn(40, 5)
    found.backward(upstream)
    gradients = [p.grad.clone() for p in mixture.parameters()]  # pyright: ignore
    mixture.zero_grad()
    wanted.backward(upstream)
    for own, parameter in zip(gradients, mixture.parameters(), strict=True):
        expected = torch.zeros_like(own) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(own, expected)
    with torch.inference_mode():
        torch.testing.assert_close(mixture(x), wanted.detach())


def test_one_expert_is_a_dense_layer():
    dense, mixed = (
        build_policy(make_spec(PPOConfig(encoder=name, hidden=[32, 16], experts=1,
                                         active_experts=1)))
        for name in ("mlp", "moe")
    )  # fmt: skip
    same = {
        name.replace("rest.0.experts.0", "rest.0"): value
        for name, value in mixed.named_parameters()
        if "router" not in name
    }
    with torch.no_grad():
        for name, parameter in dense.named_parameters():
            parameter.copy_(same[name])
    batch = tensors(random_batch(50))
    for one, other in zip(
        dense.logits_and_values(batch), mixed.logits_and_values(batch), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_flips_are_searched_for_by_its_gradient():
    from misgen.experiments.evaluation.robustness.attacks import _slopes

    policy = build_policy(make_spec(PPOConfig(**MOE)))
    batch = tensors(random_batch(3))
    tiles, body = batch["tiles"].flatten(1).long(), batch["body"]
    found = _slopes(policy, tiles, body, (13, 13), lambda logits, _: logits[:, 0])
    codes = nn.functional.one_hot(tiles, 9).flatten(1).float().requires_grad_()
    encoder = policy.features_extractor
    first = codes @ encoder.first.tile_weight + encoder.first.body(body)
    logits, _ = policy.from_features(encoder.rest(encoder.activation(first)))
    (wanted,) = torch.autograd.grad(logits[:, 0].sum(), codes)
    torch.testing.assert_close(found.flatten(1), wanted)


def test_the_balancing_loss_is_added_once_and_only_where_there_is_learning():
    x = torch.randn(64, 12)
    plain, balanced = layer(4, 2), layer(4, 2, balance=0.5)
    assert torch.equal(plain(x), balanced(x))
    plain(x).sum().backward()
    balanced(x).sum().backward()
    likely, gates = plain.gates(x)
    loss = 0.5 * 4 * ((gates > 0).float().mean(0) / 2 * likely.mean(0)).sum()
    (more,) = torch.autograd.grad(loss, plain.router.weight)
    expected = plain.router.weight.grad + more  # pyright: ignore
    torch.testing.assert_close(balanced.router.weight.grad, expected)
    balanced.zero_grad()
    balanced.eval()(x).sum().backward()
    torch.testing.assert_close(balanced.router.weight.grad, plain.router.weight.grad)


def test_the_balancing_loss_balances():
    torch.manual_seed(0)
    x = torch.randn(512, 12) + 1.0
    mixture = layer(4, 1, balance=1.0)
    with torch.no_grad():
        mixture.router.weight[0] += 1.0  # nearly all rows go to the first
    before = (mixture.gates(x)[1] > 0).float().mean(0)
    optimizer = torch.optim.Adam(mixture.parameters(), 0.02)
    for _ in range(200):
        optimizer.zero_grad()
        (0.0 * mixture(x)).sum().backward()
        optimizer.step()
    after = (mixture.gates(x)[1] > 0).float().mean(0)
    assert before.max() > 0.9
    assert after.max() < 0.4


def test_it_learns():
    env, settings = Bandit(), PPOConfig(
        total_steps=16_384, gamma=0.0, **SMALL, encoder="moe", hidden=[64, 32], experts=4
    )  # fmt: skip
    learned = learn(env, settings)
    assert learned.gradients == "autograd: encoder=moe sends rows to experts"
    spec = PolicySpec.of(settings, env.observation_space, env.action_space)
    fresh = Bandit(n=2000, seed=1)
    p = PolicyAgent(learned.network, spec).probabilities(fresh.reset())  # pyright: ignore
    assert p.shape == (2000, ACTIONS)
    assert p[np.arange(2000), fresh.right_actions()].mean() > 0.9


@pytest.mark.parametrize(
    "name",
    [
        "ppo",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("a2c", "dqn", "recurrent_ppo")),
    ],
)
def test_training_is_deterministic_and_goes_on_with_every_algorithm(name, tmp_path):
    def words(runs: str, *more: str) -> TrainConfig:
        given = [
            "env=cheese_on_a_dish", f"agent={name}", "preset=smoke", "agent.encoder=moe",
            "agent.num_envs=8", "agent.hidden=[16,8]", "agent.total_steps=512",
            "levels.train=0:500", f"runs={tmp_path / runs}", *more,
        ]  # fmt: skip
        small = {
            "ppo": ["agent.num_steps=16", "agent.batch_size=64"],
            "recurrent_ppo": ["agent.num_steps=16", "agent.batch_size=64", "agent.lstm_width=8"],
            "a2c": [],
            "dqn": ["agent.learning_starts=64", "agent.target_every=64"],
        }
        return typed(TrainConfig, compose("train", [*given, *small[name]]))

    whole = train(words("whole")).path
    cut = words("cut")
    for _ in range(20):  # a rollout at a time, where it goes on
        folder = train(dataclasses.replace(cut, stop_after=0.0) if cut.agent.continues else cut)
        if folder.marked("DONE", cut.hash):
            break
    file = "policy.safetensors"
    assert (folder.path / file).read_bytes() == (whole / file).read_bytes()
    other = train(words("other", "seed=1")).path
    assert (other / file).read_bytes() != (whole / file).read_bytes()


def test_only_experts_that_are_chosen_are_active():
    for experts, active in ((4, 1), (4, 2), (8, 2)):
        spec = make_spec(PPOConfig(**{**MOE, "experts": experts, "active_experts": active}))
        found, cells = network_cost(build_policy(spec)), 13 * 13
        first, expert, router = 32 * 9 * cells + 4 * 32 + 32, 32 * 16 + 16, 32 * experts
        heads = 16 * 9 + 9 + 16 + 1
        assert found.parameters == first + router + experts * expert + heads
        assert found.active == found.parameters - 32 * 8 * cells - (experts - active) * expert
        products = 4 * 32 + router + active * 32 * 16 + 16 * 9 + 16
        assert found.forward_flops == 32 * cells + 2 * products


def saved(folder: Path, **changes: Any) -> tuple[PPOConfig, Any]:
    world = make_world("cheese_on_a_dish")
    space = world.observation_space, world.action_space
    config = PPOConfig(**{**MOE, **changes})
    spec = PolicySpec.of(config, *space)
    save_policy(folder, build_policy(spec), spec)
    return config, space


def test_it_is_a_start_for_its_like_alone(tmp_path):
    config, space = saved(tmp_path)
    weights = initial_weights(tmp_path, config, *space)
    assert weights.keys() == dict(load_policy(tmp_path, *space)[0].named_parameters()).keys()
    other = PPOConfig(**{**MOE, "active_experts": 3})
    with pytest.raises(UserError, match=r"active_experts=2, this run agent\.active_experts=3"):
        initial_weights(tmp_path, other, *space)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experts": None}, r"experts=None is not a whole number from 1 to 256"),
        ({"experts": 300}, r"experts=300 is not a whole number from 1 to 256"),
        ({"active_experts": 5}, r"active_experts=5 is more than .*experts=4"),
        ({"active_experts": True}, r"active_experts=True is not a whole number"),
        ({"experts": 5}, r"tensor .* is missing"),
        ({"hidden": [32]}, r"hidden=\[32\] has no layer of experts"),
    ],
)
def test_a_description_that_is_wrong_is_refused_by_field(change, message, tmp_path):
    _, space = saved(tmp_path)
    document = json.loads((tmp_path / "policy.json").read_text())
    document["network"] |= change
    (tmp_path / "policy.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match=message):
        load_agent(tmp_path, *space)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["agent.experts=0"], r"experts=0 is not allowed: give a whole number from 1 to 256"),
        (["agent.experts=2", "agent.active_experts=3"], r"active_experts=3 is more than experts=2"),
        (["agent.hidden=[64]"], r"hidden=\[64\] has no layer of experts"),
        (["agent.balance=-1"], r"balance=-1.* is not allowed"),
        (["agent.experts=2.5"], r"agent\.experts=2\.5 must be a whole number"),
        (["env.observation=rgb"], r""),
    ],
)
def test_settings_are_checked_at_the_door(words, message):
    from misgen.experiments.training.checks import require_trainable

    given = ["env=cheese_on_a_dish", "preset=smoke", "agent.encoder=moe", *words]
    with pytest.raises(UserError, match=message or "encoder='moe' reads tile windows"):
        require_trainable(typed(TrainConfig, compose("train", given)))


def test_settings_of_experts_are_no_part_of_networks_without():
    plain = typed(TrainConfig, compose("train", ["env=cheese_on_a_dish", "preset=smoke"]))
    assert not {"experts", "active_experts", "balance"} & plain.science["agent"].keys()
    assert "agent.experts" in unused_of(plain)
    words = ["env=cheese_on_a_dish", "preset=smoke", "agent.encoder=moe"]
    mixed = typed(TrainConfig, compose("train", words))
    assert mixed.science["agent"]["experts"] == 8
    assert "agent.experts" not in unused_of(mixed)
    assert "agent.fast" in unused_of(mixed)
    assert typed(TrainConfig, mixed.science).hash == mixed.hash


def test_equal_rows_are_played_alike_whatever_stands_beside_them():
    spec = make_spec(PPOConfig(encoder="moe", hidden=[64, 64, 64], experts=8))
    agent = PolicyAgent(build_policy(spec), spec)
    batch = random_batch(130)
    alone = agent.probabilities({key: value[:1] for key, value in batch.items()})
    assert np.array_equal(agent.probabilities(batch)[:1], alone)
