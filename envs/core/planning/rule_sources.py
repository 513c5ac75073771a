"""The source code that a world's rules consist of, for facts that are kept on disk.

A world's rules use kernels of other modules, and of other worlds: the code that decides what a
planner finds is that of all modules which the world's and its planner's import, directly or not.

Public names: `rule_modules`, `rules_digest`.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from ..extensions import find_module
from ..world import World

_ENVS = __name__.rpartition(".core.")[0]


def rules_digest(world: World) -> str:
    """Return a digest of the sources of `rule_modules`."""
    digest = hashlib.blake2b(digest_size=16)
    for name, path in sorted(rule_modules(type(world)).items()):
        digest.update(f"{name} {len(data := path.read_bytes())} ".encode() + data)
    return digest.hexdigest()


@lru_cache
def rule_modules(cls: type[World]) -> dict[str, Path]:
    """Return the file of each module that a world's rules and planner use, by its name.

    Of modules outside `misgen.envs` these are those of the packages that the world, its base
    classes and its planner belong to.
    """
    classes = [one for one in cls.__mro__ if issubclass(one, World)]
    roots = {one.__module__ for one in classes} | {cls.planner.partition(":")[0]} - {""}
    within = tuple({_ENVS} | {name.partition(".")[0] for name in roots} - {_ENVS.partition(".")[0]})
    found: dict[str, Path] = {}
    todo = sorted(roots)
    while todo:
        name = todo.pop()
        path = None if name in found else _source(name)
        if path is None:
            continue
        found[name] = path
        for other in _imports(path, name):
            if any(f"{other}.".startswith(f"{top}.") for top in within):
                todo.append(other)
    return found


@cache
def _source(name: str) -> Path | None:
    """Return the file of a module; None if there is no such module, or no source of it."""
    spec = find_module(name)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


@cache
def _imports(path: Path, name: str) -> tuple[str, ...]:
    """Return the names of modules that a module may import, with names that are none of them."""
    return tuple(_imported(ast.parse(path.read_bytes()), name, path.name == "__init__.py"))


def _imported(tree: ast.AST, name: str, is_package: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
