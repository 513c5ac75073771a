"""Settings of a training run, with their meaning, limits and defaults.

Public names: `LearnerConfig`, `OnPolicyConfig`, `ClippedConfig`, `PPOConfig`, `RecurrentPPOConfig`,
`A2CConfig`, `DQNConfig`, `DistillConfig`, `Passes`, `ACTIVATIONS`, `OF_EXPERTS`.  Imports no torch.

Each algorithm has a dataclass with exactly its own settings.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from misgen.envs.core.errors import UserError, one_of
from misgen.envs.core.modality import GRID

from .encoders import ENCODERS
from .limits import (
    MIXTURE,
    Count,
    Number,
    Rule,
    Switch,
    require_channels,
    require_mixture,
    require_widths,
)

ACTIVATIONS = ("tanh", "relu")
OF_EXPERTS = ("experts", "active_experts", "balance")
"""Settings of encoders with experts alone."""
DEFAULT_ALGORITHM = "ppo"
"""The algorithm of settings that name none, as all did before there were others."""


@dataclass(frozen=True)
class Passes:
    """How often a training runs its network on an observation: what its FLOPs are counted from."""

    forward: int
    """Passes forward."""
    backward: int
    """Passes backward, each as dear as two forward."""
    formula: str
    """How they are counted, for people; F are the FLOPs of a pass forward."""


@dataclass
class LearnerConfig:
    """What the settings of all algorithms have in common.

    A *decision* is one action chosen for one slot; it lasts `action_repeat` frames of the world.
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        "total_steps": Count(),
        "num_envs": Count(),
        "threads": Count(1, 1024),
        "learning_rate": Number(0.0, 1.0, closed=False),
        "gamma": Number(0.0, 1.0),
        "max_grad_norm": Number(0.0, 1e6, closed=False),
        "reward_scale": Number(0.0, 1e6, closed=False),
        "anneal": Switch(),
        "bfloat16": Switch(),
        "compile": Switch(),
        **MIXTURE,
        "balance": Number(0.0, 1e3),
    }
    """What values fields may have; subclasses add their own."""
    kept: ClassVar[tuple[str, ...]] = ()
    """Fields that a saved policy needs to be built or played, beside those of its encoder."""
    continues: ClassVar[bool] = True
    """Whether a run that was stopped or killed goes on from its last saved state; otherwise it
    starts from its beginning."""

    policies: ClassVar[Mapping[str, str]] = {}
    """Settings that name a saved policy, each with the one that holds the SHA-256 of its weights,
    called `<setting>_policy`; where a policy lies is no part of a run's hash."""
    unknown: ClassVar[tuple[str, ...]] = ()
    """What is not known of the training; of misgen's own, nothing."""

    algorithm: str = ""
    """Name of the algorithm: the one that these settings belong to."""
    total_steps: int = 3_000_000
    """Decisions to train for, rounded up to whole rollouts."""
    num_envs: int = 256
    """Slots of the vector environment."""
    learning_rate: float = 5e-4
    """The optimiser's step size (at the start, if annealed)."""
    anneal: bool = False
    """Lower the learning rate linearly to 0 at `total_steps`."""
    gamma: float = 0.995
    """Discount per decision."""
    max_grad_norm: float = 0.5
    """Largest norm of a gradient; larger ones are scaled down to it."""
    reward_scale: float = 0.1
    """Factor on the reward the learner sees; reported returns stay unscaled."""
    encoder: str = "mlp"
    """On tiles, `mlp`: fully connected on one-hot tiles; `moe`: the same with a mixture of experts
    in each layer after the first; `cnn`: convolutions on one-hot planes.  On pixels, `impala`: the
    paper's residual network; `nature`: that of Mnih et al. 2015."""
    hidden: list[int] = field(default_factory=list)
    """Widths of the fully connected layers after the convolutions, which all that the algorithm
    learns shares; empty for the encoder's own: [128, 128] on tiles, [256] for `impala`, [512] for
    `nature`."""
    heads: list[int] = field(default_factory=list)
    """Widths of further layers: one stack for the actor and one for the critic, or one for the
    action values."""
    channels: list[int] = field(default_factory=list)
    """Channels of the convolutions (`cnn`: 3x3 of stride 2; `impala`: one residual stage each;
    `nature`: exactly three); empty for the encoder's own: [16, 32], [16, 32, 32], [32, 64, 64]."""
    experts: int = 8
    """Experts in each layer that has them (`moe`)."""
    active_experts: int = 2
    """Of these, how many an observation is sent to."""
    balance: float = 0.01
    """Weight of the loss that keeps all experts equally busy."""
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
        own = type(self).algorithm
        if self.algorithm != own:
            raise UserError(
                f"algorithm={self.algorithm!r} does not belong to {type(self).__name__}, whose is "
                f"{own!r}: choose the algorithm with agent={self.algorithm}"
            )
        for name, rule in self.rules.items():
            rule.require(name, getattr(self, name))
        one_of("encoder", self.encoder, ENCODERS)
        one_of("activation", self.activation, ACTIVATIONS)
        encoder = ENCODERS[self.encoder]
        self.hidden = require_widths("hidden", self.hidden, least=0) or list(encoder.hidden)
        self.heads = require_widths("heads", self.heads, least=0)
        channels = require_widths("channels", self.channels, least=0)
        self.channels = channels or list(encoder.channels)
        require_channels("channels", self.encoder, self.channels)
        require_mixture("", self.encoder, self.hidden, self.experts, self.active_experts)
        _require_device(self.device)

    @property
    def science(self) -> dict[str, Any]:
        """The settings as plain data; `algorithm` is left out where it goes without saying."""
        plain = dataclasses.asdict(self)
        if plain["algorithm"] == DEFAULT_ALGORITHM:
            del plain["algorithm"]
        if not ENCODERS[self.encoder].has_experts:
            for name in OF_EXPERTS:
                del plain[name]
        return plain

    def passes(self, steps: int) -> Passes | None:
        """Return how often a training of `steps` decisions runs its network; None: not counted."""
        return None

    @property
    def rollout(self) -> int:
        """Decisions between two updates."""
        return self.num_envs

    @property
    def learns(self) -> bool:
        """Whether some update has a learning rate above 0: annealed, that of the last has 0."""
        return not self.anneal or self.total_steps > self.rollout

    def whole_rollouts(self, steps: int) -> int:
        """Return `steps` decisions, rounded up to whole rollouts."""
        return -(-steps // self.rollout) * self.rollout


@dataclass
class OnPolicyConfig(LearnerConfig):
    """What algorithms share that learn from each rollout once, and throw it away."""

    rules: ClassVar[Mapping[str, Rule]] = {
        **LearnerConfig.rules,
        "num_steps": Count(),
        "gae_lambda": Number(0.0, 1.0),
        "entropy": Number(0.0, 1e6),
        "value_coef": Number(0.0, 1e6),
        "normalize_advantage": Switch(),
        "normalize_reward": Switch(),
    }

    num_steps: int = 128
    """Decisions per slot in a rollout."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    value_coef: float = 0.5
    """Weight of the value loss."""
    normalize_advantage: bool = True
    """Standardise advantages within each minibatch."""
    normalize_reward: bool = False
    """Divide the learner's reward by the running standard deviation of its discounted sum and clip
    it to +-10, in place of `reward_scale`; reported returns stay unscaled."""

    @property
    def rollout(self) -> int:
        """Decisions between two updates."""
        return self.num_envs * self.num_steps


@dataclass
class ClippedConfig(OnPolicyConfig):
    """What PPO's variants share: several passes over a rollout, the policy's change clipped."""

    rules: ClassVar[Mapping[str, Rule]] = {
        **OnPolicyConfig.rules,
        "batch_size": Count(),
        "epochs": Count(),
        "adam_eps": Number(0.0, 1.0, closed=False),
        "clip": Number(0.0, 10.0, closed=False),
        "value_clip": Number(0.0, 1e6),
        "target_kl": Number(0.0, 1e6),
    }

    batch_size: int = 4096
    """Decisions in a minibatch; must divide `num_envs * num_steps`."""
    epochs: int = 3
    """Passes over each rollout."""
    adam_eps: float = 1e-5
    """Adam's epsilon."""
    clip: float = 0.2
    """Clip range of the probability ratio."""
    value_clip: float = 0.0
    """Clip range of the value's change, in scaled reward; 0 turns it off."""
    target_kl: float = 0.0
    """Stop a rollout's epochs at 1.5 times this KL divergence, in nats; 0 turns it off."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        super().__post_init__()
        rollout = self.num_envs * self.num_steps
        if self.batch_size < 2 or rollout % self.batch_size:
            raise UserError(
                f"batch_size={self.batch_size} does not divide num_envs * num_steps = {rollout}: "
                f"give a divisor of {rollout} that is at least 2, for example {_divisor(rollout)}"
            )

    def passes(self, steps: int) -> Passes:
        """Return how often a training of `steps` decisions runs its network."""
        return Passes(
            steps + steps * self.epochs,
            steps * self.epochs,
            "environment steps x F + environment steps x epochs x 3 F, with F the FLOPs of one "
            "pass through the network: one pass to act, and for each epoch one forward and one "
            "backward pass (twice as dear) on every step",
        )


@dataclass
class PPOConfig(ClippedConfig):
    """Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) on tiles or pixels."""

    rules: ClassVar[Mapping[str, Rule]] = {**ClippedConfig.rules, "fast": Switch()}

    algorithm: str = "ppo"
    """Name of the algorithm."""
    fast: bool = True
    """Train a tile encoder on a CPU with gradients in closed form, about twice as fast,
    instead of torch's autograd.  The two are equal to float rounding, which after some updates
    leads to other actions: so this is part of a run's hash.  With pixels or on a GPU autograd is
    the only way; the run's manifest says under `gradients` how they were found, and why so."""

    @property
    def one_way(self) -> str:
        """Why gradients are autograd's whatever `fast` says; empty if `fast` decides."""
        if ENCODERS[self.encoder].reads is not GRID:
            return f"encoder={self.encoder} reads pixels"
        if ENCODERS[self.encoder].has_experts:
            return f"encoder={self.encoder} sends rows to experts"
        return f"device={self.device} is a GPU" if self.device.startswith("cuda") else ""

    @property
    def science(self) -> dict[str, Any]:
        """The settings as plain data, `fast` only where it can change a result."""
        plain = super().science
        if self.one_way:
            del plain["fast"]
        return plain


@dataclass
class RecurrentPPOConfig(ClippedConfig):
    """PPO with a memory: an LSTM after the encoder (sb3-contrib's `RecurrentPPO`)."""

    rules: ClassVar[Mapping[str, Rule]] = {
        **ClippedConfig.rules,
        "lstm_width": Count(1, 4096),
        "lstm_layers": Count(1, 8),
        "critic_lstm": Switch(),
    }
    kept: ClassVar[tuple[str, ...]] = ("lstm_width", "lstm_layers", "critic_lstm")

    algorithm: str = "recurrent_ppo"
    """Name of the algorithm."""
    lstm_width: int = 128
    """Numbers that each layer of the memory holds."""
    lstm_layers: int = 1
    """Layers of the memory."""
    critic_lstm: bool = True
    """Give the critic a memory of its own; otherwise it has none, and sees the present alone."""


@dataclass
class A2CConfig(OnPolicyConfig):
    """Advantage actor-critic, synchronous (Mnih et al. 2016, arXiv 1602.01783)."""

    rules: ClassVar[Mapping[str, Rule]] = {
        **OnPolicyConfig.rules,
        "rms_prop": Switch(),
        "optimizer_eps": Number(0.0, 1.0, closed=False),
    }

    algorithm: str = "a2c"
    """Name of the algorithm."""
    num_envs: int = 64
    """Slots of the vector environment."""
    num_steps: int = 5
    """Decisions per slot in a rollout, from each of which there is one gradient step."""
    learning_rate: float = 7e-4
    """The optimiser's step size (at the start, if annealed)."""
    gae_lambda: float = 1.0
    """Lambda of generalised advantage estimation; 1: the sum of the rollout's rewards."""
    normalize_advantage: bool = False
    """Standardise advantages within each rollout."""
    rms_prop: bool = True
    """Use RMSprop, as the paper did; otherwise Adam."""
    optimizer_eps: float = 1e-5
    """The optimiser's epsilon."""

    def passes(self, steps: int) -> Passes:
        """Return how often a training of `steps` decisions runs its network."""
        return Passes(
            2 * steps,
            steps,
            "environment steps x F + environment steps x 3 F, with F the FLOPs of one pass "
            "through the network: one pass to act, and one forward and one backward pass (twice "
            "as dear) on every step",
        )


@dataclass
class DQNConfig(LearnerConfig):
    """Deep Q-learning (Mnih et al. 2015) with a target network.

    What it learned plays as it explored at the end: the action of the highest value, and with
    probability `exploration_final` any.  Rewards are scaled and never normalised, as a replay
    buffer would mix rewards of different units.  A run that was killed starts from its beginning.
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **LearnerConfig.rules,
        "batch_size": Count(2),
        "adam_eps": Number(0.0, 1.0, closed=False),
        "buffer_size": Count(),
        "learning_starts": Count(0),
        "train_every": Count(),
        "gradient_steps": Count(),
        "target_every": Count(),
        "target_mix": Number(0.0, 1.0, closed=False),
        "exploration_share": Number(0.0, 1.0, closed=False),
        "exploration_initial": Number(0.0, 1.0),
        "exploration_final": Number(0.0, 1.0),
    }
    kept: ClassVar[tuple[str, ...]] = ("exploration_final",)
    continues: ClassVar[bool] = False  # a replay buffer, of up to gigabytes, is in no state file

    algorithm: str = "dqn"
    """Name of the algorithm."""
    num_envs: int = 32
    """Slots of the vector environment."""
    learning_rate: float = 5e-4
    """Adam's step size (at the start, if annealed)."""
    gamma: float = 0.97
    """Discount per decision.  To the learner a time-out is no end, so that with a discount near 1
    to wait is worth almost as much as to act, and action values tell too little."""
    max_grad_norm: float = 10.0
    """Largest norm of a gradient; larger ones are scaled down to it."""
    activation: str = "relu"
    """Nonlinearity after each layer: `tanh` or `relu` (pixel encoders are always `relu` inside)."""
    adam_eps: float = 1e-5
    """Adam's epsilon."""
    batch_size: int = 128
    """Decisions in a minibatch, drawn from the buffer."""
    buffer_size: int = 100_000
    """Latest decisions that are kept to learn from; each takes the memory of two observations."""
    learning_starts: int = 10_000
    """Decisions, all at random, before the first gradient step."""
    train_every: int = 1
    """Decisions per slot between two updates."""
    gradient_steps: int = 2
    """Gradient steps of an update."""
    target_every: int = 8_000
    """Decisions between two updates of the target network."""
    target_mix: float = 1.0
    """Share of the network that the target network takes over then; 1: it becomes a copy."""
    exploration_share: float = 0.7
    """Part of the training in which exploration falls linearly from its first value to its last."""
    exploration_initial: float = 1.0
    """Probability of a random decision at the start."""
    exploration_final: float = 0.05
    """Probability of a random decision in the end, and whenever what it learned plays."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        super().__post_init__()
        if self.learning_starts >= self.total_steps:
            raise UserError(
                f"learning_starts={self.learning_starts} is not below "
                f"total_steps={self.total_steps}, so nothing would be learned: lower it"
            )
        for name, least in (("buffer_size", self.batch_size), ("target_every", self.num_envs)):
            if getattr(self, name) < least:
                of = "batch_size" if name == "buffer_size" else "num_envs"
                raise UserError(
                    f"{name}={getattr(self, name)} is less than {of}={least}: give at least {least}"
                )

    def passes(self, steps: int) -> Passes:
        """Return how often a training of `steps` decisions runs its network."""
        updates = max(0, steps - self.learning_starts) // (self.num_envs * self.train_every)
        drawn = updates * self.gradient_steps * self.batch_size
        return Passes(
            steps + 2 * drawn,
            drawn,
            "environment steps x F + gradient steps x batch size x 4 F, with F the FLOPs of one "
            "pass through the network: at most one pass to act, and for every decision drawn from "
            "the buffer one forward pass of the target network and one forward and one backward "
            "pass (twice as dear)",
        )


@dataclass
class DistillConfig(LearnerConfig):
    """A student that learns a teacher's action probabilities, and nothing from rewards.

    `gamma` and `reward_scale` change no policy: the critic learns the teacher's values, in units of
    `reward_scale`.
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **LearnerConfig.rules,
        "num_steps": Count(),
        "batch_size": Count(),
        "epochs": Count(),
        "adam_eps": Number(0.0, 1.0, closed=False),
        "value_coef": Number(0.0, 1e6),
    }
    policies: ClassVar[Mapping[str, str]] = {"teacher": "teacher_policy"}

    algorithm: str = "distill"
    """Name of the algorithm."""
    total_steps: int = 500_000
    """Decisions to learn from, rounded up to whole rollouts."""
    learning_rate: float = 1e-3
    """Adam's step size (at the start, if annealed)."""
    num_steps: int = 32
    """Decisions per slot in a rollout."""
    batch_size: int = 1024
    """Decisions in a minibatch."""
    epochs: int = 2
    """Passes over each rollout."""
    adam_eps: float = 1e-5
    """Adam's epsilon."""
    value_coef: float = 0.5
    """Weight of the critic's loss."""
    driver: str = "student"
    """Who acts in training: `student`, who then learns what to do where it goes astray itself, or
    `teacher`, whose own ways alone are then seen."""
    teacher: str = ""
    """Folder of the trained policy to learn from, or `zoo:<name>`; one without a memory."""
    teacher_policy: str = ""
    """SHA-256 of its weights: noted when the run is set up, and held to."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        super().__post_init__()
        one_of("driver", self.driver, ("student", "teacher"))
        if self.teacher_policy and not re.fullmatch("[0-9a-f]{64}", self.teacher_policy):
            raise UserError(
                f"teacher_policy={self.teacher_policy[:70]!r} is not a SHA-256: leave it out, "
                "agent.teacher=... alone says whom to learn from"
            )

    @property
    def rollout(self) -> int:
        """Decisions between two updates."""
        return self.num_envs * self.num_steps

    def passes(self, steps: int) -> Passes:
        """Return how often a training of `steps` decisions runs its network."""
        acted = steps if self.driver == "student" else 0
        return Passes(
            acted + steps * self.epochs,
            steps * self.epochs,
            "environment steps x F, if the student acts, + environment steps x epochs x 3 F, with "
            "F the FLOPs of one pass through the network: one pass to act, and for each epoch one "
            "forward and one backward pass (twice as dear) on every step; the teacher's passes and "
            "its training are not in it",
        )

    def asked(self, steps: int) -> int:
        """Return how often such a training runs the teacher: for its policy, and for its values."""
        return steps * (2 if self.value_coef else 1)


def _require_device(device: str) -> None:
    if not isinstance(device, str) or not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise UserError(f"device={device!r} is not known: use auto, cpu, cuda or cuda:<n>")


def _divisor(rollout: int) -> int:
    """Return the largest divisor of `rollout` that is at most 4096 (an example for a message)."""
    return next(d for d in range(min(4096, rollout), 0, -1) if rollout % d == 0)
