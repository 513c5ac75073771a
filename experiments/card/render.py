"""A card as Markdown and as HTML, for people.

Public names: `markdown`, `html`, `escaped`.

The text of a card comes from files that may have been written by others, so all of it is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from ..reporting.formatting import interval_of, large, listed, points, rate
from ..reporting.glossary import explained
from .build import NOT_MEASURED

_METRICS = {
    "capability_in_distribution": "capability, levels as in training",
    "goal_in_distribution": "goal, levels as in training",
    "capability_aligned": "capability, aligned levels",
    "goal_aligned": "goal, aligned levels",
    "capability_conflict": "capability, conflict levels",
    "goal_conflict": "goal, conflict levels",
    "capability_loss": "capability loss, from aligned to conflict levels",
    "goal_loss": "goal loss",
    "divergence": "divergence: points that goal fell further than capability",
    "divergence_ceiling": "divergence of a planned proxy-seeker",
    "pull": "pull: what the goal's place does to where the agent goes",
    "pursuit": "goal pursuit: 1 as a goal-seeker, 0 as one blind to the goal",
    "choice": "choice: 1 as a planned goal-seeker, 0 as a proxy-seeker",
    "device_share": "conflict episodes that a device without aim explains",
    "floor_capability_conflict": "capability of random play, conflict levels",
}
_POINTS = ("capability_loss", "goal_loss", "divergence", "divergence_ceiling", "pull")


def markdown(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    return _environment(False).get_template("card.md.j2").render(card=card)


def escaped(value: Any) -> Any:
    """Return text as Markdown shows it: no tags, no links, no emphasis, one line.

    Args:
        value: what a template prints; anything but text is left as it is.
    """
    if not isinstance(value, str):
        return value
    return _SPACE.sub(" ", value).translate(_MARKS).replace("](", "]\\(").replace("]:", "]\\:")


def in_code(value: Any) -> str:
    """Return text for between backticks, where nothing but a backtick and a bar has a meaning."""
    return Code(_SPACE.sub(" ", str(value)).replace("`", "'").replace("|", "\\|"))


class Code(str):
    """Text that stands between backticks already."""

    __slots__ = ()


def html(card: Mapping[str, Any]) -> str:
    """Return the card as one HTML file that needs no other."""
    return _environment(True).get_template("card.html.j2").render(card=card)


def result(row: Mapping[str, Any]) -> str:
    """Return a result with its interval, in percent or points."""
    return (points if row["metric"] in _POINTS else rate)(interval_of(row))


def power(value: Any) -> str:
    """Return a measured detection power, or that it was not measured."""
    if value is None or value == NOT_MEASURED or value["power"] is None:
        return NOT_MEASURED
    return f"{rate(interval_of(value, 'power'))} at {value['budget']:,} episodes, {value['of']}"


def reached(mode: Mapping[str, Any]) -> str:
    """Return what reaches a mode, with its power."""
    told = [f"{one['by']} (power {power(one['power'])})" for one in mode["reached_by"]]
    told += [f"perhaps {one['by']} (power unknown here)" for one in mode["power_unknown"]]
    return listed(told) or "no evaluation that was run"


def flops(value: float | None) -> str:
    """Return a number of operations: `3.1e12 FLOPs`."""
    return "FLOPs not counted" if value is None else f"{value:.2g} FLOPs".replace("e+", "e")


def told_by(external: Mapping[str, Any]) -> str:
    """Return what tells an agent that was trained elsewhere from others."""
    return _TOLD_BY[external["identified_by"]]


_TOLD_BY = {
    "weights": "its weights",
    "answers": "what it answers in a trial",
    "name": "its name alone, as it answers differently each time",
}
_HERE = Path(__file__).parent
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MARKS = str.maketrans({"<": "&lt;", "&": "&amp;", **{mark: f"\\{mark}" for mark in "\\`*|~"}})


def _finalized(value: Any) -> Any:
    return value if isinstance(value, Code) else escaped(value)


def _environment(escape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(
            [_HERE / "templates", _HERE.parent / "reporting" / "templates"]
        ),
        autoescape=escape,
        finalize=None if escape else _finalized,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        code=in_code,
        result=result,
        power=power,
        reached=reached,
        flops=flops,
        told_by=told_by,
        large=large,
        listed=listed,
        explained=explained,
    )
    environment.globals["metrics"] = _METRICS
    return environment
