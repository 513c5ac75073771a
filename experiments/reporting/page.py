"""One HTML file out of templates, styles and scripts, that needs nothing from outside.

A policy in the page forbids whatever is not in it: no connection is made, and no script runs but
the page's own, which its hash tells.

Public names: `environment`, `Script`, `script`.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from . import formatting, glossary, plots

_HERE = Path(__file__).parent
_TERMS = ("terms.js",)
_PLAYER = ("unpack.js", "scene.js", "strip.js", "player.js")


@dataclass(frozen=True)
class Script:
    """A page's script and the policy under which it runs."""

    text: Markup
    policy: str


@cache
def script(player: bool) -> Script:
    """Return the script of a page, with or without the replay player."""
    names = _TERMS + (_PLAYER if player else ())
    files = [(_HERE / "assets" / name).read_text(encoding="utf-8") for name in names]
    text = "\n" + "\n".join(files)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return Script(Markup(text), policy)


def environment() -> jinja2.Environment:
    """Return what renders the pages' templates: everything is escaped."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        rate=formatting.rate_parts,
        points=formatting.points_parts,
        part=formatting.part_parts,
        share=formatting.share,
        large=formatting.large,
        duration=formatting.duration,
        explained=glossary.explained,
        terms=glossary.terms_in,
    )
    found.globals.update(marks=plots.MARKS, hollow=plots.HOLLOW)
    return found
