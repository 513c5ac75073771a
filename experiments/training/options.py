"""Options of hydra's groups that other packages bring: worlds, algorithms, trackers, YAML files.

A world, algorithm or tracker that is an entry point is an option of `env`, `agent` or `logger`, its
defaults being those of its class.  A package that has more to say ships YAML files, in folders like
those of `misgen.configs`, and names their package:

    [project.entry-points."misgen.configs"]
    night_watch = "my_package.configs"

There, `env/night_watch.yaml` has its defaults, `tuning/lab_night_watch.yaml` what a preset changes
for it, `protocol/stubborn.yaml` a protocol, and so on.

Public names: `options`, `offer_others`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from misgen.agents import algorithms
from misgen.envs.core import registry
from misgen.envs.core.extensions import settings_files, settings_folders

from . import trackers


class _OthersFiles(SearchPathPlugin):
    """Lets hydra look for options in other packages' folders, after our own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folders."""
        for folder in settings_folders()[1:]:
            search_path.append("misgen", f"file://{folder}")


def options(group: str) -> list[str]:
    """Return all options of a group.

    Raises:
        UserError: if two packages bring one of the same name.
    """
    names, _ = _GROUPS.get(group, (lambda: (), None))
    return sorted({*settings_files(group), *names()})


def offer_others(overrides: Sequence[str]) -> None:
    """Make what other packages bring options of hydra's groups.

    What `overrides` ask for brings its own defaults; of the others no code is loaded.

    Raises:
        UserError: if two packages bring one of the same name, or a package is at fault.
    """
    Plugins.instance().register(_OthersFiles)
    words = [word.lstrip("+").partition("=") for word in overrides]
    for group, (names, defaults) in _GROUPS.items():
        written = settings_files(group)
        wanted = {
            one.strip() for key, _, value in words if key == group for one in value.split(",")
        }
        for name in names():
            if name not in written:
                node = defaults(name) if name in wanted else {}
                ConfigStore.instance().store(group=group, name=name, node=node)


def _world(name: str) -> dict[str, Any]:
    fields = dataclasses.fields(registry.world_class(name))
    return {"name": name, **{f.name: f.default for f in fields}}


def _algorithm(name: str) -> dict[str, Any]:
    return dataclasses.asdict(algorithms.algorithm(name).config())


def _tracker(name: str) -> dict[str, Any]:
    return {**dict.fromkeys(trackers.OWN, False), name: True}


_GROUPS: dict[str, tuple[Callable[[], Iterable[str]], Callable[[str], dict[str, Any]]]] = {
    "env": (registry.entries, _world),
    "agent": (algorithms.algorithms, _algorithm),
    "logger": (trackers.tracker_names, _tracker),
}
"""Of groups whose options need no YAML file: the names there are, and the defaults of one."""
