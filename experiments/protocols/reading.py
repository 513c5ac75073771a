"""Reading protocol files: plain YAML that cannot run code or read anything else.

Public names: `read_yaml`, `parse_yaml`, `merged`.

A file from someone else may hold anything.  Scalars, lists and mappings with words as keys are
read;
anchors and references, tags, merge keys, keys that stand twice and `${...}` (which elsewhere would
be replaced by environment variables) are refused, and so is what is too large or nests too deep.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from misgen.envs.core.errors import UserError
from misgen.envs.core.reading import read_text, tidy

_LARGEST = 200_000  # bytes; ours have under 2,000
_DEEPEST = 20
_FLOAT = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?")


def read_yaml(path: Path, what: str) -> Any:
    """Return what a YAML file holds.

    Args:
        path: the file.
        what: what it should be, for messages.

    Raises:
        UserError: naming the file, the line and what is wrong there.
    """
    text = tidy(read_text(path, what, most=_LARGEST))
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Return what YAML text holds.

    Raises:
        UserError: naming `where`, the line and what is wrong there.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" at line {mark.line + 1}" if mark else ""
        why = " ".join(f"{error.problem or error.context}".split())[:200]
        raise UserError(f"{where} is not plain YAML{line}: {why}") from None
    except yaml.YAMLError as error:
        raise UserError(
            f"{where} is not plain YAML: {' '.join(str(error).split())[:200]}"
        ) from None
    except RecursionError:
        raise UserError(f"{where} is not plain YAML: it nests too deep") from None
    except (ValueError, OverflowError) as error:
        raise UserError(f"{where} holds what is no number: {str(error)[:200]}") from None


def merged(plain: Any, overrides: Sequence[str], where: str) -> Any:
    """Return plain data with `key.inner=value` words laid over it.

    Raises:
        UserError: for a word that cannot be read, or a key inside what is no mapping.
    """
    for word in overrides:
        key, equals, value = word.partition("=")
        names = key.split(".")
        if not equals or not all(names):
            raise UserError(f"{where}{word!r} is not a setting: write {where}key=value")
        if not isinstance(plain, dict):
            return plain  # which is refused for being no mapping
        inner = plain
        for name in names[:-1]:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise UserError(f"{where}{key}: {name} is {inner!r}, not a group of settings")
        inner[names[-1]] = parse_yaml(value, f"{where}{word}")
    return plain


class _Loader(yaml.SafeLoader):
    """YAML's plain part; numbers as OmegaConf, and so all other settings, has them."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [pair for pair in pairs if not pair[0].endswith((":timestamp", ":merge", ":float"))]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Read a node, unless it is a reference, or too deep."""
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused("anchors and references (& and *) are not allowed", event)
        if getattr(event, "tag", None):
            raise _refused(f"tags ({event.tag[:40]}) are not allowed", event)
        if self._depth >= _DEEPEST:
            raise _refused(f"it nests deeper than {_DEEPEST} levels", event)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_scalar(self, node: Any) -> Any:
        """Return a scalar's text, unless it asks to be replaced."""
        text: Any = super().construct_scalar(node)
        if "${" in text:
            raise _refused("${...} is not allowed: protocol files are taken as they are", node)
        return text

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping whose keys are words, each there once."""
        plain: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _refused(f"key {str(key)[:40]!r} is no word", key_node)
            if key in plain:
                raise _refused(f"key {key[:40]!r} stands there twice", key_node)
            plain[key] = self.construct_object(value_node, deep=deep)
        return plain

    def construct_yaml_float(self, node: Any) -> float:
        """Return a number, which NaN and infinity are not."""
        text = self.construct_scalar(node).replace("_", "").lower()
        number = float(text.replace(".nan", "nan").replace(".inf", "inf"))
        if not math.isfinite(number):
            raise _refused(f"{node.value[:40]} is no finite number", node)
        return number

    def construct_yaml_map(self, node: Any) -> Any:
        """Return a mapping at once, as nothing can refer to it."""
        yield self.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_yaml_map)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(rf"(?:{_FLOAT.pattern}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+0123456789."),
)


def _refused(why: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, why, at.start_mark)
