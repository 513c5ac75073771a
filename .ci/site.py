"""Stage the site: copy docs/ and mkdocs.yml to build/site, with the pages that are there.

A question of the literature has a page once it was measured (misgen evidence <question>
out=docs/evidence/<question>).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS, STAGE = ROOT / "docs", ROOT / "build" / "site"


def config() -> dict[str, Any]:
    """Return the settings of the site."""
    found = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    questions = sorted(path.parent.name for path in DOCS.glob("evidence/*/README.md"))
    section(found["nav"], "Evidence").extend(f"evidence/{name}/README.md" for name in questions)
    return {**found, "docs_dir": "docs", "site_dir": "html"}


def section(nav: list[Any], title: str) -> list[Any]:
    """Return the pages of a section."""
    return next(part[title] for part in nav if isinstance(part, dict) and title in part)


if __name__ == "__main__":
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(DOCS, STAGE / "docs")
    text = yaml.safe_dump(config(), sort_keys=False, allow_unicode=True)
    (STAGE / "mkdocs.yml").write_text(text, encoding="utf-8")
