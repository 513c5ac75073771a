"""Print constraints for pip: what pyproject.toml asks for, each in the lowest version it allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
_LINE = re.compile(r"(?P<name>[\w.-]+)(\[.*\])?(?P<limits>[^;]*)(?P<where>;.*)?")


def lowest(requirement: str) -> str:
    """Return a requirement of the lowest version alone; one without a lower bound stays."""
    found = _LINE.fullmatch(requirement)
    bound = found and re.search(r"[>=]=\s*([\w.]+)", found["limits"])
    if not (found and bound):
        return requirement
    return f"{found['name']}=={bound[1]}{found['where'] or ''}"


def constraints() -> list[str]:
    """Return one for each dependency, of all extras."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    groups = (project["dependencies"], *project["optional-dependencies"].values())
    return sorted({lowest(line) for group in groups for line in group})


if __name__ == "__main__":
    print("\n".join(constraints()))
