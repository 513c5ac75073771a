"""Settings of a training run, with their meaning, limits and defaults.

Public names: `PPOConfig`, `ENCODERS`, `PIXEL_ENCODERS`, `ACTIVATIONS`.  Imports no torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from misgen.envs.core.errors import UserError, one_of

PIXEL_ENCODERS = ("impala", "nature")
ENCODERS = ("mlp", "cnn", *PIXEL_ENCODERS)
ACTIVATIONS = ("tanh", "relu")
MAX_WIDTH = 4096
MAX_LAYERS = 8

_OWN_HIDDEN = {"mlp": [128, 128], "cnn": [128, 128], "impala": [256], "nature": [512]}
_OWN_CHANNELS = {"mlp": [16, 32], "cnn": [16, 32], "impala": [16, 32, 32], "nature": [32, 64, 64]}


@dataclass
class PPOConfig:
    """Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) on tiles or pixels.

    A *decision* is one action chosen for one slot; it lasts `action_repeat` frames of the world.
    """

    total_steps: int = 3_000_000
    """Decisions to train for, rounded up to whole rollouts of `num_envs * num_steps`."""
    num_envs: int = 256
    """Slots of the vector environment."""
    num_steps: int = 128
    """Decisions per slot in a rollout."""
    batch_size: int = 4096
    """Decisions in a minibatch; must divide `num_envs * num_steps`."""
    epochs: int = 3
    """Passes over each rollout."""
    learning_rate: float = 5e-4
    """Adam's step size (at the start, if annealed)."""
    anneal: bool = False
    """Lower the learning rate linearly to 0 at `total_steps`."""
    adam_eps: float = 1e-5
    """Adam's epsilon."""
    gamma: float = 0.995
    """Discount per decision."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation."""
    clip: float = 0.2
    """Clip range of the probability ratio."""
    value_clip: float = 0.0
    """Clip range of the value's change, in scaled reward; 0 turns it off."""
    normalize_advantage: bool = True
    """Standardise advantages within each minibatch."""
    target_kl: float = 0.0
    """Stop a rollout's epochs at 1.5 times this KL divergence, in nats; 0 turns it off."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    value_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Largest norm of a gradient; larger ones are scaled down to it."""
    reward_scale: float = 0.1
    """Factor on the reward the learner sees; reported returns stay unscaled."""
    normalize_reward: bool = False
    """Divide the learner's reward by the running standard deviation of its discounted sum and clip
    it to +-10, in place of `reward_scale`; reported returns stay unscaled."""
    encoder: str = "mlp"
    """On tiles, `mlp`: fully connected on one-hot tiles; `cnn`: convolutions on one-hot planes.  On
    pixels, `impala`: the paper's residual network; `nature`: that of Mnih et al. 2015."""
    hidden: list[int] = field(default_factory=list)
    """Widths of the fully connected layers that actor and critic share (after the convolutions);
    empty for the encoder's own: [128, 128] on tiles, [256] for `impala`, [512] for `nature`."""
    heads: list[int] = field(default_factory=list)
    """Widths of further layers, one stack for the actor and one for the critic."""
    channels: list[int] = field(default_factory=list)
    """Channels of the convolutions (`cnn`: 3x3 of stride 2; `impala`: one residual stage each;
    `nature`: exactly three); empty for the encoder's own: [16, 32], [16, 32, 32], [32, 64, 64]."""
    activation: str = "tanh"
    """Nonlinearity after each layer: `tanh` or `relu` (pixel encoders are always `relu` inside)."""
    bfloat16: bool = False
    """Run a pixel encoder in mixed precision on a GPU; on a CPU this does nothing."""
    compile: bool = False
    """Compile a pixel encoder with torch.compile on a GPU; on a CPU this does nothing."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:<n>`, or `auto`: a GPU if there is one."""
    threads: int = 1
    """CPU threads for torch in the training process."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field, the value and what is allowed.
        """
        for name in ("total_steps", "num_envs", "num_steps", "batch_size", "epochs", "threads"):
            _require_count(name, getattr(self, name))
        for name, rule in _NUMBER_RULES.items():
            _require_number(name, getattr(self, name), *rule)
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"{name}={getattr(self, name)!r} is no switch: give true or false")
        one_of("encoder", self.encoder, ENCODERS)
        one_of("activation", self.activation, ACTIVATIONS)
        self.hidden = require_widths("hidden", self.hidden, least=0) or list(
            _OWN_HIDDEN[self.encoder]
        )
        self.heads = require_widths("heads", self.heads, least=0)
        channels = require_widths("channels", self.channels, least=0)
        self.channels = channels or list(_OWN_CHANNELS[self.encoder])
        require_channels("channels", self.encoder, self.channels)
        _require_device(self.device)
        self._require_whole_batches()

    @property
    def rollout(self) -> int:
        """Decisions between two updates."""
        return self.num_envs * self.num_steps

    @property
    def learns(self) -> bool:
        """Whether some update has a learning rate above 0: annealed, that of the last has 0."""
        return not self.anneal or self.total_steps > self.rollout

    def whole_rollouts(self, steps: int) -> int:
        """Return `steps` decisions, rounded up to whole rollouts."""
        return -(-steps // self.rollout) * self.rollout

    def _require_whole_batches(self) -> None:
        rollout = self.rollout
        if self.batch_size < 2 or rollout % self.batch_size:
            raise UserError(
                f"batch_size={self.batch_size} does not divide num_envs * num_steps = {rollout}: "
                f"give a divisor of {rollout} that is at least 2, for example {_divisor(rollout)}"
            )


_SWITCHES = ("anneal", "normalize_advantage", "normalize_reward", "bfloat16", "compile")

# Field -> (lowest, highest, whether the lowest itself is allowed).
_NUMBER_RULES: dict[str, tuple[float, float, bool]] = {
    "learning_rate": (0.0, 1.0, False),
    "adam_eps": (0.0, 1.0, False),
    "gamma": (0.0, 1.0, True),
    "gae_lambda": (0.0, 1.0, True),
    "clip": (0.0, 10.0, False),
    "value_clip": (0.0, 1e6, True),
    "target_kl": (0.0, 1e6, True),
    "entropy": (0.0, 1e6, True),
    "value_coef": (0.0, 1e6, True),
    "max_grad_norm": (0.0, 1e6, False),
    "reward_scale": (0.0, 1e6, False),
}


def require_widths(name: str, value: object, least: int) -> list[int]:
    """Return layer widths as a plain list of ints.

    Args:
        name: the field, for the message.
        value: what the user gave; any sequence of integers.
        least: the smallest number of layers.

    Raises:
        UserError: if it is not `least` to 8 whole numbers from 1 to 4096.
    """
    allowed = f"give {least} to {MAX_LAYERS} whole numbers from 1 to {MAX_WIDTH}"
    given = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [None]
    widths = [w for w in given if isinstance(w, int) and not isinstance(w, bool)]
    all_fit = len(widths) == len(given) and all(1 <= w <= MAX_WIDTH for w in widths)
    if not all_fit or not least <= len(widths) <= MAX_LAYERS:
        raise UserError(f"{name}={_shown(value)} is not allowed: {allowed}")
    return widths


def require_channels(name: str, encoder: str, channels: list[int]) -> None:
    """Refuse channels that the encoder has no layers for.

    Raises:
        UserError: naming the field.
    """
    if encoder == "nature" and len(channels) != 3:
        raise UserError(
            f"{name}={channels} does not fit encoder=nature: give three, for example [32,64,64]"
        )


def _shown(value: object) -> str:
    """Return `value` as a message shows it: a wrong value can be endless."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _require_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{name}={value!r} is not allowed: give a whole number of at least 1")


def _require_number(name: str, value: object, low: float, high: float, closed: bool) -> None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not low <= number <= high or (number == low and not closed):
        least = "from" if closed else "above"
        raise UserError(
            f"{name}={value!r} is not allowed: give a number {least} {low:g} to {high:g}"
        )


def _require_device(device: str) -> None:
    if not isinstance(device, str) or not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise UserError(f"device={device!r} is not known: use auto, cpu, cuda or cuda:<n>")


def _divisor(rollout: int) -> int:
    """Return the largest divisor of `rollout` that is at most 4096 (an example for a message)."""
    return next(d for d in range(min(4096, rollout), 0, -1) if rollout % d == 0)
