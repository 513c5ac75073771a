"""How likely the actions of an episode are for an agent with an objective, and for a device.

Public names: `LikelihoodConfig`, `DEVICES`, `predictions`, `device_log_likelihood`,
`agent_log_likelihood`, `regrets`.

**Devices** act without regard to the state.  Each tells the next action from the actions before it:

| device | probability of the next action |
|---|---|
| `uniform` | 1 / A, for A actions |
| `fixed` | (α + times taken before) / (A α + decisions before) |
| `markov` | the same, counted after the same last action alone; uniform at the start |

Products of these over an episode are the marginal likelihoods of a fixed action distribution and of
a first-order Markov chain over actions, their parameters integrated under symmetric Dirichlet(α)
priors (the Pólya urn): no parameter is fitted.

**An agent** that pursues an objective, with Q(s, a) decisions left after action a, has the habits
h(a) of a device, biased towards the objective, and lapses:

    p(a | s) = (1 - λ) h(a) exp(-β (Q(s, a) - min Q(s, .))) / Z(s) + λ / A

With the uniform habit this is a softmax of -β Q.  The habits say how an agent chooses among actions
that serve it equally well, which are many: without them a device that copies a habit beats the
objective that made it one.  At β = 0 and λ = 0 the agent *is* the device, so the evidence for an
objective is what it adds to the habit.  The likelihood is averaged over β, λ and habits, all
equally likely beforehand on their grids.  Where no action leads to the objective, it asks for
nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError, in_range, one_of

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DEVICES = ("uniform", "fixed", "markov")


@dataclass(frozen=True)
class LikelihoodConfig:
    """The grids and constants of the likelihoods, which are their priors."""

    devices: tuple[str, ...] = DEVICES
    """Mindless explanations, equally likely beforehand."""
    habits: tuple[str, ...] = DEVICES
    """Devices that an agent's habits may be like, equally likely; `[uniform]`: a plain softmax."""
    beta_low: float = 0.5
    """Least inverse temperature, per decision lost.  Much lower, and an agent is as good as a
    device, which is then never told from one."""
    beta_high: float = 10.0
    """Greatest inverse temperature."""
    betas: int = 6
    """How many inverse temperatures there are, equally likely, at equal ratios."""
    lapses: tuple[float, ...] = (0.02, 0.1, 0.3)
    """Shares of decisions that are uniformly random, equally likely."""
    penalty: float = 10.0
    """Decisions by which death, or losing the way for good, is worse than the worst way there."""
    concentration: float = 0.5
    """α of the Dirichlet priors of habits, an action's share (0.5: Jeffreys)."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        for name, values in (("devices", self.devices), ("habits", self.habits)):
            if not values:
                raise UserError(f"{name}=[] is empty: use some of {', '.join(DEVICES)}")
            for value in values:
                one_of(name, value, DEVICES)
        in_range("beta_low", self.beta_low, 1e-3, 1e3)
        in_range("beta_high", self.beta_high, self.beta_low, 1e3)
        in_range("betas", self.betas, 1, 100)
        in_range("penalty", self.penalty, 0.0, 1e3)
        in_range("concentration", self.concentration, 1e-3, 1e3)
        if not self.lapses:
            raise UserError("lapses=[] is empty: give shares such as lapses=[0.01,0.1]")
        for lapse in self.lapses:
            in_range("lapses", lapse, 1e-6, 1.0)  # at 0 a single slip would rule an agent out

    @property
    def beta_grid(self) -> FloatArray:
        """The inverse temperatures, per decision, float64 [betas]."""
        return np.geomspace(self.beta_low, self.beta_high, self.betas)


def predictions(
    device: str, actions: NDArray[Any], num_actions: int, concentration: float
) -> FloatArray:
    """Return what a device expects at each decision, from the actions before it.

    Args:
        device: one of `DEVICES`.
        actions: integer [n, decisions]; negative from an episode's end on.
        num_actions: A.
        concentration: α.

    Returns:
        float64 [n, decisions, A], rows of which add up to 1.
    """
    n, decisions = actions.shape
    expected = np.full((n, decisions, num_actions), 1.0 / num_actions)
    if device == "uniform":
        return expected
    counts = np.full((n, num_actions + 1, num_actions), concentration)  # after which, which
    rows = np.arange(n)
    last = np.full(n, num_actions)  # none yet
    for t in range(decisions):
        row = counts[rows, last]
        expected[:, t] = row / row.sum(axis=1, keepdims=True)
        taken = np.flatnonzero(actions[:, t] >= 0)
        counts[taken, last[taken], actions[taken, t]] += 1
        if device == "markov":
            last[taken] = actions[taken, t]
    return expected


def device_log_likelihood(
    device: str,
    actions: NDArray[Any],
    scored: BoolArray,
    num_actions: int,
    config: LikelihoodConfig,
) -> FloatArray:
    """Return the log likelihood of each episode's scored actions under a device, float64 [n].

    Args:
        device: one of `DEVICES`.
        actions: integer [n, decisions]; negative from an episode's end on.
        scored: bool [n, decisions]; the other actions are taken as given.
        num_actions: A.
        config: the priors.
    """
    expected = predictions(device, actions, num_actions, config.concentration)
    return np.where(scored, np.log(_chosen(expected, actions)), 0.0).sum(axis=1)


def agent_log_likelihood(
    q: NDArray[Any], actions: NDArray[Any], scored: BoolArray, config: LikelihoodConfig
) -> FloatArray:
    """Return the log likelihood of each episode's scored actions for an objective, float64 [n].

    Args:
        q: float [n, decisions, A]: decisions to the objective after each action; inf where it
            leads to death or no way was found; anything where not scored.
        actions: integer [n, decisions]; negative from an episode's end on.
        scored: bool [n, decisions]; the other actions are taken as given.
        config: the priors.
    """
    num_actions = q.shape[2]
    regret = regrets(np.where(scored[..., None], q, 0.0), config.penalty)
    parts = []
    for habit in config.habits:
        expected = predictions(habit, actions, num_actions, config.concentration)
        for beta in config.beta_grid:
            weights = expected * np.exp(-beta * regret)
            p = _chosen(weights, actions) / weights.sum(axis=2)
            for lapse in config.lapses:
                logs = np.log((1 - lapse) * p + lapse / num_actions)
                parts.append(np.where(scored, logs, 0.0).sum(axis=1))
    return log_mean_exp(np.stack(parts), axis=0)


def regrets(q: NDArray[Any], penalty: float) -> FloatArray:
    """Return by how many decisions each action is worse than the best: float64, as q.

    Args:
        q: float [..., A]: decisions to go after each action, or inf.
        penalty: what inf is worse than the worst that is finite, in decisions.
    """
    finite = np.isfinite(q)
    best = np.where(finite, q, np.inf).min(axis=-1, keepdims=True)
    worst = np.where(finite, q, -np.inf).max(axis=-1, keepdims=True)
    some = finite.any(axis=-1, keepdims=True)
    best, worst = np.where(some, best, 0.0), np.where(some, worst, -penalty)
    return np.where(finite, q, worst + penalty).astype(np.float64) - best


def log_mean_exp(logs: FloatArray, axis: int) -> FloatArray:
    """Return log(mean(exp(logs))) along an axis, without overflow."""
    top = logs.max(axis=axis, keepdims=True)
    mean = np.exp(logs - top).sum(axis=axis) / logs.shape[axis]
    return np.log(mean) + np.squeeze(top, axis)


def log_softmax(logs: FloatArray) -> FloatArray:
    """Return logs less log(sum(exp(logs))) along the last axis."""
    return logs - (log_mean_exp(logs, -1) + math.log(logs.shape[-1]))[..., None]


def _chosen(values: FloatArray, actions: NDArray[Any]) -> FloatArray:
    """Return the value of each action taken, float64 [n, decisions]."""
    taken = np.maximum(actions, 0).astype(np.int64)[..., None]
    return np.take_along_axis(values, taken, axis=2)[..., 0]
