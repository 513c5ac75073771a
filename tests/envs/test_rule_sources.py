"""Facts that are kept about levels go by all the code that decides them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from misgen.envs.core.planning.planned import rules_key
from misgen.envs.core.planning.rule_sources import rule_modules
from misgen.envs.core.registry import entries, make_world, world_class


def edited(monkeypatch, suffix: str) -> None:
    """Let a source file read as if a line had been added to it."""
    read = Path.read_bytes
    monkeypatch.setattr(
        Path,
        "read_bytes",
        lambda path: read(path) + (b"# edited\n" if path.as_posix().endswith(suffix) else b""),
    )


@pytest.mark.parametrize(
    ("world", "file"),
    [
        ("shape_colour_maze", "envs/corner_maze/rules.py"),
        ("shape_colour_maze", "envs/core/boards/mazes.py"),
        ("corner_maze", "envs/core/planning/graph_planner.py"),
        ("cheese_on_a_dish", "envs/core/boards/layouts.py"),
        ("monster_world", "envs/core/planning/guided_planner.py"),
        ("coinrun", "envs/coinrun/planning/planner.py"),
        ("procgen_coinrun", "envs/coinrun/dynamics.py"),
    ],
)
def test_whatever_decides_a_fact_is_part_of_its_key(world, file, monkeypatch):
    before = rules_key(make_world(world))
    assert before == rules_key(make_world(world))
    edited(monkeypatch, file)
    assert rules_key(make_world(world)) != before


def test_other_worlds_rules_and_looks_are_not(monkeypatch):
    before = rules_key(make_world("corner_maze"))
    for file in ("envs/tree_gridworld/rules.py", "envs/corner_maze/sprites.py"):
        edited(monkeypatch, file)
    assert rules_key(make_world("corner_maze")) == before


@pytest.mark.parametrize("name", entries())
def test_every_module_with_kernels_that_a_world_has_loaded_is_among_them(name):
    """What python imported for the class is no more than what was found in the sources."""
    found = rule_modules(world_class(name))
    module = sys.modules[world_class(name).__module__]
    used = {getattr(value, "__module__", None) for value in vars(module).values()}
    used |= {getattr(value, "__name__", None) for value in vars(module).values()}
    ours = {one for one in used if isinstance(one, str) and one.startswith("misgen.envs.")}
    assert {one for one in ours if one in sys.modules} <= set(found)


def test_a_stranger_s_world_goes_by_its_own_package_too(tmp_path, monkeypatch):
    package = tmp_path / "night"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "numbers_of_night.py").write_text("SIZE = 7\n")
    (package / "world.py").write_text(
        "from misgen.envs.corner_maze.world import CornerMaze\n"
        "from . import numbers_of_night\n"
        "class Night(CornerMaze):\n    name = 'night'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from night.world import Night  # pyright: ignore[reportMissingImports]

    found = rule_modules(Night)
    assert {"night.world", "night.numbers_of_night", "misgen.envs.corner_maze.rules"} <= set(found)
    before = rules_key(Night())
    edited(monkeypatch, "night/numbers_of_night.py")
    assert rules_key(Night()) != before
