"""Gradients in closed form against stable-baselines3's own, and what they rest on."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.logger import Logger

from misgen.agents import PPOConfig
from misgen.agents.fused import products
from misgen.agents.fused.activation import Activation
from misgen.agents.fused.convolution import PatchLayer
from misgen.agents.fused.patterns import MOST, PatternLayer
from misgen.agents.fused.ppo import FusedPPO
from misgen.agents.fused.seen import Seen
from misgen.agents.learning_curve import Reporter
from misgen.agents.onehot import OneHotLinear
from misgen.agents.ppo import PPOLearner, train_ppo, why_autograd
from misgen.agents.rewards import ScaledReward
from tests.agents.test_agents_ppo import Bandit, TinyWorld

# Of float32 gradients: sums in another order round otherwise, by a few units of the seventh digit
# of the largest terms.  Measured: 3e-6 of a weight's largest gradient.
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6}
ENCODERS: dict[str, dict[str, Any]] = {
    "mlp": {"encoder": "mlp", "hidden": [24, 16]},
    "mlp relu": {"encoder": "mlp", "hidden": [24, 16], "activation": "relu"},
    "one layer": {"encoder": "mlp", "hidden": [20]},
    "heads": {"encoder": "mlp", "hidden": [24], "heads": [12, 8]},
    "cnn": {"encoder": "cnn", "channels": [8, 12], "hidden": [16], "activation": "relu"},
    "cnn tanh": {"encoder": "cnn", "channels": [5, 8, 6], "hidden": [16, 8]},
    "one convolution": {"encoder": "cnn", "channels": [4], "hidden": [16], "heads": [8]},
}
TERMS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "values held": {"value_clip": 0.05},
    "plain advantages": {"normalize_advantage": False},
    "much entropy": {"entropy": 0.5, "value_coef": 0.0},
    "small gradients": {"max_grad_norm": 1e-3},
    "large gradients": {"max_grad_norm": 1e6},
    "narrow clip": {"clip": 0.01},
}


class Identity(Activation):
    """No nonlinearity."""

    def __init__(self) -> None: ...

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def take(self, y: torch.Tensor) -> None: ...

    def backward(self, grad: torch.Tensor) -> torch.Tensor:
        return grad


IDENTITY = Identity()


class Wander(TinyWorld):
    """Random rewards, ends and time-outs, on a window whose sides differ."""

    def __init__(self, n: int = 9, classes: int = 6, shape: tuple[int, int] = (5, 7)) -> None:
        super().__init__(n)
        tiles = spaces.Box(0, classes - 1, shape, np.uint8)
        body = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.observation_space = spaces.Dict({"tiles": tiles, "body": body})

    def _look(self) -> dict[str, np.ndarray]:
        tiles: Any = self.observation_space["tiles"]  # pyright: ignore[reportIndexIssue]
        common = self._rng.integers(0, 2, (self.num_envs, *tiles.shape))
        rare = self._rng.integers(0, int(tiles.high.max()) + 1, common.shape)
        self.seen = {
            "tiles": np.where(self._rng.random(common.shape) < 0.9, common, rare).astype(np.uint8),
            "body": self._rng.normal(size=(self.num_envs, 4)).astype(np.float32),
        }
        return self.seen

    def step_wait(self) -> Any:
        last = self.seen
        done = self._rng.random(self.num_envs) < 0.3
        infos: list[dict[str, Any]] = [{} for _ in done]
        for i in np.flatnonzero(done):
            infos[i] = {
                "outcome": "TIMEOUT", "reached_goal": False, "return": 1.0, "steps": 3,
                "TimeLimit.truncated": bool(self._rng.random() < 0.5),
                "terminal_observation": {key: values[i] for key, values in last.items()},
            }  # fmt: skip
        return self._look(), self._rng.normal(size=len(done)).astype(np.float32) * 5, done, infos


def config(**settings: Any) -> PPOConfig:
    shape: dict[str, Any] = {"num_envs": 9, "num_steps": 14, "batch_size": 126, "epochs": 1}
    return PPOConfig(**{**shape, **settings})


def model(settings: PPOConfig, env: Any = None) -> Any:
    """Return a model that is about to learn."""
    made: Any = PPOLearner().make(ScaledReward(env or Wander(), 0.1), settings, 3)
    made.set_logger(Logger(None, []))
    _, made.callback = made._setup_learn(10**6, Reporter(None, None))
    made.callback.on_training_start({}, {})
    return made


def collect(made: Any) -> None:
    made.collect_rollouts(made.env, made.callback, made.rollout_buffer, made.n_steps)


def pair(settings: PPOConfig, noise: float = 0.05) -> tuple[Any, Any]:
    """Return two models with the same rollout, and weights that have moved since."""
    plain, fused = (model(PPOConfig(**{**vars(settings), "fast": fast})) for fast in (False, True))
    assert isinstance(fused, FusedPPO)
    assert not isinstance(plain, FusedPPO)
    collect(plain)
    torch.manual_seed(0)
    for one, other in zip(plain.policy.parameters(), fused.policy.parameters(), strict=True):
        assert torch.equal(one, other)
        moved = one.detach() + noise * torch.randn_like(one)
        one.data.copy_(moved)
        other.data.copy_(moved)
    fused.rollout_buffer = copy.deepcopy(plain.rollout_buffer)
    return plain, fused


def train_both(*models: Any) -> None:
    for made in models:
        np.random.seed(1)  # noqa: NPY002  (stable-baselines3 draws its minibatches with it)
        made.train()


def close(one: Any, other: Any, rtol: float, atol: float) -> None:
    np.testing.assert_allclose(np.asarray(other), np.asarray(one), rtol, atol)


def require_same_gradients_and_weights(plain: Any, fused: Any) -> None:
    named = zip(plain.policy.named_parameters(), fused.policy.parameters(), strict=True)
    for (name, one), other in named:
        scale = float(one.grad.abs().max())
        np.testing.assert_allclose(
            other.grad / scale, one.grad / scale, err_msg=name, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(other.detach(), one.detach(), err_msg=name, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_a_minibatch_gives_the_gradients_and_the_step_of_the_original(encoder, terms):
    plain, fused = pair(config(**encoder, **terms))
    train_both(plain, fused)
    require_same_gradients_and_weights(plain, fused)
    records, own = plain.logger.name_to_value, fused.logger.name_to_value
    assert records.keys() == own.keys()
    for key, value in records.items():
        assert own[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key
    assert 0 < records["train/clip_fraction"] < 1 or "clip" not in terms


@pytest.mark.parametrize("batch", [126, 63, 25, 1])
def test_batches_of_any_size_in_the_same_order(batch):
    """Some of 25 leave a last one of one decision, whose advantage has no deviation."""
    settings = config(learning_rate=1e-4, epochs=3 if batch > 1 else 1, batch_size=126)
    plain, fused = pair(settings)
    plain.batch_size = fused.batch_size = batch
    if batch == 1:
        plain.n_epochs = fused.n_epochs = 1
    train_both(plain, fused)
    for one, other in zip(plain.policy.parameters(), fused.policy.parameters(), strict=True):
        np.testing.assert_allclose(other.detach(), one.detach(), rtol=1e-3, atol=2e-5)
    state, own = plain.policy.optimizer.state_dict(), fused.policy.optimizer.state_dict()
    assert own["param_groups"] == state["param_groups"]
    for index, moments in state["state"].items():
        assert own["state"][index]["step"] == moments["step"]


@pytest.mark.parametrize("target_kl", [1e-9, 0.02, 100.0])
def test_a_divergence_stops_epochs_where_the_original_stops(target_kl):
    settings = config(batch_size=21, epochs=4, target_kl=target_kl, learning_rate=3e-3)
    plain, fused = pair(settings, noise=0.0)
    train_both(plain, fused)
    one, other = (made.policy.optimizer.state_dict()["state"] for made in (plain, fused))
    assert {k: v["step"] for k, v in one.items()} == {k: v["step"] for k, v in other.items()}
    assert plain._n_updates == fused._n_updates
    key = "train/approx_kl"
    assert fused.logger.name_to_value[key] == pytest.approx(
        plain.logger.name_to_value[key], rel=1e-2, abs=1e-7
    )


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_a_rollout_is_the_one_that_the_original_collects(encoder):
    buffers = []
    for fast in (False, True):
        made = model(config(fast=fast, **encoder))
        collect(made)
        collect(made)
        assert made.num_timesteps == 2 * 9 * 14
        buffers.append(made.rollout_buffer)
    plain, fused = buffers
    assert np.array_equal(plain.actions, fused.actions)
    assert np.array_equal(plain.episode_starts, fused.episode_starts)
    for key in ("tiles", "body"):
        assert np.array_equal(plain.observations[key], fused.observations[key])
    for name in ("rewards", "values", "log_probs", "advantages", "returns"):
        close(getattr(plain, name), getattr(fused, name), 1e-4, 2e-6)


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_a_whole_training_gives_close_weights(encoder):
    settings: dict[str, Any] = {
        "total_steps": 4 * 32 * 32, "num_envs": 32, "num_steps": 32, "batch_size": 256,
        "learning_rate": 3e-4, "epochs": 2, **encoder,
    }  # fmt: skip
    plain, fused = (
        train_ppo(Bandit(), PPOConfig(fast=fast, **settings), 0) for fast in (False, True)
    )
    assert isinstance(fused, FusedPPO)
    assert not isinstance(plain, FusedPPO)
    start = PPOLearner().make(ScaledReward(Bandit(), 0.1), PPOConfig(**settings), 0).policy
    moved = [
        (one - first).detach().abs().max()
        for one, first in zip(plain.policy.parameters(), start.parameters(), strict=True)
    ]
    for (name, one), other, far in zip(
        plain.policy.named_parameters(), fused.policy.parameters(), moved, strict=True
    ):
        assert (one - other).abs().max() < 0.02 * far, name


def test_the_weights_are_the_policy_s_and_so_is_what_it_plays():
    made = model(config())
    collect(made)
    made.train()
    observations = {key: torch.from_numpy(value) for key, value in made._last_obs.items()}
    logits, values = made.policy.logits_and_values(observations)
    made._network.first.forget()
    with torch.no_grad():
        own = made._outputs(made._network.read(made._last_obs))
    close(logits.detach(), own[0], 1e-4, 1e-6)
    close(values.detach(), own[1], 1e-4, 1e-6)


def test_a_rollout_that_the_callback_ends():
    class Enough(Reporter):
        def _on_step(self) -> bool:
            super()._on_step()
            return self.n_calls < 5

    made = model(config())
    stop = Enough(None, None)
    stop.init_callback(made)
    stop.on_training_start({}, {})
    stop._last_steps = stop._first_steps = 0
    assert not made.collect_rollouts(made.env, stop, made.rollout_buffer, made.n_steps)
    assert made.num_timesteps == 5 * 9


# --- the first layer


def seen_by(layer: Any, tiles: np.ndarray, body: np.ndarray) -> Seen:
    return Seen(tiles, np.arange(len(tiles)), body, layer.encode(tiles))


@pytest.mark.parametrize(
    ("cells", "classes", "width", "common"),
    [(169, 8, 128, 0.98), (35, 256, 20, 0.5), (1, 2, 1, 0.0), (7, 3, 5, 1.0), (16, 16, 33, 0.0)],
)
def test_the_first_layer_is_a_product_with_one_hot_tiles(cells, classes, width, common):
    rng = np.random.default_rng(cells)
    torch.manual_seed(0)
    plain = OneHotLinear(cells, classes, 3, width)
    layer = PatternLayer(plain, IDENTITY)
    for n in (300, 1, 77):  # new patterns come as it goes on
        tiles = np.where(
            rng.random((n, cells)) < common,
            rng.integers(0, 2, (n, cells)),
            rng.integers(0, classes, (n, cells)),
        ).astype(np.uint8)
        body = rng.normal(size=(n, 3)).astype(np.float32)
        grad = rng.normal(size=(n, width)).astype(np.float32)
        hot = torch.nn.functional.one_hot(torch.from_numpy(tiles).long(), classes)
        hot = hot.flatten(1).double()
        expected = hot @ plain.tile_weight.double()
        expected = expected + torch.from_numpy(body).double() @ plain.body.weight.double().T
        expected = expected + plain.body.bias.double()
        with torch.no_grad():
            seen = seen_by(layer, tiles, body)
            close(expected.detach(), layer.forward(seen), 1e-5, 1e-5)
            layer.backward(torch.from_numpy(grad))
        found = [p.grad for p in (plain.tile_weight, plain.body.weight, plain.body.bias)]
        assert None not in found
        high = torch.from_numpy(grad).double()
        close(hot.T @ high, found[0], 1e-5, 1e-4)
        close(high.T @ torch.from_numpy(body).double(), found[1], 1e-5, 1e-4)
        close(high.sum(0), found[2], 1e-5, 1e-4)
    most = layer.patterns.count.max()
    assert most == MOST if cells * (1 - common) > 7 and classes > 8 else most <= MOST


def test_changed_weights_change_the_tables():
    plain = OneHotLinear(9, 3, 2, 16)
    layer = PatternLayer(plain, IDENTITY)
    tiles = np.zeros((2, 9), np.uint8)
    body = np.zeros((2, 2), np.float32)
    with torch.no_grad():
        before = layer.forward(seen_by(layer, tiles, body)).clone()
        plain.tile_weight.add_(1)
        layer.weights_changed()
        after = layer.forward(seen_by(layer, tiles, body))
    close(before + 9, after, 1e-5, 1e-5)


@pytest.mark.parametrize(
    ("shape", "classes"), [((13, 13), 8), ((4, 6), 2), ((1, 1), 3), ((3, 8), 126)]
)
def test_the_first_convolution_is_one_of_one_hot_planes(shape, classes):
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(classes, 6, 3, 2, padding=1)
    layer = PatchLayer(plain, Activation(torch.nn.Tanh()), shape)
    for n in (60, 1, 200):  # new patches come as it goes on, until there must be more room
        tiles = rng.integers(0, classes, (n, *shape)).astype(np.uint8)
        planes = torch.nn.functional.one_hot(torch.from_numpy(tiles).long(), classes)
        planes = planes.permute(0, 3, 1, 2).double()
        double = copy.deepcopy(plain).double()
        double.zero_grad()
        expected = torch.tanh(double(planes))
        grad = torch.from_numpy(rng.normal(size=expected.shape))
        expected.backward(grad)
        with torch.no_grad():
            found = layer.forward(layer.encode(tiles))
            close(expected.detach().permute(0, 2, 3, 1), found, 1e-5, 1e-6)
            layer.backward(grad.permute(0, 2, 3, 1).float().contiguous())
        for one, other in zip(double.parameters(), plain.parameters(), strict=True):
            assert other.grad is not None
            close(one.grad, other.grad, 1e-5, 1e-4)
    assert layer.count <= (classes + 1) ** 9


def test_patches_get_room_as_they_come():
    rng = np.random.default_rng(0)
    layer = PatchLayer(torch.nn.Conv2d(5, 2, 3, 2, padding=1), IDENTITY, (7, 7))
    tiles = rng.integers(0, 5, (500, 7, 7)).astype(np.uint8)
    codes = layer.encode(tiles)
    assert layer.count == len(np.unique(codes)) > 1000
    padded = np.pad(tiles, ((0, 0), (1, 1), (1, 1)), constant_values=5)
    for i, place in rng.integers(0, [500, 16], (200, 2)):
        y, x = 2 * (place // 4), 2 * (place % 4)
        patch = padded[i, y : y + 3, x : x + 3]
        assert np.array_equal(layer.cells[codes[i, place]], patch.ravel())
    assert np.array_equal(codes, layer.encode(tiles))


def test_patches_met_later_are_added_to_those_that_are_known():
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 3, (60, 5, 5)).astype(np.uint8)
    convolution = torch.nn.Conv2d(3, 4, 3, 2, padding=1)
    one, two = (PatchLayer(convolution, Activation(torch.nn.Tanh()), (5, 5)) for _ in range(2))
    grad = torch.randn(60, 3, 3, 4)
    found = []
    with torch.no_grad():
        for i in range(0, 60, 20):
            two.forward(two.encode(tiles[i : i + 20]))
        for layer in (one, two):
            found.append(layer.forward(layer.encode(tiles)))
            layer.backward(grad)
            assert convolution.weight.grad is not None
            found.append(convolution.weight.grad.clone())
    assert torch.equal(found[0], found[2])
    close(found[1], found[3], 1e-5, 1e-5)


def test_classes_too_many_to_number_patches_are_left_to_torch():
    assert isinstance(model(config(encoder="cnn"), Wander(classes=126)), FusedPPO)
    assert not isinstance(model(config(encoder="cnn"), Wander(classes=127)), FusedPPO)
    assert isinstance(model(config(), Wander(classes=256)), FusedPPO)


def test_patterns_are_numbered_as_they_come_and_only_so():
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 3, (40, 10)).astype(np.uint8)
    one, two = (PatternLayer(OneHotLinear(10, 3, 2, 4), IDENTITY).patterns for _ in range(2))
    at_once = one.encode(tiles)
    in_turn = np.concatenate([two.encode(tiles[i : i + 7]) for i in range(0, 40, 7)])
    assert np.array_equal(at_once, in_turn)
    assert np.array_equal(at_once[:, :3], one.encode(tiles)[:, :3])
    one.forget()
    assert np.array_equal(at_once, one.encode(tiles))


# --- what it must not change


def test_same_seed_same_weights_other_seed_other_weights():
    def weights(seed: int) -> list[torch.Tensor]:
        settings = PPOConfig(
            total_steps=2 * 32 * 32, num_envs=32, num_steps=32, batch_size=256, hidden=[32]
        )
        return [p.detach() for p in train_ppo(Wander(32), settings, seed).policy.parameters()]

    one, same, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], other[0])


def test_rollouts_forget_what_was_before_them():
    """So a run that goes on gives what it would have given: no table outlives a rollout."""
    made = model(config())
    collect(made)
    before = made._network.first.patterns.count.copy()
    made._network.first.forget()
    assert before.min() > 0
    assert made._network.first.patterns.count.max() == 0


@pytest.mark.parametrize("encoder", ["mlp", "cnn"])
def test_a_model_that_was_saved_and_loaded_trains_its_own_weights(encoder, tmp_path):
    made = model(config(encoder=encoder))
    collect(made)
    made.train()
    del made.callback
    made.save(tmp_path / "model.zip")
    loaded = type(made).load(tmp_path / "model.zip", env=made.env)
    loaded.set_logger(Logger(None, []))
    loaded.rollout_buffer = copy.deepcopy(made.rollout_buffer)
    before = [parameter.detach().clone() for parameter in loaded.policy.parameters()]
    train_both(made, loaded)
    for first, one, other in zip(
        before, made.policy.parameters(), loaded.policy.parameters(), strict=True
    ):
        assert not torch.equal(first, other)
        close(one.detach(), other.detach(), 1e-4, 1e-5)  # its patterns are numbered otherwise


def test_weights_that_a_callback_changed_are_those_that_learn():
    models = []
    for fast in (False, True):
        made = model(config(fast=fast))  # seeds the generator that actions are drawn with
        collect(made)
        with torch.no_grad():
            for parameter in made.policy.parameters():
                parameter.mul_(0.5)
        models.append(made)
    train_both(*models)
    require_same_gradients_and_weights(*models)


def test_it_is_chosen_for_tiles_on_a_cpu_and_named_where_it_matters():
    assert isinstance(model(config()), FusedPPO)
    assert not isinstance(model(config(fast=False)), FusedPPO)
    assert PPOConfig().science["fast"] is True
    assert PPOConfig(fast=False).science["fast"] is False
    assert "fast" not in PPOConfig(encoder="impala").science
    assert "fast" not in PPOConfig(device="cuda:1").science


@pytest.mark.parametrize(
    ("settings", "classes", "reason"),
    [
        ({}, 6, ""),
        ({"encoder": "cnn", "activation": "relu"}, 126, ""),
        ({"fast": False}, 6, "fast=false"),
        ({"encoder": "cnn"}, 127, "encoder=cnn has them in closed form for 126 classes"),
        ({"encoder": "impala"}, 6, "encoder=impala reads pixels"),
        ({"device": "cuda"}, 6, "device=cuda is a GPU"),
    ],
)
def test_a_reason_is_given_for_gradients_of_autograd(settings, classes, reason):
    space = Wander(classes=classes).observation_space
    found = why_autograd(space, config(**settings))
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_a_gpu_is_left_to_autograd(monkeypatch):
    monkeypatch.setattr("misgen.agents.ppo.get_device", lambda device: torch.device("cuda"))
    found = why_autograd(Wander().observation_space, config())
    assert found == "device=auto is cuda"


def test_what_was_learned_says_how_its_gradients_were_found():
    one = PPOLearner().learned(model(config()))
    other = PPOLearner().learned(model(config(fast=False)))
    assert (one.gradients, other.gradients) == ("closed form", "autograd: fast=false")


def test_products_are_those_of_torch_where_onednn_has_none(monkeypatch):
    x, weight, bias = torch.randn(5, 3), torch.randn(4, 3), torch.randn(4)
    found = [products.linear(x, weight, bias), products.product_over_samples(x, x[:, :2])]
    monkeypatch.setattr(products, "_ONEDNN", None)
    others = [products.linear(x, weight, bias), products.product_over_samples(x, x[:, :2])]
    for one, other in zip(found, others, strict=True):
        close(one, other, 1e-5, 1e-6)


@pytest.mark.parametrize("refused", [NotImplementedError, RuntimeError, TypeError, AttributeError])
def test_a_torch_whose_onednn_product_is_another_does_without(refused, monkeypatch):
    class Operators:
        @property
        def _linear_pointwise(self) -> Any:
            if refused is AttributeError:
                raise refused

            def product(*arguments: Any) -> Any:
                raise refused

            return product

    monkeypatch.setattr(products.torch.ops, "mkldnn", Operators())
    assert products._of_onednn() is None


def test_weights_that_are_no_numbers_are_not_hidden():
    plain, fused = pair(config())
    for made in (plain, fused):
        made.rollout_buffer.returns[3] = np.nan
        made.rollout_buffer.advantages[5] = np.nan
    train_both(plain, fused)
    assert all(p.isnan().any() for p in fused.policy.parameters())


def test_products_are_the_same_whatever_device_was_the_default_when_they_were_first_needed():
    """A process may load a policy, on torch's `meta`, before it trains one."""
    usual = products._of_onednn()
    with torch.device("meta"):
        assert (products._of_onednn() is None) == (usual is None)
