"""The specification of a saved policy: its network, its spaces, and its origin.

Public names: `PolicySpec`, `SCHEMA_VERSION`, `DESCRIPTION`, `require_encoder`, `read_spec`,
`weights_checksum`.
Imports no torch.

`policy.json` holds this record.  It may come from someone else, so it is read and checked field
by field, and nothing in it names a class, a module or a file.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from misgen.envs.core.errors import UserError, one_of
from misgen.envs.core.files import open_regular
from misgen.envs.core.modality import GRID, MODALITIES, RGB, Modality, modality_of

from .algorithms import algorithm
from .config import ACTIVATIONS, DEFAULT_ALGORITHM, LearnerConfig
from .encoders import ENCODERS, encoders_of
from .json_fields import Fields, read_fields
from .limits import MAX_EXPERTS, MIXTURE, require_channels, require_mixture, require_widths
from .zoo import located

SCHEMA_VERSION = 1
FORMAT = "misgen-policy"
DESCRIPTION = "policy.json"
MAX_DESCRIPTION_BYTES = 1 << 20


@dataclass(frozen=True)
class PolicySpec:
    """All that is needed to build a policy's network, and what its training was."""

    encoder: str
    """One of `ENCODERS`."""
    hidden: list[int]
    """Widths of the shared fully connected layers."""
    heads: list[int]
    """Widths of the further layers of actor and of critic."""
    channels: list[int]
    """Channels of the convolutions (kept, but unused, for `mlp`)."""
    activation: str
    """One of `ACTIVATIONS`."""
    tile_shape: tuple[int, int]
    """Height and width of the tile window, in cells; 0, 0 for a policy that reads pixels."""
    tile_classes: int
    """Number of tile classes."""
    body_size: int
    """Length of the body vector."""
    num_actions: int
    """Number of actions."""
    action_set: str = ""
    """The world's name for these actions; empty if unknown."""
    reward_scale: float = 1.0
    """What rewards were multiplied with in training: the critic's unit."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Anything about the training that JSON can hold; read by people, never by the loader.

    NumPy scalars become numbers, and NaN and infinity, which JSON lacks, become null.
    """
    rgb_shape: tuple[int, int, int] | None = None
    """Height, width and colours of the pixels; None for a policy that reads tiles."""
    algorithm: str = DEFAULT_ALGORITHM
    """Name of the algorithm that trained it, and that knows its network and how to play it."""
    experts: int = 1
    """Experts in each layer that has them; 1 where none has."""
    active_experts: int = 1
    """Of these, how many an observation is sent to."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The algorithm's settings that its network or its play needs (`LearnerConfig.kept`)."""

    @property
    def modality(self) -> Modality:
        """The observations that it reads."""
        return RGB if self.rgb_shape else GRID

    @classmethod
    def of(
        cls,
        config: LearnerConfig,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        action_set: str = "",
        metadata: dict[str, Any] | None = None,
    ) -> PolicySpec:
        """Return the specification of a policy trained with `config` in these spaces.

        Raises:
            UserError: if the encoder cannot read these observations.
        """
        require_encoder(config.encoder, observation_space)
        mixed = ENCODERS[config.encoder].has_experts
        return cls(
            encoder=config.encoder,
            hidden=list(config.hidden),
            heads=list(config.heads),
            channels=list(config.channels),
            activation=config.activation,
            action_set=action_set,
            reward_scale=config.reward_scale,
            metadata=dict(metadata or {}),
            algorithm=config.algorithm,
            settings={name: getattr(config, name) for name in config.kept},
            **({name: getattr(config, name) for name in MIXTURE} if mixed else {}),
            **_sizes(observation_space, action_space),
        )

    def to_json(self, weights_sha256: str) -> str:
        """Return the text of `policy.json`, given the checksum of `policy.safetensors`."""
        document = {
            "format": FORMAT,
            "version": SCHEMA_VERSION,
            "algorithm": self.algorithm,
            "settings": self.settings,
            "network": {
                "encoder": self.encoder,
                "hidden": self.hidden,
                "heads": self.heads,
                "channels": self.channels,
                "activation": self.activation,
                **self._mixture,
            },
            "observation": {"rgb_shape": list(self.rgb_shape)}
            if self.rgb_shape
            else {
                "tile_shape": list(self.tile_shape),
                "tile_classes": self.tile_classes,
                "body_size": self.body_size,
            },
            "action": {"num_actions": self.num_actions, "action_set": self.action_set},
            "reward_scale": self.reward_scale,
            "weights_sha256": weights_sha256,
            "metadata": _plain(self.metadata),
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    @property
    def _mixture(self) -> dict[str, int]:
        mixed = ENCODERS[self.encoder].has_experts
        return {name: getattr(self, name) for name in MIXTURE} if mixed else {}

    @classmethod
    def from_json(cls, text: bytes, where: str) -> tuple[PolicySpec, str]:
        """Read the text of `policy.json`.

        Args:
            text: the file's bytes.
            where: its name, for messages.

        Returns:
            The specification and the checksum of its weights.

        Raises:
            UserError: naming the field at fault.
        """
        document = read_fields(text, where)
        _require_version(document, where)
        network, observation = document.section("network"), document.section("observation")
        action = document.section("action")
        encoder = one_of(f"{where}: encoder", network.text("encoder"), ENCODERS)
        channels = require_widths(f"{where}: channels", network.get("channels"), least=1)
        require_channels(f"{where}: channels", encoder, channels)
        hidden = require_widths(f"{where}: hidden", network.get("hidden"), least=1)
        spec = cls(
            encoder=encoder,
            hidden=hidden,
            heads=require_widths(f"{where}: heads", network.get("heads"), least=0),
            channels=channels,
            activation=one_of(f"{where}: activation", network.text("activation"), ACTIVATIONS),
            **_read_mixture(network, where, encoder, hidden),
            **_read_observation(observation, encoder),
            num_actions=action.integer("num_actions", 1, 1024),
            action_set=action.text("action_set"),
            reward_scale=document.positive("reward_scale"),
            metadata=document.mapping("metadata"),
            **_read_algorithm(document, where),
        )
        return spec, document.text("weights_sha256")

    def require_spaces(
        self, observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]
    ) -> None:
        """Refuse an environment in which this policy cannot play.

        Raises:
            UserError: saying which space differs, and how.
        """
        actions = _sizes(observation_space, action_space)["num_actions"]
        if actions != self.num_actions:
            known = f" (action_set={self.action_set})" if self.action_set else ""
            wanted = self.action_set or "<the set it was trained with>"
            raise UserError(
                f"the policy was trained with {self.num_actions} actions{known}, this environment "
                f"has {actions}; pass env.action_set={wanted}"
            )
        require_encoder(self.encoder, observation_space)
        given = _sizes(observation_space, action_space)
        if self.rgb_shape:
            _require_same("pictures of {} pixels", _by(self.rgb_shape), _by(given["rgb_shape"]))
            return
        _require_same("a tile window of {} cells", _by(self.tile_shape), _by(given["tile_shape"]))
        _require_same("{} tile classes", self.tile_classes, given["tile_classes"])
        _require_same("{} body numbers", self.body_size, given["body_size"])


def read_spec(folder: str | Path) -> tuple[PolicySpec, str]:
    """Return a saved policy's specification, and the SHA-256 of its weights as it has it.

    Raises:
        UserError: if there is no description, or it is damaged.
    """
    path = Path(folder) / DESCRIPTION
    try:
        with open_regular(path) as file:
            text = file.read(MAX_DESCRIPTION_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): give the folder of a trained policy"
        ) from None
    return PolicySpec.from_json(text, str(path))


def weights_checksum(folder: str | Path) -> str:
    """Return the SHA-256 of the weights of a saved policy (or `zoo:<name>`), as it describes them.

    Of an agent that was trained elsewhere: what tells it from others.

    Raises:
        UserError: if there is no description, or it is damaged.
    """
    from .external.record import read_record

    folder = located(folder)
    record = read_record(folder)
    return record.identity_sha256 if record else read_spec(folder)[1]


def require_encoder(encoder: str, observation_space: gymnasium.Space[Any]) -> None:
    """Refuse observations that an encoder cannot read.

    Raises:
        UserError: naming the encoder and the setting to change.
    """
    keys = observation_space.spaces if isinstance(observation_space, spaces.Dict) else ()
    reads = ENCODERS[encoder].reads
    if modality_of(keys) is reads:
        return
    others = [name for one in MODALITIES.values() if one is not reads for name in encoders_of(one)]
    raise UserError(
        f"encoder={encoder!r} reads {reads.described}, but the environment's observation is "
        f"{observation_space}: pass env.observation={reads.option}, or train with agent.encoder="
        f"{' or '.join(others)}"
    )


def _sizes(
    observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]
) -> dict[str, Any]:
    """Return what `PolicySpec` holds of the spaces, by field.

    Raises:
        UserError: if they are neither tiles nor pixels with discrete actions.
    """
    given = observation_space.spaces if isinstance(observation_space, spaces.Dict) else {}
    modality = modality_of(given)
    parts = [given[key] for key in modality.keys] if modality else []
    none = {"tile_shape": (0, 0), "tile_classes": 0, "body_size": 0, "rgb_shape": None}
    match parts, action_space:
        case [spaces.Box(shape=(height, width, colours))], spaces.Discrete(n=actions):
            return {**none, "rgb_shape": (height, width, colours), "num_actions": int(actions)}
        case (
            [spaces.Box(shape=(height, width)) as tiles, spaces.Box() as body],
            spaces.Discrete(n=actions),
        ):
            return {
                **none,
                "tile_shape": (height, width),
                "tile_classes": int(tiles.high.max()) + 1,
                "body_size": math.prod(body.shape),
                "num_actions": int(actions),
            }
    raise UserError(
        f"policies read {' or '.join(one.described for one in MODALITIES.values())} and play "
        f"discrete actions, but the environment has {observation_space} and {action_space}: pass "
        f"env.observation={' or '.join(MODALITIES)}"
    )


def _read_mixture(network: Fields, where: str, encoder: str, hidden: list[int]) -> dict[str, int]:
    """Return what `PolicySpec` holds of experts, by field; nothing of an encoder without."""
    if not ENCODERS[encoder].has_experts:
        return {}
    found = {name: network.integer(name, 1, MAX_EXPERTS) for name in MIXTURE}
    require_mixture(f"{where}: ", encoder, hidden, found["experts"], found["active_experts"])
    return found


def _read_observation(observation: Fields, encoder: str) -> dict[str, Any]:
    """Return what `PolicySpec` holds of the observation, by field."""
    if ENCODERS[encoder].reads is RGB:
        height, width, colours = observation.integers("rgb_shape", 3, 1, 1024)
        shape = (height, width, colours)
        return {"tile_shape": (0, 0), "tile_classes": 0, "body_size": 0, "rgb_shape": shape}
    height, width = observation.integers("tile_shape", 2, 1, 256)
    return {
        "tile_shape": (height, width),
        "tile_classes": observation.integer("tile_classes", 1, 256),
        "body_size": observation.integer("body_size", 1, 1024),
    }


def _read_algorithm(document: Fields, where: str) -> dict[str, Any]:
    """Return the algorithm's name and settings; a file from before there were several has none."""
    name = document.text("algorithm") if document.has("algorithm") else DEFAULT_ALGORITHM
    config = algorithm(name, f"{where}: algorithm").config
    settings = document.section("settings") if config.kept else document
    values = {key: settings.get(key) for key in config.kept}
    for key, value in values.items():
        if key in config.rules:
            config.rules[key].require(f"{where}: settings.{key}", value)
    return {"algorithm": name, "settings": values}


def _plain(value: Any) -> Any:
    """Return `value` in JSON's types."""
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case np.generic() | np.ndarray():
            return _plain(value.tolist())
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


def _require_version(document: Fields, where: str) -> None:
    if document.get("format") != FORMAT:
        found = repr(document.get("format"))[:60]
        raise UserError(f"{where}: format={found} is not {FORMAT!r}: give a policy saved by misgen")
    version = document.get("version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise UserError(
            f"{where}: version={repr(version)[:60]} is not known, this misgen reads version "
            f"{SCHEMA_VERSION}: use the misgen that saved the policy, or train it again"
        )


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _require_same(what: str, trained: object, given: object) -> None:
    if trained != given:
        raise UserError(
            f"the policy was trained with {what.format(trained)}, this environment has {given}: "
            "make the environment with the settings of the policy's training run"
        )
