"""Who imports whom: packages, edges, cycles, and edges that point the wrong way.

    python tests/import_graph.py            prints the counts

Imports inside functions count too; those under `if TYPE_CHECKING` do not, as they never run.
`test_architecture.py` holds the rules.

Public names: `modules`, `edges`, `cycles`, `package_edges`, `wrong_way`, `LAYERS`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("envs", "agents", "configs", "experiments")
LAYERS = (
    ("training",),
    ("evaluation", "levels"),
    ("sweeps", "reporting"),
    ("protocols",),
    ("card", "evidence"),
    ("exporting", "lab", "live"),
    ("commands",),
)
"""Packages of `experiments/`, lowest first: each may import those below, none above or beside."""


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Return the file of each module of the project, by its full name."""
    found = {}
    for top in TOPS:
        for path in sorted((root / top).rglob("*.py")):
            parts = list(path.relative_to(root).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            found[".".join(["misgen", *parts])] = path
    return found


def edges(root: Path = ROOT) -> set[tuple[str, str]]:
    """Return (importer, imported) for every import of one of the project's modules by another."""
    known = modules(root)
    found = set()
    for name, path in known.items():
        is_package = path.name == "__init__.py"
        for target in _imports(ast.parse(path.read_text(encoding="utf-8")), name, is_package):
            while target and target not in known:
                target = target.rpartition(".")[0]
            if target and target not in (name, "misgen"):
                found.add((name, target))
    return found


def _imports(tree: ast.AST, name: str, is_package: bool) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, *base.split(".")] if base else parts)
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            yield from _imports(node, name, is_package)


def package_edges(pairs: set[tuple[str, str]], depth: int = 3) -> set[tuple[str, str]]:
    """Return the edges between packages `depth` names deep, such as `misgen.experiments.card`."""
    cut = {(_cut(a, depth), _cut(b, depth)) for a, b in pairs}
    return {(a, b) for a, b in cut if a != b}


def _cut(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])


def cycles(pairs: set[tuple[str, str]]) -> list[list[str]]:
    """Return the groups of nodes that reach one another, largest first."""
    after: dict[str, set[str]] = {}
    for a, b in pairs:
        after.setdefault(a, set()).add(b)
        after.setdefault(b, set())
    reach = {node: _reached(node, after) for node in after}
    groups = {
        tuple(sorted(m for m in reach[node] if node in reach[m]))
        for node in after
        if node in reach[node]
    }
    return sorted((list(group) for group in groups), key=len, reverse=True)


def _reached(start: str, after: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = list(after[start])
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += after[node]
    return seen


def wrong_way(pairs: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the imports in `experiments/` that do not point down `LAYERS`."""
    height = {f"misgen.experiments.{p}": i for i, layer in enumerate(LAYERS) for p in layer}
    found = []
    for a, b in sorted(pairs):
        low, high = _cut(b, 3), _cut(a, 3)
        inside = low in height and high in height and low != high
        if inside and height[low] >= height[high]:
            found.append((a, b))
    return found


def main() -> None:
    """Print the counts."""
    pairs = edges()
    own = {(a, b) for a, b in pairs if a.startswith("misgen.experiments")}
    own = {(a, b) for a, b in own if b.startswith("misgen.experiments")}
    print(f"modules {len(modules())}, imports {len(pairs)}, inside experiments {len(own)}")
    print(f"edges between packages of experiments {len(package_edges(own))}")
    print(f"cycles of modules {len(cycles(pairs))}")
    print(f"cycles of packages of experiments {len(cycles(package_edges(own)))}")
    for group in cycles(pairs):
        print("  cycle:", " ".join(group))
    for group in cycles(package_edges(own)):
        print("  package cycle:", " ".join(group))
    for a, b in wrong_way(pairs):
        print(f"  wrong way: {a} -> {b}")


if __name__ == "__main__":
    main()
