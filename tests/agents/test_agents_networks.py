"""The encoders against plain torch."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical

from misgen.agents import PPOConfig
from misgen.agents.checkpoint import build_policy, expected_shapes
from misgen.agents.networks import make_spaces
from misgen.agents.onehot import OneHotLinear
from misgen.agents.policy import FEW_ROWS, ROWS, PolicyAgent
from misgen.agents.spec import PolicySpec

CONFIGS = {
    "mlp": PPOConfig(),
    "mlp deep": PPOConfig(hidden=[64, 32, 16], heads=[24, 8], activation="relu"),
    "mlp one layer": PPOConfig(hidden=[48]),
    "cnn": PPOConfig(encoder="cnn", activation="relu"),
    "moe": PPOConfig(encoder="moe", experts=4, hidden=[32, 24, 16]),
    "moe one of three": PPOConfig(encoder="moe", experts=3, active_experts=1, heads=[8]),
    "cnn deep": PPOConfig(encoder="cnn", channels=[8, 8, 8], hidden=[32], heads=[16]),
}


def make_spec(config: PPOConfig, classes: int = 9, actions: int = 9) -> PolicySpec:
    template = PolicySpec("mlp", [1], [], [1], "tanh", (13, 13), classes, 4, actions)
    return PolicySpec.of(config, *make_spaces(template))


def random_batch(n: int, classes: int = 9, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "tiles": rng.integers(0, classes, (n, 13, 13)).astype(np.uint8),
        "body": rng.normal(size=(n, 4)).astype(np.float32),
    }


def tensors(batch: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(value) for key, value in batch.items()}


@pytest.mark.parametrize("n", [1, 63, 64, 200])
def test_one_hot_linear_is_linear_on_one_hot(n):
    torch.manual_seed(n)
    layer = OneHotLinear(cells=25, classes=7, body=3, width=40)
    tiles = torch.randint(0, 7, (n, 25), dtype=torch.uint8)
    body, upstream = torch.randn(n, 3), torch.randn(n, 40)

    found = layer(tiles, body)
    found.backward(upstream)
    gradients = [p.grad.clone() for p in layer.parameters()]  # pyright: ignore
    layer.zero_grad()
    one_hot = torch.nn.functional.one_hot(tiles.long(), 7).flatten(1).float()
    expected = one_hot @ layer.tile_weight + layer.body(body)
    expected.backward(upstream)

    torch.testing.assert_close(found, expected)
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(gradients.pop(0), parameter.grad, msg=name)


def test_a_tile_beyond_the_last_row_is_an_error_and_not_a_wild_read():
    layer = OneHotLinear(cells=25, classes=7, body=3, width=8)
    with pytest.raises(RuntimeError, match="range"):
        layer(torch.full((1, 25), 7, dtype=torch.uint8), torch.zeros(1, 3))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_four_ways_through_the_policy_agree(name):
    policy = build_policy(make_spec(CONFIGS[name]))
    observation = tensors(random_batch(50))
    actions, values, log_p = policy(observation)
    again, log_p_again, entropy = policy.evaluate_actions(observation, actions)
    reference = Categorical(logits=policy.logits_and_values(observation)[0])
    assert actions.shape == (50,)
    torch.testing.assert_close(values, again)
    torch.testing.assert_close(values, policy.predict_values(observation))
    torch.testing.assert_close(log_p, log_p_again)
    torch.testing.assert_close(log_p, reference.log_prob(actions))
    torch.testing.assert_close(entropy, reference.entropy())
    torch.testing.assert_close(policy.get_distribution(observation).log_prob(actions), log_p)
    best, _, _ = policy(observation, deterministic=True)
    assert torch.equal(best, reference.probs.argmax(1))


def test_actions_are_sampled_from_the_policy():
    policy = build_policy(make_spec(PPOConfig()))
    torch.nn.init.orthogonal_(policy.get_parameter("action_net.weight"))
    one = random_batch(1)
    torch.manual_seed(0)
    actions, _, log_p = policy(tensors({k: np.repeat(v, 20_000, 0) for k, v in one.items()}))
    share = torch.bincount(actions, minlength=9) / 20_000
    p = policy.logits_and_values(tensors(one))[0].softmax(1)[0]
    torch.testing.assert_close(share, p, atol=5 * 0.5 / 20_000**0.5, rtol=0)
    torch.testing.assert_close(log_p.exp(), p[actions])


@pytest.mark.parametrize("name", CONFIGS)
def test_every_input_and_every_weight_matters(name):
    policy = build_policy(make_spec(CONFIGS[name]))
    batch = random_batch(400)
    values = policy.predict_values(tensors(batch))
    moved = {**batch, "body": batch["body"] + 1}
    assert (policy.predict_values(tensors(moved)) != values).all()
    swapped = {**batch, "tiles": (batch["tiles"] + 1) % 9}
    assert (policy.predict_values(tensors(swapped)) != values).all()
    values, log_p, _ = policy.evaluate_actions(tensors(batch), torch.zeros(400, dtype=torch.long))
    (values.sum() + log_p.sum()).backward()
    for key, parameter in policy.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", ["mlp", "cnn", "moe"])
def test_probabilities_depend_neither_on_batch_nor_on_slot(name):
    spec = make_spec(CONFIGS[name])
    policy = build_policy(spec)
    torch.nn.init.orthogonal_(policy.get_parameter("action_net.weight"))
    agent = PolicyAgent(policy, spec)
    batch = random_batch(3 * ROWS)
    p, v = agent.probabilities(batch), agent.value(batch)
    assert p.dtype == v.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    for n in (1, 3, 31, FEW_ROWS, FEW_ROWS + 1, ROWS + 1):
        part = {key: value[:n] for key, value in batch.items()}
        assert np.array_equal(agent.probabilities(part), p[:n]), n
        assert np.array_equal(agent.value(part), v[:n]), n
    order = np.random.default_rng(0).permutation(3 * ROWS)
    shuffled = {key: value[order] for key, value in batch.items()}
    assert np.array_equal(agent.probabilities(shuffled), p[order])


def test_few_rows_are_many_where_their_number_shows():
    """A library may round by the number of rows: then every pass has as many."""
    spec = make_spec(PPOConfig())
    policy = build_policy(spec)
    plain, asked = policy.logits_and_values, []

    def by_rows(obs):
        asked.append(len(obs["tiles"]))
        logits, values = plain(obs)
        return logits + 1e-7 * len(logits), values

    for passes, seen in ((plain, {ROWS, FEW_ROWS}), (by_rows, {ROWS})):
        policy.logits_and_values = passes  # pyright: ignore[reportAttributeAccessIssue]
        agent = PolicyAgent(policy, spec)
        batch = random_batch(ROWS)
        p = agent.probabilities(batch)
        asked.clear()
        few = agent.probabilities({key: value[:5] for key, value in batch.items()})
        assert np.array_equal(few, p[:5])
        assert set(asked) <= seen
    assert asked == [ROWS]


def test_an_empty_batch_is_fine():
    spec = make_spec(PPOConfig())
    agent = PolicyAgent(build_policy(spec), spec)
    assert agent.probabilities(random_batch(0)).shape == (0, 9)


@pytest.mark.parametrize("name", CONFIGS)
def test_expected_shapes_are_the_network_s(name):
    spec = make_spec(CONFIGS[name])
    found = {key: tuple(p.shape) for key, p in build_policy(spec).named_parameters()}
    assert expected_shapes(spec) == found
