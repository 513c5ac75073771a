"""The register of protocols' methods: misgen's own, and those of other packages.

A protocol names its method by a short name that stays, wherever the code moves: it is part of the
protocol's hash.  A package adds a method with an entry point, whose name is the method's:

    [project.entry-points."misgen.protocols"]
    stubborn = "my_package.methods:Stubborn"

Who installed the package has trusted it.  A method of neither kind is `module:Class`, and importing
it runs code that nobody vouched for: that takes `trust=true`.

Public names: `OWN`, `GROUP`, `method_name`, `is_trusted`, `known_methods`, `register_method`,
`find_method`.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import Any

from misgen.envs.core.errors import UserError, did_you_mean
from misgen.envs.core.extensions import load_point, points_of

GROUP = "misgen.protocols"
"""Group of the entry points."""
_HERE = __name__.rpartition(".")[0]
OWN = {
    "held": f"{_HERE}.methods.sampled:Held",
    "support_conflicts": f"{_HERE}.methods.sampled:SupportConflicts",
    "correlation_break": f"{_HERE}.methods.sampled:CorrelationBreak",
    "counterfactual_pairs": f"{_HERE}.methods.sampled:CounterfactualPairs",
    "cue_conflict": f"{_HERE}.methods.sampled:CueConflict",
    "behavioural_objective": f"{_HERE}.methods.objective_posterior:BehaviouralObjective",
    "critic_probe": f"{_HERE}.methods.critic_probe:CriticProbe",
    "critic_distance": f"{_HERE}.methods.critic_distance:CriticDistance",
    "red_team_in": f"{_HERE}.methods.search.red_team:RedTeamIn",
    "red_team_out": f"{_HERE}.methods.search.red_team:RedTeamOut",
    "regret_search": f"{_HERE}.methods.search.regret:RegretSearch",
}
"""misgen's own methods, by name: where their classes are."""
_MODULES = {where.partition(":")[0] for where in OWN.values()}
_BY_CLASS = {where.partition(":")[2]: name for name, where in OWN.items()}
_registered: dict[str, type[Any]] = {}


def method_name(given: str) -> str:
    """Return the name that a method has today: files from before there were names hold paths.

    Any path into this package that ends in the class of one of misgen's methods is that method's.
    """
    module, _, name = given.partition(":")
    return _BY_CLASS.get(name, given) if module.startswith(f"{_HERE}.") else given


def known_methods() -> list[str]:
    """Return the names of all methods, misgen's own first."""
    return [*OWN, *_others(), *_registered]


def register_method(cls: type[Any]) -> type[Any]:
    """Let protocols name a method of yours, as `module:Class`; usable as a decorator."""
    _registered[f"{cls.__module__}:{cls.__qualname__}"] = cls
    return cls


def is_trusted(method: str) -> bool:
    """Return whether a method is one of misgen's, of an installed package, or was registered."""
    return ":" not in method or method in _registered or method.partition(":")[0] in _MODULES


def is_own(method: str) -> bool:
    """Return whether a method is one of misgen's."""
    return method in OWN


def find_method(method: str, field: str) -> Any:
    """Import what a method's name, or `module:Class`, stands for.

    Args:
        method: the name.
        field: where it was given, for the message.

    Raises:
        UserError: if there is none, or its package is at fault.
    """
    if method in _registered:
        return _registered[method]
    others = _others()  # first of all: it refuses names that are taken twice
    if method in others:
        return load_point(others[method], "the method")
    module, _, name = OWN.get(method, method).partition(":")
    if not name:
        known = known_methods()
        raise UserError(
            f"{field} is not a method: use one of {', '.join(known)}, install the package that "
            f"brings it, or give module:Class of one of your own{did_you_mean(method, known)}"
        )
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError, UnicodeError) as error:
        raise UserError(
            f"{field} cannot be loaded ({error}): give one of {', '.join(OWN)}, or module:Class of "
            "an importable module"
        ) from None


@lru_cache
def _others() -> dict[str, EntryPoint]:
    """Return the entry points of other packages, by name."""
    return points_of(GROUP, OWN, "a protocol's method")
