"""The settings of an evaluation, for people.

Public names: `in_words`, `as_mapping`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .config import EvaluateConfig


def in_words(settings: Mapping[str, Any]) -> str:
    """Return the settings of an evaluation, for people."""
    shift = as_mapping(settings.get("shift"))
    places, modes = shift.get("placements"), settings.get("actions")
    words = [
        f"levels {settings.get('levels', 'unknown')}",
        f"goal moved to {_joined(places, ', ')} (ρ = {shift.get('correlation', 'unknown')})",
        f"{_joined(modes, ' and ')} actions",
        _rule(settings),
        f"{settings.get('repeats', 'unknown')} episodes with sampled actions on each twin",
        f"seed {settings.get('seed', 'unknown')}",
    ]
    if settings.get("backend"):
        words.append(f"in {settings['backend']}")
    if settings.get("references") is False:
        words.append("without planned seekers")
    usual = dataclasses.asdict(EvaluateConfig())["verdict"]
    given = as_mapping(settings.get("verdict"))
    words += [f"verdict.{k}={v}" for k, v in given.items() if usual.get(k) != v]
    return "; ".join(words)


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a group of settings; what is none, as files may hold, is an empty one."""
    return value if isinstance(value, Mapping) else {}


def _joined(values: Any, between: str) -> str:
    return between.join(map(str, values)) if isinstance(values, list | tuple) else "unknown"


def _rule(settings: Mapping[str, Any]) -> str:
    if "on_proxy" in settings and settings["on_proxy"] is None:
        return "on_proxy as in training"
    return f"on_proxy={settings.get('on_proxy', 'unknown')}"
