"""The rules that the layout stands for, held against the code: who may import whom, and who talks.

`import_graph.py` reads the imports.  Each rule is also held against code that breaks it, so that a
rule which finds nothing is known to look.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.import_graph import (
    LAYERS,
    ROOT,
    cycles,
    edges,
    modules,
    package_edges,
    wrong_way,
)

TOPS = ("misgen.configs", "misgen.envs", "misgen.agents", "misgen.experiments")
"""Top-level packages, lowest first: each may import those before it."""
MAY_PRINT = {
    "misgen.experiments.training.progress": "progress",
    "misgen.experiments.training.terminal": "makes the consoles of commands and of progress",
    "misgen.experiments.sweeps.watch": "progress of a sweep's runs",
}
"""Outside the commands: who writes to the terminal, and why."""
VALUES = ("rich.table", "rich.box", "rich.markup")
"""What is made of rich without a terminal: tables that a command prints."""
MAY_READ_ARGUMENTS = {
    "misgen.experiments.training.shell": "the command line as text, to note what made a run",
    "misgen.experiments.training.multirun": "hydra takes its words from there",
}
"""Outside the commands: who touches `sys.argv`, and why."""


SAME_EVERYWHERE = {
    "config": "a package's settings",
    "run": "carries them out",
    "checks": "refuses settings that cannot be",
    "analysis": "what the saved results of a question say",
}
"""Names that modules of several packages of `experiments/` have, because they do the same."""


@pytest.fixture(scope="module")
def pairs() -> set[tuple[str, str]]:
    return edges()


def test_imports_inside_experiments_point_down_the_layers(pairs):
    assert wrong_way(pairs) == []


def test_every_package_of_experiments_is_in_a_layer():
    """A new folder says where it stands, or nothing would hold its imports."""
    found = {name.split(".")[2] for name in modules() if name.count(".") >= 2
             and name.startswith("misgen.experiments.")}  # fmt: skip
    assert found == {package for layer in LAYERS for package in layer}


def test_no_two_modules_of_experiments_have_one_name():
    """A module of `commands/` may be called like its command, whatever else is."""
    found: dict[str, list[str]] = {}
    for name, path in modules().items():
        if not name.startswith("misgen.experiments.") or path.name == "__init__.py":
            continue
        if not name.startswith("misgen.experiments.commands."):
            found.setdefault(name.rpartition(".")[2], []).append(name)
    twice = {name: where for name, where in found.items() if len(where) > 1}
    assert {name: twice[name] for name in twice if name not in SAME_EVERYWHERE} == {}
    assert set(twice) == set(SAME_EVERYWHERE), "what has become unneeded here goes"


def test_envs_know_no_agents_and_agents_no_experiments(pairs):
    height = {top: i for i, top in enumerate(TOPS)}
    up = [(a, b) for a, b in pairs if height[_top(b)] > height[_top(a)]]
    assert sorted(up) == []


def test_no_modules_import_one_another_in_a_circle(pairs):
    assert cycles(pairs) == []


def test_no_packages_of_experiments_import_one_another_in_a_circle(pairs):
    own = {(a, b) for a, b in pairs if _top(a) == _top(b) == "misgen.experiments"}
    assert cycles(package_edges(own)) == []


def test_no_module_names_a_higher_one_in_a_string():
    """`"module:function"`, imported by name later, is an import too."""
    known = modules()
    found = {
        (name, target)
        for name, path in _libraries().items()
        for target in _named(ast.parse(path.read_text(encoding="utf-8")), known)
    }
    assert wrong_way(found) == []


def test_only_commands_print():
    told = {name: lines for name, path in _libraries().items() if (lines := _prints(path))}
    assert {name: told[name] for name in told if name not in MAY_PRINT} == {}
    assert sorted(MAY_PRINT.keys() - told) == []  # an exception that is none any more


def test_only_commands_read_the_command_line():
    told = {name: lines for name, path in _libraries().items() if (lines := _reads_argv(path))}
    assert {name: told[name] for name in told if name not in MAY_READ_ARGUMENTS} == {}
    assert sorted(MAY_READ_ARGUMENTS.keys() - told) == []


def test_a_command_is_its_help_and_main():
    """Every module that the table of commands names has a help text and `main(argv)`."""
    from misgen.experiments.commands.cli import COMMANDS

    known = modules()
    for command, (module, _) in COMMANDS.items():
        tree = ast.parse(known[module].read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert "main" in functions, command
        assert f"misgen {command}" in (ast.get_docstring(tree) or ""), command


@pytest.mark.parametrize(
    "line",
    [
        "from ..commands import train",
        "def f():\n    from ..commands.train import main",
        "import misgen.experiments.commands.train",
        "class A:\n  def f(self):\n    if True:\n      from ..card.write import write_card",
    ],
)
def test_a_wrong_import_is_found_wherever_it_stands(tmp_path, line):
    for name in ("training/low.py", "commands/train.py", "card/write.py"):
        path = tmp_path / "experiments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line if name.endswith("low.py") else "")
    ((importer, imported),) = wrong_way(edges(tmp_path))
    assert importer == "misgen.experiments.training.low"
    assert imported in ("misgen.experiments.commands.train", "misgen.experiments.card.write")


def test_siblings_and_circles_are_found():
    e = "misgen.experiments."
    sideways = {(f"{e}evaluation.a", f"{e}levels.b"), (f"{e}sweeps.a", f"{e}reporting.b")}
    assert set(wrong_way(sideways)) == sideways
    assert wrong_way({(f"{e}card.a", f"{e}training.b"), (f"{e}card.a", f"{e}card.b")}) == []
    assert cycles({("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")}) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("code", "prints", "argv"),
    [
        ("print(1)", [1], []),
        ("def f(console):\n    console.print(1)", [2], []),
        ("import sys\nsys.stdout.write('x')", [2], []),
        ("def f():\n    from rich.console import Console", [2], []),
        ("def f():\n    from rich.progress import track", [2], []),
        ("def f():\n    from rich.table import Table\n    from rich import box", [], []),
        ("import sys\nx = sys.argv[1:]", [], [2]),
        ("from sys import argv", [], [1]),
        ("fingerprint(1)\nblueprint.draw()", [], []),
    ],
)
def test_what_prints_or_reads_arguments_is_found(tmp_path, code, prints, argv):
    path = tmp_path / "some.py"
    path.write_text(code)
    assert (_prints(path), _reads_argv(path)) == (prints, argv)


def _top(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _libraries() -> dict[str, Path]:
    """Return the modules of experiments that are no commands."""
    inside = ROOT / "experiments"
    found = {name: path for name, path in modules().items() if path.is_relative_to(inside)}
    return {n: path for n, path in found.items() if not path.is_relative_to(inside / "commands")}


def _named(tree: ast.AST, known: Collection[str]) -> list[str]:
    """Return the modules that strings name, as in `"misgen.experiments.commands.train:main"`."""
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    words = {text.partition(":")[0] for text in texts if isinstance(text, str) and "." in text}
    full = [word if word.startswith("misgen.") else f"misgen.experiments.{word}" for word in words]
    return [name for name in full if name in known]


def _prints(path: Path) -> list[int]:
    """Return the lines that write to the terminal, or take what does; a table alone is a value."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "print" or name.endswith((".print", "stdout.write", "stderr.write")):
                lines.append(node.lineno)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            base = getattr(node, "module", None)
            names = [base] if base else [alias.name for alias in node.names]
            taken = [name for name in names if name.partition(".")[0] == "rich"]
            if isinstance(node, ast.ImportFrom) and base == "rich":
                taken = [f"rich.{alias.name}" for alias in node.names]
            lines += [node.lineno for name in taken if name not in VALUES][:1]
    return sorted(lines)


def _reads_argv(path: Path) -> list[int]:
    """Return the lines that touch the words that the process was started with."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.argv":
            lines.append(node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module == "sys":
            lines += [node.lineno for alias in node.names if alias.name == "argv"]
    return sorted(lines)
