"""PPO with every gradient in closed form.

Public name: `FusedPPO`.
Source of the algorithm: stable-baselines3's `PPO`, whose numbers these are to float rounding.

For a minibatch of n decisions, with logits z, p = softmax(z), a the action taken, A its advantage
(normalised or not), r = p_a / p_a(old), H = -sum_k p_k log p_k the entropy, v the critic's value
and R the return, the loss is

    L = mean(-min(r A, clip(r) A)) - c_e mean(H) + c_v mean((v' - R)^2)

with v' = v, or v held within the value's clip range of its old value.  As d log p_a / d z_k is
[k = a] - p_k and dH / d z_k is -p_k (log p_k + H),

    dL / d z_k = (u (p_k - [k = a]) + c_e p_k (log p_k + H)) / n
    dL / d v   = 2 c_v (v - R) / n, and 0 where v is held,

where u = r A, and 0 where the clipped term is the smaller one.  The rest is the chain rule through
dense layers: with y = f(x W' + b) and g the gradient of y, h = g * f'(y), that of W is h' x, that
of b the sum of h over the samples, that of x is h W.  `patterns` and `convolution` have the first
layer's.  Gradients are clipped and Adam steps by torch's own functions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from ..networks import act
from .loss import Losses, Samples, Terms, log_softmax, loss_gradient
from .network import Network
from .seen import Seen


class FusedPPO(PPO):
    """stable-baselines3's `PPO` for an `EncoderPolicy` that reads tiles, on a CPU."""

    def _setup_model(self) -> None:
        super()._setup_model()
        self._network = Network(self.policy)  # pyright: ignore[reportArgumentType]
        self._coded: tuple[Any, Any] = None, None  # a rollout's tiles, and their codes

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_network", "_coded"]

    def collect_rollouts(
        self, env: VecEnv, callback: Any, rollout_buffer: Any, n_rollout_steps: int
    ) -> bool:
        """Act with the policy and fill the buffer; return whether the callback wants more."""
        self.policy.set_training_mode(False)
        self._network.first.forget()
        rollout_buffer.reset()
        codes = []
        callback.on_rollout_start()
        for _ in range(n_rollout_steps):
            seen = self._network.read(self._last_obs)
            codes.append(seen.codes)
            logits, values = self._outputs(seen)
            chosen, log_probs = act(log_softmax(logits))
            actions = chosen.numpy()
            new_obs, rewards, dones, infos = env.step(actions)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            ended = np.flatnonzero(dones)
            self._update_info_buffer([infos[i] for i in ended], dones[ended])
            self._add_what_time_outs_cut_off(rewards, ended, infos)
            rollout_buffer.add(
                self._last_obs,
                actions,
                rewards,
                self._last_episode_starts,
                values,
                log_probs,
            )
            self._last_obs = new_obs  # pyright: ignore[reportAttributeAccessIssue]
            self._last_episode_starts = dones
        values = self._outputs(self._network.read(self._last_obs))[1]
        rollout_buffer.compute_returns_and_advantage(values, dones)
        self._coded = rollout_buffer.observations["tiles"], np.stack(codes)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    @torch.no_grad()
    def _outputs(self, seen: Seen) -> tuple[Tensor, Tensor]:
        return self._network.forward(seen)

    def _add_what_time_outs_cut_off(
        self, rewards: NDArray[np.float32], slots: NDArray[np.int64], infos: list[dict[str, Any]]
    ) -> None:
        """Add the discounted value of its last observation where an episode ran out of time."""
        cut = {i: infos[i]["terminal_observation"] for i in slots if _is_cut_off(infos[i])}
        if cut:
            keys = next(iter(cut.values()))
            last = {key: np.stack([one[key] for one in cut.values()]) for key in keys}
            values = self._outputs(self._network.read(last))[1]
            rewards[list(cut)] += self.gamma * values.numpy()[:, 0]

    @torch.no_grad()
    def train(self) -> None:
        """Learn from the rollout, once an epoch."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        terms = self._terms()
        samples, seen = _samples(self.rollout_buffer), self._seen()
        self._network.first.weights_changed()  # a callback may have changed them
        found: list[Losses] = []
        for _ in range(self.n_epochs):
            epoch = len(found)
            going_on = True
            # The original's order, from the same generator.
            order = np.random.permutation(len(samples.actions))  # noqa: NPY002
            for start in range(0, len(order), self.batch_size):
                rows = order[start : start + self.batch_size]
                losses = self._gradients(seen.at(rows), samples.at(rows), terms)
                found.append(losses)
                going_on = not (self.target_kl and losses.kl > 1.5 * self.target_kl)
                if not going_on:
                    break
                nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                self._network.first.weights_changed()
            self._n_updates += 1
            if not going_on:
                break
        self._log(found, found[epoch:], terms)

    def _seen(self) -> Seen:
        """Return what the rollout's decisions were made on, with codes if they are known."""
        buffer: Any = self.rollout_buffer
        flat = {key: _flat(buffer, values) for key, values in buffer.observations.items()}
        tiles, codes = self._coded
        known = tiles is buffer.observations["tiles"]
        return self._network.read(flat, _flat(buffer, codes) if known else None)

    def _terms(self) -> Terms:
        left = self._current_progress_remaining
        clip, value_clip = self.clip_range, self.clip_range_vf
        assert callable(clip)
        held = math.inf if value_clip is None else value_clip(left)  # pyright: ignore
        return Terms(clip(left), held, self.ent_coef, self.vf_coef)

    def _gradients(self, seen: Any, samples: Samples, terms: Terms) -> Losses:
        """Set the gradients that a minibatch gives, and return its losses."""
        advantages = torch.from_numpy(samples.advantages)
        if self.normalize_advantage and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        logits, values = self._network.forward(seen)
        losses, *slopes = loss_gradient(logits, values, samples, advantages.numpy(), terms)
        self._network.backward(*slopes)
        return losses

    def _log(self, found: list[Losses], last_epoch: list[Losses], terms: Terms) -> None:
        """Record what stable-baselines3 records."""
        means, last = Losses(*np.mean(found, axis=0)), found[-1]
        buffer = self.rollout_buffer
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        loss = last.policy + terms.entropy * last.entropy + terms.value * last.value
        self.logger.record("train/entropy_loss", means.entropy)
        self.logger.record("train/policy_gradient_loss", means.policy)
        self.logger.record("train/value_loss", means.value)
        self.logger.record("train/approx_kl", np.mean([losses.kl for losses in last_epoch]))
        self.logger.record("train/clip_fraction", means.clip_fraction)
        self.logger.record("train/loss", loss)
        self.logger.record("train/explained_variance", explained)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", terms.clip)
        if self.clip_range_vf is not None:
            self.logger.record("train/clip_range_vf", terms.value_clip)


def _is_cut_off(info: dict[str, Any]) -> bool:
    cut = info.get("TimeLimit.truncated", False)
    return cut and info.get("terminal_observation") is not None


def _samples(buffer: Any) -> Samples:
    """Return a rollout's decisions in the order of stable-baselines3's minibatches."""
    names = ("actions", "values", "log_probs", "advantages", "returns")
    return Samples(*(_flat(buffer, getattr(buffer, name)).reshape(-1) for name in names))


def _flat(buffer: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Return a rollout's values slot by slot, [decisions, ...]."""
    return values if buffer.generator_ready else buffer.swap_and_flatten(values)
