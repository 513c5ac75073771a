"""Resuming training runs: what a killed run needs, in one file.

Public names: `ResumeState`, `Progressing`, `save_running`.

The file is safetensors: plain tensors (weights, the optimiser's moments, the generators of torch,
NumPy and Python, the levels that run and the actions taken in them, a memory's contents) and, in
its header, JSON (step counts, the reward's normaliser, recent episodes).  It holds no code, and
none is run when it is read.  It is written to a temporary file and moved into place, with a
checksum, so that a kill at any moment leaves a complete file.

On one thread a run that was interrupted ends with the weights that it would have had, bit for bit.
(Not where its environment cannot say where its slots are, and of files of earlier versions, which
did not: there all slots begin new episodes.)
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import parse_json, read_bytes
from misgen.envs.core.views.history import Position

from .checkpoint import replace_files
from .rewards import NormalizedReward

_FORMAT = "misgen-training-state"
_VERSIONS = ("1", "2")
"""Those that can be read; the last is written.  1 did not hold the levels that ran."""
_MOMENTS: dict[str, tuple[str, ...]] = {
    "Adam": ("exp_avg", "exp_avg_sq"),
    "RMSprop": ("square_avg",),
}
"""What each optimiser remembers of a weight, beside the number of its steps."""
_SQUARES = ("exp_avg_sq", "square_avg")
"""Those of them that are means of squares."""
_DAMAGE = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What comes of taking up a state that is not what it should be."""
_STREAM = "slots/stream/"
"""Begins the names of what a level stream holds beside its counts."""
_DTYPES = (torch.float32, torch.float64, torch.int64, torch.int16, torch.uint8)
_KEEP_EVERY = 1.0  # seconds between two states that are kept in memory, for a stop signal


class Progressing(Protocol):
    """Whatever else is carried over a cut: the counts and recent episodes of the curve."""

    def state(self) -> dict[str, Any]:
        """Return what to keep, as JSON can hold it."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        ...


class ResumeState:
    """Keeps a run's state in a file, and takes a run up from it.

    Attributes:
        cuts: steps at which the run was taken up again.
        stopped: whether the time was up before the training was done.
    """

    def __init__(
        self,
        path: Path,
        run: str,
        every: float,
        stop_after: float | None = None,
        before_save: Callable[[], object] = lambda: None,
        on_continue: Callable[[int], object] = lambda steps: None,
    ) -> None:
        """Begin to count the time.

        Args:
            path: the file.
            run: names the settings that the run has; a file of another run is refused.
            every: seconds between two writes.
            stop_after: seconds from now after which no further rollout is started, if any.
            before_save: called before the file is written, for what must not lag behind it.
            on_continue: called with the step count when the run is taken up from the file.
        """
        self.path = path
        self.cuts: list[int] = []
        self.stopped = False
        self._run = run
        self._every = every
        self._stop_after = stop_after
        self._before_save = before_save
        self._on_continue = on_continue
        self._begin = self._saved = self._last = time.monotonic()
        self._kept: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self._kept_at = -_KEEP_EVERY

    def after_update(self, model: BaseAlgorithm, progress: Progressing) -> bool:
        """Write the file if it is time; return whether to go on.

        Called after each rollout's update.  It ends the run while there still is time for no more
        than another rollout as long as the last.
        """
        now = time.monotonic()
        lasted, self._last = now - self._last, now
        if self._stop_after is not None:
            self.stopped = now + lasted - self._begin > self._stop_after
        due = self.stopped or now - self._saved >= self._every
        if due or now - self._kept_at >= _KEEP_EVERY:
            self._kept, self._kept_at = self._state(model, progress), now
        if due:
            self.save()
        return not self.stopped

    def save(self) -> None:
        """Write the state that was kept last, if it is not written yet.

        Called when the run is told to stop, at any moment: what it did in the last second is lost.

        Raises:
            UserError: if the file cannot be written; the older one is still there.
        """
        if self._kept is None:
            return
        self._before_save()
        self._write(*self._kept)
        self._kept, self._saved = None, time.monotonic()

    def take_up(self, model: BaseAlgorithm, progress: Progressing, total_steps: int) -> None:
        """Put the file's state, if there is one, into a model that has not trained yet.

        Args:
            model: the model.
            progress: takes up the counts.
            total_steps: decisions after which the training is done; no state is kept of then.

        Raises:
            UserError: if the file is damaged, another run's, or says what no training leaves.
        """
        if not os.path.lexists(self.path):
            return
        tensors, plain = _read(self.path)
        if plain.get("run") != self._run:
            raise UserError(
                f"{self.path} is the state of run {str(plain.get('run'))[:40]!r} and not of "
                f"{self._run!r}: delete it to start this run from its beginning"
            )
        try:
            _require_possible(model, tensors, plain, total_steps)
            _restore_model(model, tensors, plain)
            _restore_slots(model, tensors)
            progress.restore(plain["progress"])
            self.cuts = [*plain["cuts"], model.num_timesteps]
            _restore_generators(tensors, plain["generators"])
        except _DAMAGE as error:
            raise _damaged(self.path, f"{type(error).__name__}: {error}") from error
        self._on_continue(model.num_timesteps)

    def _state(
        self, model: BaseAlgorithm, progress: Progressing
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the state of a run, in tensors of its own."""
        tensors = {**_model_tensors(model), **_generator_tensors()}
        return tensors, {
            "run": self._run,
            "steps": model.num_timesteps,
            "updates": model._n_updates,
            "cuts": [*self.cuts],
            "reward": _moments(model),
            "generators": _generator_numbers(),
            "progress": progress.state(),
        }

    def _write(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        text = json.dumps(plain)
        header = {
            "format": _FORMAT,
            "version": _VERSIONS[-1],
            "state": text,
            "sha256": _checksum(tensors, text),
        }
        data = safetensors.torch.save(tensors, header)
        try:
            replace_files(self.path.parent, {self.path.name: data})
        except OSError as error:
            raise UserError(
                f"{self.path} could not be written ({error.strerror}), the older one is"
                " still there: free some space and start again; the run resumes from it"
            ) from error

    @contextlib.contextmanager
    def saved_when_stopped(self) -> Iterator[None]:
        """Save when what is done within is told to stop; `save_running` saves meanwhile."""
        _RUNNING.append(self)
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            self.save()
            raise
        finally:
            _RUNNING.remove(self)


_RUNNING: list[ResumeState] = []
"""Of the trainings of this process that run."""


def save_running() -> None:
    """Write the state of what is being trained; may be called by a signal's handler."""
    for state in list(_RUNNING):
        state.save()


# ---------------------------------------------------------------------------------------------
# The file
# ---------------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the file's tensors and JSON, whole and checked.

    Raises:
        UserError: if the file is damaged, or not such a file.
    """
    try:
        data = read_bytes(path)
        tensors = safetensors.torch.load(data)
        size = int.from_bytes(data[:8], "little")
        header = parse_json(data[8 : 8 + size]).get("__metadata__", {})
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or str(error)) from None
    found = header.get("format"), header.get("version")
    if found[0] != _FORMAT or found[1] not in _VERSIONS:
        raise _damaged(path, f"format {found[0]!r}, version {found[1]!r} is not known")
    other = next((name for name, one in tensors.items() if one.dtype not in _DTYPES), None)
    if other is not None:
        raise _damaged(path, f"{other!r} is {tensors[other].dtype}")
    text = header.get("state", "")
    if header.get("sha256") != _checksum(tensors, text):
        raise _damaged(path, "its checksum is wrong")
    try:
        plain = parse_json(text)
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(plain, dict):
        raise _damaged(path, "its state is no JSON object")
    return tensors, plain


def _checksum(tensors: dict[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} cannot be resumed from ({why[:200]}): restore it, or delete it to start the run "
        "from its beginning"
    )


# ---------------------------------------------------------------------------------------------
# The model: weights, the optimiser, the reward's normaliser, the level stream
# ---------------------------------------------------------------------------------------------


def _model_tensors(model: BaseAlgorithm) -> dict[str, Tensor]:
    tensors = {}
    optimizer = model.policy.optimizer
    state, moments = optimizer.state, _moments_of(optimizer)
    for name, parameter in model.policy.named_parameters():
        tensors[f"weight/{name}"] = _plain(parameter)
        tensors[f"step/{name}"] = _plain(state[parameter]["step"])
        for moment in moments:
            tensors[f"{moment}/{name}"] = _plain(state[parameter][moment])
    return tensors | _slot_tensors(model)


def _require_possible(
    model: Any, tensors: dict[str, Tensor], plain: dict[str, Any], total_steps: int
) -> None:
    """Refuse counts and tensors that no training of this model leaves.

    A state is kept after whole rollouts, and not after the last.

    Raises:
        ValueError: saying what is wrong.
    """
    rollout = model.n_steps * model.n_envs
    steps, updates, cuts = plain["steps"], plain["updates"], plain["cuts"]
    _require_count("steps", steps, rollout, total_steps - 1)
    if steps % rollout:
        raise ValueError(f"steps={steps} are no whole rollouts of {rollout}")
    _require_count("updates", updates, 1, steps // rollout * getattr(model, "n_epochs", 1))
    if not isinstance(cuts, list):
        raise ValueError("cuts is no list")
    for cut in cuts:
        _require_count("cuts", cut, rollout, steps)
    moments = _moments_of(model.policy.optimizer)
    known = dict(model.policy.named_parameters())
    for name, parameter in known.items():
        for part in ("weight", *moments):
            _require_tensor(tensors, f"{part}/{name}", parameter.shape, torch.float32)
        _require_tensor(tensors, f"step/{name}", torch.Size(), torch.float32)
        squares = [tensors[f"{moment}/{name}"] for moment in moments if moment in _SQUARES]
        if any((one < 0).any() for one in squares) or tensors[f"step/{name}"] < 1:
            raise ValueError(f"the moments of {name} are negative, or of no step")
    drawn = _stream(model)
    if drawn is not None:
        _require_tensor(tensors, "drawn", torch.Size(drawn.shape), torch.int64)
        if (tensors["drawn"] < 0).any() or (tensors["drawn"] > steps + len(drawn)).any():
            raise ValueError("drawn holds counts that are impossible")
    if isinstance(model.get_env(), NormalizedReward):
        mean, variance, count = plain["reward"]
        if not (math.isfinite(mean) and 0 <= variance < math.inf and 0 < count < math.inf):
            raise ValueError(f"reward={plain['reward']} is no mean, variance and count")


def _require_count(name: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name}={repr(value)[:40]} is not a whole number from {low} to {high}")


def _require_tensor(
    tensors: dict[str, Tensor], name: str, shape: torch.Size, dtype: torch.dtype
) -> None:
    tensor = tensors[name]
    if (tensor.shape, tensor.dtype) != (shape, dtype):
        raise ValueError(
            f"{name} is {tensor.dtype} {list(tensor.shape)}, not {dtype} {list(shape)}"
        )
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds NaN or infinity")


def _restore_model(model: BaseAlgorithm, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
    optimizer = model.policy.optimizer
    with torch.no_grad():
        for name, parameter in model.policy.named_parameters():
            weight = tensors[f"weight/{name}"]
            if weight.shape != parameter.shape:
                raise ValueError(f"{name} is {list(weight.shape)}, not {list(parameter.shape)}")
            parameter.copy_(weight)
            state: dict[str, Tensor] = optimizer.state[parameter]
            state["step"] = tensors[f"step/{name}"].to(parameter.device)
            for moment in _moments_of(optimizer):
                state[moment] = torch.empty_like(parameter).copy_(tensors[f"{moment}/{name}"])
    model.num_timesteps = int(plain["steps"])
    model._n_updates = int(plain["updates"])
    env: Any = model.get_env()
    if isinstance(env, NormalizedReward):
        mean, variance, count = map(float, plain["reward"])
        env.moments.mean, env.moments.var = np.array(mean), np.array(variance)
        env.moments.count = count


def _moments(model: BaseAlgorithm) -> list[float] | None:
    """Return mean, variance and count of the reward's discounted sums, if it is normalised."""
    env = model.get_env()
    if not isinstance(env, NormalizedReward):
        return None
    return [float(env.moments.mean), float(env.moments.var), float(env.moments.count)]


# ---------------------------------------------------------------------------------------------
# The slots: levels that run, actions taken in them, what a memory holds of them
# ---------------------------------------------------------------------------------------------


def _slot_tensors(model: BaseAlgorithm) -> dict[str, Tensor]:
    tensors, env = {}, model.get_env()
    drawn, position = _stream(model), _position(model)
    if drawn is not None:
        tensors["drawn"] = torch.from_numpy(drawn.copy())
    if position is not None:
        tensors["slots/ages"] = torch.from_numpy(position.ages)
        for name, own in position.stream.items():
            if name != "drawn":
                tensors[f"{_STREAM}{name}"] = torch.from_numpy(own)
        tensors["slots/actions"] = torch.from_numpy(position.actions)
        for name, memory in _memories(model).items():
            tensors[name] = _plain(memory)
        if isinstance(env, NormalizedReward):
            tensors["slots/sums"] = torch.from_numpy(env.sums.copy())
    return tensors


def _restore_slots(model: Any, tensors: dict[str, Tensor]) -> None:
    """Bring the slots back, or, if the state does not say where they were, the level stream."""
    if _stream(model) is None:
        return
    env = model.get_env()
    base, drawn = env.unwrapped, tensors["drawn"].numpy()
    if "slots/ages" not in tensors:
        base.drawn = drawn
        return
    ages, actions = tensors["slots/ages"].numpy(), tensors["slots/actions"].numpy()
    _require_tensor(tensors, "slots/ages", torch.Size(drawn.shape), torch.int64)
    _require_tensor(tensors, "slots/actions", torch.Size(actions.shape), torch.int16)
    stream = {
        name.removeprefix(_STREAM): tensor.numpy()
        for name, tensor in tensors.items()
        if name.startswith(_STREAM)
    }
    model._last_obs = base.go_to(Position({"drawn": drawn, **stream}, ages, actions))
    model._last_episode_starts = ages == 0
    for name, memory in _memories(model).items():
        _require_tensor(tensors, name, memory.shape, memory.dtype)
        memory.copy_(tensors[name])
    if isinstance(env, NormalizedReward):
        _require_tensor(tensors, "slots/sums", torch.Size([env.num_envs]), torch.float64)
        env.sums[:] = tensors["slots/sums"].numpy()


def _memories(model: Any) -> dict[str, Tensor]:
    """Return what a network with a memory holds of each slot."""
    states = getattr(model, "_last_lstm_states", None) or ()
    return {
        f"slots/memory/{i}/{j}": tensor
        for i, pair in enumerate(states)
        for j, tensor in enumerate(pair)
    }


def _position(model: BaseAlgorithm) -> Position | None:
    ask = getattr(getattr(model.get_env(), "unwrapped", None), "position", None)
    return ask() if ask else None


def _stream(model: BaseAlgorithm) -> NDArray[np.int64] | None:
    """Return how many levels each slot has drawn, None for an environment that draws none."""
    return getattr(getattr(model.get_env(), "unwrapped", None), "drawn", None)


def _moments_of(optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    return _MOMENTS[type(optimizer).__name__]


def _plain(tensor: Tensor) -> Tensor:
    """Return a copy that later training does not change."""
    return tensor.detach().to("cpu", copy=True).contiguous()


# ---------------------------------------------------------------------------------------------
# Generators
# ---------------------------------------------------------------------------------------------


def _generator_tensors() -> dict[str, Tensor]:
    tensors = {
        "generator/torch": torch.get_rng_state(),
        "generator/numpy": torch.from_numpy(np.random.get_state()[1].astype(np.int64)),  # pyright: ignore # noqa: NPY002
        "generator/python": torch.tensor(random.getstate()[1], dtype=torch.int64),
    }
    if torch.cuda.is_available():
        tensors["generator/cuda"] = torch.cuda.get_rng_state()
    return tensors


def _generator_numbers() -> dict[str, Any]:
    _, _, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    python_version, _, python_gauss = random.getstate()
    return {
        "numpy": [int(position), int(has_gauss), float(gauss)],
        "python": [python_version, python_gauss],
    }


def _restore_generators(tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    position, has_gauss, gauss = numbers["numpy"]
    keys = tensors["generator/numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, position, has_gauss, gauss))  # noqa: NPY002
    version, python_gauss = numbers["python"]
    random.setstate((version, tuple(tensors["generator/python"].tolist()), python_gauss))
    torch.set_rng_state(tensors["generator/torch"])
    if torch.cuda.is_available() and "generator/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator/cuda"])
