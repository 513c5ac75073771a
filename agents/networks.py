"""Networks as a stable-baselines3 policy, and the encoders that read tile windows.

Public names: `EncoderPolicy`, `MlpEncoder`, `MixtureEncoder`, `CnnEncoder`, `RawObservations`,
`policy_kwargs`, `inference_kwargs`, `build_actor_critic`, `act`, `settle`, `make_spaces`.

An observation is `tiles` (uint8 [n, height, width], classes 0..C-1) and `body` (float32 [n, k]), or
`rgb` (whose encoders are in `vision`).  One encoder is shared by actor and critic.  The policy
hands observations to the encoder as they are: stable-baselines3 would first turn them into floats.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn
from torch.nn import functional

from misgen.envs.core.modality import GRID, RGB

from .config import LearnerConfig
from .encoders import ENCODERS
from .mixture import Mixture
from .onehot import OneHotLinear
from .spec import PolicySpec
from .vision import ImpalaEncoder, NatureEncoder, PixelEncoder

_ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}

_ActorCritic = TypeVar("_ActorCritic", bound=ActorCriticPolicy)


class RawObservations(BasePolicy):
    """Beside a policy of stable-baselines3: its encoder gets observations as they are.

    Otherwise all would be made floats first, and pixels be divided by 255 twice.
    """

    def extract_features(self, obs: Any, features_extractor: BaseFeaturesExtractor) -> Tensor:
        """Return the encoder's features."""
        return features_extractor(obs)


class EncoderPolicy(ActorCriticPolicy):
    """Actor and critic on one encoder that takes raw observations.

    stable-baselines3's four ways through the network, each with one pass of the encoder and one
    log-softmax.
    """

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        settle(self.features_extractor)

    def logits_and_values(self, obs: Any) -> tuple[Tensor, Tensor]:
        """Return action logits (float32 [n, num_actions]) and values (float32 [n, 1])."""
        return self.from_features(self.features_extractor(obs))

    def from_features(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same from the encoder's output."""
        for_actor, for_critic = self.mlp_extractor(features)
        return self.action_net(for_actor), self.value_net(for_critic)

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions (int64 [n]), values ([n, 1]) and the actions' log-probabilities ([n])."""
        logits, values = self.logits_and_values(obs)
        actions, log_p = act(logits.log_softmax(dim=1), deterministic)
        return actions, values, log_p

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values [n, 1], log-probabilities of `actions` [n] and entropies [n], in nats."""
        logits, values = self.logits_and_values(obs)
        log_p = logits.log_softmax(dim=1)
        return values, _pick(log_p, actions), -(log_p.exp() * log_p).sum(dim=1)

    def get_distribution(self, obs: Any) -> Distribution:
        """Return the distribution of actions."""
        return self.action_dist.proba_distribution(self.logits_and_values(obs)[0])

    def predict_values(self, obs: Any) -> Tensor:
        """Return the critic's values, float32 [n, 1]."""
        return self.logits_and_values(obs)[1]


class MlpEncoder(BaseFeaturesExtractor):
    """One-hot tiles and body through fully connected layers."""

    def __init__(
        self, observation_space: spaces.Dict, hidden: list[int], activation: str = "tanh"
    ) -> None:
        super().__init__(observation_space, hidden[-1])
        cells, classes, body = _sizes(observation_space)
        self.first = OneHotLinear(cells, classes, body, hidden[0])
        self.rest = _dense(hidden, activation)
        self.activation = _ACTIVATIONS[activation]()

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return features, float32 [n, hidden[-1]]."""
        first = self.first(observations["tiles"].flatten(1), observations["body"])
        return self.rest(self.activation(first))


class MixtureEncoder(MlpEncoder):
    """The same with a layer of experts for each width after the first."""

    def __init__(
        self,
        observation_space: spaces.Dict,
        hidden: list[int],
        experts: int,
        active_experts: int,
        balance: float = 0.0,
        activation: str = "tanh",
    ) -> None:
        super().__init__(observation_space, hidden[:1], activation)
        more = experts, active_experts, balance, _ACTIVATIONS[activation]
        self.rest = nn.Sequential(
            *(Mixture(before, after, *more) for before, after in pairwise(hidden))
        )
        self._features_dim = hidden[-1]


class CnnEncoder(BaseFeaturesExtractor):
    """3x3 convolutions on one plane per tile class; then, with the body, fully connected layers."""

    _codes: Tensor  # [classes, classes], the identity

    def __init__(
        self,
        observation_space: spaces.Dict,
        hidden: list[int],
        channels: list[int],
        activation: str = "relu",
    ) -> None:
        super().__init__(observation_space, hidden[-1])
        _, self.classes, body = _sizes(observation_space)
        shape = observation_space["tiles"].shape
        assert shape is not None
        layers: list[nn.Module] = []
        for before, after in pairwise([self.classes, *channels]):
            layers += [nn.Conv2d(before, after, 3, 2, padding=1), _ACTIVATIONS[activation]()]
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        side = [math.ceil(s / 2 ** len(channels)) for s in shape]
        self.dense = _dense([channels[-1] * side[0] * side[1] + body, *hidden], activation)
        self.register_buffer("_codes", torch.eye(self.classes), persistent=False)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return features, float32 [n, hidden[-1]]."""
        tiles = observations["tiles"]
        planes = functional.embedding(tiles.int(), self._codes).permute(0, 3, 1, 2)
        flat = self.convolutions(planes)
        return self.dense(torch.cat([flat, observations["body"]], dim=1))


def act(log_p: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor]:
    """Return actions (int64 [n]) and their log-probabilities ([n]), given those of all actions."""
    actions = log_p.argmax(1) if deterministic else torch.multinomial(log_p.exp(), 1)[:, 0]
    return actions, _pick(log_p, actions)


def settle(encoder: nn.Module) -> None:
    """Give an encoder's weights their form, once stable-baselines3 has drawn them in its own."""
    if isinstance(encoder, PixelEncoder):
        encoder.settle()


def policy_kwargs(config: LearnerConfig, eps: float) -> dict[str, Any]:
    """Return a policy's arguments for training as `config` asks, with Adam of epsilon `eps`."""
    network = _network(config)
    encoder = ENCODERS[config.encoder]
    if encoder.reads is RGB:
        network["features_extractor_kwargs"]["bfloat16"] = config.bfloat16
    if encoder.has_experts:
        network["features_extractor_kwargs"]["balance"] = config.balance
    # One fused kernel for all weights: Adam's step takes 0.3 ms instead of 1.
    return network | {"optimizer_kwargs": {"eps": eps, "fused": True}}


def inference_kwargs(spec: PolicySpec) -> dict[str, Any]:
    """Return a policy's arguments for the network of a saved one."""
    return _network(spec)


def build_actor_critic(policy: type[_ActorCritic], spec: PolicySpec, **more: Any) -> _ActorCritic:
    """Return a fresh actor-critic network as `spec` describes it; `more` are further arguments."""
    observation_space, action_space = make_spaces(spec)
    arguments = inference_kwargs(spec) | more
    return policy(observation_space, action_space, lambda _: 0.0, **arguments)


def make_spaces(spec: PolicySpec) -> tuple[spaces.Dict, spaces.Discrete]:
    """Return the spaces of the environment that a saved policy was trained in."""
    if spec.rgb_shape:
        pixels: spaces.Space[Any] = spaces.Box(0, 255, spec.rgb_shape, np.uint8)
        return spaces.Dict(RGB.of(pixels)), spaces.Discrete(spec.num_actions)
    tiles: spaces.Space[Any] = spaces.Box(0, spec.tile_classes - 1, spec.tile_shape, np.uint8)
    body = spaces.Box(-np.inf, np.inf, (spec.body_size,), np.float32)
    return spaces.Dict(GRID.of(tiles, body)), spaces.Discrete(spec.num_actions)


def _network(source: LearnerConfig | PolicySpec) -> dict[str, Any]:
    encoder = ENCODERS[source.encoder]
    arguments: dict[str, Any] = {"hidden": list(source.hidden)}
    if encoder.reads is GRID:
        arguments["activation"] = source.activation
    if encoder.has_channels:
        arguments["channels"] = list(source.channels)
    if encoder.has_experts:
        arguments |= {"experts": source.experts, "active_experts": source.active_experts}
    return {
        "features_extractor_class": _ENCODER_CLASSES[source.encoder],
        "features_extractor_kwargs": arguments,
        "net_arch": list(source.heads),
        "activation_fn": _ACTIVATIONS[source.activation],
    }


_ENCODER_CLASSES: dict[str, type[BaseFeaturesExtractor]] = {
    "mlp": MlpEncoder,
    "cnn": CnnEncoder,
    "moe": MixtureEncoder,
    "impala": ImpalaEncoder,
    "nature": NatureEncoder,
}


def _pick(log_p: Tensor, actions: Tensor) -> Tensor:
    return log_p.gather(1, actions[:, None])[:, 0]


def _sizes(space: spaces.Dict) -> tuple[int, int, int]:
    """Return the number of cells, of tile classes and of body numbers."""
    tiles, body = space["tiles"], space["body"]
    assert isinstance(tiles, spaces.Box)
    assert isinstance(body, spaces.Box)
    return math.prod(tiles.shape), int(tiles.high.max()) + 1, math.prod(body.shape)


def _dense(widths: list[int], activation: str) -> nn.Sequential:
    """Return fully connected layers between successive widths, each with its nonlinearity."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)
