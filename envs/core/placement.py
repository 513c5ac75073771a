"""Names of placements, which say where the goal goes when goal and proxy are apart.

Public names: `Placement`, `USUAL`, `ALL`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import UserError, did_you_mean

USUAL, ALL = "usual", "all"
"""In place of a rule: the world's first, or those that its tests usually move the goal by; all."""
_FORM = re.compile(r"(\w+?)(?:\((\d+)\))?")
_MOST = 32


@dataclass(frozen=True)
class Placement:
    """A rule by which a world moves the goal, with the rule's distance if it takes one."""

    rule: str
    distance: int | None = None
    """In cells."""

    def __str__(self) -> str:
        """Return the placement as users write it."""
        return self.rule if self.distance is None else f"{self.rule}({self.distance})"

    @classmethod
    def parse(cls, text: str, rules: Mapping[str, int | None]) -> Placement:
        """Return the placement that is written as `rule` or `rule(distance)`.

        Args:
            text: what the user wrote; `USUAL` is the first rule.
            rules: the world's rules with their usual distance, or None for those without one.

        Raises:
            UserError: if there is no such rule, or it takes no distance, or not this one.
        """
        if text == USUAL:
            text = next(iter(rules))
        rule, distance = str(text), None
        if rule not in rules and (form := _FORM.fullmatch(rule)):
            rule, distance = form.groups()
        if rule not in rules:
            known = ", ".join(name if k is None else f"{name}(k)" for name, k in rules.items())
            raise UserError(
                f"placement={text!r} is not known: use one of {known}{did_you_mean(rule, rules)}"
            )
        if distance is None:
            return cls(rule, rules[rule])
        if rules[rule] is None:
            raise UserError(f"placement={text!r} is not allowed: {rule} takes no distance")
        if not 1 <= int(distance) <= _MOST:
            raise UserError(
                f"placement={text!r} is not allowed: give a distance from 1 to {_MOST} cells"
            )
        return cls(rule, int(distance))
