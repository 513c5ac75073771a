"""The four folders are packaged whole, under their import names, with pinned dependencies."""

import ast
import runpy
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("envs", "agents", "configs", "experiments")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES = sorted(
    path for folder in (*FOLDERS, "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)


def direct_dependencies() -> list[Requirement]:
    groups = (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    return [Requirement(line) for group in groups for line in group]


def pins() -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").open())
    return [Requirement(line) for line in lines if line]


def imported_names(path: Path) -> set[str]:
    """Return what a file imports absolutely, by the first part of each name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names


def test_every_folder_with_code_is_a_package_of_the_wheel():
    folders = {
        path.parent.relative_to(ROOT) for path in SOURCES if path.parts[len(ROOT.parts)] in FOLDERS
    }
    assert all((ROOT / folder / "__init__.py").exists() for folder in folders)
    expected = {".".join(("misgen", *folder.parts)) for folder in folders}
    assert set(runpy.run_path(str(ROOT / "setup.py"))["packages"]()) == expected


def test_there_is_no_folder_that_shadows_the_package():
    assert not (ROOT / "misgen").exists()


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_is_imported_by_its_long_name(folder):
    assert Path(import_module(f"misgen.{folder}").__path__[0]).samefile(ROOT / folder)
    link = ROOT / "typings" / "misgen" / folder
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.samefile(ROOT / folder)
    assert (ROOT / folder / "py.typed").exists()


def test_no_file_imports_by_the_short_names():
    bare = {str(p.relative_to(ROOT)): imported_names(p) & set(FOLDERS) for p in SOURCES}
    assert {path: names for path, names in bare.items() if names} == {}


def test_arrows_point_one_way():
    """``experiments -> agents -> envs``, never back."""
    above = {"envs": ("agents", "experiments"), "agents": ("experiments",)}
    wrong = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for folder, banned in above.items()
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith(tuple(f"misgen.{name}" for name in banned))
    ]
    assert wrong == []


@pytest.mark.parametrize("requirement", direct_dependencies(), ids=str)
def test_direct_dependency_is_pinned_within_its_range(requirement):
    name = canonicalize_name(requirement.name)
    versions = [next(iter(pin.specifier)) for pin in pins() if canonicalize_name(pin.name) == name]
    assert versions, f"constraints.txt does not pin {name}"
    for pin in versions:
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version, prereleases=True)


def test_the_lowest_versions_are_those_of_the_lower_bounds():
    lowest = runpy.run_path(str(ROOT / ".ci" / "lowest.py"))
    assert lowest["lowest"]("a.b-c[d]>=1.2,<2; python_version < '3.13'") == (
        "a.b-c==1.2; python_version < '3.13'"
    )
    assert lowest["lowest"]("a<2,>=1.2") == "a==1.2"
    assert lowest["lowest"]("a<2") == "a<2"
    found = {line.partition("==")[0] for line in lowest["constraints"]() if "==" in line}
    assert found == {requirement.name for requirement in direct_dependencies()}
    for requirement in map(Requirement, lowest["constraints"]()):
        pinned = [pin.version for pin in requirement.specifier if pin.operator == "=="]
        wanted = [r for r in direct_dependencies() if r.name == requirement.name]
        assert all(r.specifier.contains(version) for version in pinned for r in wanted)


def test_console_script_exists():
    module, _, function = PROJECT["scripts"]["misgen"].partition(":")
    assert callable(getattr(import_module(module), function))
