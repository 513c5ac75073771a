"""Encoders that read pixels, and the reward that their training sees."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import NatureCNN
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch.nn import functional

from misgen.agents import PPOConfig
from misgen.agents.checkpoint import build_policy, load_agent, save_policy
from misgen.agents.policy import PIXEL_ROWS, PolicyAgent
from misgen.agents.ppo import reward_scale, train_ppo
from misgen.agents.rewards import NormalizedReward
from misgen.agents.spec import PolicySpec
from misgen.envs.core.errors import UserError

N = 16


def pixel_space(side: int = 64) -> spaces.Dict:
    return spaces.Dict({"rgb": spaces.Box(0, 255, (side, side, 3), np.uint8)})


def make_spec(side: int = 64, actions: int = 15, **settings: Any) -> PolicySpec:
    return PolicySpec.of(PPOConfig(**settings), pixel_space(side), spaces.Discrete(actions))


def batch(n: int, side: int = 64) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"rgb": rng.integers(0, 256, (n, side, side, 3)).astype(np.uint8)}


def tensors(observation: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(value) for key, value in observation.items()}


def test_impala_is_the_paper_s_network():
    torch.manual_seed(0)
    policy = build_policy(make_spec(encoder="impala"))
    weights = dict(policy.features_extractor.named_parameters())
    # 15 convolutions, a layer of 2048 x 256, and the heads: 626,256 weights.
    assert sum(p.numel() for p in policy.parameters()) == 626_256
    observation = tensors(batch(3))

    def conv(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    x = observation["rgb"].permute(0, 3, 1, 2).float() / 255
    for stage in range(3):
        root = f"convolutions.{stage}"
        x = functional.max_pool2d(conv(x, f"{root}.first"), 3, stride=2, padding=1)
        for block in range(2):
            inner = conv(functional.relu(x), f"{root}.blocks.{block}.first")
            x = x + conv(functional.relu(inner), f"{root}.blocks.{block}.second")
    assert x.shape == (3, 32, 8, 8)
    flat = functional.relu(x).flatten(1)
    wanted = functional.relu(
        functional.linear(flat, weights["dense.0.weight"], weights["dense.0.bias"])
    )
    found = policy.features_extractor(observation)
    assert found.shape == (3, 256)
    torch.testing.assert_close(found, wanted)


def test_impala_starts_from_xavier_weights_channels_last():
    policy = build_policy(make_spec(encoder="impala"))
    for name, layer in policy.features_extractor.named_modules():
        if not isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            continue
        assert layer.bias is not None
        assert not layer.bias.any(), name
        fan_in = layer.weight[0].numel()
        fan_out = len(layer.weight) * layer.weight[0, 0].numel()
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound, name
        if layer.weight.dim() == 4:
            assert layer.weight.is_contiguous(memory_format=torch.channels_last), name


def test_nature_is_stable_baselines3_s():
    policy = build_policy(make_spec(encoder="nature"))
    box = spaces.Box(0, 255, (3, 64, 64), np.uint8)
    theirs = NatureCNN(box, 512)
    with torch.no_grad():
        for mine, other in zip(
            policy.features_extractor.parameters(), theirs.parameters(), strict=True
        ):
            other.copy_(mine)
    observation = tensors(batch(4))
    wanted = theirs(observation["rgb"].permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(policy.features_extractor(observation), wanted)


@pytest.mark.parametrize(
    "settings",
    [{"encoder": "impala", "channels": [4, 8], "hidden": [16, 8]}, {"encoder": "nature"}],
    ids=["impala", "nature"],
)
def test_a_pixel_policy_survives_saving_and_ignores_its_batch(tmp_path, settings):
    side = 40
    spec = make_spec(side, 9, **settings)
    policy = build_policy(spec)
    torch.nn.init.orthogonal_(policy.get_parameter("action_net.weight"))
    save_policy(tmp_path, policy, spec)
    loaded = load_agent(tmp_path, pixel_space(side), spaces.Discrete(9))
    assert loaded.spec == spec
    many = batch(PIXEL_ROWS + 5, side)
    p = PolicyAgent(policy, spec).probabilities(many)
    assert np.array_equal(loaded.probabilities(many), p)
    for n in (1, 7):
        assert np.array_equal(loaded.probabilities({"rgb": many["rgb"][:n]}), p[:n])


def test_a_policy_is_refused_where_it_sees_something_else(tmp_path):
    grid = spaces.Dict(
        {
            "tiles": spaces.Box(0, 7, (13, 13), np.uint8),
            "body": spaces.Box(-2, 2, (4,), np.float32),
        }
    )
    spec = make_spec(encoder="nature")
    save_policy(tmp_path / "pixels", build_policy(spec), spec)
    with pytest.raises(UserError, match=r"encoder='nature' reads pixels.*env.observation=rgb"):
        load_agent(tmp_path / "pixels", grid, spaces.Discrete(15))
    with pytest.raises(UserError, match=r"pictures of 64x64x3 pixels, .* has 48x48x3"):
        load_agent(tmp_path / "pixels", pixel_space(48), spaces.Discrete(15))
    spec = PolicySpec.of(PPOConfig(), grid, spaces.Discrete(15))
    save_policy(tmp_path / "grid", build_policy(spec), spec)
    with pytest.raises(UserError, match=r"encoder='mlp' reads tile windows.*impala or nature"):
        load_agent(tmp_path / "grid", pixel_space(), spaces.Discrete(15))


def test_settings_of_encoders():
    assert PPOConfig(encoder="impala").channels == [16, 32, 32]
    assert PPOConfig(encoder="impala").hidden == [256]
    assert PPOConfig(encoder="nature").hidden == [512]
    assert PPOConfig().hidden == [128, 128]
    with pytest.raises(UserError, match=r"channels=\[16\] does not fit encoder=nature"):
        PPOConfig(encoder="nature", channels=[16])
    with pytest.raises(UserError, match="compile='yes' must be true or false"):
        PPOConfig(compile="yes")  # pyright: ignore


class Traffic(VecEnv):
    """One decision an episode: the picture's colour names the right action of three."""

    def __init__(self, n: int = N, seed: int = 0, pay: float = 10.0) -> None:
        self.render_mode = None
        self._rng = np.random.default_rng(seed)
        self._pay = pay
        super().__init__(n, pixel_space(8), spaces.Discrete(3))

    def _look(self) -> dict[str, np.ndarray]:
        self.colour = self._rng.integers(0, 3, self.num_envs)
        rgb = self._rng.integers(0, 100, (self.num_envs, 8, 8, 3)).astype(np.uint8)
        rgb[np.arange(self.num_envs), 2:6, 2:6, self.colour] = 250
        return {"rgb": rgb}

    def reset(self) -> Any:
        return self._look()

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        right = self._actions == self.colour
        ends = [
            {"outcome": "GOAL", "reached_goal": bool(r), "return": self._pay * r, "steps": 1}
            for r in right
        ]
        rewards = np.where(right, self._pay, 0).astype(np.float32)
        return self._look(), rewards, np.ones(self.num_envs, bool), ends

    def close(self) -> None: ...

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None: ...

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kw: Any) -> list[Any]:
        return []

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


SMALL: dict[str, Any] = {
    "num_envs": N,
    "num_steps": 16,
    "batch_size": 128,
    "learning_rate": 3e-3,
    "gamma": 0.0,
    "encoder": "impala",
    "channels": [4],
    "hidden": [16],
    # On a CPU these two do nothing.
    "bfloat16": True,
    "compile": True,
    "device": "cpu",
}


def test_ppo_learns_from_pixels():
    config = PPOConfig(total_steps=20 * 16 * N, **SMALL)
    env = Traffic()
    model = train_ppo(env, config, 0)
    spec = PolicySpec.of(config, env.observation_space, env.action_space)
    agent = PolicyAgent(model.policy, spec)  # pyright: ignore[reportArgumentType]
    fresh = Traffic(n=200, seed=1)
    p = agent.probabilities(fresh.reset())
    assert p[np.arange(200), fresh.colour].mean() > 0.9


def test_a_tile_encoder_on_pixels_is_refused_with_the_way_out():
    config = PPOConfig(**{**SMALL, "encoder": "mlp"})
    with pytest.raises(
        UserError, match=r"encoder='mlp' reads tile.*agent.encoder=impala or nature"
    ):
        train_ppo(Traffic(), config, 0)


# --- the reward that the learner sees


def test_the_normalised_reward_is_vec_normalize_s():
    mine = NormalizedReward(Traffic(), gamma=0.9)
    theirs = VecNormalize(Traffic(), norm_obs=False, gamma=0.9, clip_reward=10.0)
    mine.reset(), theirs.reset()
    rng = np.random.default_rng(0)
    for _ in range(50):
        actions = rng.integers(0, 3, N)
        a, b = mine.step(actions), theirs.step(actions)
        np.testing.assert_allclose(a[1], b[1], rtol=1e-6)
        assert a[3] == b[3]
    assert mine.scale == pytest.approx(1 / np.std(np.concatenate([[0.0], [10.0]])), rel=0.2)


def test_a_normalised_reward_reaches_the_learner_and_no_report():
    records: dict[float, dict[str, Any]] = {}
    for pay in (10.0, 1000.0):
        config = PPOConfig(total_steps=3 * 16 * N, normalize_reward=True, **SMALL)
        model = train_ppo(Traffic(pay=pay), config, 0, lambda record: records.update({pay: record}))  # noqa: B023
        assert reward_scale(model) == pytest.approx(2 / pay, rel=0.3)
    low, high = records[10.0], records[1000.0]
    # The learner sees the same, up to how the first rewards were taken into account.
    assert high["train/value_loss"] == pytest.approx(low["train/value_loss"], rel=0.1)
    assert low["mean_return"] == pytest.approx(10 * low["success"])
    assert high["mean_return"] == pytest.approx(1000 * high["success"])
