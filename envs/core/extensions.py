"""What other packages add to misgen: entry points, and folders of settings files.

A package names what it brings in its `pyproject.toml`; whoever installed it trusts it:

| group of entry points | name | value |
|---|---|---|
| `misgen.worlds` | the world's | module that holds `WORLDS` (`registry.py`) |
| `misgen.algorithms` | the algorithm's | `module:ALGORITHM` (`misgen.agents.algorithms`) |
| `misgen.protocols` | the method's | `module:Class` (`...experiments.protocols.known_methods`) |
| `misgen.trackers` | the tracker's | `module:function` (`...experiments.training.trackers`) |
| `misgen.configs` | any | package with folders like ours: `env/`, `tuning/`, `protocol/`, ... |

Names are read without running any of the packages' code.

Public names: `points_of`, `load_point`, `package_of`, `find_module`, `settings_files`,
`settings_folders`, `CONFIGS`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from .errors import UserError

CONFIGS = "misgen.configs"
"""Group of entry points whose values are packages of settings files, and our own such package."""


def points_of(group: str, own: Iterable[str], what: str) -> dict[str, EntryPoint]:
    """Return the entry points of other packages in a group, by name.

    Args:
        group: the group's name.
        own: names that misgen itself uses.
        what: what such a thing is called, such as `a world`.

    Raises:
        UserError: if two packages call theirs the same, or one as misgen does.
    """
    own, found = set(own), {}
    for point in entry_points(group=group):
        before = found.get(point.name)
        if before is not None and before.value == point.value:
            continue  # the same package, found twice
        clash = "misgen itself" if point.name in own else before and package_of(before)
        if clash:
            raise UserError(
                f"{package_of(point)} and {clash} both have {what} called {point.name!r}: "
                "uninstall one of them, or rename its entry point"
            )
        found[point.name] = point
    return found


def load_point(point: EntryPoint, what: str) -> Any:
    """Import what an entry point names.

    Args:
        point: the entry point.
        what: what it is, such as `the tracker`, for the message.

    Raises:
        UserError: if that fails, whatever the package does.
    """
    try:
        return point.load()
    except Exception as error:
        raise UserError(
            f"{what} {point.name!r} of {package_of(point)} cannot be imported "
            f"({point.value}: {error}): fix or uninstall that package"
        ) from error


def package_of(point: EntryPoint) -> str:
    """Return the name of the package that an entry point belongs to."""
    return point.dist.name if point.dist else point.value


def find_module(name: str) -> ModuleSpec | None:
    """Return where a module is, without importing it or its parents; None if it is nowhere."""
    spec, path = None, None
    parts = name.split(".")
    for k in range(len(parts)):
        full = ".".join(parts[: k + 1])
        spec = _found(full, path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec


def _found(name: str, path: Any) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find(name, path, None) if find else None
        if spec is not None:
            return spec
    return None


@lru_cache
def settings_folders() -> tuple[Path, ...]:
    """Return the folders of settings files: misgen's own, then those of other packages.

    Raises:
        UserError: if a package names one that is not there.
    """
    configs = importlib.import_module(CONFIGS)
    found = [Path(next(iter(configs.__path__)))]
    for name, point in sorted(points_of(CONFIGS, (), "settings").items()):
        spec = find_module(point.value)
        where = list(spec.submodule_search_locations or ()) if spec else []
        if not where or not Path(where[0]).is_dir():
            raise UserError(
                f"the entry point {name!r} of {package_of(point)} is {point.value}, which is no "
                "package with a folder of settings files: fix or uninstall that package"
            )
        found.append(Path(where[0]))
    return tuple(found)


def settings_files(group: str) -> dict[str, Path]:
    """Return the YAML files of a group, such as `env` or `protocol`, by the option's name.

    Raises:
        UserError: if two packages bring an option of the same name.
    """
    found: dict[str, Path] = {}
    for folder in settings_folders():
        for path in sorted((folder / group).glob("*.yaml")):
            if path.stem in found:
                raise UserError(
                    f"{found[path.stem]} and {path} are both {group}={path.stem}: rename one of "
                    "them, or uninstall its package"
                )
            found[path.stem] = path
    return found
