"""From Hydra's YAML to typed dataclasses: every key is known and every value is checked, once.

Hydra is a front end.  `compose` turns a config name and overrides into a plain dictionary;
`typed` turns a dictionary into a dataclass, and names what does not fit.  The same dataclasses work
from Python without hydra.

Public names: `compose`, `typed`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from misgen.agents.algorithms import settings_class
from misgen.agents.config import LearnerConfig
from misgen.envs.core.errors import UserError, did_you_mean

from .overrides import apart, hydra_words, unwrap, unwrap_in

T = TypeVar("T")


def compose(config_name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return a hydra config with overrides, resolved, as plain data.

    Raises:
        UserError: for an override that cannot be read, or names an unknown key or option.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    from .options import offer_others

    offer_others(overrides)
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
    hints = _hints(cls)
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


@functools.cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass's fields; to read them takes milliseconds."""
    return typing.get_type_hints(cls)


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
    from omegaconf import OmegaConf

    chosen: list[str] = []
    for word in overrides:
        if re.match(r"[a-z_]+=", word):  # no dot: an option of a group, or a setting of the top
            with contextlib.suppress(Exception):  # hydra raises others than its own, too
                hydra.compose(config_name, [*chosen, word])
                chosen.append(word)
    return OmegaConf.to_container(hydra.compose(config_name, chosen), resolve=False)


def _explain(error: Exception, overrides: Sequence[str], known: Any) -> str:
    """Return one sentence for a hydra error: which override, what is allowed."""
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
