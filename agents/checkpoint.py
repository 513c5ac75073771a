"""Save a trained policy, and load one without executing anything from its files.

Public names: `save_policy`, `load_agent`, `load_policy`, `build_policy`, `replace_files`,
`WEIGHTS`, `DESCRIPTION`.

A policy is a folder with two files: `policy.json`, a `PolicySpec`, and `policy.safetensors`, plain
tensors.  Neither format can hold code (a pickle can, and is never opened).  The specification names
the algorithm, one of those that are installed, and the algorithm knows the network and its play.

Resuming a killed training run needs more (optimiser, normaliser, level stream, generators), which
is stored in a file of its own (`resume`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any, cast

import gymnasium
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import open_regular, temporary
from misgen.envs.core.processes import replace

from .algorithms import make_learner
from .base import TrainedAgent
from .external.playing import load_external
from .external.record import read_record
from .external.source import trusting
from .spec import DESCRIPTION, MAX_DESCRIPTION_BYTES, PolicySpec
from .zoo import located

WEIGHTS = "policy.safetensors"
_MAX_HEADER_BYTES = 1 << 20
_LARGEST_WEIGHT = 1e9  # trained ones are under 100


def save_policy(
    folder: str | Path, policy: nn.Module, spec: PolicySpec, *, half: bool = False
) -> None:
    """Write `policy` to `folder`, replacing an older one only once all is written.

    Args:
        folder: made if missing.
        policy: the trained network, `Learned.network`.
        spec: what it is (`PolicySpec.of`).
        half: round its weights to float16, in half the space.

    Raises:
        UserError: if `spec` describes another network, a weight is not finite, or the files cannot
            be written; older files are then as they were.
    """
    folder = Path(folder)
    tensors = {name: p.detach().cpu().contiguous() for name, p in policy.named_parameters()}
    _require_tensors(tensors, expected_shapes(spec), "the policy to save", _SAME_CONFIG)
    if half:
        tensors = {name: tensor.half() for name, tensor in tensors.items()}
    weights = safetensors.torch.save(tensors)
    description = spec.to_json(hashlib.sha256(weights).hexdigest()).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_files(folder, {WEIGHTS: weights, DESCRIPTION: description})
    except OSError as error:
        raise UserError(
            f"cannot write the policy to {folder} ({error.strerror}): free some space there or "
            "give another folder"
        ) from error


def load_agent(
    folder: str | Path,
    observation_space: gymnasium.Space | None = None,
    action_space: gymnasium.Space | None = None,
    device: str = "cpu",
    name: str = "",
    trust: bool = False,
) -> TrainedAgent:
    """Load a saved policy as an agent for an environment with these spaces.

    An agent that was trained elsewhere is made again, where it is trusted.

    Args:
        folder: what `save_policy` wrote, or `zoo:<name>` of an agent that comes with misgen.
        observation_space: the environment's, of a single slot; with the next, refuse an agent that
            cannot play there.
        action_space: the environment's, of a single slot.
        device: torch device to run on.
        name: what to call the agent; empty: by its algorithm.
        trust: make an agent that was trained elsewhere again, which runs the code that makes it.

    Raises:
        UserError: if a file is missing, damaged, or not what it should be, or the spaces differ.
    """
    folder = located(folder)
    record = read_record(folder)
    if record is not None:
        with trusting(trust):
            return cast("TrainedAgent", load_external(record, folder))
    policy, spec, _ = load_policy(folder, observation_space, action_space)
    learner = make_learner(spec.algorithm)
    return learner.agent(policy.to(device), spec, name or spec.algorithm)


def load_policy(
    folder: str | Path,
    observation_space: gymnasium.Space | None = None,
    action_space: gymnasium.Space | None = None,
) -> tuple[nn.Module, PolicySpec, str]:
    """Load a saved policy's network, its specification, and the SHA-256 of its weights.

    Args:
        folder: what `save_policy` wrote, or `zoo:<name>`.
        observation_space: of the environment it is to play in, of a single slot; None: not checked.
        action_space: of the environment, of a single slot; None: not checked.

    Raises:
        UserError: if a file is missing, damaged, or not what it should be, or the spaces differ.
    """
    folder = located(folder)
    text = _read(folder / DESCRIPTION, MAX_DESCRIPTION_BYTES)
    spec, checksum = PolicySpec.from_json(text, str(folder / DESCRIPTION))
    if observation_space is not None and action_space is not None:
        spec.require_spaces(observation_space, action_space)
    tensors = _read_weights(folder / WEIGHTS, expected_shapes(spec), checksum)
    policy = build_policy(spec)
    with torch.no_grad():
        for key, parameter in policy.named_parameters():
            parameter.copy_(tensors[key])
    return policy, spec, checksum


def build_policy(spec: PolicySpec) -> Any:
    """Return a freshly initialised network as `spec` describes it."""
    return make_learner(spec.algorithm).build(spec)


def expected_shapes(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the network, by name, without allocating any."""
    with torch.device("meta"):
        policy = build_policy(spec)
    return {name: tuple(p.shape) for name, p in policy.named_parameters()}


def _read(path: Path, limit: int) -> bytes:
    """Return a file's bytes, refusing what is no file or larger than `limit` bytes."""
    if not path.is_file():
        raise UserError(
            f"there is no file {path}: give the folder of a finished training run, which holds "
            f"{DESCRIPTION} and {WEIGHTS}"
        )
    try:
        with open_regular(path) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): check its permissions") from error
    if len(data) > limit:
        raise UserError(f"{path} is larger than the {limit} bytes it can need: {_RESTORE}")
    return data


def _read_weights(
    path: Path, shapes: dict[str, tuple[int, ...]], checksum: str
) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, all checked."""
    numbers = sum(torch.Size(shape).numel() for shape in shapes.values())
    data = _read(path, 4 * numbers + _MAX_HEADER_BYTES)
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        # Only now: a safetensors file begins with the length of its header, which can be any bytes.
        if data[:2] in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05"):
            raise UserError(
                f"{path} is a pickle, not safetensors; a pickle can run code, so it was not "
                f"opened: {_RESTORE}"
            ) from None
        raise UserError(f"{path} is truncated or damaged ({error}): {_RESTORE}") from None
    tensors = {name: t.float() if t.dtype == torch.half else t for name, t in tensors.items()}
    _require_tensors(tensors, shapes, str(path), _RESTORE)
    if hashlib.sha256(data).hexdigest() != checksum:
        raise UserError(f"{path} is not the file that {DESCRIPTION} was written for: {_RESTORE}")
    return tensors


_RESTORE = f"restore {DESCRIPTION} and {WEIGHTS} from the training run that wrote them"
_SAME_CONFIG = "make its PolicySpec from the config and spaces that it was trained with"


def _require_tensors(
    tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]], where: str, remedy: str
) -> None:
    """Refuse tensors that are not finite float32 of exactly these names and shapes."""
    different = sorted(tensors.keys() ^ shapes.keys())
    if different:
        state = "missing" if different[0] in shapes else "not part of the network"
        raise UserError(f"{where}: tensor {different[0][:80]!r} is {state}: {remedy}")
    for name, tensor in tensors.items():
        found = (tuple(tensor.shape), tensor.dtype)
        if found != (shapes[name], torch.float32):
            raise UserError(
                f"{where}: tensor {name!r} is {found[1]} {list(found[0])}, where {DESCRIPTION} "
                f"asks for float32 {list(shapes[name])}: {remedy}"
            )
        if not (tensor.abs() <= _LARGEST_WEIGHT).all():
            raise UserError(
                f"{where}: tensor {name!r} holds NaN, infinity or a number above 1e9, so "
                "training diverged or the file "
                "is damaged: train again, with a lower learning_rate if that repeats it"
            )


def replace_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write all `files` under other names, then rename them one after the other.

    A crash between two renames leaves files that do not belong together; the checksum tells.
    """
    with contextlib.ExitStack() as stack:
        written = {name: stack.enter_context(temporary(folder / name)) for name in files}
        for name, path in written.items():
            with path.open("wb") as file:
                file.write(files[name])
                file.flush()
                os.fsync(file.fileno())
        for name, path in written.items():
            replace(path, folder / name)
