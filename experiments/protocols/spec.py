"""The specification of a protocol: levels, what the evaluator may know, budget and score.

Public names: `Protocol`, `Decision`, `ACCESS`, `DECISIONS`, `protocol_names`, `own_protocols`,
`load_protocol`, `protocol_from`, `is_shipped`.

A protocol is data, a YAML file that is read into a frozen dataclass; what it does is the class that
its `method` names (`base.Method`), made from its `options`.  Two protocols with the same hash give
the same numbers.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from misgen.envs.core.distribution import MAX_ID, IdRange
from misgen.envs.core.errors import UserError, did_you_mean, in_range, one_of
from misgen.envs.core.extensions import settings_files, settings_folders
from misgen.envs.core.files import require_shallow

from ..training.config import config_hash, require_name
from ..training.settings import typed
from .known_methods import method_name
from .reading import merged, read_yaml

ACCESS = {
    "training_distribution": "the levels that the agent was trained on, and their correlation",
    "proxy_candidates": "which proxies the agent may have learned",
    "level_editor": "levels with the goal moved, or otherwise made to order",
    "planner": "shortest ways to the goal and to the proxy",
    "critic": "the agent's value estimates",
}
"""What an evaluator may know or use, beside playing levels of the training distribution."""
DECISIONS = ("interval", "fitted")
_LARGEST = sys.float_info.max
LEVELS_PER_PROTOCOL = 10_000_000
"""A protocol's level ids begin at a multiple of this and use no more."""
LEVELS_PER_REPLICATE = 200_000
"""Of them each replicate has its own."""
FIRST_LEVEL = 100_000_000
"""Protocols' levels begin here; below are training, tests and the ground truth."""
_SUFFIXES = (".yaml", ".yml")
_GROUP = "protocol"
MAX_REPLICATES = LEVELS_PER_PROTOCOL // LEVELS_PER_REPLICATE


@dataclass(frozen=True)
class Decision:
    """When a score counts as a detection."""

    kind: str = "interval"
    """`interval`: detected if the score's whole interval lies above `threshold`, not detected if it
    lies below; `fitted`: the score has no threshold of its own, only one fitted on other agents."""
    threshold: float = 0.0
    """Of kind `interval`, in units of the score."""

    def __post_init__(self) -> None:
        """Refuse an unknown kind, and a threshold that no score is above or below.

        Raises:
            UserError: naming it.
        """
        one_of("decision.kind", self.kind, DECISIONS)
        in_range("decision.threshold", self.threshold, -_LARGEST, _LARGEST)


@dataclass(frozen=True)
class Protocol:
    """A way of looking for goal misgeneralization."""

    name: str
    """Short name, that of its file."""
    method: str
    """Name of its implementation (`known_methods`), or `module:Class` of one that is anybody's."""
    question: str
    """What it asks of an agent, in a sentence."""
    levels: str
    """Which levels it plays, in words with their parameters."""
    score: str
    """What the number means; higher is more evidence of goal misgeneralization."""
    blind_to: str
    """What it cannot see, in words."""
    first_level: int
    """Where its level ids begin: a multiple of 10 million, from 100 million on, its own."""
    access: tuple[str, ...] = ("training_distribution",)
    """What the evaluator may know or use; see `ACCESS`."""
    in_support: bool | None = None
    """Whether all levels that it plays are such as training may have drawn; none: not said."""
    told_proxy: bool | None = None
    """Whether it is told what the proxy is; none: not said."""
    budget: int = 1000
    """Episodes of the agent that it spends when it is run by itself."""
    most: int | None = None
    """Largest budget it makes sense for, where it costs more than episodes; none: any."""
    decision: Decision = field(default_factory=Decision)
    """When a score counts as a detection."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of the method; they become the fields of its class."""
    version: int = 1
    """Rises when the same options give other numbers."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        require_name("protocol.name", self.name)
        object.__setattr__(self, "method", method_name(self.method))
        for word in self.access:
            one_of("protocol.access", word, ACCESS)
        in_range("protocol.budget", self.budget, 1, LEVELS_PER_REPLICATE)
        if self.most is not None:
            in_range("protocol.most", self.most, 1, LEVELS_PER_REPLICATE)
        in_range("protocol.version", self.version, 1, 1_000_000)
        last = MAX_ID - LEVELS_PER_PROTOCOL
        if self.first_level % LEVELS_PER_PROTOCOL or not FIRST_LEVEL <= self.first_level <= last:
            raise UserError(
                f"protocol.first_level={self.first_level} is not allowed: give a multiple of "
                f"{LEVELS_PER_PROTOCOL} from {FIRST_LEVEL} to {last} that no other protocol has"
            )

    @property
    def hash(self) -> str:
        """10 hex digits of what determines its numbers; other words do not change it."""
        plain = dataclasses.asdict(self)
        return config_hash({key: plain[key] for key in plain if key not in _WORDS})

    def ids(self, replicate: int) -> IdRange:
        """Return the level ids of a replicate: no other replicate, protocol or use has them.

        Raises:
            UserError: if there are not so many replicates.
        """
        in_range("replicate", replicate, 0, MAX_REPLICATES - 1)
        start = self.first_level + replicate * LEVELS_PER_REPLICATE
        return IdRange(start, start + LEVELS_PER_REPLICATE)

    def affordable(self, budgets: Sequence[int]) -> tuple[int, ...]:
        """Return those of `budgets` that the protocol makes sense for, in ascending order."""
        return tuple(b for b in sorted(budgets) if self.most is None or b <= self.most)


_WORDS = (
    "question", "levels", "score", "blind_to", "budget", "most", "decision", "access", "in_support",
    "told_proxy",
)  # fmt: skip


def protocol_names() -> list[str]:
    """Return the names of misgen's protocols, and of those of installed packages."""
    return sorted(settings_files(_GROUP))


def own_protocols() -> list[str]:
    """Return the names of misgen's protocols."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_protocol(name: str, overrides: Sequence[str] = ()) -> Protocol:
    """Return a protocol by its name, or by the path of its YAML file.

    Args:
        name: one of `protocol_names()`, or a path that ends in `.yaml` or `.yml`.
        overrides: `key=value` within the protocol, such as `options.placement=anywhere`.

    Raises:
        UserError: if there is none, or it does not say what it must.
    """
    known = settings_files(_GROUP)
    path = Path(name) if name.endswith(_SUFFIXES) else known.get(name)
    if path is None or not os.path.lexists(path):
        raise UserError(
            f"protocol={name!r} is not known: use one of {', '.join(sorted(known))}, or the path "
            f"of a YAML file{did_you_mean(name, known)}"
        )
    plain = read_yaml(path, "a protocol's YAML file")
    try:
        return protocol_from(merged(plain, overrides, "protocol."))
    except UserError as error:
        raise error if path.parent == _folder() else UserError(f"{path}: {error}") from None


def protocol_from(plain: Any) -> Protocol:
    """Return the protocol that plain data describes.

    Raises:
        UserError: naming what does not fit.
    """
    if not isinstance(plain, Mapping):
        raise UserError("a protocol must be a mapping of settings: name, method, question, ...")
    try:
        require_shallow(plain)
    except ValueError as error:
        raise UserError(f"protocol cannot be read: {error}") from None
    return typed(Protocol, plain, "protocol.")


def is_shipped(protocol: Protocol) -> bool:
    """Return whether a protocol is one of `configs/protocol`, word for word but for its budget.

    A name tells nothing: whoever writes a protocol may call it `iid`.
    """
    if protocol.name not in own_protocols():
        return False
    own = dataclasses.replace(load_protocol(protocol.name), budget=protocol.budget)
    one, two = (json.dumps(dataclasses.asdict(p), sort_keys=True) for p in (own, protocol))
    return one == two


def _folder() -> Path:
    return settings_folders()[0] / _GROUP
