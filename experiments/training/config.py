"""From hydra's YAML to typed dataclasses: every key known, every value checked, once.

Hydra is a front end.  `compose` turns a config name and overrides into a plain dictionary;
`typed` turns a dictionary into a dataclass, and names what does not fit.  The same dataclasses work
from Python without hydra.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from misgen.agents.algorithms import settings_class
from misgen.agents.config import DEFAULT_ALGORITHM, LearnerConfig
from misgen.agents.spec import weights_checksum
from misgen.envs.core.distribution import IdRange, LevelDistribution, require_disjoint
from misgen.envs.core.errors import UserError, did_you_mean, in_range
from misgen.envs.core.id_range import ALL_IDS
from misgen.envs.core.placement import USUAL
from misgen.envs.core.registry import make_world
from misgen.envs.core.world import World

from .trackers import require_known

T = TypeVar("T")


KEPT_FOR_TESTS = IdRange(20_000_000, 400_000_000)
"""Ids that `levels.train=all` leaves alone: those of protocols and of the truth that they are
compared with, and room for tests of one's own."""


@dataclass(frozen=True)
class LevelsConfig:
    """Level ids of each split, as `start:stop`; they must not overlap.

    One of the three may be `all`: all ids that the others leave; of training (or validation) also
    without `KEPT_FOR_TESTS`.
    """

    train: str = "0:100000"
    """Levels the agent learns from."""
    validation: str = "1000000:1010000"
    """Levels for choosing settings."""
    test: str = "2000000:2001000"
    """Levels that only the evaluation sees."""

    def __post_init__(self) -> None:
        """Refuse ranges that cannot be read, or that overlap.

        Raises:
            UserError: naming the ranges.
        """
        require_disjoint(self.ranges)

    @property
    def ranges(self) -> dict[str, IdRange]:
        """The id range of each split."""
        given = {name: str(getattr(self, name)).strip() for name in ("train", "validation", "test")}
        whole = [name for name, text in given.items() if text == ALL_IDS]
        found = {name: id_range(f"levels.{name}", text) for name, text in given.items()}
        if len(whole) > 1:
            raise UserError(
                f"levels.{whole[0]} and levels.{whole[1]} are both {ALL_IDS}: one split can have "
                "all ids that the others leave; give the other as start:stop"
            )
        for name in whole:
            others = [ids for other, ids in found.items() if other != name]
            kept = [] if name == "test" else [KEPT_FOR_TESTS]
            found[name] = IdRange.everything((*others, *kept))
        return found


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    env: dict[str, Any]
    """World name and its parameters."""
    agent: LearnerConfig
    """How the agent learns: the settings of its algorithm."""
    levels: LevelsConfig = field(default_factory=LevelsConfig)
    """Level ids of each split."""
    correlation: float = 1.0
    """Probability that the goal stands where the proxy points in a training level."""
    proxy_correlations: dict[str, float] = field(default_factory=dict)
    """Of single proxies, by name, where a world has several; `correlation` is that of the rest."""
    placement: str = USUAL
    """Where the goal goes on a conflict level."""
    seed: int = 0
    """Training seed: weights, actions and the order of levels."""
    runs: str = "runs"
    """Folder that holds all runs."""
    name: str = "single"
    """Sweep that the run belongs to, a folder in `runs`."""
    logger: dict[str, bool] = field(default_factory=dict)
    """Trackers that numbers go to beside the local files, which are always written: whether each is
    asked for, by name (`trackers`)."""
    save_every: float = 5.0
    """Minutes between two writes of the state that a killed run continues from."""
    stop_after: float | None = None
    """Minutes after which to stop with the state written; the same command then continues."""
    init: str | None = None
    """Folder of a trained policy whose weights the training starts from; none: fresh weights."""
    init_policy: str | None = None
    """SHA-256 of those weights: noted when the run is set up, and held to."""
    snapshots: tuple[int, ...] = ()
    """Decisions after which the policy is kept too, in `snapshots/`, at the next rollout's end."""

    def __post_init__(self) -> None:
        """Check what no field can check alone.

        Raises:
            UserError: naming the field.
        """
        in_range("seed", self.seed, 0, 2**31 - 1)
        require_name("name", self.name)
        require_known(self.logger)
        in_range("save_every", self.save_every, 0, 1e6)
        if self.stop_after is not None:
            in_range("stop_after", self.stop_after, 0, 1e6)
            if not self.agent.continues:
                raise UserError(
                    f"stop_after={self.stop_after:g} does not go with "
                    f"agent={self.agent.algorithm}, whose runs cannot be taken up again: leave it "
                    "out, or give another algorithm"
                )
        for steps in self.snapshots:
            in_range("snapshots", steps, 0, self.agent.total_steps)
        if not self.init and (self.init_policy or self.init is not None):
            raise UserError(
                f"init={self.init!r} with init_policy={self.init_policy!r} names no policy to "
                "start from: give init=<folder of a trained policy>, or neither for fresh weights"
            )
        if self.init_policy is not None and not re.fullmatch("[0-9a-f]{64}", self.init_policy):
            raise UserError(
                f"init_policy={self.init_policy[:70]!r} is no SHA-256: leave it out, init=... "
                "alone says which weights training starts from"
            )
        if self.init is not None and self.init_policy is None:
            object.__setattr__(self, "init_policy", weights_checksum(self.init))
        object.__setattr__(self, "placement", self.distribution.placement)

    @cached_property
    def world(self) -> World:
        """The world with its parameters."""
        parameters = dict(self.env)
        return make_world(parameters.pop("name", "coinrun"), **parameters)

    @cached_property
    def distribution(self) -> LevelDistribution:
        """The levels that the agent is trained on."""
        train = self.levels.ranges["train"]
        own = tuple(sorted(self.proxy_correlations.items()))
        return LevelDistribution(self.world, self.correlation, self.placement, train, own)

    @property
    def kept_snapshots(self) -> dict[int, int]:
        """After how many decisions each of `snapshots` is really kept: at a rollout's end."""
        return {asked: self.agent.whole_rollouts(asked) for asked in self.snapshots}

    @property
    def science(self) -> dict[str, Any]:
        """What determines the result, as plain data: all but where files and numbers go, and when.

        (A run that was stopped goes on with new episodes; its manifest says where.)
        """
        plain = dataclasses.asdict(self) | {"agent": self.agent.science}
        kept = {key: plain[key] for key in plain if key not in _NO_SCIENCE}
        unused = [key for key in _OPTIONAL if not kept[key]]
        return {key: value for key, value in kept.items() if key not in unused}

    @property
    def slug(self) -> str:
        """Short name of the run for people."""
        tuned = "-tuned" if self.init_policy else ""
        own = self.agent.algorithm
        learner = "" if own == DEFAULT_ALGORITHM else f"-{own}"
        return f"{self.world.name}-rho{self.correlation:g}-seed{self.seed}{learner}{tuned}"

    @property
    def hash(self) -> str:
        """Short hash of `science`, wherever the weights it starts from lie."""
        return config_hash({key: value for key, value in self.science.items() if key != "init"})


_OPTIONAL = ("proxy_correlations", "init", "init_policy", "snapshots")
"""Settings that are left out of `science` where they are not used."""
_NO_SCIENCE = ("runs", "name", "logger", "save_every", "stop_after")


def id_range(field_name: str, text: str) -> IdRange:
    """Return the level ids that a setting gives.

    Raises:
        UserError: naming the setting, if it gives none.
    """
    try:
        return IdRange.parse(text)
    except UserError as error:
        raise UserError(str(error).replace("ids=", f"{field_name}=", 1)) from None


def config_hash(plain: Mapping[str, Any]) -> str:
    """Return 10 hex digits that identify plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:10]


def require_name(field_name: str, value: str) -> str:
    """Return `value` if it can name a folder.

    Raises:
        UserError: if it cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", value):
        raise UserError(
            f"{field_name}={value!r} cannot name a folder: use letters, digits, dot, dash and "
            "underscore, beginning with a letter or digit"
        )
    return value


def compose(config_name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return a hydra config with overrides, resolved, as plain data.

    Raises:
        UserError: for an override that cannot be read, or names an unknown key or option.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    from ..evaluation.checks import require_tuning
    from .options import offer_others
    from .overrides import apart, hydra_words, unwrap_in

    offer_others(overrides)
    require_tuning(overrides)
    words, beside = apart(config_name, overrides)
    words = hydra_words(config_name, words)
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_module("misgen.configs", version_base="1.3"):
            try:
                config = hydra.compose(config_name, words)
                plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
            except Exception as error:  # what hydra's parser raises is not all of its own kind
                known = _known_settings(config_name, words)
                raise UserError(_explain(error, overrides, known)) from None
    finally:
        GlobalHydra.instance().clear()
    return {**typing.cast("dict[str, Any]", unwrap_in(plain)), **beside}


def typed(cls: type[T], plain: Mapping[str, Any], path: str = "") -> T:
    """Return plain data as the dataclass `cls`.

    Args:
        cls: the dataclass; its fields may be dataclasses.
        plain: the data.
        path: where the data stands, for messages.

    Raises:
        UserError: for an unknown key, a missing one, a wrong type or an impossible value.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(typing.cast("Any", cls)) if f.init}
    values = {}
    for key, value in plain.items():
        where = f"{path}{key}"
        if key not in fields:
            raise UserError(
                f"{where}={value!r} is not a known setting: use one of "
                f"{', '.join(path + name for name in fields)}{did_you_mean(str(key), fields)}"
            )
        values[key] = _convert(hints[key], value, where)
    for name, f in fields.items():
        required = f.default is f.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise UserError(f"{path}{name} is missing: give {path}{name}=...")
    return cls(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UserError(f"{where}={value!r} must be a group of settings, such as {where}.x=1")
        cls = typing.cast("type[Any]", hint)
        if issubclass(cls, LearnerConfig):
            cls = settings_class(value, f"{where}.")  # by its `algorithm`
        return typed(cls, value, f"{where}.")
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        options.sort(key=lambda option: (typing.get_origin(option) in (list, tuple)) != listed)
        return None if value is None else _convert(options[0], value, where)
    if origin in (list, tuple):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise UserError(f"{where}={value!r} must be a list, such as {where}=[1,2]")
        inner = typing.get_args(hint)[0]
        return origin(_convert(inner, item, f"{where}[{i}]") for i, item in enumerate(value))
    plain = origin or hint
    if plain is dict and isinstance(value, Mapping):
        inner = (*typing.get_args(hint), Any, Any)[1]
        return {str(key): _convert(inner, item, f"{where}.{key}") for key, item in value.items()}
    if plain is float and type(value) in (int, float):
        return _finite(value, where)
    if plain is str and type(value) in (int, float):
        return str(value)
    if plain is not Any and type(value) is not plain:
        raise UserError(
            f"{where}={repr(value)[:80]} must be {_TYPE_NAMES.get(plain, plain.__name__)}"
        )
    return value


def _finite(value: float, where: str) -> float:
    """Return a number as a float, -0 as 0, refusing NaN, infinity, and what no float can hold."""
    with contextlib.suppress(OverflowError):
        if math.isfinite(value):
            return float(value) + 0.0
    raise UserError(f"{where}={repr(value)[:40]} must be a finite number")


_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    dict: "a group of settings",
}


def _known_settings(config_name: str, overrides: Sequence[str]) -> Any:
    """Return the settings that there are with the options (`env`, `agent`) that were chosen."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    chosen: list[str] = []
    for word in overrides:
        if re.match(r"[a-z_]+=", word):  # no dot: an option of a group, or a setting of the top
            with contextlib.suppress(HydraException):
                hydra.compose(config_name, [*chosen, word])
                chosen.append(word)
    return OmegaConf.to_container(hydra.compose(config_name, chosen), resolve=False)


def _explain(error: Exception, overrides: Sequence[str], known: Any) -> str:
    """Return one sentence for a hydra error: which override, what is allowed."""
    from .overrides import unwrap

    message = unwrap(" ".join(str(error).split()))
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if (
            f"'{key}'" in message and "not override" in message.lower()
        ) or f"Key '{key}'" in message:
            names = _key_names(known)
            hint = "" if key in names else did_you_mean(key, names)
            return (
                f"{key}={value} is not a known setting{hint}; "
                f"settings are {', '.join(sorted({n.split('.')[0] for n in names}))} "
                "(add --cfg to print them all)"
            )
    several = re.search(r"'(\S*=.*?)' (?:requires --multirun|1\. To use it as a list)", message)
    if several:
        key, _, value = several[1].partition("=")
        return (
            f"{several[1]} is more than one value: give one, or where a list is wanted "
            f"{key}=[...]; misgen train -m runs one after the other"
        )
    unread = getattr(error, "override", None)  # of hydra's OverrideParseException
    if unread:
        return f"{unread!r} cannot be read ({message.partition(' See http')[0]}): write key=value"
    given = " ".join(overrides)
    if isinstance(error, RecursionError):
        message = "too deeply nested"
    return f"{given} cannot be read ({message or type(error).__name__}): write key=value"


def _key_names(tree: Any, prefix: str = "") -> list[str]:
    names = []
    for key, value in tree.items():
        names.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            names += _key_names(value, f"{prefix}{key}.")
    return names
