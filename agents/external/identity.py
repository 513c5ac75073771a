"""Which agent is it?  By its weights where it has some, and by what it answers where it has not.

Public names: `Identity`, `identity_of`, `weights_of`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..recorded import RecordedAgent
from .trial import Trial

if TYPE_CHECKING:
    from ..base import Agent

WEIGHTS, ANSWERS, NAME = "weights", "answers", "name"
_DIGITS = 3


@dataclass(frozen=True)
class Identity:
    """What tells an agent from others."""

    sha256: str
    """Of what it is told by."""
    by: str
    """`weights`; `answers`: by what it answers in a trial; `name`: it answers differently each
    time, so that nothing else tells."""
    weights_sha256: str | None
    """Of its weights, where it has some."""
    parameters: int | None
    """How many numbers these are."""


def identity_of(agent: Agent, trial: Trial, source: str) -> Identity:
    """Return what tells an agent from others.

    Args:
        agent: which.
        trial: what it answered.
        source: where it comes from; counts only if nothing else tells.
    """
    if isinstance(agent, RecordedAgent):
        return Identity(agent.answered_sha256, ANSWERS, None, None)
    weights, parameters = weights_of(agent)
    whole = getattr(agent, "is_network", False)  # and nothing of a stranger's around it
    if weights is not None and whole:
        return Identity(weights, WEIGHTS, weights, parameters)
    digest = hashlib.sha256((weights or "").encode())
    if trial.repeatable:
        rounded = np.round(trial.answers, _DIGITS) + 0.0  # -0 is 0
        digest.update(str(rounded.shape).encode() + rounded.tobytes())
        return Identity(digest.hexdigest(), ANSWERS, weights, parameters)
    digest.update(f"{agent.name}\n{source}".encode())
    return Identity(digest.hexdigest(), NAME, weights, parameters)


def weights_of(agent: Any) -> tuple[str | None, int | None]:
    """Return the SHA-256 of an agent's weights and how many numbers they are; None: it has none.

    They are those of the torch modules that it is, or that it holds as attributes.
    """
    modules = list(_modules(agent))
    if not modules:
        return None, None
    digest, count = hashlib.sha256(), 0
    for name, module in modules:
        digest.update(f"{name}: {_ADDRESS.sub('', str(module))}\n".encode())
        for key, tensor in sorted(module.state_dict().items()):
            if not hasattr(tensor, "detach"):
                continue
            values = tensor.detach().cpu()
            digest.update(f"{key} {values.dtype} {tuple(values.shape)}\n".encode())
            digest.update(values.contiguous().reshape(-1).view(_bytes()).numpy().tobytes())
        count += sum(p.numel() for p in module.parameters())
    return digest.hexdigest(), count


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def _bytes() -> Any:
    import torch

    return torch.uint8


def _modules(agent: Any) -> Iterator[tuple[str, Any]]:
    """Yield the torch modules that an agent has, with the names it has them under."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    network = getattr(agent, "network", None)
    if isinstance(network, torch.nn.Module):
        yield "network", network
        return
    original = getattr(agent, "original", agent)
    held = getattr(original, "__dict__", {})
    for name, value in sorted(held.items()):
        if isinstance(value, torch.nn.Module):
            yield name, value
    for number, cell in enumerate(getattr(original, "__closure__", None) or ()):
        with contextlib.suppress(ValueError):  # an empty cell
            if isinstance(cell.cell_contents, torch.nn.Module):
                yield f"closure{number}", cell.cell_contents
