"""The register of learning algorithms: misgen's own, and those of other packages.

A package adds an algorithm with an entry point, whose name is the algorithm's:

    [project.entry-points."misgen.algorithms"]
    reinforce = "my_package.settings:REINFORCE"

where `REINFORCE = Algorithm(MyConfig, "my_package.learner:MyLearner", "REINFORCE")`, `MyConfig` is
a `LearnerConfig` with `algorithm: str = "reinforce"`, and `MyLearner` a `learner.Learner`.  Then
`misgen train agent=reinforce` trains with it, its settings' defaults being the dataclass's.

Public names: `Algorithm`, `algorithms`, `algorithm`, `algorithm_title`, `make_learner`,
`settings_class`, `GROUP`.
Imports no torch: settings are read long before anything learns.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError, did_you_mean
from misgen.envs.core.extensions import load_point, package_of, points_of

from .config import (
    DEFAULT_ALGORITHM,
    A2CConfig,
    DistillConfig,
    DQNConfig,
    LearnerConfig,
    PPOConfig,
    RecurrentPPOConfig,
)

if TYPE_CHECKING:
    from .learner import Learner

GROUP = "misgen.algorithms"
"""Group of the entry points."""


@dataclass(frozen=True)
class Algorithm:
    """An algorithm: its settings, which are light, and where its learner is, which is not."""

    config: type[LearnerConfig]
    """Dataclass of its settings."""
    learner: str
    """`module:Class` of its `Learner`, imported when something learns or is loaded."""
    title: str
    """What people call it."""


OWN = {
    "ppo": Algorithm(PPOConfig, "misgen.agents.ppo:PPOLearner", "PPO"),
    "recurrent_ppo": Algorithm(
        RecurrentPPOConfig, "misgen.agents.recurrent_ppo:RecurrentPPOLearner", "Recurrent PPO"
    ),
    "a2c": Algorithm(A2CConfig, "misgen.agents.a2c:A2CLearner", "A2C"),
    "dqn": Algorithm(DQNConfig, "misgen.agents.dqn:DQNLearner", "DQN"),
    "distill": Algorithm(DistillConfig, "misgen.agents.distill:DistillLearner", "Distillation"),
}
"""The algorithms that come with misgen, by name."""


def algorithms() -> list[str]:
    """Return the names of all algorithms, misgen's own first.

    Raises:
        UserError: if two packages call theirs the same.
    """
    return [*OWN, *_others()]


def algorithm(name: str, field: str = "agent.algorithm") -> Algorithm:
    """Return the algorithm called `name`.

    Args:
        name: its name.
        field: where it was given, for the message.

    Raises:
        UserError: if there is none, two packages call theirs so, or its package is at fault.
    """
    others = _others()  # first of all: it refuses names that are taken twice
    if name == "external":
        return _external()
    if name in OWN:
        return OWN[name]
    if name not in others:
        known = [*OWN, *others]
        raise UserError(
            f"{field}={name!r} is not an algorithm: use one of {', '.join(known)}, or install the "
            f"package that brings it{did_you_mean(str(name), known)}"
        )
    return _load(others[name])


def algorithm_title(name: str) -> str:
    """Return what people call an algorithm; a name that is none is returned as it is."""
    try:
        return algorithm(name).title
    except UserError:
        return name


def make_learner(name: str, field: str = "agent.algorithm") -> Learner:
    """Return a learner of the algorithm called `name`.

    Raises:
        UserError: if there is none, or its module is not there.
    """
    where = algorithm(name, field).learner
    module, _, attribute = where.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"{field}={name} needs {where}, which cannot be imported ({error}): install the "
            "package that it belongs to, or give another algorithm"
        ) from error


def settings_class(plain: Mapping[str, Any], path: str) -> type[LearnerConfig]:
    """Return the dataclass that some settings are of, by their `algorithm`.

    Args:
        plain: the settings, as plain data.
        path: where they stand, such as `agent.`, for messages.

    Raises:
        UserError: for an unknown algorithm, or settings of another one.
    """
    name = plain.get("algorithm", DEFAULT_ALGORITHM)
    chosen = algorithm(name, f"{path}algorithm").config
    require_settings(name, chosen, plain, path)
    return chosen


def require_settings(
    name: str, config: type[LearnerConfig], plain: Mapping[str, Any], path: str
) -> None:
    """Refuse settings that other algorithms have and this one has not.

    What no algorithm has is left to whoever reads the settings.

    Raises:
        UserError: naming the first, or for the name of agents that were trained elsewhere.
    """
    if name == "external" and "identity" not in plain:
        raise UserError(
            f"{path}algorithm=external is no algorithm: it stands for agents that were trained "
            "elsewhere; train with agent=ppo, or evaluate an agent of your own with misgen "
            "evaluate agent=my_module:make_agent"
        )
    own = {f.name for f in dataclasses.fields(config)}
    for key, value in plain.items():
        others = [
            other
            for other, known in OWN.items()
            if key not in own and key in {f.name for f in dataclasses.fields(known.config)}
        ]
        if others:
            raise UserError(
                f"{path}{key}={value!r} is a setting of {', '.join(others)} and not of {name}: "
                f"leave it out, and choose the algorithm with agent={name} and not by "
                f"{path}algorithm"
            )


def _external() -> Algorithm:
    """Return what stands for the algorithm of agents that were trained elsewhere."""
    from .external.config import TITLE, ExternalConfig

    return Algorithm(ExternalConfig, "", TITLE)


@lru_cache
def _others() -> dict[str, EntryPoint]:
    """Return the entry points of other packages, by name."""
    return points_of(GROUP, OWN, "an algorithm")


@lru_cache
def _load(point: EntryPoint) -> Algorithm:
    """Import what an entry point names, and check that it is an algorithm of that name."""
    found = load_point(point, "the algorithm")
    fits = isinstance(found, Algorithm) and issubclass(found.config, LearnerConfig)
    if not fits or found.config.algorithm != point.name:
        raise UserError(
            f"the entry point {point.name!r} of {package_of(point)} is {point.value}, which is not"
            f" an Algorithm whose config has algorithm={point.name!r}: fix that package"
        )
    return found


__all__ = [
    "DEFAULT_ALGORITHM",
    "GROUP",
    "OWN",
    "Algorithm",
    "algorithm",
    "algorithm_title",
    "algorithms",
    "make_learner",
    "require_settings",
    "settings_class",
]
