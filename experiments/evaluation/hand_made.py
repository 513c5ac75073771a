"""Evaluations on levels that people made: which conditions a set of them gives.

Public names: `hand_made_conditions`, `set_report`.

Of a set, the levels in conflict are `conflict`.  Their aligned twins, where the world can make them
(the goal where the proxy is), are `aligned`, and together with the levels that are aligned as they
are drawn they are `in_distribution`.  All keep their levels' ids, so that what pairs levels by
their ids pairs these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.level_set import LevelSet

from .conditions import ALIGNED, CONFLICT, IN_DISTRIBUTION, Condition
from .config import EvaluateConfig, ShiftConfig


def hand_made_conditions(
    training: LevelDistribution, source: str | Sequence[str], config: EvaluateConfig
) -> list[Condition]:
    """Return the conditions that level files give an agent trained on `training`.

    Raises:
        UserError: if a file holds no level of the agent's world, or a setting says where the goal
            of generated levels would go.
    """
    if config.backend is not None:
        raise UserError(
            f"backend={config.backend} runs only the original program's levels: leave it out for "
            "levels made by hand"
        )
    if config.shift != ShiftConfig():
        raise UserError(
            "shift says where the goal of generated levels goes, and levels made by hand say that "
            "themselves: leave shift out"
        )
    return conditions_of(LevelSet.read(source, training.world.under(config.on_proxy)))


def conditions_of(levels: LevelSet) -> list[Condition]:
    """Return what a set of levels is played as, the conditions without any level left out."""
    conflict = levels.some(~levels.batch.aligned)
    found = [
        Condition(IN_DISTRIBUTION, levels.twins()),
        Condition(CONFLICT, conflict),
        Condition(ALIGNED, conflict.twins()),
    ]
    return [condition for condition in found if len(condition.distribution.ids)]


def set_report(levels: Sequence[Condition]) -> dict[str, Any] | None:
    """Return which file is which level, and what cannot be said; None where ids were played."""
    sets = {c.name: c.distribution for c in levels if isinstance(c.distribution, LevelSet)}
    if not sets:
        return None
    of_id: dict[int, str] = {}
    sides: dict[int, str] = {}
    for name in (IN_DISTRIBUTION, CONFLICT):
        if name in sets:
            ids = sets[name].batch.ids.tolist()
            of_id |= dict(zip(ids, sets[name].names, strict=True))
            sides |= dict.fromkeys(ids, "conflict" if name == CONFLICT else "aligned")
    files = [{"file": of_id[number], "level_id": number, "side": sides[number]} for number in of_id]
    return {"files": sorted(files, key=lambda row: row["file"]), "notes": _notes(sets)}


def _notes(sets: dict[str, LevelSet]) -> list[str]:
    """Return what a set of levels cannot say, and why."""
    if CONFLICT not in sets:
        return ["no level is in conflict: nothing tells the goal from the proxy here"]
    conflict = sets[CONFLICT]
    twins = len(sets[ALIGNED].ids) if ALIGNED in sets else 0
    missing = len(conflict.ids) - twins
    notes = []
    if missing:
        why = conflict.world.no_twin or "their worlds make none"
        notes.append(
            f"{missing} of {len(conflict.ids)} conflict levels have no aligned twin, so that "
            f"accidents cannot be told from purpose there: {why}"
        )
    if IN_DISTRIBUTION not in sets:
        notes.append("no level is aligned: what the agent can do without a shift is not known")
    return notes
