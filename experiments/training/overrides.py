r"""The words of a command line, `key=value`, read before Hydra reads them.

Hydra's grammar gives a meaning to `( ) , = [ ] { } ' " \ $ # ~ : ;`, to digits and to words such as
null; in a path or a name they stand for themselves.  Which settings are text is known from the
dataclasses that they end up in: their values are wrapped in letters and digits that hydra leaves
alone (`wrap`), and unwrapped in what it composed (`unwrap`).  All other values are hydra's, but for
`${...}`, which is refused: a command line is taken as it is written, and nothing of the environment
gets into what a run stores.

Public names: `hydra_words`, `apart`, `wrap`, `unwrap`, `unwrap_in`, `read_plain`, `listed`,
`checked_words`, `keys_of`, `refuse_unused`, `settings_of`, `schema`, `ONE_RUN`, `GROUPS`.
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from misgen.envs.core.errors import UserError, did_you_mean

T = TypeVar("T")

TEXT, TEXTS, FREE, OTHER = "text", "texts", "free", "other"
"""Kinds of settings: text, a list of texts, a group that takes any key, all others."""
GROUPS = {
    "train": ("env", "agent", "logger", "launcher", "preset", "recipe", "tuning", "fit"),
    "sweep": ("env", "agent", "logger", "preset", "recipe", "tuning", "fit"),
    "evaluate": ("shift", "logger", "launcher"),
    "evaluate_agent": ("env", "shift", "logger"),
    "levels": ("env",),
    "play": ("env",),
    "validate": ("env", "tuning"),
    "compare": ("size",),
}
"""The groups of YAML files that each command chooses from."""
_SCHEMAS: dict[str, tuple[type[Any], ...]] = {}
"""The dataclasses that each command's settings end up in; see `schema`."""
_MORE_TEXT = {
    "compare": ("env", "preset", "placement", "sweep", "name", "runs"),
    **dict.fromkeys(("train", "sweep"), ("agent.teacher",)),
}
"""Settings that are rewritten before they get into the dataclass, or are those of one algorithm."""
_NO_GROUP = {
    "compare": ("env", "preset"),
    "evaluate_agent": ("agent",),
    "sweep": ("launcher",),
}
"""Settings with the name of a group that the command does not choose from: hydra would."""
_PATHS = {
    *("run", "runs", "init", "base", "out", "to", "file", "comparison", "sweep", "player", "card"),
    *("supply_chain", "protocols", "teacher"),
}
_OUTPUTS = ("runs", "out")
_PATHS_OF = {
    "levels": {"actions"},
    "evaluate": {"levels"},
    "evaluate_agent": {"agent", "levels"},
    "evaluate_protocol": {"levels"},
    "sweep": {"levels"},
}
_KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_HARMLESS = re.compile(r"[A-Za-z_][A-Za-z_./-]*")
_WRAPPED = re.compile(r"misgen_text_((?:[0-9a-f]{2})*)_")
_SPECIAL = ("true", "false", "null", "nan", "inf", "on", "off", "yes", "no")
_DEEPEST, _LONGEST, _MOST_DIGITS = 20, 20_000, 400


def schema(config_name: str, *others: type[Any]) -> Callable[[type[T]], type[T]]:
    """Return a decorator of the dataclass that a hydra config's settings end up in.

    Args:
        config_name: the primary config in `misgen.configs`.
        others: dataclasses whose settings it has as well; of settings with one name theirs counts.
    """

    def note(cls: type[T]) -> type[T]:
        _SCHEMAS[config_name] = (*others, cls)
        return cls

    return note


def hydra_words(config_name: str, argv: Sequence[str], multirun: bool = False) -> list[str]:
    """Return overrides that hydra reads as they were meant.

    Args:
        config_name: the primary config in `misgen.configs`.
        argv: `key=value` words, as they are given.
        multirun: whether a comma stands between values that are run one after the other.

    Raises:
        UserError: for a word that is not a setting, an unknown option of a group, or a value that
            cannot be read.
    """
    return [_hydra_word(config_name, word, multirun) for word in argv]


def apart(config_name: str, argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words that hydra gets, and the settings that are put into what it composed."""
    own = _NO_GROUP.get(config_name, ())
    mine = [word for word in argv if word.lstrip("+").partition("=")[0] in own and "=" in word]
    values = {key: _unquoted(value) for key, value in keys_of(mine).items()}
    return [word for word in argv if word not in mine], values


def wrap(text: str) -> str:
    """Return text as a word that has no meaning to hydra; the text itself if it has none.

    What is wrapped stays as it is, so that words may be handed on from process to process.
    """
    harmless = _HARMLESS.fullmatch(text) and text.lower() not in _SPECIAL
    if harmless or _WRAPPED.fullmatch(text):
        return text
    return f"misgen_text_{text.encode('utf-8', 'surrogatepass').hex()}_"


def unwrap(text: str) -> str:
    """Return text with all that was wrapped in it as it was."""
    return _WRAPPED.sub(
        lambda found: bytes.fromhex(found[1]).decode("utf-8", "surrogatepass"), text
    )


def unwrap_in(plain: Any) -> Any:
    """Return plain data with all its texts unwrapped."""
    if isinstance(plain, str):
        return unwrap(plain)
    if isinstance(plain, Mapping):
        return {key: unwrap_in(value) for key, value in plain.items()}
    return [unwrap_in(value) for value in plain] if isinstance(plain, list) else plain


def keys_of(argv: Iterable[str]) -> dict[str, str]:
    """Return the settings that are given, by key, each with its last value as it is written."""
    words = (word.partition("=") for word in argv)
    return {key.lstrip("+"): value for key, equals, value in words if equals}


ONE_RUN = {
    "hydra": "it counts only with -m",
    "launcher": "it counts only with -m, which runs several",
}
"""What has no effect without hydra's multirun, for `refuse_unused`."""


def refuse_unused(command: str, argv: Sequence[str], why: Mapping[str, str]) -> None:
    """Refuse settings that a command would leave unused.

    Args:
        command: the command, for the message.
        argv: the settings that are given.
        why: what to do instead, by key; a key stands also for all that begins with it and a dot.

    Raises:
        UserError: naming the first of them.
    """
    for key, value in keys_of(argv).items():
        for name, instead in why.items():
            if key == name or key.startswith(f"{name}."):
                raise UserError(f"{key}={value} has no effect in misgen {command}: {instead}")


def read_plain(cls: type[Any], argv: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a flat dataclass as plain data, without hydra.

    Text is taken as it is; other values are numbers, true, false or null.

    Raises:
        UserError: for a word that is not a setting of the dataclass.
    """
    kinds = settings_of(cls)
    plain: dict[str, Any] = {}
    for word in argv:
        key, value = _parts(word, "difference=0.1" if "difference" in kinds else "run=runs/mine")
        if key not in kinds:
            raise UserError(
                f"{key}={value} is not a known setting: use one of {', '.join(kinds)}"
                f"{did_you_mean(key, kinds)}"
            )
        plain[key] = value if kinds[key] == TEXT else _scalar(value)
    return plain


@cache
def settings_of(cls: type[Any], prefix: str = "") -> dict[str, str]:
    """Return the kind of each setting of a dataclass, by its dotted key."""
    found: dict[str, str] = {}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        either = [one for one in typing.get_args(hints[field.name]) if _is_texts(one)]
        hint = either[0] if either else _without_none(hints[field.name])
        key = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(hint):
            found |= settings_of(typing.cast("type[Any]", hint), f"{key}.")
        elif typing.get_origin(hint) is dict and field.name != "env":
            found[key] = FREE  # the keys of env are the world's
        else:
            found[key] = TEXT if hint is str else TEXTS if _is_texts(hint) else OTHER
    return found


@cache
def _settings(config_name: str) -> dict[str, str]:
    """Return the kind of each setting of a command."""
    found = dict.fromkeys(_MORE_TEXT.get(config_name, ()), TEXT)
    if config_name not in _SCHEMAS:
        raise LookupError(
            f"nothing says which settings of {config_name!r} are text: import the module of its "
            "dataclass, which is marked with @schema"
        )
    for cls in _SCHEMAS[config_name]:
        found = settings_of(cls) | found
    return found


def checked_words(argv: Iterable[str]) -> list[str]:
    """Return settings that omegaconf reads, outside hydra.

    Raises:
        UserError: for a word that is not a setting, or a value that cannot be read.
    """
    from omegaconf import OmegaConf

    found = []
    for word in argv:
        key, value = _parts(word, "protocol.budget=100")
        _checked(key, value)
        try:
            OmegaConf.from_dotlist([word])
        except Exception as error:  # of its own kinds, of YAML's, and others
            why = str(error).partition("\n")[0]
            raise UserError(f"{word} cannot be read ({why}): write key=value") from None
        found.append(word)
    return found


def _hydra_word(config_name: str, word: str, multirun: bool) -> str:
    key, value = _parts(word, "correlation=0.98")
    kinds = _settings(config_name)
    kind = kinds.get(key, OTHER)
    if key in GROUPS.get(config_name, ()):
        return f"{key}={_option(key, value, multirun)}"
    if not multirun and key.partition(".")[0] == "hydra":
        raise UserError(f"{key}={value} has no effect here: {ONE_RUN['hydra']}")
    inside = any(f"{key}.".startswith(f"{name}.") for name in kinds if kinds[name] == FREE)
    sign = "++" if word.startswith("+") or inside else ""
    if kind in (TEXT, TEXTS) and value != "null":
        name = key.rpartition(".")[2]
        path = name in _PATHS | _PATHS_OF.get(config_name, set())
        whole = not multirun or name in _OUTPUTS or (path and os.path.exists(value))
        values = [value] if whole else _split(value, path=False)
        read = _text if kind == TEXT else _texts
        return f"{sign}{key}={','.join(read(one, path) for one in values)}"
    return f"{sign}{key}={_checked(key, value)}"


def _parts(word: str, example: str) -> tuple[str, str]:
    """Return key and value of a word.

    Raises:
        UserError: if it has no key, or no equals sign.
    """
    key, equals, value = word.lstrip("+").partition("=")
    if word in ("-m", "--multirun"):
        raise UserError(f"{word} works only with misgen train and misgen evaluate")
    if word.startswith("~"):
        raise UserError(f"{word!r} is not a setting: settings cannot be removed; write key=value")
    if not equals or not _KEY.fullmatch(key):
        raise UserError(f"{word!r} is not a setting: write key=value, for example {example}")
    if not value and key in _PATHS:  # as a path it would be the folder that this is started in
        raise UserError(f"{key}= names no file or folder: give one, or leave it out")
    return key, value


def _option(group: str, value: str, multirun: bool) -> str:
    """Return an option of a group.

    Raises:
        UserError: if the group has no such option.
    """
    values = _split(value, path=False) if multirun else [value]
    known = _options(group)
    bare = [_unquoted(one.strip()) for one in values]
    for one in bare:
        if one not in known and not (group == "launcher" and one == "null"):
            hint = did_you_mean(one, known)
            raise UserError(f"{group}={one} is not known: use one of {', '.join(known)}{hint}")
    return ",".join(bare)


def _options(group: str) -> list[str]:
    from .options import options

    return options(group)


def _text(value: str, path: bool) -> str:
    return wrap(value if path else _unquoted(value))


def _texts(value: str, path: bool) -> str:
    """Return a list of texts, each wrapped; what is no list is one text."""
    items = listed(value, path)
    return _text(value, path) if items is None else f"[{','.join(map(wrap, items))}]"


def listed(value: str, path: bool = True) -> list[str] | None:
    """Return the items of a list as it is written, `[a,b]`; None of what is no list.

    Args:
        value: what is written.
        path: whether they are paths: a comma may stand in one, if there is such a file.
    """
    bare = value.strip()
    is_list = bare.startswith("[") and bare.endswith("]") and len(bare) > 1
    if not is_list or (path and os.path.exists(value)):
        return None
    return [_unquoted(item.strip()) for item in _split(bare[1:-1], path)]


def _split(text: str, path: bool) -> list[str]:
    """Split at the commas that stand outside quotes and brackets.

    Args:
        text: what to split; a bracket or quote without its partner is a letter like others.
        path: whether a comma may stand in an item itself, if there is such a file.
    """
    if not text.strip():
        return []
    pieces = _pieces(text)
    if not path:
        return pieces
    found: list[str] = []
    while pieces:
        most = next(
            (n for n in range(len(pieces), 1, -1) if os.path.exists(",".join(pieces[:n]).strip())),
            1,
        )
        found.append(",".join(pieces[:most]))
        pieces = pieces[most:]
    return found


_CLOSING = {"(": ")", "[": "]", "{": "}", "'": "'", '"': '"'}


def _pieces(text: str) -> list[str]:
    pieces, start, at = [], 0, 0
    while at < len(text):
        if text[at] == ",":
            pieces.append(text[start:at])
            start = at + 1
        elif text[at] in _CLOSING and (text[at] not in "'\"" or not text[start:at].strip()):
            at = max(at, _partner(text, at))
        at += 1
    return [*pieces, text[start:]]


def _partner(text: str, at: int) -> int:
    """Return where the bracket or quote at `at` is closed, or -1."""
    opening, closing = text[at], _CLOSING[text[at]]
    if opening == closing:
        return text.find(closing, at + 1)
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] == opening) - (text[i] == closing)
        if depth == 0:
            return i
    return -1


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def _checked(key: str, value: str) -> str:
    """Return a value that hydra reads.

    Raises:
        UserError: if it asks for something that is not on the command line, or cannot be read.
    """
    if "${" in value:
        raise UserError(
            f"{key}={value} is not allowed: values are taken as they are written, and nothing is "
            "put in for ${...}; write the value itself (your shell can insert variables)"
        )
    if len(value) > _LONGEST or re.search(rf"\d{{{_MOST_DIGITS}}}", value):
        raise UserError(f"{key}={value} cannot be read: it is {len(value)} characters long")
    depth = deepest = 0
    for sign in value:
        depth += (sign in "[{(") - (sign in ")}]")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise UserError(f"{key}={value} cannot be read: its brackets are {deepest} deep")
    return value


def _scalar(value: str) -> Any:
    named = {"true": True, "false": False, "null": None}
    if value.lower() in named:
        return named[value.lower()]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _is_texts(hint: Any) -> bool:
    return typing.get_origin(hint) in (tuple, list) and typing.get_args(hint)[0] is str


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(one for one in typing.get_args(hint) if one is not type(None))
    return hint
