"""The shapes of the JSON files in a run folder, so that a damaged file is refused in one sentence.

Public names: `require`, `require_stored`, `SHAPES`.

A shape is a type, a union of types, a list with the shape of its entries, or a dictionary with the
shapes of fields by name (`*`: of all others).  A field may be missing, unless its name ends in `!`.
A number may be null, as NaN is written so.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError

Shape = Any

_LARGEST = 2**63
_TEXT = str | None
_CONFIG = {"*": Any}
_LEVELS = {
    "levels": int,
    "realised_correlation": float,
    "conflict_levels": int,
    "distinct_conflict_levels": int,
}
_PROVENANCE = {
    "command": _TEXT,
    "git": {"commit": _TEXT, "dirty": bool | None},
    "packages": {"*": _TEXT},
    "python": _TEXT,
    "hardware": {"machine": _TEXT, "system": _TEXT, "cpus": int},
    "started": _TEXT,
    "finished": _TEXT,
    "wall_seconds": float,
    "cpu_seconds": float,
}
_FILES = {"*": str}
_ESTIMATE = {
    "metric!": str,
    "placement!": str,
    "actions!": str,
    "agent": _TEXT,
    "train_correlation": float,
    "estimate!": float,
    "low!": float,
    "high!": float,
    "note": _TEXT,
}
_POINT = {"budget!": int, "score!": float, "low!": float, "high!": float, "episodes": int}

_PROCESS = {
    "host": _TEXT,
    "machine": _TEXT,
    "pid": int,
    "born": int | None,
    "job": _TEXT,
    "beat": float,
    "since": float,
}

SHAPES: dict[str, Shape] = {
    "manifest.json": {
        **_PROVENANCE,
        "config!": _CONFIG,
        "config_hash!": str,
        "status": str,
        "error": _TEXT,
        "slug": str,
        "name": str,
        "continued_at": [int],
        "environment_steps": int,
        "gradients": str,
        "parameters": int,
        "compute": {
            "decisions": int,
            "environment_steps": int,
            "parameters": int,
            "active_parameters": int,
            "forward_flops": int | None,
            "training_flops": float | None,
            "teacher_flops": float | None,
            "inherited_flops": float | None,
            "starts": int,
            "wall_seconds": float,
            "cpu_seconds": float,
            "peak_memory_bytes": int | None,
            "energy_joules": float | None,
        },
        "learning_sha256": _TEXT,
        "training_levels": _LEVELS,
        "files": _FILES,
    },
    "summary.json": {
        "run": str,
        "config": _CONFIG,
        "config_hash": str,
        "wall_seconds": float,
        "cpu_seconds": float,
        "levels": {"training": _LEVELS, "test": {"ids": str, "terrain_seen_in_training": float}},
        "metrics": [_ESTIMATE],
        "outcomes": [_CONFIG],
        "capable_by_goal": [_CONFIG],
        "proxies": [
            {
                "proxy!": str,
                "placement!": str,
                "actions!": str,
                "condition!": str,
                "agent!": str,
                "share!": float,
            }
        ],
        "files": _FILES,
    },
    "sweep.json": {
        **_PROVENANCE,
        "correlations": [float],
        "seeds": int,
        "train": _CONFIG,
        "evaluate": _CONFIG,
        "runs": [str],
        "until": _CONFIG,
    },
    "plan*.json": {
        "sweep!": _CONFIG,
        "evaluation!": str,
        "words": [str],
        "command": _TEXT,
        "cells!": [[Any]],
        "extends": [str],
    },
    "*.claim-*.json": _PROCESS,
    "*.session.json": {**_PROCESS, "jobs": int, "launcher": _TEXT},
    "*.trained.json": {"seconds": float},
    "*.done.json": {"seconds": float},
    "*.failed.json": {"error!": str, "command!": str, "stage": _TEXT, "where": _TEXT},
    "status.json": {
        "time": float,
        "pid": int,
        "phase": str,
        "steps": int,
        "total_steps": int,
        "steps_per_second": float,
        "success": float,
        "episodes": int,
        "total_episodes": int,
    },
    "protocol-*.json": {
        "policy": str,
        "protocol!": {"name!": str, "method!": str, "*": Any},
        "protocol_hash!": str,
        "applicable!": bool,
        "reason": _TEXT,
        "points!": [_POINT],
        "decision!": str,
        "why!": str,
        "measured": {"threshold": float, "*": Any},
        "files": _FILES,
    },
    "card.json": {"verdict": {"name!": str, "sentence": str}, "nothing_reaches": [str]},
    "surface.json": {"runs": [str], "files": _FILES},
    "objective.json": {"config": _CONFIG, "files": _FILES, "episodes_sha256": _TEXT},
    "robustness.json": {
        "config!": {"seed!": int, "*": Any},
        "files": _FILES,
        "episodes_sha256": _TEXT,
    },
    "tests.json": {"episodes_sha256!": str},
    "supply_chain.json": {
        "config!": {"seed!": int, "gone!": float, "*": Any},
        "bases!": [{"policy!": str, "*": Any}],
        "files": _FILES,
    },
}
"""Of each file, by the pattern of its name: what readers rest on."""


def require_stored(plain: Any, path: Path, hint: str) -> None:
    """Refuse what a file of this name cannot hold.

    Raises:
        UserError: naming the file and the field.
    """
    shape = next((one for name, one in SHAPES.items() if fnmatch(path.name, name)), {})
    require(plain, shape, str(path), hint)


def require(plain: Any, shape: Shape, where: str, hint: str) -> None:
    """Refuse plain data of another shape.

    Args:
        plain: the data.
        shape: see above.
        where: the file, for messages.
        hint: what to do.

    Raises:
        UserError: naming the file, the field, and what it must be.
    """
    for field, why in _wrong(plain, shape, ""):
        raise UserError(f"{where}: {field or 'the file'} {why}: {hint}")


def _wrong(value: Any, shape: Shape, path: str) -> Iterator[tuple[str, str]]:
    """Yield fields that do not fit, with the reason."""
    if isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            yield path, _not(value, "an object")
            return
        yield from _wrong_fields(value, shape, path)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield path, _not(value, "a list")
            return
        for number, one in enumerate(value):
            yield from _wrong(one, shape[0], f"{path}[{number}]")
    elif not _fits(value, shape):
        yield path, _not(value, _name(shape))


def _wrong_fields(
    value: Mapping[str, Any], shape: Mapping[str, Shape], path: str
) -> Iterator[tuple[str, str]]:
    for key, inner in shape.items():
        name = key.removesuffix("!")
        where = f"{path}.{name}" if path else name
        if name == "*":
            known = {one.removesuffix("!") for one in shape}
            for other in value.keys() - known:
                yield from _wrong(value[other], inner, f"{path}.{other}" if path else other)
        elif name in value:
            yield from _wrong(value[name], inner, where)
        elif key.endswith("!"):
            yield where, "is missing"


def _fits(value: Any, shape: Shape) -> bool:
    if shape is Any:
        return True
    if isinstance(shape, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(shape))
    if shape is types.NoneType:
        return value is None
    if shape in (int, float):
        if value is None:
            return True
        number = type(value) is int or (shape is float and type(value) is float)
        return number and abs(value) <= _LARGEST and not math.isnan(value)
    return type(value) is shape


def _not(value: Any, what: str) -> str:
    shown = repr(value)
    return f"is {shown if len(shown) <= 60 else shown[:57] + '...'}, not {what}"


def _name(shape: Shape) -> str:
    if isinstance(shape, types.UnionType):
        return " or ".join(_name(one) for one in typing.get_args(shape))
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}.get(
        shape, "null"
    )
